package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/defenders/live"
	"hemostat/defenders/response"
	"hemostat/reports/store"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Show and verify the audit log of the response"}
	c.AddCommand(auditShow(), auditVerify())
	return c
}

func auditShow() *cobra.Command {
	var db string
	c := &cobra.Command{
		Use:     "show TRIAL",
		Short:   "Print the audit log of a recorded trial as NDJSON",
		Example: "  hemostat audit show ransomware/3 > audit.ndjson",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := auditOf(c.Context(), db, args[0])
			if err != nil {
				return err
			}
			_, err = io.WriteString(c.OutOrStdout(), text)
			return err
		},
	}
	c.Flags().StringVar(&db, "db", "hemostat.db", "database `FILE`")
	return c
}

// auditOf reads the log of a trial, a line an entry.
func auditOf(ctx context.Context, file, trial string) (string, error) {
	d, err := store.Open(ctx, file)
	if err != nil {
		return "", err
	}
	defer d.Close()
	t, err := d.Trial(trial)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, a := range t.Audit {
		b.WriteString(a.Line + "\n")
	}
	return b.String(), nil
}

// verifyAudit checks a log of the response, or one of a live run, whose lines are numbered.
func verifyAudit(in io.Reader) (response.Chain, error) {
	b := bufio.NewReader(in)
	if head, _ := b.Peek(len(`{"seq":`)); string(head) == `{"seq":` {
		return live.VerifyAudit(b)
	}
	return response.VerifyAudit(b)
}

func auditVerify() *cobra.Command {
	var db, head string
	c := &cobra.Command{
		Use:   "verify FILE|TRIAL",
		Short: "Check that no line of an audit log was changed, left out or put in",
		Long: `Checks the chain of hashes of an audit log: a file of NDJSON, such as that of a live
run, or with --db the log of a recorded trial. Exit code 0 when it holds, 1 when a line was changed; the line
is named. The chain cannot show that its last lines are missing: keep the hash of
the last line elsewhere, and give it as --head.`,
		Example: `  hemostat audit verify audit.ndjson
  hemostat audit verify ransomware/3 --db hemostat.db`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			var in io.Reader
			if c.Flags().Changed("db") {
				text, err := auditOf(c.Context(), db, name)
				if err != nil {
					return err
				}
				in = strings.NewReader(text)
			} else {
				f, err := os.Open(name)
				if err != nil {
					return fmt.Errorf("audit log %s: %w; for the log of a trial, give --db", name, err)
				}
				defer f.Close()
				in = f
			}
			chain, err := verifyAudit(in)
			if err != nil {
				return err
			}
			switch {
			case chain.Fault != "":
				return exit{exitFaults, fmt.Errorf("%s:%d: %s", name, chain.Lines, chain.Fault)}
			case chain.Lines == 0:
				return errors.New("audit log " + name + " is empty")
			case head != "" && head != chain.Head:
				return exit{
					exitFaults,
					fmt.Errorf(
						"%s:%d: the last line has the hash %s, not the one expected: lines are missing, or were put in",
						name,
						chain.Lines,
						chain.Head,
					),
				}
			}
			_, err = fmt.Fprintf(
				c.OutOrStdout(),
				"%s: %s in order, head %s\n",
				name,
				plural(chain.Lines, "line", "lines"),
				chain.Head,
			)
			return err
		},
	}
	c.Flags().StringVar(&db, "db", "hemostat.db", "database `FILE` that holds the trial")
	c.Flags().StringVar(&head, "head", "", "`HASH` that the last line must have")
	return c
}
