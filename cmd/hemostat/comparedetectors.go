package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/reports/detectors"
	"hemostat/reports/store"
	"hemostat/scenarios/defence"
)

// compareDetectors prints what each detector of a variant adds.
func compareDetectors(c *cobra.Command, db string, filter store.Filter, format string) error {
	result, err := analyseDetectors(c.Context(), db, filter)
	if err != nil {
		return err
	}
	if format == "json" {
		text, err := result.JSON()
		if err != nil {
			return exit{exitInternal, err}
		}
		return writeLine(c.OutOrStdout(), text)
	}
	_, err = fmt.Fprint(c.OutOrStdout(), result.Table(format == "markdown"))
	return err
}

func writeLine(w io.Writer, text []byte) error {
	_, err := fmt.Fprintf(w, "%s\n", text)
	return err
}

// analyseDetectors reads the trials of a variant, and those without each of its detectors.
func analyseDetectors(ctx context.Context, file string, filter store.Filter) (*detectors.Result, error) {
	db, err := store.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	with, err := trialsOfVariant(db, file, filter)
	if err != nil {
		return nil, err
	}
	result := detectors.Analyse(filter.Variant, with)
	for i := range result.Detectors {
		name := result.Detectors[i].Name
		without, err := wholeTrials(db, store.Filter{Variant: defence.NameWithout(filter.Variant, name), Run: filter.Run})
		if err != nil {
			return nil, err
		}
		if len(without) > 0 {
			result.LeaveOut(name, with, without)
		}
	}
	if len(result.Without) == 0 && len(result.Detectors) > 1 {
		result.Warnings = append(result.Warnings,
			"what is lost without a detector is known from trials without it: run --leave-one-out with the same seed")
	}
	return result, nil
}

// trialsOfVariant are the trials that fit; none is an error that names the variants that there are.
func trialsOfVariant(db *store.DB, file string, filter store.Filter) ([]detectors.Trial, error) {
	trials, err := wholeTrials(db, filter)
	if err != nil || len(trials) > 0 {
		return trials, err
	}
	known, err := db.Variants()
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s holds no trial of variant %q; it has: %s", file, filter.Variant, strings.Join(known, ", "))
}

func wholeTrials(db *store.DB, filter store.Filter) ([]detectors.Trial, error) {
	var out []detectors.Trial
	err := db.Whole(filter, func(o *store.Outcome) error {
		t := o.Trial
		out = append(out, detectors.Trial{Trial: &t, Seed: o.Seed})
		return nil
	})
	return out, err
}
