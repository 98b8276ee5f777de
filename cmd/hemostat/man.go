package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes manual pages, for packages of the program.
func manCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "man -o DIR", Short: "Write manual pages", Args: cobra.NoArgs,
		Long: `Writes a manual page for each command, in the format of man(1), into a folder.
SOURCE_DATE_EPOCH is their date where it is set.`,
		Example: "  hemostat man -o man1\n  man ./man1/hemostat-run.1",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := os.MkdirAll(output, 0o755); err != nil {
				return fmt.Errorf("-o: %w", err)
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "hemostat " + version, Manual: "hemostat"}, output)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "write to `DIR`, which is made where it is missing")
	_ = c.MarkFlagRequired("output")
	return c
}
