package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

type explainOptions struct {
	rules  ruleFlags
	number int
	json   bool
}

func rulesExplain() *cobra.Command {
	o := explainOptions{}
	c := &cobra.Command{
		Use: "explain RULE LOG", Short: "Tell part by part why a rule fires on an event, or does not",
		Long: `Tries a rule on one event of a log and tells how each selection and each test in
it comes out, with the value that the event has. RULE is a .yml file, or the id,
name or title of a rule among --rules. A correlation is told by the rules that
feed it. LOG is anything that replay reads; --event chooses the event.`,
		Example: "  hemostat rules explain my-rules/whoami.yml events.json --event 3",
		Args:    cobra.ExactArgs(2),
		RunE:    o.explain,
	}
	f := c.Flags()
	o.rules.flags(f)
	f.IntVar(&o.number, "event", 1, "number of the event in the log, from 1")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return c
}

var errFound = errors.New("the event is found")

func (o *explainOptions) explain(c *cobra.Command, args []string) error {
	if sentinel.IsRuleFile(args[0]) {
		o.rules.folders = []string{args[0]}
	}
	rules, err := o.rules.load(c.ErrOrStderr())
	if err != nil {
		return err
	}
	engine, err := sigma.Compile(rules)
	if err != nil {
		return err
	}
	chosen, err := chooseRules(engine, args[0])
	if err != nil {
		return err
	}
	if o.number < 1 {
		return fmt.Errorf("--event: 1 or more is accepted, not %d", o.number)
	}
	var chosenEvent *event.Event
	n := 0
	s, err := ingest.Read(c.Context(), args[1:], ingest.Options{}, func(e *event.Event) error {
		if n++; n == o.number {
			chosenEvent = e
			return errFound
		}
		return nil
	})
	switch {
	case chosenEvent != nil:
	case err != nil:
		return err
	default:
		return fmt.Errorf("%s has %s, and none is number %d", args[1], plural(s.Events, "event", "events"), o.number)
	}
	m := engine.NewMatcher()
	var verdicts []sigma.Verdict
	for _, r := range chosen {
		verdicts = append(verdicts, m.Verdict(r, chosenEvent))
	}
	if o.json {
		return printJSON(c.OutOrStdout(), verdicts)
	}
	for _, v := range verdicts {
		printVerdict(c.OutOrStdout(), v)
	}
	return nil
}

// chooseRules finds the rules that a file holds, or that a name means, and of a
// correlation those that feed it.
func chooseRules(engine *sigma.Engine, name string) ([]*sigma.Rule, error) {
	var chosen []*sigma.Rule
	var add func(r *sigma.Rule)
	add = func(r *sigma.Rule) {
		if r.Correlation == nil {
			chosen = append(chosen, r)
			return
		}
		for _, other := range engine.Rules() {
			for _, ref := range r.Correlation.Rules {
				if ref == other.ID && ref != "" || ref == other.Name {
					add(other)
				}
			}
		}
	}
	for _, r := range engine.Rules() {
		if sentinel.IsRuleFile(name) && !engine.Silent(r) || name == r.ID || name == r.Title && !r.Part() ||
			name == r.Name && name != "" {
			add(r)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf(
			"no rule has the id, name or title %q; name a .yml file, or its folder with --rules",
			name,
		)
	}
	return chosen, nil
}

func printVerdict(out io.Writer, v sigma.Verdict) {
	verdict := "does not fire"
	if v.Fires {
		verdict = "fires"
	}
	fmt.Fprintf(out, "%s: %s\n", safe(v.Rule), verdict)
	if !v.TakesIn {
		fmt.Fprintf(
			out,
			"  the rule is for %s, and the event is of %s: it is not tried on such events\n",
			safe(v.RuleSource),
			safe(v.EventSource),
		)
	}
	t := newTable(out, "selection", "holds", "field", "the event has", "the rule asks", "")
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 4, WidthMax: 50, WidthMaxEnforcer: text.WrapText},
		{Number: 5, WidthMax: 50, WidthMaxEnforcer: text.WrapText},
	})
	for _, p := range v.Parts {
		for i, x := range p.Tests {
			name, holds := p.Name, yesNo(p.Holds)
			if i > 0 {
				name, holds = "", ""
			}
			value := x.Value
			if !x.Present {
				value = "(nothing)"
			}
			mark := "✗"
			if x.Holds {
				mark = "✓"
			}
			t.AppendRow(table.Row{name, holds, x.Field, value, x.Asks, mark})
		}
	}
	t.Render()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
