package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"hemostat/defenders/ingest"
)

func formatsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "formats",
		Short: "List the log formats that replay reads, and how each is recognised",
		Long: `Lists the forms of logs that replay reads: what comes in each, how it is
recognised, and an example. Each form may be compressed (gzip, zstd, xz), in an
archive (zip, tar), in UTF-8 or UTF-16.`,
		Example: "  hemostat formats",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.OutOrStdout()
			type row struct {
				Name       string `json:"name"`
				Sources    string `json:"sources"`
				Recognised string `json:"recognised"`
				Example    string `json:"example"`
			}
			var rows []row
			for _, f := range ingest.Formats() {
				rows = append(rows, row{f.Name, f.Sources, f.Recognised, f.Example})
			}
			if asJSON {
				return printJSON(out, rows)
			}
			t := newTable(out, "format", "logs", "recognised by")
			t.SetColumnConfigs([]table.ColumnConfig{
				{Number: 2, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft},
				{Number: 3, WidthMax: 50, WidthMaxEnforcer: text.WrapSoft},
			})
			for _, r := range rows {
				t.AppendRow(table.Row{r.Name, r.Sources, r.Recognised})
			}
			t.Style().Options.SeparateRows = true
			t.Render()
			for _, r := range rows {
				fmt.Fprintf(out, "%s: %s\n", r.Name, safe(r.Example))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
