package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hemostat/attackers/technique"
	"hemostat/scenarios"
	"hemostat/scenarios/coverage"
	"hemostat/scenarios/defence"
)

func techniqueCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "technique",
		Short: "List and show the attackers' techniques, their telemetry and the rules that see them",
	}
	c.AddCommand(techniqueList(), techniqueShow(), techniqueImport(), techniqueSchema())
	return c
}

// techniqueRow is a technique as other programs read it.
type techniqueRow struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Tactic    string          `json:"tactic"`
	Platforms []string        `json:"platforms"`
	Needs     string          `json:"needs"`
	Effect    string          `json:"effect"`
	Achieves  string          `json:"achieves"`
	Takes     string          `json:"takes"`
	Success   float64         `json:"success"`
	Telemetry []string        `json:"telemetry"`
	Tools     []techniqueTool `json:"tools"`
	Rules     []techniqueRule `json:"rules"`
	Blind     []string        `json:"blind_spots"`
	coverage  coverage.Technique
}

type techniqueTool struct {
	Name   string          `json:"name"`
	Events int             `json:"events"`
	Seen   []string        `json:"log_sources"`
	Rules  []techniqueRule `json:"rules"`
	// Recordings are those of the technique that the tool was compared with, Sharing those
	// on which a rule fires that also fires on the tool.
	Recordings int `json:"recordings"`
	Sharing    int `json:"recordings_sharing_a_rule"`
}

type techniqueRule struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Level string `json:"level"`
	Own   bool   `json:"tagged"`
}

// techniqueFlags say which techniques are tried against whose rules.
type techniqueFlags struct {
	variant    string
	footprints []string
	json       bool
}

func (o *techniqueFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.variant, "variant", "default", "whose rules are tried: variant `FILE`, or default")
	f.StringArrayVar(&o.footprints, "footprints", nil, "folder or `FILE` of recorded techniques to add as tools; may be repeated")
	f.BoolVar(&o.json, "json", false, "print JSON")
}

func (o *techniqueFlags) rows(tactic string, ids []string) (rows []techniqueRow, err error) {
	library, _, err := scenarios.LoadFootprints(o.footprints)
	if err != nil {
		return nil, fmt.Errorf("--footprints: %w", err)
	}
	v, err := defence.LoadSimulated(o.variant, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	var chosen []*technique.Technique
	tactics := map[string]bool{}
	for _, t := range library.All() {
		tactics[t.Tactic] = true
		if (tactic == "" || t.Tactic == tactic) && (len(ids) == 0 || slices.Contains(ids, t.ID)) {
			chosen = append(chosen, t)
		}
	}
	if tactic != "" && !tactics[tactic] {
		var known []string
		for name := range tactics {
			known = append(known, name)
		}
		slices.Sort(known)
		return nil, fmt.Errorf(
			"--tactic: no technique has the tactic %q; there are: %s",
			tactic,
			strings.Join(known, ", "),
		)
	}
	for _, id := range ids {
		if library.Find(id) == nil {
			return nil, fmt.Errorf(
				"the library has no technique %q; 'hemostat technique list' shows those that it has",
				id,
			)
		}
	}
	covered, err := coverage.Of(v, chosen)
	if err != nil {
		return nil, exit{exitInternal, err}
	}
	rules := func(hits []coverage.RuleHit) []techniqueRule {
		out := []techniqueRule{}
		for _, h := range hits {
			out = append(out, techniqueRule(h))
		}
		return out
	}
	rows = []techniqueRow{}
	for _, c := range covered {
		t := c.Technique
		r := techniqueRow{
			ID:        t.ID,
			Name:      t.Name,
			Tactic:    t.Tactic,
			Platforms: t.Platforms,
			Needs:     t.Needs,
			Effect:    t.Effect,
			Achieves:  t.Achieves,
			Takes:     t.Takes.String(),
			Success:   t.Success,
			Telemetry: t.Telemetry,
			Rules:     rules(c.Rules()),
			Blind:     append([]string{}, c.Blind()...),
			coverage:  c,
		}
		for _, tool := range c.Tools {
			r.Tools = append(
				r.Tools,
				techniqueTool{
					tool.Tool, tool.Events, append([]string{}, tool.Sources...), rules(tool.Rules), t.BackingOf(tool.Tool).Recordings,
					t.BackingOf(tool.Tool).Sharing,
				},
			)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func techniqueList() *cobra.Command {
	var o techniqueFlags
	var tactic string
	c := &cobra.Command{
		Use: "list", Short: "List the techniques with what telemetry each leaves and which rules see it", Args: cobra.NoArgs,
		Long: `Lists the attackers' techniques. Each is rehearsed with each of its tools against
the rules of a variant, so that the table tells what the rules really see: how many
of the tools, with which rule of the highest level. A tool that no rule sees is a
blind spot.`,
		Example: "  hemostat technique list --tactic lateral-movement\n  hemostat technique list --variant mine.yaml --json",
		RunE: func(c *cobra.Command, _ []string) error {
			rows, err := o.rows(tactic, nil)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), rows)
			}
			t := newTable(
				c.OutOrStdout(),
				"id",
				"name",
				"tactic",
				"telemetry",
				"tools seen",
				"backed",
				"rule of the highest level",
			)
			t.SetColumnConfigs(
				[]table.ColumnConfig{
					{Number: 2, WidthMax: 46, WidthMaxEnforcer: text.WrapSoft},
					{Number: 4, WidthMax: 34, WidthMaxEnforcer: text.WrapSoft},
					{Number: 5, Align: text.AlignRight},
					{Number: 6, Align: text.AlignRight},
					{Number: 7, WidthMax: 46, WidthMaxEnforcer: text.WrapSoft},
				},
			)
			blind := 0
			for _, r := range rows {
				rule := "-"
				if len(r.Rules) > 0 {
					rule = fmt.Sprintf("%s (%s)", r.Rules[0].Title, r.Rules[0].Level)
				}
				if len(r.Blind) == len(r.Tools) {
					blind++
				}
				t.AppendRow(
					table.Row{
						r.ID,
						r.Name,
						r.Tactic,
						strings.Join(r.Telemetry, ", "),
						fmt.Sprintf("%d of %d", len(r.Tools)-len(r.Blind), len(r.Tools)),
						fmt.Sprintf("%d of %d", r.backed(), len(r.Tools)),
						rule,
					},
				)
			}
			t.Render()
			_, err = fmt.Fprintf(
				c.OutOrStdout(),
				"%d techniques; %d are seen by no rule at all; 'hemostat technique show ID' tells more\n",
				len(rows),
				blind,
			)
			return err
		},
	}
	c.Flags().StringVar(&tactic, "tactic", "", "only techniques of this `TACTIC`")
	o.flags(c.Flags())
	return c
}

func techniqueShow() *cobra.Command {
	var o techniqueFlags
	c := &cobra.Command{
		Use: "show ID...", Short: "Show techniques: needs, effect, tools, telemetry, rules, blind spots", Args: cobra.MinimumNArgs(1),
		Example: "  hemostat technique show T1003.001",
		RunE: func(c *cobra.Command, args []string) error {
			rows, err := o.rows("", args)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), rows)
			}
			for _, r := range rows {
				if _, err := fmt.Fprint(c.OutOrStdout(), r.describe()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	o.flags(c.Flags())
	return c
}

// backed counts the tools that some recording backs.
func (r *techniqueRow) backed() int {
	n := 0
	for _, t := range r.Tools {
		if t.Sharing > 0 {
			n++
		}
	}
	return n
}

func (r *techniqueRow) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.ID, r.Name)
	fmt.Fprintf(&b, "  tactic     %s, on %s\n", r.Tactic, strings.Join(r.Platforms, ", "))
	fmt.Fprintf(&b, "  needs      %s\n  effect     %s\n", r.Needs, r.Effect)
	if r.Achieves != "" {
		fmt.Fprintf(&b, "  goal       can reach the goal %q\n", r.Achieves)
	}
	fmt.Fprintf(&b, "  takes      %s, works in %.0f %% of tries of an average operator\n", r.Takes, 100*r.Success)
	for i, t := range r.Tools {
		word := ""
		switch {
		case i == 0:
			word = " (the loudest)"
		case i == len(r.Tools)-1:
			word = " (the quietest)"
		}
		fmt.Fprintf(&b, "  tool       %s%s: %d events in %s\n", t.Name, word, t.Events, strings.Join(t.Seen, ", "))
		if t.Recordings > 0 {
			fmt.Fprintf(&b, "    backed   by %d of %d recordings that it was compared with\n", t.Sharing, t.Recordings)
		} else {
			fmt.Fprintf(&b, "    backed   by no recording\n")
		}
		for _, rule := range t.Rules {
			tag := ""
			if !rule.Own {
				tag = ", tagged otherwise"
			}
			fmt.Fprintf(&b, "    seen by  %s (%s%s)\n", rule.Title, rule.Level, tag)
		}
		if len(t.Rules) == 0 {
			fmt.Fprintf(&b, "    blind spot: no rule sees it\n")
		}
	}
	return b.String()
}
