package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"hemostat/reports/detectors"
	"hemostat/reports/store"
)

// rulesScorecard says of each rule in a database what it found and what it cost.
func rulesScorecard() *cobra.Command {
	var db string
	var filter store.Filter
	var mostFalse float64
	var asJSON bool
	c := &cobra.Command{
		Use: "scorecard", Short: "Say of each rule what it found alone, what it cost, and whether to keep it", Args: cobra.NoArgs,
		Long: `Reads the alerts of a variant's trials. A rule is to be kept where it sees steps that no
other rule sees, or is the first to see an attack; to be tuned where it raises more false
alarms than --most-false besides; and to be retired where others see all of it, and it
raises false alarms. What is lost without a rule is inferred from the alerts of the others
on the same days and holds for the attacks in the database; run --set 'without_rules=[…]' with the same seed shows what the defence
does without it. Rules that raised no alert are not listed.`,
		Example: "  hemostat run --trials 20\n  hemostat rules scorecard --variant default",
		RunE: func(c *cobra.Command, _ []string) error {
			if !(mostFalse >= 0) {
				return fmt.Errorf("--most-false: a number of 0 or more is expected, not %g", mostFalse)
			}
			d, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer d.Close()
			trials, err := trialsOfVariant(d, db, filter)
			if err != nil {
				return err
			}
			card := detectors.Scores(filter.Variant, trials, mostFalse)
			if asJSON {
				return printJSON(c.OutOrStdout(), card)
			}
			t := newTable(c.OutOrStdout(), "rule", "detector", "alerts", "precision", "false a day", "steps",
				"alone", "first", "lost work", "advice", "why")
			t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, WidthMax: 44, WidthMaxEnforcer: text.WrapSoft},
				{Number: 11, WidthMax: 44, WidthMaxEnforcer: text.WrapSoft}})
			for _, r := range card.Rules {
				t.AppendRow(table.Row{r.Title, r.Detector, r.Alerts, percent(r.Precision.Value),
					fmt.Sprintf("%.2f [%.2f, %.2f]", r.FalsePerDay.Value, r.FalsePerDay.Lo, r.FalsePerDay.Hi),
					r.Steps, r.StepsAlone, r.First, fmt.Sprintf("%.1f h", r.Disruption), r.Advice, r.Why})
			}
			t.Render()
			fmt.Fprintf(c.OutOrStdout(), "%s of %s, %.1f days, %s; alone are steps that no other rule saw, "+
				"first are attacks of which it raised the first alert\n",
				plural(card.Trials, "trial", "trials"), safe(card.Variant), card.Days, plural(card.Attacks, "attack", "attacks"))
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&filter.Variant, "variant", "default", "variant whose rules are scored")
	f.StringVar(&filter.Scenario, "scenario", "", "trials of this scenario only")
	f.StringVar(&filter.Run, "run", "", "trials of this run only")
	f.Float64Var(&mostFalse, "most-false", 1, "false alarms a day above which a rule is to be tuned")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
