package main

import (
	"encoding/json"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/reports/fidelity"
	"hemostat/reports/store"
	"hemostat/scenarios"
	"hemostat/scenarios/observe"
)

type fidelityOptions struct {
	rules ruleFlags
	day   string
	seed  uint64
	json  bool
	html  string
	db    string
	// backing is a file for the table of tools that recordings back.
	backing string
}

func fidelityCommand() *cobra.Command {
	o := fidelityOptions{}
	c := &cobra.Command{
		Use: "fidelity INDEX.csv", Short: "Compare recorded attacks with the technique library, by what rules see in them",
		Long: `Tells how far a verdict between rule sets that is reached in the simulation would
also be reached on recordings. INDEX.csv names the recordings: a header with the
columns file and techniques, then a line each. Files are relative to the index and
may be anything that replay reads; techniques are ATT&CK ids, several apart by
spaces. A log that was recorded while nobody attacked has the word benign there.

By technique it tells which rules fire on the recordings, on what the library's
tools leave (each acted out by itself, with complete sensors), and on both; for a
rule that fires on recordings only, the event type and the field that the simulation
lacks. Random halves of the rules are ranked by their mean detection on recordings
and in the simulation: the rank correlation of the two is the measure, and what one
half of the recordings reaches with the other half is its ceiling.`,
		Example: "  hemostat fidelity recordings/index.csv --rules my-rules --html fidelity.html",
		Args:    cobra.ExactArgs(1),
		RunE:    o.run,
	}
	f := c.Flags()
	o.rules.flags(f)
	f.StringVar(&o.day, "day", "quiet-day", "`SCENARIO` whose day without attackers gives the simulation's false alarms")
	f.Uint64Var(&o.seed, "seed", 1, "seed of that day")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.StringVar(&o.backing, "backing", "", "also write to `FILE`, as CSV, by how many recordings each tool is backed")
	f.StringVar(&o.db, "db", "", "also keep the report in this database `FILE`, where serve shows it")
	f.StringVar(&o.html, "html", "", "also write a page with plots to `FILE`")
	return c
}

func (o *fidelityOptions) run(c *cobra.Command, args []string) error {
	index, err := observe.ReadIndex(args[0])
	if err != nil {
		return err
	}
	day, err := scenarios.Load(o.day, nil)
	if err != nil {
		return err
	}
	rules, err := o.rules.load(c.ErrOrStderr())
	if err != nil {
		return err
	}
	options := observe.Options{Index: index, Rules: rules, Day: day, Seed: o.seed}
	bar := startBar(c.ErrOrStderr(), "recordings and techniques", options.Steps())
	options.Step = bar.step
	report, err := observe.Fidelity(c.Context(), options)
	bar.stop(report != nil)
	if report == nil {
		return err
	}
	if err != nil { // some recordings could not be read: the others still tell something
		defer fmt.Fprintf(c.ErrOrStderr(), "left out: %s\n", safe(err.Error()))
	}
	if o.html != "" {
		if err := exportTo(c, o.html, report.HTML); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
	}
	if o.backing != "" {
		if err := exportTo(c, o.backing, report.BackingCSV); err != nil {
			return fmt.Errorf("--backing: %w", err)
		}
	}
	if o.db != "" {
		text, err := json.Marshal(report)
		if err != nil {
			return exit{exitInternal, err}
		}
		title := fmt.Sprintf("%s with %s", args[0], plural(report.Compared, "technique", "techniques"))
		if err := keepDocument(c.Context(), o.db, store.FidelityDocument, title, text); err != nil {
			return fmt.Errorf("--db: %w", err)
		}
	}
	if o.json {
		return printJSON(c.OutOrStdout(), report)
	}
	return printFidelity(c, report)
}

func printFidelity(c *cobra.Command, r *fidelity.Report) error {
	out := c.OutOrStdout()
	t := newTable(out, "technique", "recordings", "tools", "rules recorded", "simulated", "both", "detection recorded",
		"simulated")
	for _, x := range r.Shown() {
		rates := []any{"-", "-"}
		if x.Tools > 0 && x.RulesRecorded > 0 {
			rates = []any{fmt.Sprintf("%.2f", x.DetectionRecorded), fmt.Sprintf("%.2f", x.DetectionSimulated)}
		}
		t.AppendRow(append(table.Row{x.ID, x.Recordings, x.Tools, x.RulesRecorded, x.RulesSimulated, x.RulesBoth}, rates...))
	}
	t.Render()
	for _, line := range r.Summary() {
		if _, err := fmt.Fprintln(out, safe(line)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(out, safe(r.Details()))
	return err
}
