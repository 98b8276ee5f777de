package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hemostat/defenders/fusion/attribution"
	"hemostat/scenarios/train"
)

type trainAttributionOptions struct {
	json bool
	trainingFlags
}

func trainAttributionCommand() *cobra.Command {
	var o trainAttributionOptions
	c := &cobra.Command{
		Use:   "attribution [SCENARIO...]",
		Short: "Train what is known of the actors behind campaigns",
		Long: `Runs days of scenarios (every embedded one when none is named) against variants of the
defence, and learns from their truth what the campaigns of each attacker look like in
alerts: techniques, rules, pace, outside addresses. Attackers of one name are one actor.
A variant names the file under fusion.attribution.actors. Before it writes, it says how
good attribution is on days that were left out, and for actors that were left out, for
whom "unknown" is right. The days are none that trials run on.`,
		Example: "  hemostat train attribution --trials 8 -o actors.json",
		RunE:    o.run,
	}
	c.Flags().BoolVar(&o.json, "json", false, "print the scores as JSON")
	o.flags(c, "actors.json", 8, "default")
	return c
}

func (o *trainAttributionOptions) run(c *cobra.Command, args []string) error {
	var l *attribution.Learned
	var n int
	if err := o.learn(c, args, func() (err error) {
		l, n, err = train.Attribution(c.Context(), &o.Days)
		return err
	}); err != nil {
		return err
	}
	if err := exportTo(c, o.output, indented(l.Facts)); err != nil {
		return err
	}
	out := c.OutOrStdout()
	if o.json {
		return printJSON(out, map[string]any{"known": l.Known, "left_out": l.LeftOut})
	}
	t := newTable(out, "actors", "campaigns", "top 1", "top 3", "Brier", "log loss", "calibration error")
	for _, row := range []struct {
		name string
		s    attribution.Scores
	}{{"known, days left out", l.Known}, {"left out: unknown is right", l.LeftOut}} {
		t.AppendRow([]any{row.name, row.s.Cases, percent(row.s.First), percent(row.s.Third),
			fmt.Sprintf("%.3f", row.s.Brier), fmt.Sprintf("%.3f", row.s.LogLoss), fmt.Sprintf("%.3f", row.s.Calibration)})
	}
	t.Render()
	fmt.Fprintf(out, "learned %d actors from %d campaigns; into %s\n", len(l.Facts.Actors), n, safe(o.output))
	return nil
}
