package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hemostat/defenders/fusion/attribution"
	"hemostat/scenarios/train"
)

type trainAttributionOptions struct {
	variants []string
	output   string
	json     bool
	train.Days
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
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "actors.json", "write to `FILE`")
	f.StringArrayVar(&o.variants, "variant", nil,
		"variant `FILE` whose alerts are learned from; default when absent; may be repeated")
	f.IntVar(&o.Trials, "trials", 8, "days of each scenario and variant")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the days")
	f.BoolVar(&o.json, "json", false, "print the scores as JSON")
	return c
}

func (o *trainAttributionOptions) run(c *cobra.Command, args []string) error {
	if len(o.variants) == 0 {
		o.variants = []string{"default"}
	}
	if err := loadDays(&o.Days, args, o.variants); err != nil {
		return err
	}
	defer closeVariants(c.ErrOrStderr(), o.Variants)
	bar := startDays(c, &o.Days)
	l, n, err := train.Attribution(c.Context(), &o.Days)
	bar.stop(err == nil)
	switch {
	case errors.Is(err, context.Canceled):
		return exit{exitInterrupted, errors.New("interrupted; nothing was written")}
	case err != nil:
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
