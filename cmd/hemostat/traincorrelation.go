package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hemostat/defenders/fusion/correlation"
	"hemostat/scenarios/train"
)

type trainCorrelationOptions struct {
	variants  []string
	output    string
	threshold float64
	train.Days
}

func trainCorrelationCommand() *cobra.Command {
	var o trainCorrelationOptions
	c := &cobra.Command{
		Use:   "correlation [SCENARIO...]",
		Short: "Train the score by which incidents are found to be one campaign",
		Long: `Runs days of scenarios (every embedded one when none is named) against variants of the
defence, and learns from their truth which incidents have one attacker behind them. A
variant names the file under fusion.correlation.weights. The days are none that trials
run on. It says how good the score is on every second day when it learned from the
others, and how good without each of its parts.`,
		Example: "  hemostat train correlation --trials 4 -o correlation.json",
		RunE:    o.run,
	}
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "correlation.json", "write to `FILE`")
	f.StringArrayVar(&o.variants, "variant", nil,
		"variant `FILE` whose alerts are learned from; default and all_detectors when absent; may be repeated")
	f.Float64Var(&o.threshold, "threshold", 0.5, "score from which on two incidents are one campaign")
	f.IntVar(&o.Trials, "trials", 4, "days of each scenario and variant")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the days")
	return c
}

func (o *trainCorrelationOptions) run(c *cobra.Command, args []string) error {
	if len(o.variants) == 0 {
		o.variants = []string{"default", "all_detectors"}
	}
	if !(o.threshold > 0 && o.threshold < 1) {
		return fmt.Errorf("--threshold: a number between 0 and 1 is expected, not %g", o.threshold)
	}
	if err := loadDays(&o.Days, args, o.variants); err != nil {
		return err
	}
	defer closeVariants(c.ErrOrStderr(), o.Variants)
	bar := startDays(c, &o.Days)
	r, err := train.Correlation(c.Context(), &o.Days, o.threshold)
	bar.stop(err == nil)
	switch {
	case errors.Is(err, context.Canceled):
		return exit{exitInterrupted, errors.New("interrupted; nothing was written")}
	case err != nil:
		return err
	}
	if err := exportTo(c, o.output, indented(r.Weights)); err != nil {
		return err
	}
	out := c.OutOrStdout()
	if r.Without != nil {
		t := newTable(out, "parts of the score", "precision", "recall", "F1", "adjusted Rand index")
		row := func(name string, q correlation.Quality) {
			t.AppendRow([]any{name, fmt.Sprintf("%.3f", q.Precision), fmt.Sprintf("%.3f", q.Recall),
				fmt.Sprintf("%.3f", 2*q.Precision*q.Recall/max(1e-9, q.Precision+q.Recall)), fmt.Sprintf("%.3f", q.Rand)})
		}
		row("all", r.Held)
		for _, part := range correlation.PartNames() {
			row("without "+part, r.Without[part])
		}
		t.Render()
	}
	fmt.Fprintf(out, "learned from %d comparisons; into %s\n", r.Comparisons, safe(o.output))
	return nil
}
