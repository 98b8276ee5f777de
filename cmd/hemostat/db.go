package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/defenders/response"
	"hemostat/reports/store"
	"hemostat/sim/record"
)

func dbCommand() *cobra.Command {
	c := &cobra.Command{Use: "db", Short: "Look after a database of trials"}
	c.AddCommand(dbVerify())
	return c
}

// faultyTrial is a trial whose rows do not fit its digest.
type faultyTrial struct {
	TrialID  string `json:"trial_id"`
	Scenario string `json:"scenario"`
	Variant  string `json:"variant"`
	Index    int    `json:"trial_index"`
	Fault    string `json:"fault"`
}

func dbVerify() *cobra.Command {
	var filter store.Filter
	var asJSON bool
	c := &cobra.Command{
		Use: "verify [DB]", Short: "Hold every recorded trial against its digest, and its audit log against its hashes", Args: cobra.MaximumNArgs(1),
		Long: `Reads every trial with all its rows, computes its digest anew and holds it against
the one that was recorded; checks the chain of hashes of its audit log. Wall-clock
cost and kept events are in no digest. Exit code 0 when all hold, 1 when one does not.`,
		Example: "  hemostat db verify hemostat.db",
		RunE: func(c *cobra.Command, args []string) error {
			file := "hemostat.db"
			if len(args) > 0 {
				file = args[0]
			}
			db, err := store.Open(c.Context(), file)
			if err != nil {
				return err
			}
			defer db.Close()
			n, faulty := 0, []faultyTrial{}
			err = db.Verify(filter, func(t *record.Trial, fault string) error {
				n++
				if fault == "" {
					fault = auditFault(t)
				}
				if fault != "" {
					faulty = append(faulty, faultyTrial{t.TrialID, t.Scenario, t.Variant, t.Index, fault})
				}
				return nil
			})
			if err != nil {
				return err
			}
			if err := printVerified(c, file, n, faulty, asJSON); err != nil {
				return err
			}
			if len(faulty) > 0 {
				return exit{
					exitFaults,
					fmt.Errorf("%s of %d in %s", plural(len(faulty), "faulty trial", "faulty trials"), n, file),
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&filter.Run, "run", "", "only trials of this run `ID`")
	c.Flags().StringVar(&filter.Scenario, "scenario", "", "only trials of this `SCENARIO`")
	c.Flags().StringVar(&filter.Variant, "variant", "", "only trials of this `VARIANT`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printVerified(c *cobra.Command, file string, n int, faulty []faultyTrial, asJSON bool) error {
	out := c.OutOrStdout()
	if asJSON {
		return printJSON(out, map[string]any{"database": file, "trials": n, "faulty": faulty})
	}
	for _, f := range faulty {
		fmt.Fprintf(
			out,
			"%s, trial %d against variant %s (%s): %s\n",
			safe(f.Scenario),
			f.Index,
			safe(f.Variant),
			safe(f.TrialID),
			safe(f.Fault),
		)
	}
	_, err := fmt.Fprintf(out, "%s: %s, %d in order\n", safe(file), plural(n, "trial", "trials"), n-len(faulty))
	return err
}

// auditFault checks the chain of a trial's audit log, and that its lines are those of
// the digest.
func auditFault(t *record.Trial) string {
	var text strings.Builder
	for i := range t.Audit {
		text.WriteString(t.Audit[i].Line + "\n")
	}
	chain, err := response.VerifyAudit(strings.NewReader(text.String()))
	switch {
	case err != nil:
		return err.Error()
	case chain.Fault != "":
		return fmt.Sprintf("line %d of its audit log: %s", chain.Lines, chain.Fault)
	case len(t.Audit) > 0 && chain.Head != t.Audit[len(t.Audit)-1].Hash:
		return "the last line of its audit log has another hash than was recorded"
	}
	return ""
}
