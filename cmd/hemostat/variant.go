package main

import (
	"fmt"
	"strings"

	"hemostat/scenarios/defence"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

func variantCommand() *cobra.Command {
	c := &cobra.Command{Use: "variant", Short: "List, show and check variants of the defence"}
	c.AddCommand(&cobra.Command{
		Use: "validate FILE...", Short: "Check variant files with their rules and playbooks", Example: "  hemostat variant validate night.yaml", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return checkFiles(c, args, func(file string) error {
				v, err := defence.Load(file, nil)
				if err == nil {
					noteLeftOut(c.ErrOrStderr(), v.LeftOut())
				}
				return err
			})
		},
	}, &cobra.Command{
		Use: "list", Short: "List the variants that come with the program", Example: "  hemostat variant list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t := newTable(c.OutOrStdout(), "name", "description")
			t.AppendRow(table.Row{"default", "The defence as it comes: every embedded rule and playbook."})
			for _, name := range defence.EmbeddedNames() {
				description, err := defence.Description(name)
				if err != nil {
					return exit{exitInternal, err}
				}
				t.AppendRow(table.Row{name, description})
			}
			t.Render()
			return nil
		},
	}, &cobra.Command{
		Use: "show NAME", Short: "Print a variant that comes with the program", Example: "  hemostat variant show oracle", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			data, inside, err := defence.Text(args[0])
			if err != nil {
				return err
			}
			if !inside {
				return fmt.Errorf(
					"%s is a file; embedded: default, %s",
					args[0],
					strings.Join(defence.EmbeddedNames(), ", "),
				)
			}
			_, err = c.OutOrStdout().Write(data)
			return err
		},
	}, schemaCommand("variant", defence.Schema))
	return c
}
