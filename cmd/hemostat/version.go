package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"hemostat/reports/store"
)

// Version is the release; commit is set when building.
var (
	version = "0.1.0"
	commit  = ""
)

// builtFrom is the commit that the program was built from, as far as it is known.
func builtFrom() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Version, commit, Go and SQLite", Args: cobra.NoArgs,
		Example: "  hemostat version --json",
		RunE: func(c *cobra.Command, _ []string) error {
			sqlite, err := store.SQLiteVersion()
			if err != nil {
				return exit{exitInternal, err}
			}
			v := map[string]string{"version": version, "commit": builtFrom(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "sqlite": sqlite}
			if asJSON {
				return printJSON(c.OutOrStdout(), v)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "hemostat %s (commit %s), %s %s, SQLite %s\n", v["version"], v["commit"], v["go"], v["platform"], v["sqlite"])
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
