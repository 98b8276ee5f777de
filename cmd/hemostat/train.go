package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/train"
)

type trainOptions struct {
	variant, output string
	set             []string
	valid           time.Duration
	train.Options
}

func trainCommand() *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train SCENARIO | LOG...",
		Short: "Make a baseline of ordinary days for the detectors that learn",
		Long: `Shows days of a scenario without its attackers, or recorded logs, to the detectors of
a variant that learn, and writes what they have learned into a file that a variant
names under baseline. Its days are none that trials run on. A scenario is one that
comes with the program or a .yaml file; everything else is a log, a folder or an
archive as for replay.`,
		Example: `  hemostat train quiet-day --days 14 -o baseline.json.gz
  hemostat train logs-of-two-weeks -o baseline.json.gz`,
		Args: cobra.MinimumNArgs(1),
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "baseline.json.gz", "write to `FILE`")
	f.StringVar(&o.variant, "variant", "", "variant `FILE` whose detectors learn; all_detectors when absent")
	f.IntVar(&o.Days, "days", 14, "days of the scenario")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the scenario's days")
	f.BoolVar(&o.Attackers, "attackers", false, "keep the scenario's attackers, to see what they spoil")
	f.DurationVar(&o.valid, "valid", 0, "how long the baseline is to be used; those who use it later are told; for ever when absent")
	f.StringArrayVar(&o.set, "set", nil, "setting of the scenario `PATH=VALUE`; may be repeated")
	c.AddCommand(trainAnalystCommand(), trainProfileCommand(), trainCorrelationCommand(),
		trainAttributionCommand())
	return c
}

func (o *trainOptions) run(c *cobra.Command, args []string) error {
	if o.Days < 1 || o.Days > 10_000 {
		return fmt.Errorf("--days: 1 to 10000 is accepted, not %d", o.Days)
	}
	if o.valid < 0 {
		return fmt.Errorf("--valid: a time such as 720h is expected, not %s", o.valid)
	}
	v, err := o.detectors()
	if err != nil {
		return err
	}
	b, err := o.learn(c, v, args)
	err = errors.Join(err, v.Close())
	switch {
	case errors.Is(err, context.Canceled):
		return exit{exitInterrupted, errors.New("interrupted; nothing was written")}
	case err != nil:
		return err
	}
	if o.valid > 0 {
		b.Until = time.Now().UTC().Add(o.valid).Format(time.DateOnly)
	}
	if err := exportTo(c, o.output, b.Write); err != nil {
		return err
	}
	var names []string
	for name := range b.Detectors {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(c.OutOrStdout(), "%s learned from %d events, into %s\n", strings.Join(names, ", "), b.Events,
		safe(o.output))
	return nil
}

// detectors loads the variant whose detectors learn.
func (o *trainOptions) detectors() (*defence.Variant, error) {
	return defence.LoadSimulated(cmp.Or(o.variant, "all_detectors"), nil)
}

func (o *trainOptions) learn(c *cobra.Command, v *defence.Variant, args []string) (*defence.Baseline, error) {
	if !isScenario(args[0]) {
		if len(o.set) > 0 || o.Attackers {
			return nil, errors.New("--set and --attackers are for scenarios, not for logs")
		}
		b, summary, err := train.Logs(c.Context(), v, args)
		if err == nil {
			printNotes(c.ErrOrStderr(), summary)
		}
		return b, err
	}
	if len(args) > 1 {
		return nil, errors.New("one scenario, or logs, are expected")
	}
	var settings []scenarios.Setting
	for _, text := range o.set {
		s, err := scenarios.ParseSetting(text)
		if err != nil {
			return nil, fmt.Errorf("--set: %w", err)
		}
		settings = append(settings, s)
	}
	s, err := scenarios.Load(args[0], settings)
	if err != nil {
		return nil, err
	}
	bar := startBar(c.ErrOrStderr(), "days", o.Days)
	o.Step = bar.step
	b, err := train.Scenario(c.Context(), v, s, o.Options)
	bar.stop(err == nil)
	return b, err
}

// isScenario tells the name of a scenario from that of a log.
func isScenario(name string) bool {
	if slices.Contains(scenarios.EmbeddedNames(), name) {
		return true
	}
	extension := strings.ToLower(filepath.Ext(name))
	return extension == ".yaml" || extension == ".yml"
}
