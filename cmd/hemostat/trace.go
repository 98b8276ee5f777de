package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"hemostat/reports/render"
	"hemostat/reports/store"
)

func traceCommand() *cobra.Command {
	var db, format string
	var asJSON bool
	c := &cobra.Command{
		Use:   "trace TRIAL",
		Short: "Tell one trial in order: attacker, alerts, approvals, actions",
		Long: `Tells one recorded trial as a story: what the attacker did and why, what the
defence detected, whom it asked, what it did and how that ended. A trial is named
by its id, the beginning of it, SCENARIO/INDEX or SCENARIO/VARIANT/INDEX.`,
		Example: `  hemostat trace ransomware/3
  hemostat trace 41c7d2 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if asJSON {
				format = "json"
			}
			if !slices.Contains([]string{"text", "json"}, format) {
				return fmt.Errorf("--format: text or json is accepted, not %q", format)
			}
			d, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer d.Close()
			t, err := d.Trial(args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(c.OutOrStdout(), t)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), safe(render.Story(t)))
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&format, "format", "text", "text or json")
	f.BoolVar(&asJSON, "json", false, "the same as --format json")
	return c
}
