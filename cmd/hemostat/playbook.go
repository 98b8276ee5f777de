package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"hemostat/defenders/response"
	"hemostat/defenders/response/cacao"
	"hemostat/sim/action"
	"hemostat/sim/boundedfile"
	"hemostat/sim/strictyaml"
)

func playbookCommand() *cobra.Command {
	c := &cobra.Command{Use: "playbook", Short: "List, show and check playbooks"}
	c.AddCommand(
		playbookList(),
		playbookShow(),
		playbookValidate(),
		playbookActions(),
		playbookSimulate(),
		playbookExport(),
		playbookImport(),
		schemaCommand("playbook", func() []byte {
			return strictyaml.Schema("hemostat playbook", response.Playbook{})
		}),
	)
	return c
}

func embeddedPlaybooks() ([]*response.Playbook, error) {
	books, err := response.Load(response.Embedded, response.EmbeddedDir, strictyaml.Decode)
	if err != nil {
		return nil, exit{exitInternal, err}
	}
	return books, nil
}

func playbookList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the embedded playbooks", Example: "  hemostat playbook list --json", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			books, err := embeddedPlaybooks()
			if err != nil {
				return err
			}
			type step struct {
				ID     string `json:"id"`
				Action string `json:"action"`
				Risk   string `json:"risk"`
				HOTL   bool   `json:"hotl"`
			}
			type row struct {
				ID          string   `json:"id"`
				Version     string   `json:"version"`
				Description string   `json:"description"`
				Trigger     []string `json:"trigger"`
				Steps       []step   `json:"steps"`
			}
			var rows []row
			for _, p := range books {
				r := row{ID: p.ID, Version: p.Version, Description: p.Description, Trigger: p.Trigger.Any}
				p.Walk(func(s *response.Step, _ string) {
					if s.Action != "" {
						r.Steps = append(
							r.Steps,
							step{s.ID, string(s.Action), string(s.Risk), s.HOTL != nil && s.HOTL.Required},
						)
					}
				})
				rows = append(rows, r)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), rows)
			}
			t := newTable(c.OutOrStdout(), "id", "trigger", "steps (* a person decides)", "description")
			t.SetColumnConfigs(
				[]table.ColumnConfig{
					{Number: 3, WidthMax: 50, WidthMaxEnforcer: text.WrapSoft},
					{Number: 4, WidthMax: 50, WidthMaxEnforcer: text.WrapSoft},
				},
			)
			for _, r := range rows {
				var steps []string
				for _, s := range r.Steps {
					mark := ""
					if s.HOTL {
						mark = "*"
					}
					steps = append(steps, s.Action+mark)
				}
				t.AppendRow(table.Row{r.ID, strings.Join(r.Trigger, " "), strings.Join(steps, ", "), r.Description})
			}
			t.Render()
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func playbookActions() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "actions", Short: "List what the steps of playbooks can do", Example: "  hemostat playbook actions --json", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			type row struct {
				ID         string   `json:"id"`
				Risk       string   `json:"risk"`
				D3FEND     string   `json:"d3fend"`
				OpenC2     string   `json:"openc2"`
				Undo       bool     `json:"undo"`
				Verify     string   `json:"verify"`
				Parameters []string `json:"parameters"`
			}
			var rows []row
			for _, kind := range action.Kinds() {
				k := action.Must(kind)
				rows = append(
					rows,
					row{
						string(kind),
						string(k.Risk),
						k.D3FEND,
						k.OpenC2.Action + " " + k.OpenC2.Target,
						k.Undo,
						k.Observed,
						k.ParamNames(),
					},
				)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), rows)
			}
			t := newTable(c.OutOrStdout(), "action", "risk", "D3FEND", "OpenC2", "undo", "verify", "parameters")
			for _, r := range rows {
				undo := ""
				if r.Undo {
					undo = "yes"
				}
				t.AppendRow(
					table.Row{r.ID, r.Risk, r.D3FEND, r.OpenC2, undo, r.Verify, strings.Join(r.Parameters, ", ")},
				)
			}
			t.Render()
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func playbookShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Print an embedded playbook, to read or to start from", Example: "  hemostat playbook show malware_containment", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			books, err := embeddedPlaybooks()
			if err != nil {
				return err
			}
			var known []string
			for _, p := range books {
				known = append(known, p.ID)
				if p.ID != args[0] {
					continue
				}
				data, err := fs.ReadFile(response.Embedded, p.File)
				if err != nil {
					return exit{exitInternal, err}
				}
				_, err = c.OutOrStdout().Write(data)
				return err
			}
			return fmt.Errorf("no playbook is called %q; embedded: %s", args[0], strings.Join(known, ", "))
		},
	}
}

// playbookText reads a playbook by the id of an embedded one, or from a file.
func playbookText(idOrFile string) (*response.Playbook, []byte, error) {
	books, err := embeddedPlaybooks()
	if err != nil {
		return nil, nil, err
	}
	for _, p := range books {
		if p.ID == idOrFile {
			data, err := fs.ReadFile(response.Embedded, p.File)
			return p, data, err
		}
	}
	data, err := boundedfile.Read(idOrFile)
	if err != nil {
		return nil, nil, fmt.Errorf(
			"playbook %s: it is neither an embedded playbook's id nor a file: %w",
			idOrFile,
			err,
		)
	}
	p, err := response.Parse(idOrFile, data, strictyaml.Decode)
	return p, data, err
}

func playbookExport() *cobra.Command {
	var format, to string
	c := &cobra.Command{
		Use: "export ID|FILE", Short: "Write a playbook as CACAO 2.0, or its actions as OpenC2 commands",
		Long: `Writes a playbook in the exchange format CACAO Security Playbooks 2.0. What that
has no words for goes into one declared extension, so that import gives back the
playbook as it was. With --format openc2, the OpenC2 command of each action, a line
each. Equal playbooks give equal files.`,
		Example: `  hemostat playbook export malware_containment -o malware.json
  hemostat playbook export malware_containment --format openc2`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, text, err := playbookText(args[0])
			if err != nil {
				return err
			}
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			switch format {
			case "cacao":
				x, err := cacao.Export(p, text)
				if err != nil {
					return err
				}
				enc.SetIndent("", "  ")
				if err := enc.Encode(x); err != nil {
					return err
				}
			case "openc2":
				var faults []error
				p.Walk(func(s *response.Step, _ string) {
					if s.Action != "" {
						faults = append(faults, enc.Encode(cacao.OpenC2(s)))
					}
				})
				if err := errors.Join(faults...); err != nil {
					return err
				}
			default:
				return fmt.Errorf("--format: cacao or openc2 is accepted, not %q", format)
			}
			if to != "" {
				return os.WriteFile(to, b.Bytes(), 0o644)
			}
			_, err = c.OutOrStdout().Write(b.Bytes())
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "cacao", "cacao or openc2")
	c.Flags().StringVarP(&to, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}

func playbookImport() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "import FILE", Short: "Read a CACAO 2.0 playbook",
		Long: `Reads a CACAO 2.0 playbook and writes it as YAML. An export comes back as it was.
Of others, start, action, parallel, if-condition and end steps are read, and
openc2-http, http-api and manual commands that name a known action; anything else is
an error that names the step. What the reader had to add or could not know is told
on standard error.`,
		Example: "  hemostat playbook import malware.json -o malware.yaml", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			data, err := boundedfile.Read(args[0])
			if err != nil {
				return fmt.Errorf("playbook %s: %w", args[0], err)
			}
			x, err := cacao.Import(data)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, note := range x.Notes {
				fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", safe(note))
			}
			if _, err := response.Parse(args[0]+" as YAML", x.YAML, strictyaml.Decode); err != nil {
				return fmt.Errorf("what was read is not yet a playbook: %w", err)
			}
			if to != "" {
				return os.WriteFile(to, x.YAML, 0o644)
			}
			_, err = c.OutOrStdout().Write(x.YAML)
			return err
		},
	}
	c.Flags().StringVarP(&to, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}

func playbookValidate() *cobra.Command {
	var horizon time.Duration
	c := &cobra.Command{
		Use: "validate FILE|DIR...", Short: "Check playbooks; every fault is reported with its place",
		Long: `Checks playbook files, or folders of them. Exit code 0 when all are in order, 2
when one is not. Times to answer and timeouts that are longer than --horizon are
faults, since no trial of that length can show them.`,
		Example: "  hemostat playbook validate playbooks/", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return checkFiles(c, args, func(name string) error {
				info, err := os.Stat(name)
				if err != nil {
					return fmt.Errorf("playbook %s: %w", name, err)
				}
				var books []*response.Playbook
				if info.IsDir() {
					books, err = response.LoadFolder(filepath.Clean(name), strictyaml.Decode)
				} else {
					var p *response.Playbook
					p, err = readPlaybook(name)
					books = append(books, p)
				}
				if err != nil {
					return err
				}
				var faults []error
				for _, p := range books {
					faults = append(faults, p.Fits(horizon)...)
				}
				return errors.Join(faults...)
			})
		},
	}
	c.Flags().DurationVar(&horizon, "horizon", 24*time.Hour, "longest trial that the playbooks are for")
	return c
}

func readPlaybook(name string) (*response.Playbook, error) {
	data, err := boundedfile.Read(name)
	if err != nil {
		return nil, fmt.Errorf("playbook %s: %w", name, err)
	}
	return response.Parse(name, data, strictyaml.Decode)
}
