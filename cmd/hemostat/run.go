package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"hemostat/reports/render"
	"hemostat/reports/stats"
	"hemostat/reports/store"
	"hemostat/scenarios"
	"hemostat/scenarios/plan"
	"hemostat/scenarios/trial"
	"hemostat/sim/batch"
	"hemostat/sim/record"
)

type runOptions struct {
	leaveOneOut bool
	trials      int
	seed        uint64
	variants    []string
	plan        string
	set, sweep  []string
	db          string
	parallel    int
	shard       string
	keepEvents  bool
	resume      bool
	json        bool
	metrics     string
	analyst     analystFlags
	judging     *analystUse
	engine      engineFlags
	planned     *plan.Plan
}

func runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run [SCENARIO...]",
		Short: "Run trials and record them; by default every embedded scenario",
		Long: `Runs trials of scenarios against variants of the defence and records them in a
SQLite file. Equal seeds give equal trials, on any number of cores. Ctrl-C ends
cleanly; --resume goes on where a run ended. --set changes a value of the
scenario or the variant by its path; --sweep makes a variant of each value.`,
		Example: `  hemostat run
  hemostat run ransomware --trials 100 --seed 7
  hemostat run --variant night.yaml --variant default
  hemostat run lateral-movement --sweep hotl.tier1=0,1,4 --set background.rate=0.5
  hemostat run --plan plan.yaml --resume
  hemostat run --plan plan.yaml --engine nats://10.0.0.5:4222`,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := o.planOf(c, args)
			if err != nil {
				return err
			}
			o.planned = p
			if err := o.checkEngine(); err != nil {
				return err
			}
			matrix, err := p.Build()
			if err != nil {
				return err
			}
			defer func() { noteFault(c.ErrOrStderr(), matrix.Close()) }()
			noted := map[string]bool{}
			for _, cell := range matrix.Cells {
				if !noted[cell.Variant.Name] {
					noted[cell.Variant.Name] = true
					noteLeftOut(c.ErrOrStderr(), cell.Variant.LeftOut())
				}
			}
			if o.judging, err = o.analyst.open(c.Context(), matrix.Variants(), matrix.Replace,
				c.ErrOrStderr()); err != nil {
				return err
			}
			defer o.judging.close(c.ErrOrStderr())
			err = o.run(c.Context(), matrix, c.OutOrStdout(), c.ErrOrStderr())
			if errors.Is(err, context.Canceled) {
				return exit{exitInterrupted, errors.New("interrupted; the same command with --resume goes on")}
			}
			return err
		},
	}
	f := c.Flags()
	f.IntVar(&o.trials, "trials", 5, "trials of each scenario and variant")
	f.Uint64Var(&o.seed, "seed", 1, "seed of all randomness")
	f.StringArrayVar(
		&o.variants,
		"variant",
		nil,
		"variant `FILE`, or one that comes with the program: default, noop, isolate_all, oracle, capture_and_cut; may be repeated",
	)
	f.BoolVar(&o.leaveOneOut, "leave-one-out", false,
		"also run each variant without each of its detectors in turn, for compare --by-detector")
	o.analyst.flags(f)
	f.StringVar(&o.plan, "plan", "", "plan `FILE`: a matrix of scenarios, variants, parameters and trials")
	f.StringArrayVar(&o.set, "set", nil, "set a value: `PATH=VALUE`; may be repeated")
	f.StringArrayVar(&o.sweep, "sweep", nil, "go through values: `PATH=A,B,C`; may be repeated")
	f.StringVar(&o.db, "db", "hemostat.db", "database `FILE`")
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "trials at once")
	f.StringVar(&o.shard, "shard", "", "run only share `I/N` of the trials")
	f.BoolVar(&o.keepEvents, "keep-events", false, "record every event too")
	o.engine.flags(f, "hand the trials to workers through NATS JetStream at `URL`: "+
		"nats://HOST:PORT, tls://HOST:PORT, or embedded://HOST:PORT for a server within this process")
	f.IntVar(&o.engine.attempts, "engine-attempts", 5, "how many workers may end while they run a trial before it is given up")
	f.IntVar(&o.engine.replicas, "engine-replicas", 1, "on how many servers of a cluster the job stands; 3 outlive the loss of one")
	f.DurationVar(&o.engine.patience, "engine-patience", 30*time.Second, "how long a worker may be silent before its work goes to another")
	f.BoolVar(&o.resume, "resume", false, "skip trials that are recorded already")
	f.BoolVar(&o.json, "json", false, "print the summary as JSON")
	f.StringVar(
		&o.metrics,
		"metrics",
		"",
		"serve Prometheus metrics of the batch at /metrics of this `ADDRESS` while it runs",
	)
	return c
}

// planOf joins the plan file and the command line; what the command line names
// wins.
func (o *runOptions) planOf(c *cobra.Command, args []string) (*plan.Plan, error) {
	p := &plan.Plan{}
	if o.plan != "" {
		var err error
		if p, err = plan.Read(o.plan); err != nil {
			return nil, err
		}
	}
	if len(args) > 0 {
		p.Scenarios = args
	}
	if len(o.variants) > 0 {
		p.Variants = o.variants
	}
	p.LeaveOneOut = p.LeaveOneOut || o.leaveOneOut
	if p.Trials == 0 || c.Flags().Changed("trials") {
		p.Trials = o.trials
	}
	if p.Seed == 0 || c.Flags().Changed("seed") {
		p.Seed = o.seed
	}
	for _, s := range o.set {
		setting, err := scenarios.ParseSetting(s)
		if err != nil {
			return nil, fmt.Errorf("--set: %w", err)
		}
		p.Settings = append(p.Settings, setting)
	}
	for _, s := range o.sweep {
		sweep, err := plan.ParseSweep(s)
		if err != nil {
			return nil, fmt.Errorf("--sweep: %w", err)
		}
		p.Sweeps = append(p.Sweeps, sweep)
	}
	if o.parallel < 1 || o.parallel > 1024 {
		return nil, fmt.Errorf("--parallel: 1 to 1024 is accepted, not %d", o.parallel)
	}
	return p, nil
}

func (o *runOptions) run(ctx context.Context, m *plan.Matrix, out, errOut io.Writer) error {
	options := trial.Options{KeepEvents: o.keepEvents}
	registry := prometheus.NewRegistry()
	if o.metrics != "" {
		options.Metrics = &batch.MetricSum{}
		stop, err := serveMetrics(o.metrics, prometheus.Gatherers{registry, options.Metrics}, errOut)
		if err != nil {
			return err
		}
		defer stop()
	}
	tasks, err := o.share(m.Tasks(options))
	if err != nil {
		return err
	}
	db, err := store.Create(ctx, o.db)
	if err != nil {
		return err
	}
	defer db.Close()
	all := len(tasks)
	if o.resume {
		done, err := db.Recorded("")
		if err != nil {
			return err
		}
		tasks = slices.DeleteFunc(tasks, func(t batch.Task) bool { return done[t.TrialID] })
		if skipped := all - len(tasks); skipped > 0 {
			fmt.Fprintf(errOut, "%s recorded already\n", plural(skipped, "trial is", "trials are"))
		}
	}
	r, err := begin(db, m, o.judging.recordedMode())
	if err != nil {
		return err
	}
	counted, err := newRunMetrics(registry, len(tasks))
	if err != nil {
		return exit{exitInternal, err}
	}
	began := time.Now()
	summary, runErr := o.execute(ctx, db, r, m, tasks, counted, errOut)
	status := "done"
	switch {
	case errors.Is(runErr, context.Canceled), errors.Is(runErr, store.ErrUnavailable), o.judging.session.Err() != nil:
		status = "interrupted"
	case runErr != nil:
		status = "failed"
	}
	finishErr := db.Finish(r.ID, status)
	switch {
	case errors.Is(runErr, context.Canceled):
		return exit{
			exitInterrupted,
			fmt.Errorf(
				"interrupted after %d of %d trials; the same command with --resume goes on",
				summary.trials,
				len(tasks),
			),
		}
	case errors.Is(runErr, store.ErrUnavailable):
		return exit{
			exitInterrupted,
			fmt.Errorf("stopped after %d of %d trials: %w", summary.trials, len(tasks), runErr),
		}
	case runErr != nil && o.judging.session.Err() != nil, errors.As(runErr, &exit{}): // it says the code itself
		return runErr
	case runErr != nil:
		return exit{exitInternal, runErr}
	case finishErr != nil:
		return exit{exitInternal, finishErr}
	}
	return o.report(out, errOut, db, m, summary, time.Since(began))
}

func (o *runOptions) share(tasks []batch.Task) ([]batch.Task, error) {
	if o.shard == "" {
		return tasks, nil
	}
	var i, n int
	if _, err := fmt.Sscanf(o.shard, "%d/%d", &i, &n); err != nil || i < 1 || n < 1 || i > n ||
		fmt.Sprintf("%d/%d", i, n) != o.shard {
		return nil, fmt.Errorf("--shard: I/N is expected with I from 1 to N, such as 2/4, not %q", o.shard)
	}
	return batch.Shard(tasks, i, n), nil
}

// newRun is a run of this program, from now on.
func newRun(m *plan.Matrix) store.Run {
	created := time.Now().UTC().Format(time.RFC3339Nano)
	sum := sha256.Sum256([]byte(m.Digest() + created))
	return store.Run{ID: hex.EncodeToString(sum[:6]), CreatedAt: created, ToolVersion: version, GitCommit: builtFrom(),
		Architecture: runtime.GOOS + "/" + runtime.GOARCH, Seed: m.Seed, PlanDigest: m.Digest()}
}

func begin(db *store.DB, m *plan.Matrix, analyst string) (store.Run, error) {
	r := newRun(m)
	r.Analyst = analyst
	var scenarioRows, variantRows []store.Named
	for _, c := range m.Cells {
		scenarioRows = append(
			scenarioRows,
			store.Named{Name: c.Scenario.Name, Digest: c.Scenario.Digest(), Text: string(c.Scenario.Text)},
		)
		variantRows = append(
			variantRows,
			store.Named{Name: c.Variant.Name, Digest: c.Variant.Digest, Text: string(c.Variant.JSON)},
		)
	}
	return r, db.Begin(r, scenarioRows, variantRows)
}

// runSummary is what a run did.
type runSummary struct {
	trials, errors int
	events         int
	firstError     string
}

func (o *runOptions) execute(
	ctx context.Context,
	db *store.DB,
	r store.Run,
	m *plan.Matrix,
	tasks []batch.Task,
	counted *runMetrics,
	errOut io.Writer,
) (runSummary, error) {
	identity := map[[2]string]store.Identity{}
	for _, c := range m.Cells {
		identity[[2]string{c.Scenario.Name, c.Variant.Name}] = store.Identity{
			Run:            r.ID,
			Seed:           m.Seed,
			ScenarioDigest: c.Scenario.Digest(),
			VariantDigest:  c.Variant.Digest,
		}
	}
	bar := startBar(errOut, "trials", len(tasks))
	var s runSummary
	err := o.runTasks(ctx, m, tasks, errOut, func(t *record.Trial) error {
		if err := o.judging.stopped(t); err != nil {
			return err
		}
		if err := db.Put(identity[[2]string{t.Scenario, t.Variant}], t); err != nil {
			return err
		}
		s.trials++
		s.events += t.EventsTotal
		counted.trials.WithLabelValues(t.Scenario, t.Variant, t.Status).Inc()
		counted.events.Add(float64(t.EventsTotal))
		if t.Status != "ok" {
			s.errors++
			if s.firstError == "" {
				s.firstError = fmt.Sprintf("%s/%s/%d: %s", t.Scenario, t.Variant, t.Index, t.Error)
			}
		}
		bar.step()
		return nil
	})
	bar.stop(err == nil)
	return s, err
}

// cellSummary is what a scenario against a variant came to.
type cellSummary struct {
	Scenario        string   `json:"scenario"`
	Variant         string   `json:"variant"`
	Trials          int      `json:"trials"`
	Errors          int      `json:"errors"`
	Detected        float64  `json:"detected"`
	Contained       float64  `json:"contained"`
	Objective       float64  `json:"objective_reached"`
	Detect          *float64 `json:"median_time_to_detect_ns"`
	Respond         *float64 `json:"median_time_to_respond_ns"`
	Contain         *float64 `json:"median_time_to_contain_ns"`
	FalseAlerts     float64  `json:"alerts_false_per_trial"`
	Collateral      float64  `json:"collateral_user_seconds_per_trial"`
	Coherence       float64  `json:"coherence"`
	Score           float64  `json:"score"`
	EventsPerTrial  float64  `json:"events_per_trial"`
	OnBenign        float64  `json:"actions_on_benign_per_trial"`
	detect, respond []float64
	contain         []float64
}

func (o *runOptions) report(
	out, errOut io.Writer,
	db *store.DB,
	m *plan.Matrix,
	s runSummary,
	took time.Duration,
) error {
	cells, err := summarize(db, m)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(
			out,
			map[string]any{"database": o.db, "trials_run": s.trials, "errors": s.errors, "cells": cells},
		)
	}
	t := newTable(
		out,
		"scenario",
		"variant",
		"trials",
		"detected",
		"contained",
		"goal reached",
		"time to detect",
		"to respond",
		"to contain",
		"false alerts",
		"lost work",
		"score",
	)
	var right []table.ColumnConfig
	for n := 3; n <= 12; n++ {
		right = append(right, table.ColumnConfig{Number: n, Align: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	for _, c := range cells {
		t.AppendRow(
			table.Row{c.Scenario, c.Variant, c.Trials, percent(c.Detected), percent(c.Contained), percent(c.Objective),
				medianText(
					c.Detect,
				), medianText(c.Respond), medianText(c.Contain), fmt.Sprintf("%.1f", c.FalseAlerts), fmt.Sprintf("%.1f h", c.Collateral/3600), fmt.Sprintf("%.0f", c.Score)},
		)
	}
	t.Render()
	fmt.Fprintln(
		out,
		"times are medians over all trials from the first malicious event, false alerts and lost work of users are means a trial, score is 0 to 100",
	)
	fmt.Fprintf(
		errOut,
		"%s in %.1f s, %.1f million events, into %s\n",
		plural(s.trials, "trial", "trials"),
		took.Seconds(),
		float64(s.events)/1e6,
		o.db,
	)
	if s.errors > 0 {
		fmt.Fprintf(
			errOut,
			"%s ended in an error, the first: %s\n",
			plural(s.errors, "trial", "trials"),
			safe(s.firstError),
		)
	}
	if len(cells) > 0 {
		fmt.Fprintf(
			errOut,
			"next: hemostat trace %s --db %s\n",
			render.ShellWord(cells[0].Scenario+"/0"),
			render.ShellWord(o.db),
		)
	}
	return nil
}

// summarize reads the matrix's trials back from the database.
func summarize(db *store.DB, m *plan.Matrix) ([]*cellSummary, error) {
	var cells []*cellSummary
	for _, cell := range m.Cells {
		c := &cellSummary{Scenario: cell.Scenario.Name, Variant: cell.Variant.Name}
		err := db.Trials(
			store.Filter{
				Variant:        c.Variant,
				Scenario:       c.Scenario,
				ScenarioDigest: cell.Scenario.Digest(),
				VariantDigest:  cell.Variant.Digest,
				Seed:           &m.Seed,
			},
			func(t *record.Trial) error {
				c.add(t)
				return nil
			},
		)
		if err != nil {
			return nil, err
		}
		c.finish()
		cells = append(cells, c)
	}
	return cells, nil
}

func (c *cellSummary) add(t *record.Trial) {
	if t.Status != "ok" {
		c.Errors++
		return
	}
	one := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	at := func(d record.Time) float64 {
		if d == nil {
			return math.Inf(1)
		}
		return float64(*d)
	}
	c.Trials++
	c.Detected += one(t.Detected)
	c.Contained += one(t.Contained)
	c.Objective += one(t.ObjectiveReached)
	c.FalseAlerts += float64(t.AlertsFalse)
	c.Collateral += t.CollateralSeconds
	c.Coherence += t.Coherence
	c.Score += t.Score
	c.EventsPerTrial += float64(t.EventsTotal)
	c.OnBenign += float64(t.ActionsOnBenign)
	c.detect = append(c.detect, at(t.TimeToDetect))
	c.respond = append(c.respond, at(t.TimeToRespond))
	c.contain = append(c.contain, at(t.TimeToContain))
}

func (c *cellSummary) finish() {
	n := float64(max(c.Trials, 1))
	for _, v := range []*float64{&c.Detected, &c.Contained, &c.Objective, &c.FalseAlerts, &c.Collateral, &c.Coherence,
		&c.Score, &c.EventsPerTrial, &c.OnBenign} {
		*v /= n
	}
	median := func(sample []float64) *float64 {
		slices.Sort(sample)
		if v := stats.Quantile(sample, 0.5); !math.IsNaN(v) && !math.IsInf(v, 0) {
			return &v
		}
		return nil
	}
	c.Detect, c.Respond, c.Contain = median(c.detect), median(c.respond), median(c.contain)
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func medianText(v *float64) string {
	if v == nil {
		return "never"
	}
	return clock(time.Duration(*v))
}

// clock writes a duration in the two units that matter.
func clock(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d >= time.Minute:
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
