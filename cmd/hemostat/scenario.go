package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"hemostat/scenarios"
)

func scenarioCommand() *cobra.Command {
	c := &cobra.Command{Use: "scenario", Short: "List, show and check scenarios"}
	c.AddCommand(scenarioList(), scenarioShow(), scenarioValidate(), schemaCommand("scenario", scenarios.Schema), scenarioImport())
	return c
}

func scenarioList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the embedded scenarios", Example: "  hemostat scenario list --json", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			type row struct {
				Name        string   `json:"name"`
				Description string   `json:"description"`
				Horizon     string   `json:"horizon"`
				Attackers   int      `json:"attackers"`
				Techniques  []string `json:"techniques"`
			}
			var rows []row
			for _, name := range scenarios.EmbeddedNames() {
				s, err := scenarios.Load(name, nil)
				if err != nil {
					return exit{exitInternal, err}
				}
				r := row{Name: s.Name, Description: s.Description, Horizon: s.Horizon.String(), Attackers: len(s.Attackers), Techniques: []string{}}
				seen := map[string]bool{}
				for _, a := range s.Attackers {
					for i := range a.Campaign {
						for _, t := range a.Campaign[i].Techniques() {
							if !seen[t] {
								seen[t] = true
								r.Techniques = append(r.Techniques, t)
							}
						}
					}
				}
				rows = append(rows, r)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), rows)
			}
			t := newTable(c.OutOrStdout(), "name", "lasts", "techniques", "description")
			t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, WidthMax: 44, WidthMaxEnforcer: text.WrapSoft}, {Number: 4, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}})
			for _, r := range rows {
				t.AppendRow(table.Row{r.Name, r.Horizon, strings.Join(r.Techniques, " "), r.Description})
			}
			t.Render()
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func scenarioShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Print an embedded scenario, to read or to start from", Example: "  hemostat scenario show ransomware > mine.yaml", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			data, _, err := scenarios.Text(args[0])
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(data)
			return err
		},
	}
}

func scenarioValidate() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check scenario files; every fault is reported with its place",
		Long:    "Checks scenario files. Exit code 0 when all are in order, 2 when one is not.",
		Example: "  hemostat scenario validate mine.yaml", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return checkFiles(c, args, func(file string) error {
				_, err := scenarios.Load(file, nil)
				return err
			})
		},
	}
}

// checkFiles applies a check to each file, says which are in order, and fails
// with all faults.
func checkFiles(c *cobra.Command, files []string, check func(string) error) error {
	var faults []string
	for _, f := range files {
		if err := check(f); err != nil {
			faults = append(faults, err.Error())
			continue
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: in order\n", safe(f)); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return nil
}

// schemaCommand prints a JSON Schema.
func schemaCommand(what string, schema func() []byte) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema, for an editor's completion", Args: cobra.NoArgs,
		Example: fmt.Sprintf("  hemostat %s schema > %s.schema.json", what, what),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(schema())
			return err
		},
	}
}
