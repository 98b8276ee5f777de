package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hemostat/reports/dashboards"
)

func dashboardsCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "dashboards",
		Short: "Write Grafana dashboards and Prometheus rules",
		Long: `Writes dashboards for Grafana (defence, latency and coherence, people on the loop,
quality of detection, simulation batch), recording and alerting rules for Prometheus,
and a configuration of Prometheus that scrapes hemostat live and hemostat run.`,
		Example: "  hemostat dashboards -o dashboards",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			files, err := dashboards.Files()
			if err != nil {
				return exit{exitInternal, err}
			}
			for _, f := range files {
				name := filepath.Join(dir, filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					return fmt.Errorf("-o: %w", err)
				}
				if err := os.WriteFile(name, f.Data, 0o644); err != nil {
					return fmt.Errorf("-o: %w", err)
				}
				fmt.Fprintln(c.OutOrStdout(), safe(name))
			}
			return nil
		},
	}
	c.Flags().StringVarP(&dir, "output", "o", "dashboards", "write to `FOLDER`")
	return c
}
