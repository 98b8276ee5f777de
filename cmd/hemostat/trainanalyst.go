package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/train"
)

type trainAnalystOptions struct {
	variants []string
	output   string
	train.Days
}

func trainAnalystCommand() *cobra.Command {
	var o trainAnalystOptions
	c := &cobra.Command{
		Use:   "analyst [SCENARIO...]",
		Short: "Train the offline analyst on simulated days",
		Long: `Runs days of scenarios (every embedded one when none is named) against variants of the
defence and learns from their alerts, of which the simulation knows which are true, how
to tell true from false ones. A variant names the file under analyst.weights. The days
are none that trials run on. The bar below which alerts are dismissed is the highest at
which, on scenarios that were left out while learning, at most one attack in a hundred
would have lost all of its alerts.`,
		Example: `  hemostat train analyst --trials 4 -o weights.json
  hemostat train analyst quiet-day ransomware --variant mine.yaml -o weights.json`,
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "weights.json", "write to `FILE`")
	f.StringArrayVar(&o.variants, "variant", nil,
		"variant `FILE` whose alerts are learned from; default and all_detectors when absent; may be repeated")
	f.IntVar(&o.Trials, "trials", 4, "days of each scenario and variant")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the days")
	return c
}

func (o *trainAnalystOptions) run(c *cobra.Command, args []string) error {
	if len(o.variants) == 0 {
		o.variants = []string{"default", "all_detectors"}
	}
	if err := loadDays(&o.Days, args, o.variants); err != nil {
		return err
	}
	defer closeVariants(c.ErrOrStderr(), o.Variants)
	bar := startDays(c, &o.Days)
	w, alerts, err := train.Analyst(c.Context(), &o.Days)
	bar.stop(err == nil)
	switch {
	case errors.Is(err, context.Canceled):
		return exit{exitInterrupted, errors.New("interrupted; nothing was written")}
	case err != nil:
		return err
	}
	if err := exportTo(c, o.output, indented(w)); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "learned from %d alerts; alerts of a probability below %g are dismissed; into %s\n",
		alerts, w.Dismiss, safe(o.output))
	return nil
}

// indented writes a value as JSON that people can read.
func indented(v any) func(to io.Writer) error {
	return func(to io.Writer) error {
		encoder := json.NewEncoder(to)
		encoder.SetIndent("", " ")
		return encoder.Encode(v)
	}
}

// loadDays loads the scenarios and variants of training days; without names every embedded
// scenario.
func loadDays(d *train.Days, names, variants []string) error {
	if d.Trials < 1 || d.Trials > 10_000 {
		return fmt.Errorf("--trials: 1 to 10000 is accepted, not %d", d.Trials)
	}
	if len(names) == 0 {
		names = scenarios.EmbeddedNames()
	}
	for _, name := range names {
		s, err := scenarios.Load(name, nil)
		if err != nil {
			return err
		}
		d.Scenarios = append(d.Scenarios, s)
	}
	for _, name := range variants {
		v, err := defence.LoadSimulated(name, nil)
		if err != nil {
			closeVariants(io.Discard, d.Variants)
			return err
		}
		d.Variants = append(d.Variants, v)
	}
	return nil
}

// startDays shows how training days come along, on all processors.
func startDays(c *cobra.Command, d *train.Days) *bar {
	bar := startBar(c.ErrOrStderr(), "days", d.Trials*len(d.Scenarios)*len(d.Variants))
	d.Parallel, d.Step = runtime.NumCPU(), bar.step
	return bar
}

func closeVariants(errOut io.Writer, variants []*defence.Variant) {
	for _, v := range variants {
		noteFault(errOut, v.Close())
	}
}
