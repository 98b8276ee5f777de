package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/train"
)

// trainingFlags are those of commands that learn from simulated days.
type trainingFlags struct {
	variants []string
	output   string
	train.Days
}

// flags declares them, with their defaults.
func (o *trainingFlags) flags(c *cobra.Command, output string, trials int, variants ...string) {
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", output, "write to `FILE`")
	f.StringArrayVar(&o.variants, "variant", nil, fmt.Sprintf(
		"variant `FILE` whose alerts are learned from; %s when absent; may be repeated", strings.Join(variants, " and ")))
	f.IntVar(&o.Trials, "trials", trials, "days of each scenario and variant")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the days")
	c.PreRun = func(*cobra.Command, []string) {
		if len(o.variants) == 0 {
			o.variants = variants
		}
	}
}

// learn loads the scenarios and variants, and learns from their days on all processors, with a
// bar that shows how they come along. Without names of scenarios it is every embedded one.
func (o *trainingFlags) learn(c *cobra.Command, names []string, from func() error) error {
	defer func() { closeVariants(c.ErrOrStderr(), o.Variants) }()
	if err := o.load(names); err != nil {
		return err
	}
	bar := startBar(c.ErrOrStderr(), "days", o.Trials*len(o.Scenarios)*len(o.Variants))
	o.Parallel, o.Step = runtime.NumCPU(), bar.step
	err := from()
	bar.stop(err == nil)
	if errors.Is(err, context.Canceled) {
		return exit{exitInterrupted, errors.New("interrupted; nothing was written")}
	}
	return err
}

func (o *trainingFlags) load(names []string) error {
	if o.Trials < 1 || o.Trials > 10_000 {
		return fmt.Errorf("--trials: 1 to 10000 is accepted, not %d", o.Trials)
	}
	if len(names) == 0 {
		names = scenarios.EmbeddedNames()
	}
	for _, name := range names {
		s, err := scenarios.Load(name, nil)
		if err != nil {
			return err
		}
		o.Scenarios = append(o.Scenarios, s)
	}
	for _, name := range o.variants {
		v, err := defence.LoadSimulated(name, nil)
		if err != nil {
			return err
		}
		o.Variants = append(o.Variants, v)
	}
	return nil
}

func closeVariants(errOut io.Writer, variants []*defence.Variant) {
	for _, v := range variants {
		noteFault(errOut, v.Close())
	}
}
