package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/boundedfile"
	"hemostat/sim/event"
)

func rulesCommand() *cobra.Command {
	c := &cobra.Command{Use: "rules", Short: "List, check, test and explain Sigma rules"}
	c.AddCommand(rulesList(), rulesCheck(), rulesTest(), rulesExplain(), rulesScorecard(), rulesTune())
	return c
}

// ruleFlags say which rules a command works with.
type ruleFlags struct {
	folders   []string
	pipelines []string
	// skip leaves out rules that cannot be used, and names them.
	skip bool
}

// flags are those of commands that try rules on logs.
func (r *ruleFlags) flags(f *pflag.FlagSet) {
	f.StringArrayVar(
		&r.folders,
		"rules",
		[]string{"embedded"},
		"folder of Sigma rules, a .yml file, a .tar.gz, or embedded; may be repeated",
	)
	r.pipelineFlag(f)
	r.skipFlag(f)
}

func (r *ruleFlags) skipFlag(f *pflag.FlagSet) {
	f.BoolVar(
		&r.skip,
		"skip-unsupported",
		false,
		"leave out rules that cannot be used, and name them, instead of ending",
	)
}

// noteLeftOut names the rules that were left out.
func noteLeftOut(out io.Writer, leftOut []string) {
	for _, why := range leftOut {
		fmt.Fprintf(out, "left out: %s\n", safe(why))
	}
}

// noteFault says what went wrong after the work was done.
func noteFault(out io.Writer, err error) {
	if err != nil {
		fmt.Fprintf(out, "hemostat: %s\n", safe(err.Error()))
	}
}

func (r *ruleFlags) pipelineFlag(f *pflag.FlagSet) {
	f.StringArrayVar(
		&r.pipelines,
		"pipeline",
		nil,
		"file that adapts the rules to the names and values of a site; may be repeated",
	)
}

// load reads the rules. It names on notes those that were left out.
func (r *ruleFlags) load(notes io.Writer) ([]*sigma.Rule, error) {
	pipelines, err := sentinel.LoadPipelines(r.pipelines)
	if err != nil {
		return nil, err
	}
	if !r.skip {
		return sentinel.LoadRules(r.folders, pipelines...)
	}
	rules, leftOut, err := sentinel.LoadUsableRules(r.folders, pipelines...)
	for i := range leftOut {
		noteLeftOut(notes, []string{leftOut[i].Error()})
	}
	return rules, err
}

func rulesList() *cobra.Command {
	var asJSON bool
	from := ruleFlags{folders: []string{"embedded"}}
	c := &cobra.Command{
		Use: "list [DIR]", Short: "List the embedded rules, or those of a folder", Example: "  hemostat rules list --json", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				from.folders = args
			}
			rules, err := from.load(c.ErrOrStderr())
			if err != nil {
				return err
			}
			type row struct {
				ID         string   `json:"id"`
				Title      string   `json:"title"`
				Level      string   `json:"level"`
				Techniques []string `json:"techniques"`
				LogSource  string   `json:"logsource"`
				File       string   `json:"file"`
			}
			var rows []row
			for _, r := range rules {
				if r.Part() {
					continue
				}
				source := r.Source.String()
				if r.Correlation != nil {
					source = "correlation"
				}
				rows = append(rows, row{r.Key(), r.Title, r.Level, r.Techniques(), source, r.File})
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), rows)
			}
			t := newTable(c.OutOrStdout(), "title", "level", "techniques", "log source")
			t.SetColumnConfigs(
				[]table.ColumnConfig{
					{Number: 1, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft},
					{Number: 3, WidthMax: 30, WidthMaxEnforcer: text.WrapSoft},
				},
			)
			for _, r := range rows {
				t.AppendRow(table.Row{safe(r.Title), r.Level, strings.Join(r.Techniques, " "), r.LogSource})
			}
			t.Render()
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	from.pipelineFlag(c.Flags())
	from.skipFlag(c.Flags())
	return c
}

// checkedRules is what reading a set of rules came to.
type checkedRules struct {
	Files       int           `json:"files"`
	Rules       int           `json:"rules"` // rules found, in order or not
	OK          int           `json:"ok"`    // rules that can be evaluated
	Errors      sigma.Errors  `json:"errors"`
	Unsupported []unsupported `json:"unsupported"`
	// Warnings are places where a rule may not do what its author meant.
	Warnings sigma.Errors `json:"warnings"`

	rules     []*sigma.Rule
	pipelines []*sigma.Pipeline
}

// unsupported is something that the engine lacks, and how many rules need it.
type unsupported struct {
	Feature string `json:"feature"`
	Rules   int    `json:"rules"`
}

func rulesCheck() *cobra.Command {
	var asJSON bool
	var from ruleFlags
	c := &cobra.Command{
		Use: "check DIR|FILE.tar.gz", Short: "Read rules and report every fault with its place",
		Long:    "Reads every rule below a folder or in an archive. Exit code 0 when all are in order, 1 when one is not. Warnings, such as a field whose name differs from a known one by case only, do not count.",
		Example: "  hemostat rules check my-rules", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			pipelines, err := sentinel.LoadPipelines(from.pipelines)
			if err != nil {
				return err
			}
			r, err := checkRules(args[0], pipelines)
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(c.OutOrStdout(), r); err != nil {
					return err
				}
			} else {
				printChecked(c.OutOrStdout(), r)
			}
			if len(r.Errors) > 0 {
				return exit{exitFaults, fmt.Errorf("%s in %s", plural(len(r.Errors), "fault", "faults"), args[0])}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	from.pipelineFlag(c.Flags())
	return c
}

func printChecked(out io.Writer, r *checkedRules) {
	for _, e := range r.Errors {
		fmt.Fprintln(out, safe(e.Error()))
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(out, "warning: "+safe(w.Error()))
	}
	for _, u := range r.Unsupported {
		fmt.Fprintf(out, "not supported: %s, needed by %s\n", u.Feature, plural(u.Rules, "rule", "rules"))
	}
	fmt.Fprintf(out, "%d files, %d rules, %d in order\n", r.Files, r.Rules, r.OK)
}

func (r *checkedRules) add(name string, data []byte) {
	r.Files++
	rules, err := sigma.Parse(name, data, r.pipelines...)
	r.rules = append(r.rules, rules...)
	for _, rule := range rules {
		if !rule.Part() {
			r.OK++
			r.Rules++
			r.Warnings = append(r.Warnings, rule.Doubts()...)
		}
	}
	var faults sigma.Errors
	errors.As(err, &faults)
	if len(faults) > 0 {
		r.Rules++
	}
	for _, f := range faults {
		if f.Unsupported == "" {
			r.Errors = append(r.Errors, f)
			continue
		}
		at := slices.IndexFunc(r.Unsupported, func(u unsupported) bool { return u.Feature == f.Unsupported })
		if at < 0 {
			r.Unsupported = append(r.Unsupported, unsupported{Feature: f.Unsupported})
			at = len(r.Unsupported) - 1
		}
		r.Unsupported[at].Rules++
	}
}

func checkRules(name string, pipelines []*sigma.Pipeline) (*checkedRules, error) {
	r := &checkedRules{
		Errors:      sigma.Errors{},
		Unsupported: []unsupported{},
		Warnings:    sigma.Errors{},
		pipelines:   pipelines,
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("rules %s: %w", name, err)
	case info.IsDir():
		err = r.readFolder(name)
	case sentinel.IsRuleFile(name):
		r.readFile(name)
	default:
		err = r.readArchive(name)
	}
	if err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, err)
	}
	if r.Files == 0 {
		return nil, fmt.Errorf("rules %s: there is no .yml or .yaml file in it", name)
	}
	_, err = sigma.Compile(r.rules)
	var faults sigma.Errors
	if errors.As(err, &faults) {
		r.Errors = append(r.Errors, faults...)
	}
	return r, nil
}

func (r *checkedRules) readFolder(folder string) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir() && sentinel.IsRuleFile(path):
			r.readFile(path)
		}
		return nil
	})
}

// readFile reads one rule file; one that cannot be read is a fault like others.
func (r *checkedRules) readFile(path string) {
	data, err := boundedfile.Read(path)
	if err != nil {
		r.Files++
		r.Errors = append(r.Errors, sigma.Error{File: path, Message: err.Error()})
		return
	}
	r.add(path, data)
}

func (r *checkedRules) readArchive(name string) error {
	return sentinel.EachInArchive(name, func(file string, data []byte, fault error) {
		if fault != nil {
			r.Files++
			r.Errors = append(r.Errors, sigma.Error{File: file, Message: fault.Error()})
			return
		}
		r.add(file, data)
	})
}

type failedCase struct {
	Case   string `json:"case"`
	Reason string `json:"reason"`
}

func rulesTest() *cobra.Command {
	var asJSON bool
	var from ruleFlags
	c := &cobra.Command{
		Use: "test DIR", Short: "Try rules on the events beside them",
		Long: `Tries each case of a folder: every rule of NAME/rule.yml must match the events of
NAME/event.json or event.ndjson, and none may match those of NAME/benign.json or
benign.ndjson where there is one. Rules that only feed correlations do so through
them. Exit code 0 when all pass, 1 when one does not.`,
		Example: "  hemostat rules test cases", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := filepath.Glob(filepath.Join(args[0], "*", "rule.y*ml"))
			if err != nil || len(files) == 0 {
				return fmt.Errorf("there is no case NAME/rule.yml in %s", args[0])
			}
			pipelines, err := sentinel.LoadPipelines(from.pipelines)
			if err != nil {
				return err
			}
			failed := []failedCase{}
			for _, f := range files {
				if reason := tryCase(c.Context(), filepath.Dir(f), f, pipelines); reason != "" {
					failed = append(failed, failedCase{filepath.Base(filepath.Dir(f)), reason})
				}
			}
			if asJSON {
				if err := printJSON(c.OutOrStdout(), map[string]any{"cases": len(files), "passed": len(files) - len(failed), "failed": failed}); err != nil {
					return err
				}
			} else {
				for _, f := range failed {
					fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", safe(f.Case), safe(f.Reason))
				}
				fmt.Fprintf(c.OutOrStdout(), "%d cases, %d passed, %d failed\n", len(files), len(files)-len(failed), len(failed))
			}
			if len(failed) > 0 {
				return exit{exitFaults, fmt.Errorf("%s failed", plural(len(failed), "case", "cases"))}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	from.pipelineFlag(c.Flags())
	return c
}

// tryCase returns why a case fails, or "".
func tryCase(ctx context.Context, dir, file string, pipelines []*sigma.Pipeline) string {
	data, err := boundedfile.Read(file)
	if err != nil {
		return err.Error()
	}
	rules, err := sigma.Parse(file, data, pipelines...)
	if err != nil {
		return err.Error()
	}
	engine, err := sigma.Compile(rules)
	if err != nil {
		return err.Error()
	}
	matched, found, err := matchedBy(ctx, engine, dir, "event")
	switch {
	case err != nil:
		return err.Error()
	case !found:
		return "there is no event.json or event.ndjson beside the rule"
	}
	for _, r := range engine.Rules() {
		switch {
		case matched[r] || engine.Silent(r):
		case len(rules) == 1:
			return "the rule does not match its event"
		default:
			return fmt.Sprintf("the rule %q does not match its event", r.Title)
		}
	}
	if matched, _, err = matchedBy(ctx, engine, dir, "benign"); err != nil {
		return err.Error()
	}
	for _, r := range engine.Rules() {
		switch {
		case !matched[r]:
			continue
		case len(rules) == 1:
			return "the rule matches an event that it must leave alone"
		}
		return fmt.Sprintf("the rule %q matches an event that it must leave alone", r.Title)
	}
	return ""
}

// matchedBy tells which rules match the events of a file, and whether there is
// one.
func matchedBy(
	ctx context.Context,
	engine *sigma.Engine,
	dir, name string,
) (matched map[*sigma.Rule]bool, found bool, err error) {
	m := engine.NewMatcher()
	matched = map[*sigma.Rule]bool{}
	for _, ext := range []string{".json", ".ndjson"} {
		path := filepath.Join(dir, name+ext)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		s, err := ingest.Read(ctx, []string{path}, ingest.Options{}, func(e *event.Event) error {
			m.Match(e, func(x sigma.Match) { matched[x.Rule] = true })
			return nil
		})
		if err != nil {
			return nil, true, err
		}
		if s.Skipped > 0 {
			return nil, true, fmt.Errorf("%s: %s", path, s.Reasons()[0])
		}
		return matched, true, nil
	}
	return matched, false, nil
}
