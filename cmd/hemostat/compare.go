package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"hemostat/reports/compare"
	"hemostat/reports/store"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
)

func compareCommand() *cobra.Command {
	var db, against, baseline, candidate, run, format, method, adjustment, byDetector, analystMode string
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare",
		Short: "Put two variants side by side, pair by pair",
		Long: `Compares two variants over the trials that they share: the same scenario, seed
and index, which faced the same day. Differences are taken within pairs, with
intervals and p-values adjusted for the number of rows. What never happened is
censored at the horizon, neither dropped nor infinite. Further tables tell which
technique is detected better or worse, and which detector raised the alerts.
With --by-detector one variant's detectors are held against each other: what each
finds, alone and beside the others, at how many false alarms and what cost, and what
is lost without it (run --leave-one-out).
docs/statistics.md explains the methods.`,
		Example: `  hemostat compare --baseline default --candidate night-shift
  hemostat compare --baseline default --candidate default --db old.db --against new.db --format markdown
  hemostat compare --candidate night-shift --format html > night.html
  hemostat compare --by-detector all_detectors`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				format = "json"
			}
			if !slices.Contains([]string{"text", "markdown", "json", "html"}, format) {
				return fmt.Errorf("--format: text, markdown, json or html is accepted, not %q", format)
			}
			if byDetector != "" {
				if candidate != "" || c.Flags().Changed("baseline") || against != "" || format == "html" {
					return errors.New("--by-detector is about one variant of one database, as text, markdown or json; leave --baseline, --candidate, --against and html out")
				}
				return compareDetectors(c, db, store.Filter{Variant: byDetector, Run: run}, format)
			}
			if analystMode != "" {
				if _, err := defence.ParseAnalystMode(analystMode); err != nil {
					return fmt.Errorf("--analyst: %w", err)
				}
			}
			if candidate == "" {
				return errors.New("--candidate VARIANT or --by-detector VARIANT is needed")
			}
			if against == "" {
				against = db
			}
			if baseline == candidate && against == db {
				return fmt.Errorf(
					"--baseline and --candidate are both %q; name two variants, or a second database with --against",
					baseline,
				)
			}
			how := compare.Options{Method: compare.Method(method), Adjustment: compare.Adjustment(adjustment)}
			if err := how.Check(); err != nil {
				return err
			}
			debug.SetGCPercent(30) // a million trials are held at once: memory counts here, not pace
			result, err := compareDatabases(
				c.Context(),
				side{db, store.Filter{Variant: baseline, Run: run, Analyst: analystMode}},
				side{against, store.Filter{Variant: candidate, Run: run, Analyst: analystMode}},
				how,
			)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			switch format {
			case "json":
				text, err := result.JSON()
				if err != nil {
					return exit{exitInternal, err}
				}
				_, err = fmt.Fprintf(out, "%s\n", text)
				return err
			case "html":
				return result.HTML(out)
			}
			_, err = fmt.Fprint(out, result.Table(format == "markdown"))
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&against, "against", "", "database `FILE` of the candidate, when it is another one")
	f.StringVar(&baseline, "baseline", "default", "variant to compare with")
	f.StringVar(&candidate, "candidate", "", "variant to compare")
	f.StringVar(&byDetector, "by-detector", "",
		"tell what each detector of this `VARIANT` adds, instead of comparing two variants")
	f.StringVar(&analystMode, "analyst", "",
		"only trials of runs in which models were answered for in this way (record, replay, live, offline), or none was asked")
	f.StringVar(&run, "run", "", "only trials of this run `ID`")
	f.StringVar(&format, "format", "text", "text, markdown, json or html")
	f.StringVar(
		&method,
		"method",
		string(compare.Paired),
		"paired, unpaired, survival or bootstrap: how rows are estimated and tested",
	)
	f.StringVar(
		&adjustment,
		"adjust",
		string(compare.Holm),
		"holm or benjamini-hochberg: how p-values hold for the whole table",
	)
	f.BoolVar(&asJSON, "json", false, "the same as --format json")
	return c
}

// side is where one variant's trials are.
type side struct {
	file   string
	filter store.Filter
}

// compareDatabases reads both sides at once and compares them.
func compareDatabases(ctx context.Context, baseline, candidate side, o compare.Options) (*compare.Result, error) {
	var before, after *compare.Sample
	err := inParallel(
		func() (err error) { before, err = baseline.sample(ctx); return err },
		func() (err error) { after, err = candidate.sample(ctx); return err },
	)
	if err != nil {
		return nil, err
	}
	result, err := compare.Compare(before, after, o)
	if err != nil {
		return nil, err
	}
	every := 1 + result.Pairs/mostTallied
	var was, is origins
	err = inParallel(
		func() (err error) { was, err = baseline.origins(ctx, every); return err },
		func() (err error) { is, err = candidate.origins(ctx, every); return err },
	)
	if err != nil {
		return nil, err
	}
	result.ByTechnique(was.techniques, is.techniques)
	result.ByDetector(was.detectors, is.detectors)
	var met []string
	for _, row := range result.Techniques {
		met = append(met, row.Subject)
	}
	if note := unbacked(met); note != "" {
		result.Warnings = append(result.Warnings, note)
	}
	result.ByRanking(was.rankings, is.rankings)
	result.ByForecast(was.forecasts, is.forecasts)
	if every > 1 {
		result.Warnings = append(
			result.Warnings,
			fmt.Sprintf(
				"techniques and detectors are told from every %d. index, since there are so many trials",
				every,
			),
		)
	}
	return result, nil
}

// mostTallied is how many pairs techniques and detectors are told from, so that a
// database of a million trials is compared within seconds.
const mostTallied = 20_000

// inParallel does all at once and joins the errors, equal ones as one.
func inParallel(all ...func() error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, f := range all {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	if len(errs) == 2 && errs[0] != nil && errs[1] != nil && errs[0].Error() == errs[1].Error() {
		return errs[0]
	}
	return errors.Join(errs...)
}

// sample reads the outcomes of one variant.
func (s side) sample(ctx context.Context) (*compare.Sample, error) {
	db, err := store.Open(ctx, s.file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	n, err := db.Count(s.filter)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		known, err := db.Variants()
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf(
			"no trials of variant %q in %s; it has: %s",
			s.filter.Variant,
			s.file,
			strings.Join(known, ", "),
		)
	}
	sample := compare.NewSample(s.filter.Variant, n)
	if sample.Settings, err = settingsOf(db, s.filter.Variant); err != nil {
		return nil, err
	}
	return sample, db.Outcomes(s.filter, func(o *store.Outcome) error {
		return sample.Add(&o.Trial, o.Seed, o.ScenarioDigest)
	})
}

// settingsOf is what a recorded variant sets in the scenarios.
func settingsOf(db *store.DB, variant string) (string, error) {
	texts, err := db.VariantTexts(variant)
	if err != nil || len(texts) == 0 {
		return "", err
	}
	var identity struct{ Scenario []scenarios.Setting }
	if err := json.Unmarshal([]byte(texts[0]), &identity); err != nil {
		return "", fmt.Errorf("variant %q as it is recorded: %w", variant, err)
	}
	var out []string
	for _, s := range identity.Scenario {
		out = append(out, s.Path+"="+s.Value)
	}
	return strings.Join(out, " "), nil
}

// origins is what a variant's techniques and detectors did.
type origins struct {
	techniques, detectors compare.Tallies
	rankings              compare.Rankings
	forecasts             compare.Forecasts
}

// origins reads how techniques and detectors did in every n-th trial.
func (s side) origins(ctx context.Context, every int) (origins, error) {
	db, err := store.Open(ctx, s.file)
	if err != nil {
		return origins{}, err
	}
	defer db.Close()
	into := func(to compare.Tallies) func(store.Tally) {
		return func(t store.Tally) {
			k := compare.Key{Scenario: t.Scenario, Seed: t.Seed, Index: t.Index}
			if to[k] == nil {
				to[k] = map[string]compare.Tally{}
			}
			if t.All > 0 {
				to[k][t.Name] = compare.Tally{All: t.All, Hits: t.Hits}
			}
		}
	}
	o := origins{compare.Tallies{}, compare.Tallies{}, compare.Rankings{}, compare.Forecasts{}}
	return o, errors.Join(
		db.TechniqueTallies(s.filter, every, into(o.techniques)),
		db.DetectorTallies(s.filter, every, into(o.detectors)),
		db.AlertConfidences(s.filter, every, o.rankings.Add),
		db.Forecasts(s.filter, every, func(f store.Forecast) {
			x := compare.Forecast{Scenario: f.Scenario, Probability: f.Probability, Brier: f.Brier, Rank: f.Rank}
			for _, n := range f.Named {
				x.Named = append(x.Named, n.P)
			}
			o.forecasts.Add(x)
		}))
}
