package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/reports/compare"
	"hemostat/reports/gate"
	"hemostat/reports/store"
)

func powerCommand() *cobra.Command {
	var db, baseline, candidate, run, svg string
	var metrics, effects []string
	var power, alpha float64
	var asJSON bool
	c := &cobra.Command{
		Use:   "power",
		Short: "How many trials an effect takes, from a pilot run",
		Long: `Tells how many pairs of trials a comparison needs to find an effect, from how much
pairs differ in a pilot run. A pilot with both variants is better: with one only,
the benefit of shared days is unknown, and the numbers are upper bounds.`,
		Example: `  hemostat power --candidate night-shift
  hemostat power --metric contained --effect 3% --power 0.9
  hemostat power --candidate night-shift --metric time_to_contain --effect 10m --svg power.svg`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !(power > 0 && power < 1) || !(alpha > 0 && alpha < 1) {
				return fmt.Errorf(
					"--power and --alpha: numbers between 0 and 1 are expected, not %g and %g",
					power,
					alpha,
				)
			}
			chosen, err := chooseMetrics(metrics, len(effects) > 0)
			if err != nil {
				return err
			}
			before, err := side{db, store.Filter{Variant: baseline, Run: run}}.sample(c.Context())
			if err != nil {
				return err
			}
			var after *compare.Sample
			if candidate != "" {
				if after, err = (side{db, store.Filter{Variant: candidate, Run: run}}).sample(c.Context()); err != nil {
					return err
				}
			}
			pilots, err := compare.Pilots(before, after, chosen)
			if err != nil {
				return err
			}
			w := &compare.Power{Baseline: baseline, Candidate: candidate, Target: power, Alpha: alpha}
			for _, p := range pilots {
				sizes := p.DefaultEffects()
				if len(effects) > 0 {
					if sizes, err = readEffects(p, effects); err != nil {
						return err
					}
				}
				for _, e := range sizes {
					w.Plans = append(w.Plans, p.PlanFor(e, power, alpha))
				}
			}
			if svg != "" {
				f, err := os.Create(svg)
				if err != nil {
					return fmt.Errorf("--svg: %w", err)
				}
				if err := errors.Join(w.SVG(f), f.Close()); err != nil {
					return fmt.Errorf("--svg %s: %w", svg, err)
				}
			}
			if asJSON {
				text, err := w.JSON()
				if err != nil {
					return exit{exitInternal, err}
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", text)
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), safe(w.Table()))
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE` with the pilot run")
	f.StringVar(&baseline, "baseline", "default", "variant of the pilot")
	f.StringVar(&candidate, "candidate", "", "second variant of the pilot")
	f.StringVar(&run, "run", "", "only trials of this run `ID`")
	f.StringArrayVar(
		&metrics,
		"metric",
		nil,
		"`METRIC` to plan for; may be repeated; contained, time_to_contain and score when absent",
	)
	f.StringArrayVar(&effects, "effect", nil, "`EFFECT` to find, such as 3% or 10m, with one --metric; may be repeated")
	f.Float64Var(&power, "power", 0.8, "wanted chance to find the effect")
	f.Float64Var(&alpha, "alpha", 0.05, "error rate, two-sided")
	f.StringVar(&svg, "svg", "", "draw the curve into `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func chooseMetrics(names []string, effects bool) ([]compare.Metric, error) {
	if len(names) == 0 {
		names = []string{"contained", "time_to_contain", "score"}
	}
	if effects && len(names) != 1 {
		return nil, errors.New("--effect is in the unit of one metric: name it with --metric")
	}
	var out []compare.Metric
	for _, name := range names {
		m := compare.MetricByName(name)
		if m == nil {
			return nil, fmt.Errorf(
				"--metric: unknown metric %q; accepted: %s",
				name,
				strings.Join(compare.MetricNames(), ", "),
			)
		}
		out = append(out, *m)
	}
	return out, nil
}

// readEffects reads effects as policies do: points of a rate, a share of the
// baseline's mean, or an amount.
func readEffects(p compare.Pilot, texts []string) ([]float64, error) {
	var out []float64
	for _, text := range texts {
		var a gate.Amount
		if err := a.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("--effect: %w", err)
		}
		if !(a.Value > 0) {
			return nil, fmt.Errorf("--effect: a positive amount is expected, not %s", text)
		}
		if a.Percent && p.Metric.Kind != compare.Rate {
			a.Value *= p.Mean
		}
		out = append(out, a.Value)
	}
	return out, nil
}
