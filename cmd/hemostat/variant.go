package main

import (
	"github.com/spf13/cobra"

	"hemostat/scenarios"
)

func variantCommand() *cobra.Command {
	c := &cobra.Command{Use: "variant", Short: "Check variants of the defence"}
	c.AddCommand(&cobra.Command{
		Use: "validate FILE...", Short: "Check variant files with their rules and playbooks", Example: "  hemostat variant validate night.yaml", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return checkFiles(c, args, func(file string) error {
				_, err := scenarios.LoadVariant(file, nil)
				return err
			})
		},
	}, schemaCommand("variant", scenarios.VariantSchema))
	return c
}
