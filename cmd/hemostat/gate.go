package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"hemostat/reports/gate"
	"hemostat/reports/store"
	"hemostat/sim/boundedfile"
)

type gateOptions struct {
	policy                   string
	baseline, candidate      string
	baselineRef              string
	db, baselineDB, candidDB string
	run                      string
	seed                     uint64
	parallel                 int
	set                      []string
	junit, markdown          string
	asJSON, anyEngine        bool
	changed                  bool
	scenarioNames            []string
	analyst                  analystFlags
}

func gateCommand() *cobra.Command {
	var o gateOptions
	c := &cobra.Command{
		Use:   "gate [SCENARIO...]",
		Short: "Decide whether a candidate may replace a baseline, under a policy",
		Long: `Runs trials of a baseline and a candidate pair by pair until a policy's verdict is
certain at its error rate, or its budget is spent, and says why. The policy names
metrics and how much worse is still accepted. Equal seeds give equal verdicts.

The baseline is a variant file, the defence as it comes (default), the candidate
with the rules and playbooks of a git revision (--baseline-ref), or a variant
recorded in a database (--baseline-db). With --db, trials are recorded there and
those that are there already are not run again; variants that are no files are
read from it, and the verdict is kept there for hemostat serve.

With --changed, the candidate's trials are looked at for what differs between the
two: whether a rule that is new, gone or changed matches an event, in its old or its
new form, and whether an alert triggers a playbook that is. Where nothing does, both
defences do the same all day, and the candidate's trial stands for the baseline's
too. The verdict is that of the whole gate; a note says what was left out. Where more
than rules and playbooks differs, everything is run. Where nothing differs, whatever the
files are called, margins are met without a trial. With --db only trials that were run are
recorded, so that a report of the database shows less of the baseline, or nothing.

Exit codes: 0 pass, 1 fail, 2 wrong usage or bad input, 3 undecided.`,
		Example: `  hemostat gate --candidate night.yaml
  hemostat gate --candidate defence.yaml --baseline-ref main --markdown gate.md --junit gate.xml
  hemostat gate --candidate new.yaml --baseline old.yaml --policy policy.yaml --json
  hemostat gate ransomware --candidate night --baseline default --db hemostat.db
  hemostat gate show > policy.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			o.scenarioNames = args
			if o.candidate == "" {
				return errors.New("--candidate: the variant file to judge is missing, such as --candidate defence.yaml")
			}
			return o.decide(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.StringVar(&o.policy, "policy", "", "policy `FILE`; 'hemostat gate show' prints the one that stands in for none")
	f.StringVar(&o.baseline, "baseline", "default", "variant `FILE`, default, or a variant of the baseline's database")
	f.StringVar(&o.candidate, "candidate", "", "variant `FILE`, default, or a variant of the candidate's database")
	f.StringVar(
		&o.baselineRef,
		"baseline-ref",
		"",
		"git `REVISION` whose rules and playbooks the baseline has; the rest is the candidate's",
	)
	f.StringVar(&o.db, "db", "", "database `FILE` to record trials in and to take recorded ones from")
	f.StringVar(
		&o.baselineDB,
		"baseline-db",
		"",
		"database `FILE` with the baseline's trials; the candidate runs on the same days",
	)
	f.StringVar(&o.candidDB, "candidate-db", "", "database `FILE` with the candidate's trials")
	o.analyst.flags(f)
	f.StringVar(&o.run, "run", "", "read only trials of this run `ID`")
	f.BoolVar(
		&o.anyEngine,
		"allow-other-engine",
		false,
		"accept recorded trials that another version of the program made",
	)
	f.Uint64Var(&o.seed, "seed", 1, "seed of all randomness")
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "trials at once")
	f.StringArrayVar(&o.set, "set", nil, "set a value on both sides: `PATH=VALUE`; may be repeated")
	f.StringVar(&o.junit, "junit", "", "write JUnit XML to `FILE`")
	f.StringVar(&o.markdown, "markdown", "", "write Markdown for a pull request to `FILE`")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.BoolVar(&o.changed, "changed", false,
		"run the baseline only on days on which a rule or playbook that differs is touched; the verdict is the same")
	c.AddCommand(schemaCommand("gate", gate.Schema), gateShow(), gateValidate())
	return c
}

func gateShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Print the policy that stands in for none, to read or to start from", Example: "  hemostat gate show > policy.yaml", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(gate.DefaultText())
			return err
		},
	}
}

func gateValidate() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check policy files; every fault is reported with its place", Example: "  hemostat gate validate policy.yaml", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return checkFiles(c, args, func(file string) error {
				_, err := readPolicy(file)
				return err
			})
		},
	}
}

// readPolicy reads a policy; scenario files stand relative to it.
func readPolicy(file string) (*gate.Policy, error) {
	if file == "" {
		return gate.Default()
	}
	data, err := boundedfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", file, err)
	}
	p, err := gate.Parse(file, data)
	if err != nil {
		return nil, err
	}
	for i, s := range p.Scenarios {
		if filepath.Ext(s) != "" && !filepath.IsAbs(s) {
			p.Scenarios[i] = filepath.Join(filepath.Dir(file), s)
		}
	}
	for i, name := range p.Benign {
		if !filepath.IsAbs(name) {
			p.Benign[i] = filepath.Join(filepath.Dir(file), name)
		}
	}
	return p, nil
}

func (o *gateOptions) decide(ctx context.Context, out, errOut io.Writer) (err error) {
	policy, err := readPolicy(o.policy)
	if err != nil {
		return err
	}
	days, err := o.days(ctx, policy, errOut)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, days.close()) }()
	for _, v := range days.simulated {
		if v != nil {
			noteLeftOut(errOut, v.LeftOut())
		}
	}
	result, err := days.alike()
	if err == nil && result == nil {
		bar := startBar(errOut, "trials", policy.Trials.Max)
		days.step = bar.step
		result, err = gate.Run(ctx, policy, days.names(), days.more)
		bar.stop(err == nil)
	}
	if errors.Is(err, context.Canceled) {
		return exit{exitInterrupted, errors.New("interrupted; with --db, what was run is kept")}
	}
	if err != nil {
		return err
	}
	days.describe(result)
	result.Notes = append(result.Notes, days.untouched()...)
	var met []string
	for _, t := range result.Techniques {
		met = append(met, t.Technique)
	}
	if note := unbacked(met); note != "" {
		result.Notes = append(result.Notes, note)
	}
	if err := judgeBenign(ctx, policy, days.simulated, result); err != nil {
		return err
	}
	if err := o.write(result, out); err != nil {
		return err
	}
	if err := o.keep(ctx, result, errOut); err != nil {
		return err
	}
	switch result.Verdict {
	case gate.Fail:
		return exit{exitFaults, errors.New("")}
	case gate.Inconclusive:
		return exit{exitUndecided, errors.New("")}
	}
	return nil
}

// keep puts the verdict into the database of --db, where serve shows it. A database that cannot
// be written changes nothing in the verdict.
func (o *gateOptions) keep(ctx context.Context, r *gate.Result, errOut io.Writer) error {
	if o.db == "" {
		return nil
	}
	text, err := r.JSON()
	if err != nil {
		return exit{exitInternal, err}
	}
	title := fmt.Sprintf("%s: %s against %s, policy %s", r.Verdict, r.Candidate, r.Baseline, r.Policy.Name)
	if err := keepDocument(ctx, o.db, store.GateDocument, title, text); err != nil {
		fmt.Fprintf(errOut, "note: the verdict is not kept: %s\n", safe(err.Error()))
	}
	return nil
}

// keepDocument puts a result into a database.
func keepDocument(ctx context.Context, file string, kind store.DocumentKind, title string, text []byte) error {
	db, err := store.Create(ctx, file)
	if err != nil {
		return err
	}
	return errors.Join(db.PutDocument(kind, title, text), db.Close())
}

func (o *gateOptions) write(r *gate.Result, out io.Writer) error {
	if o.markdown != "" {
		if err := os.WriteFile(o.markdown, []byte(r.Markdown()), 0o644); err != nil {
			return fmt.Errorf("--markdown: %w", err)
		}
	}
	if o.junit != "" {
		f, err := os.Create(o.junit)
		if err != nil {
			return fmt.Errorf("--junit: %w", err)
		}
		if err := errors.Join(r.JUnit(f), f.Close()); err != nil {
			return fmt.Errorf("--junit %s: %w", o.junit, err)
		}
	}
	if o.asJSON {
		text, err := r.JSON()
		if err != nil {
			return exit{exitInternal, err}
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	}
	_, err := fmt.Fprint(out, r.Text())
	return err
}

// isVariantFile tells whether a name stands for something that can be run, rather
// than for what is recorded.
func isVariantFile(name string) bool {
	if name == "default" {
		return true
	}
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}

// intersect keeps the names that are in all lists, in the order of the first.
func intersect(first []string, others ...[]string) []string {
	return slices.DeleteFunc(slices.Clone(first), func(name string) bool {
		return slices.ContainsFunc(others, func(o []string) bool { return !slices.Contains(o, name) })
	})
}
