package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/reports/compare"
	"hemostat/reports/store"
	"hemostat/sim/record"
)

func compareCommand() *cobra.Command {
	var db, against, baseline, candidate, run, format string
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare",
		Short: "Put two variants side by side, pair by pair",
		Long: `Compares two variants over the trials that they share: the same scenario and
index, which faced the same day. Rates have Wilson intervals, medians intervals
by order statistics; differences are taken within pairs and tested (exact McNemar
test, sign test, paired t test), with p-values adjusted for the number of rows.`,
		Example: `  hemostat compare --baseline default --candidate night-shift
  hemostat compare --baseline default --candidate default --db old.db --against new.db --format markdown`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				format = "json"
			}
			if !slices.Contains([]string{"text", "markdown", "json"}, format) {
				return fmt.Errorf("--format: text, markdown or json is accepted, not %q", format)
			}
			if against == "" {
				against = db
			}
			if baseline == candidate && against == db {
				return fmt.Errorf("--baseline and --candidate are both %q; name two variants, or a second database with --against", baseline)
			}
			before, err := sample(db, baseline, run)
			if err != nil {
				return err
			}
			after, err := sample(against, candidate, run)
			if err != nil {
				return err
			}
			result, err := compare.Compare(before, after)
			if err != nil {
				return err
			}
			if format == "json" {
				text, err := result.JSON()
				if err != nil {
					return exit{exitInternal, err}
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", text)
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), safe(result.Table(format == "markdown")))
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&against, "against", "", "database `FILE` of the candidate, when it is another one")
	f.StringVar(&baseline, "baseline", "default", "variant to compare with")
	f.StringVar(&candidate, "candidate", "", "variant to compare")
	f.StringVar(&run, "run", "", "only trials of this run `ID`")
	f.StringVar(&format, "format", "text", "text, markdown or json")
	f.BoolVar(&asJSON, "json", false, "the same as --format json")
	if err := c.MarkFlagRequired("candidate"); err != nil {
		panic(err)
	}
	return c
}

// sample reads the trials of one variant. Trials of several seeds or of several
// states of a scenario cannot be told apart by scenario and index, so they are
// refused.
func sample(file, variant, run string) (*compare.Sample, error) {
	db, err := store.Open(file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	s := &compare.Sample{Variant: variant}
	twice := ""
	err = db.Trials(store.Filter{Variant: variant, Run: run}, func(t *record.Trial) error {
		if s.Trials[compare.Key{Scenario: t.Scenario, Index: t.Index}] != nil && t.Status == "ok" {
			twice = fmt.Sprintf("%s/%d", t.Scenario, t.Index)
		}
		s.Add(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if twice != "" {
		return nil, fmt.Errorf("variant %q has several trials %s in %s (other seeds, or another state of scenario or variant); choose one run with --run", variant, twice, file)
	}
	if len(s.Trials) == 0 && s.Errors == 0 {
		known, err := db.Variants()
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("no trials of variant %q in %s; it has: %s", variant, file, strings.Join(known, ", "))
	}
	return s, nil
}
