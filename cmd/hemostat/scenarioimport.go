package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"hemostat/attackers/importer"
	"hemostat/scenarios"
)

var importers = map[string]func(string) (*importer.Plan, error){
	"caldera": importer.Caldera, "atomic": importer.Atomic, "attackflow": importer.AttackFlow,
}

func scenarioImport() *cobra.Command {
	var from, output string
	var asJSON bool
	c := &cobra.Command{
		Use: "import --from FORM PATH", Short: "Turn a plan of Caldera, Atomic Red Team or Attack Flow into a scenario", Args: cobra.ExactArgs(1),
		Long: `Turns a plan of another tool into a scenario: an adversary profile of Caldera with
the abilities beside it, a file or folder of Atomic Red Team, an Attack Flow as the
builder saves it (.afb) or as a STIX bundle. What has no counterpart in the library
is listed, on standard error and in the comments of the scenario.`,
		Example: "  hemostat scenario import --from attackflow flow.afb -o flow.yaml\n  hemostat scenario import --from atomic atomics/T1003.001/T1003.001.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			read := importers[from]
			if read == nil {
				return fmt.Errorf("--from: caldera, atomic or attackflow is accepted, not %q", from)
			}
			plan, err := read(args[0])
			if err != nil {
				return err
			}
			out, err := plan.Scenario()
			if err != nil {
				return err
			}
			if _, err := scenarios.Parse(out.Name+".yaml", out.Scenario); err != nil {
				return fmt.Errorf("the imported campaign cannot run: %w", err)
			}
			if err := reportImport(c.ErrOrStderr(), out); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"name": out.Name, "scenario": string(out.Scenario), "mapped": list(out.Mapped), "near": list(out.Near), "unmapped": list(out.Unmapped), "missing": append([]string{}, out.Missing...)})
			}
			if output == "" {
				_, err = c.OutOrStdout().Write(out.Scenario)
				return err
			}
			if ext := filepath.Ext(output); !slices.Contains([]string{".yaml", ".yml"}, ext) {
				return errors.New("-o: a file that ends in .yaml is expected, so that run finds it")
			}
			return os.WriteFile(output, out.Scenario, 0o644)
		},
	}
	c.Flags().StringVar(&from, "from", "", "caldera, atomic or attackflow")
	c.Flags().StringVarP(&output, "output", "o", "", "write the scenario to `FILE`")
	c.Flags().BoolVar(&asJSON, "json", false, "print what became of each action as JSON, with the scenario")
	if err := c.MarkFlagRequired("from"); err != nil {
		panic(err)
	}
	return c
}

func list(m []importer.Mapping) []importer.Mapping { return append([]importer.Mapping{}, m...) }

func reportImport(w io.Writer, out *importer.Outcome) error {
	text := fmt.Sprintf("%s: %d actions are done as they are, %d by a relative, %d are left out\n", out.Name, len(out.Mapped), len(out.Near), len(out.Unmapped))
	for _, m := range out.Near {
		text += fmt.Sprintf("  by a relative: %s, %s becomes %s\n", m.Action, m.Technique, m.Becomes)
	}
	for _, m := range out.Unmapped {
		text += fmt.Sprintf("  left out: %s, %s: %s\n", m.Action, m.Technique, m.Reason)
	}
	for _, m := range out.Missing {
		text += fmt.Sprintf("  missing: %s\n", m)
	}
	_, err := fmt.Fprint(w, safe(text))
	return err
}
