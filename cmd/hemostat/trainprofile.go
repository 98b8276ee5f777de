package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/defenders/sentinel/profile"
	"hemostat/scenarios/train"
)

type trainProfileOptions struct {
	attack string
	json   bool
	trainingFlags
}

func trainProfileCommand() *cobra.Command {
	var o trainProfileOptions
	c := &cobra.Command{
		Use:   "profile [SCENARIO...]",
		Short: "Train what is known of attackers beforehand",
		Long: `Runs days of scenarios (every embedded one when none is named) against variants of the
defence and learns from their truth what attackers are like and do next, for the
forecasts that variants make under profile. A variant names the file under
profile.knowledge. The days are none that trials run on. Before it writes, it says how
good the forecasts are on each scenario when nothing was learned from that scenario,
beside a frequency table and a first-order chain of the same days.`,
		Example: `  hemostat train profile --trials 4 -o knowledge.json
  hemostat train profile --attack enterprise-attack.json -o knowledge.json`,
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVar(&o.attack, "attack", "", "STIX bundle of ATT&CK `FILE`, for which techniques groups use together")
	f.BoolVar(&o.json, "json", false, "print the scores as JSON")
	o.flags(c, "knowledge.json", 4, "default", "typical")
	return c
}

func (o *trainProfileOptions) run(c *cobra.Command, args []string) error {
	var groups [][]string
	if o.attack != "" {
		var err error
		if groups, err = train.ReadGroups(o.attack); err != nil {
			return err
		}
	}
	var r *train.ProfileResult
	if err := o.learn(c, args, func() (err error) {
		r, err = train.Profile(c.Context(), &o.Days, groups)
		return err
	}); err != nil {
		return err
	}
	if err := exportTo(c, o.output, indented(r.Knowledge)); err != nil {
		return err
	}
	if o.json {
		return printJSON(c.OutOrStdout(), map[string]any{"all": r.All, "scenarios": r.ByScenario})
	}
	printScores(c.OutOrStdout(), r)
	fmt.Fprintf(c.OutOrStdout(), "learned from %s, into %s\n", safe(r.Knowledge.From), safe(o.output))
	return nil
}

// printScores prints how good forecasts are on scenarios that were left out.
func printScores(out io.Writer, r *train.ProfileResult) {
	if r.All == nil {
		fmt.Fprintln(out, "too few scenarios to leave one out: how good the forecasts are is not known")
		return
	}
	t := newTable(out, "scenario left out", "forecasts", "top 1", "top 3", "log loss", "brier", "calibration",
		"frequency: top 3", "log loss", "chain: top 3", "log loss")
	row := func(name string, s *profile.Scores) {
		t.AppendRow(table.Row{name, s.Forecasts, percent(s.Top1), percent(s.Top3), two(s.LogLoss), two(s.Brier),
			two(s.Calibration),
			percent(s.FrequencyTop3), two(s.FrequencyLogLoss), percent(s.FirstOrderTop3), two(s.FirstOrderLogLoss)})
	}
	for _, name := range slices.Sorted(maps.Keys(r.ByScenario)) {
		row(safe(name), r.ByScenario[name])
	}
	t.AppendSeparator()
	row("all together", r.All)
	t.Render()
}

func two(v float64) string { return fmt.Sprintf("%.2f", v) }
