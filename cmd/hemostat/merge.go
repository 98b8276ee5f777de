package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/reports/store"
)

// mergeCommand joins databases, such as those of shards.
func mergeCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "merge DB... -o DB", Short: "Join databases of trials, such as those of shards, into one", Args: cobra.MinimumNArgs(1),
		Long: `Takes over the trials of databases with all their rows, and their runs, scenarios,
variants and verdicts, into a database that is made where it is missing. A trial that is
there already stays, unless it was an error, so that merging again changes nothing. Where
two databases tell the same trial differently, nothing of the second is taken over, and
the exit code is 1.`,
		Example: `  hemostat run --plan plan.yaml --shard 1/2 --db one.db
  hemostat run --plan plan.yaml --shard 2/2 --db two.db
  hemostat merge one.db two.db -o all.db`,
		RunE: func(c *cobra.Command, args []string) error {
			for _, file := range args { // a name that is wrong is told before anything is written
				db, err := store.Open(c.Context(), file)
				if err != nil {
					return err
				}
				if err := db.Close(); err != nil {
					return err
				}
			}
			db, err := store.Create(c.Context(), output)
			if err != nil {
				return err
			}
			rows := newTable(c.OutOrStdout(), "database", "trials", "new", "known")
			merged, err := mergeAll(db, args)
			if err := errors.Join(err, db.Close()); err != nil {
				return err
			}
			var faults []string
			for _, m := range merged {
				if len(m.Contradicted) == 0 {
					rows.AppendRow(table.Row{m.File, m.Trials, m.New, m.Trials - m.New})
					continue
				}
				for _, x := range m.Contradicted {
					faults = append(faults, fmt.Sprintf("trial %s (%s/%d, %s) has the digest %.12s in %s and %.12s in %s", x.TrialID, x.Scenario,
						x.Index, x.Variant, x.Digest, output, x.OtherDigest, m.File))
				}
				faults = append(faults, "nothing of "+m.File+" was taken over; its trials are of another version of the program, or it was changed")
			}
			rows.Render()
			if len(faults) > 0 {
				return exit{exitFaults, errors.New(strings.Join(faults, "\n"))}
			}
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "database `FILE` to merge into")
	_ = c.MarkFlagRequired("output")
	return c
}

func mergeAll(db *store.DB, files []string) (out []store.Merged, err error) {
	for _, file := range files {
		m, err := db.Merge(file)
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
	return out, nil
}
