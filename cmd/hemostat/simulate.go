package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/reports/render"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/record"
)

type simulateOptions struct {
	analyst           analystFlags
	scenario, variant string
	trials            int
	seed              uint64
	set               []string
	dryRun, json      bool
}

func playbookSimulate() *cobra.Command {
	var o simulateOptions
	c := &cobra.Command{
		Use:   "simulate FILE",
		Short: "Show step by step what a playbook would do in trials of a scenario",
		Long: `Runs trials of a scenario with the playbook in FILE in place of the one of the
same id, or beside the others, and tells what each of its runs did: what was
asked, how it ended, and what was undone. Nothing is recorded; with the
same seed a changed file meets the same days. --dry-run asks and audits, but does
nothing.`,
		Example: `  hemostat playbook show data_exfiltration_block > mine.yaml
  hemostat playbook simulate mine.yaml --scenario data-exfiltration --trials 10`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := readPlaybook(args[0])
			if err != nil {
				return err
			}
			var set []scenarios.Setting
			for _, s := range o.set {
				setting, err := scenarios.ParseSetting(s)
				if err != nil {
					return fmt.Errorf("--set: %w", err)
				}
				set = append(set, setting)
			}
			if o.dryRun {
				set = append(set, scenarios.Setting{Path: "response.dry_run", Value: "true"})
			}
			if o.trials < 1 || o.trials > 10_000 {
				return fmt.Errorf("--trials: 1 to 10000 is accepted, not %d", o.trials)
			}
			v, err := defence.LoadSimulated(o.variant, set)
			if err != nil {
				return err
			}
			defer func() { noteFault(c.ErrOrStderr(), v.Close()) }()
			noteLeftOut(c.ErrOrStderr(), v.LeftOut())
			s, err := scenarios.Load(o.scenario, v.Scenario)
			if err != nil {
				return err
			}
			judging, err := o.analyst.open(c.Context(), []*defence.Variant{v},
				func(_, by *defence.Variant) { v = by }, c.ErrOrStderr())
			if err != nil {
				return err
			}
			defer judging.close(c.ErrOrStderr())
			v = v.WithPlaybook(p)
			if err := v.Fits(s); err != nil {
				return err
			}
			trials, err := o.run(c, s, v)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), render.PlaybookRuns(p.ID, trials))
			}
			return o.print(c.OutOrStdout(), p.ID, trials)
		},
	}
	f := c.Flags()
	f.StringVar(&o.scenario, "scenario", "", "scenario by `NAME` or file")
	f.StringVar(&o.variant, "variant", "default", "variant of the defence beside the playbook: `NAME` or file")
	o.analyst.flags(f)
	f.IntVar(&o.trials, "trials", 10, "trials")
	f.Uint64Var(&o.seed, "seed", 1, "seed of all randomness")
	f.StringArrayVar(&o.set, "set", nil, "set a value: `PATH=VALUE`; may be repeated")
	f.BoolVar(&o.dryRun, "dry-run", false, "ask and audit, but do nothing")
	f.BoolVar(&o.json, "json", false, "print the runs as JSON")
	if err := c.MarkFlagRequired("scenario"); err != nil {
		panic(err) // the flag is defined above
	}
	return c
}

// run makes the trials, several at once.
func (o *simulateOptions) run(c *cobra.Command, s *scenarios.Scenario, v *defence.Variant) ([]*record.Trial, error) {
	trials := make([]*record.Trial, o.trials)
	faults := make([]error, o.trials)
	var wait sync.WaitGroup
	room := make(chan struct{}, runtime.NumCPU())
	bar := startBar(c.ErrOrStderr(), "trials", o.trials)
	for i := range trials {
		wait.Add(1)
		go func() {
			defer wait.Done()
			room <- struct{}{}
			defer func() { <-room; bar.step() }()
			trials[i], faults[i] = trial.Run(
				s,
				v,
				i,
				trial.Options{Seed: o.seed},
				func() bool { return c.Context().Err() != nil },
			)
		}()
	}
	wait.Wait()
	err := errors.Join(faults...)
	bar.stop(err == nil)
	if c.Context().Err() != nil {
		return nil, exit{exitInterrupted, errors.New("interrupted; nothing was recorded")}
	}
	return trials, err
}

func (o *simulateOptions) print(out io.Writer, id string, trials []*record.Trial) error {
	runs := render.PlaybookRuns(id, trials)
	if _, err := fmt.Fprint(out, safe(render.PlaybookStory(runs))); err != nil {
		return err
	}
	if !slices.ContainsFunc(runs, func(t render.PlaybookTrial) bool { return len(t.Runs) > 0 }) {
		return nil
	}
	t := newTable(
		out,
		"step",
		"action",
		"reached",
		"succeeded",
		"failed",
		"denied",
		"timed out",
		"limited",
		"skipped",
		"done after",
		"lost work",
	)
	for _, s := range render.PlaybookSteps(runs) {
		after := "never"
		if s.After > 0 || s.Counts["succeeded"]+s.Counts["dry_run"] > 0 {
			after = clock(time.Duration(s.After))
		}
		t.AppendRow(
			table.Row{
				s.Step,
				cmp.Or(s.Action, "group"),
				s.Reached,
				s.Counts["succeeded"] + s.Counts["dry_run"],
				s.Counts["failed"],
				s.Counts["denied"],
				s.Counts["timed_out"],
				s.Counts["limited"],
				s.Counts["skipped"],
				after,
				fmt.Sprintf("%.1f h", s.Lost),
			},
		)
	}
	t.Render()
	_, err := fmt.Fprintln(
		out,
		strings.TrimSpace(
			"reached counts runs of the playbook; done after is the median from the start of the run; lost work is what people lost to the step's actions in all trials",
		),
	)
	return err
}
