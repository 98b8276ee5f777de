package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"hemostat/defenders"
	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/incident"
	"hemostat/defenders/ingest"
	"hemostat/defenders/queue"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/ruledetector"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/scenarios/defence"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

type replayOptions struct {
	rules   ruleFlags
	format  string
	json    bool
	explain bool
	metrics string
	variant string
	// incidents explains the incidents at the end, and with --json as they end.
	incidents bool
	analyst   analystFlags
}

func replayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Push recorded logs through the pipeline and print the alerts",
		Long: `Reads recorded logs and pushes them through reflex, detection and fusion of the
same pipeline that the simulation uses; nothing is done about what is found. A
FILE is a log, a folder with all below it, an archive (zip, tar; gzip, zstd and
xz), or - for standard input; its format is recognised (hemostat formats lists
them). Several inputs are merged by the time of their events. An input that
cannot be read does not take away what the others gave: it is reported at the
end, with exit code 2. Members of folders and archives that are no logs are
passed over and named.`,
		Example: `  hemostat replay /var/log/auth.log.1.gz
  hemostat replay Security.evtx Sysmon.evtx --rules my-rules
  hemostat replay capture.json.gz --rules my-rules --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: o.replay,
	}
	f := c.Flags()
	o.rules.flags(f)
	f.StringVar(&o.format, "format", "auto", strings.Join(ingest.FormatNames(), ", "))
	f.StringVar(&o.variant, "variant", "",
		"detectors, plug-ins, rules, feeds and analyst of this variant `FILE` in place of --rules")
	o.analyst.flags(f)
	f.BoolVar(&o.incidents, "incidents", false,
		"explain the incidents below the alerts: who, where, what is known, what was missing; with --json a line each")
	f.BoolVar(&o.explain, "explain", false, "print below the table why the first alert of each rule was raised")
	f.BoolVar(&o.json, "json", false, "print one JSON object an alert, and the summary")
	f.StringVar(
		&o.metrics,
		"metrics",
		"",
		"serve the pipeline's Prometheus metrics at /metrics of this `ADDRESS` while it reads",
	)
	return c
}

// foundRule sums up the alerts of one rule.
type foundRule struct {
	title, technique string
	severity         severity.Severity
	count            int
	first            time.Duration
	sources, hosts   map[string]bool
	because          []alert.Reason // of the first alert
}

// replaying is a replay at work.
type replaying struct {
	*replayOptions
	out, errOut io.Writer
	config      defenders.Config
	pipeline    *defenders.Pipeline
	found       map[string]*foundRule
	outcome     outcome
	printErr    error
	closers     []func() // in the order in which things were opened
}

func (o *replayOptions) replay(c *cobra.Command, files []string) error {
	debug.SetGCPercent(200) // a log has no end: memory counts for more than the last percent of speed
	r := &replaying{replayOptions: o, out: c.OutOrStdout(), errOut: c.ErrOrStderr(), found: map[string]*foundRule{}}
	defer r.close()
	if err := r.open(c); err != nil {
		return err
	}
	var now time.Duration
	total, unread := ingest.Read(c.Context(), files, ingest.Options{Format: o.format}, func(e *event.Event) error {
		now = max(now, e.Time)
		r.pipeline.Event(now, e)
		r.pipeline.Advance(now)
		return firstError(r.printErr, r.pipeline.Err())
	})
	if c.Context().Err() != nil {
		return exit{exitInterrupted, fmt.Errorf("interrupted after %d events", total.Events)}
	}
	if err := r.finish(now, total); err != nil {
		return err
	}
	return unread
}

// open makes the pipeline.
func (r *replaying) open(c *cobra.Command) error {
	members, v, err := r.detectors(c)
	if err != nil {
		return err
	}
	r.config.Detectors = members
	if r.config.Actors, err = attribution.Embedded(); err != nil {
		return exit{exitInternal, err}
	}
	if v != nil {
		if err := r.use(c, v); err != nil {
			return err
		}
	}
	for i := range members {
		members[i].Service = queue.Config{} // recorded logs wait for nothing
		if d, ok := members[i].Detector.(detect.Explaining); ok && (r.explain || r.json) {
			d.Explain()
		}
	}
	if r.metrics != "" {
		registry := prometheus.NewRegistry()
		stop, err := serveMetrics(r.metrics, registry, r.errOut)
		if err != nil {
			return err
		}
		r.closers = append(r.closers, stop)
		r.config.Registry = registry
	}
	r.config.Listener.Alert = r.alert
	if r.incidents {
		r.config.Listener.IncidentEnded = func(_ time.Duration, in *incident.Incident) { r.explainIncident(in.ID) }
	}
	if r.pipeline, err = defenders.New(r.config); err != nil {
		return exit{exitInternal, err}
	}
	r.closers = append(r.closers, func() { noteFault(r.errOut, r.pipeline.Close(false)) })
	return nil
}

// use takes analyst, feeds and facts of a variant, and closes it in the end.
func (r *replaying) use(c *cobra.Command, v *defence.Variant) error {
	r.closers = append(r.closers, func() { noteFault(r.errOut, v.Close()) })
	judging, err := r.analyst.open(c.Context(), []*defence.Variant{v}, func(_, by *defence.Variant) { v = by }, r.errOut)
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() { judging.close(r.errOut) })
	if err := useFusion(c, v, &r.config); err != nil {
		return err
	}
	r.config.Analyst, err = v.ReplayAnalyst()
	return err
}

// close closes what was opened, the last first.
func (r *replaying) close() {
	for _, f := range slices.Backward(r.closers) {
		f()
	}
}

// alert counts and prints an alert.
func (r *replaying) alert(a *defenders.RaisedAlert) {
	r.outcome.alerts++
	if a.IsDismissed() {
		r.outcome.dismissed++
	} else {
		note(r.found, a)
	}
	if r.json && r.printErr == nil {
		r.printErr = printJSONLine(r.out, a.Document())
	}
}

func (r *replaying) explainIncident(id int) {
	if r.printErr == nil {
		r.printErr = r.printIncident(r.out, r.pipeline, id)
	}
}

// finish ends the pipeline after the last event, and says what was found.
func (r *replaying) finish(now time.Duration, total ingest.Summary) error {
	p := r.pipeline
	if r.printErr == nil && p.Err() == nil {
		p.End(now)
		p.Advance(now)
	}
	if err := firstError(p.Err(), p.Close(r.printErr == nil)); err != nil && r.printErr == nil {
		return exit{exitInternal, err}
	}
	if r.incidents {
		for _, id := range p.Incidents().OpenOnes() {
			r.explainIncident(id)
		}
	}
	if r.printErr != nil {
		return r.printErr
	}
	r.outcome.incidents = p.Incidents().Count()
	if err := r.summarize(r.out, r.found, total, ruleStats(r.config.Detectors), r.outcome); err != nil {
		return err
	}
	for _, m := range r.config.Detectors {
		if n, ok := m.Detector.(detect.Noting); ok {
			for _, note := range n.Notes() {
				fmt.Fprintf(r.errOut, "note: %s\n", safe(note))
			}
		}
	}
	return nil
}

// detectors makes the detectors of the variant, which is to be closed then, or all with the
// rules that were named.
func (o *replayOptions) detectors(c *cobra.Command) (members []sentinel.Member, v *defence.Variant, err error) {
	if o.variant != "" {
		if c.Flags().Changed("rules") || c.Flags().Changed("pipeline") {
			return nil, nil, errors.New("--variant has rules of its own; give it or --rules")
		}
		v, err = defence.Load(o.variant, nil)
		if err != nil {
			return nil, nil, err
		}
		noteLeftOut(c.ErrOrStderr(), v.LeftOut())
		noteAgent(c.ErrOrStderr(), v)
		if members, err = v.BuildDetectors(detect.Env{Epoch: time.Unix(0, 0).UTC()}); err != nil {
			return nil, nil, errors.Join(err, v.Close())
		}
		return members, v, nil
	}
	rules, err := o.rules.load(c.ErrOrStderr())
	if err != nil {
		return nil, nil, err
	}
	engine, err := sigma.Compile(rules)
	if err != nil {
		return nil, nil, err
	}
	if members, err = sentinel.Build(sentinel.DefaultKinds(), detect.Env{Rules: engine}); err != nil {
		return nil, nil, exit{exitInternal, err}
	}
	return members, nil, nil
}

// ruleStats are the counts of the detector that runs the rules.
func ruleStats(members []sentinel.Member) sigma.Stats {
	for _, m := range members {
		if d, ok := m.Detector.(*ruledetector.Detector); ok {
			return d.Stats()
		}
	}
	return sigma.Stats{}
}

// outcome is how many alerts and incidents there were.
type outcome struct{ alerts, dismissed, incidents int }

// summarize prints what was found, and what became of the lines.
func (o *replayOptions) summarize(
	out io.Writer,
	found map[string]*foundRule,
	total ingest.Summary,
	state sigma.Stats,
	r outcome,
) error {
	if o.json {
		return printJSONLine(out, map[string]any{"summary": map[string]any{
			"events_read": total.Events, "events_skipped": total.Skipped, "skipped_because": counts(total.Because), "alerts": r.alerts, "alerts_dismissed": r.dismissed, "incidents": r.incidents,
			"correlation_groups_evicted": state.Evicted, "correlation_events_late": state.Late,
			"fields_omitted": total.OmittedFields, "events_without_time": total.Undated, "events_late": total.Late,
			"passed_over": orEmpty(total.PassedOver), "notes": counts(total.Notes)}})
	}
	rows := ranked(found)
	printFound(out, rows)
	if o.explain {
		printReasons(out, rows)
	}
	fmt.Fprintf(
		out,
		"%d events read, %d skipped, %s in %s\n",
		total.Events,
		total.Skipped,
		plural(r.alerts, "alert", "alerts"),
		plural(r.incidents, "incident", "incidents"),
	)
	if r.dismissed > 0 {
		fmt.Fprintf(out, "%s by the analyst, and are not in the table\n",
			plural(r.dismissed, "alert was dismissed", "alerts were dismissed"))
	}
	for _, why := range total.Reasons() {
		fmt.Fprintf(out, "  skipped %d: %s\n", total.Because[why], safe(why))
	}
	printNotes(out, total)
	if total.OmittedFields > 0 {
		fmt.Fprintf(
			out,
			"%s left out of events that had too many\n",
			plural(total.OmittedFields, "field was", "fields were"),
		)
	}
	if state.Late > 0 {
		fmt.Fprintf(
			out,
			"%s later than the timespan of a correlation, and did not count for it\n",
			plural(int(state.Late), "match came", "matches came"),
		)
	}
	if state.Evicted > 0 {
		fmt.Fprintf(
			out,
			"%s of correlations given up to stay within the bound of memory\n",
			plural(int(state.Evicted), "group", "groups"),
		)
	}
	return nil
}

// orEmpty is a list that JSON writes as [] when it is empty.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// counts is a map that JSON writes as {} when it is empty.
func counts(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

// maxNamed bounds the members that are named one by one.
const maxNamed = 20

// printNotes tells what a reader should know of the inputs beside the skipped records.
func printNotes(out io.Writer, total ingest.Summary) {
	for _, what := range slices.Sorted(maps.Keys(total.Notes)) {
		fmt.Fprintf(out, "  read nevertheless, %s: %s\n", plural(total.Notes[what], "time", "times"), safe(what))
	}
	if total.Undated > 0 {
		fmt.Fprintf(
			out,
			"%s without a readable time, and stand at the time of the event before\n",
			plural(total.Undated, "event is", "events are"),
		)
	}
	if total.Late > 0 {
		fmt.Fprintf(
			out,
			"%s too late to be put in the order of time; sort the log to count for correlations\n",
			plural(total.Late, "event came", "events came"),
		)
	}
	for i, name := range total.PassedOver {
		if i == maxNamed {
			fmt.Fprintf(out, "  and %d more\n", len(total.PassedOver)-maxNamed)
			break
		}
		fmt.Fprintf(out, "passed over, as it is no log: %s\n", safe(name))
	}
}

func note(found map[string]*foundRule, a *defenders.RaisedAlert) {
	f := found[a.RuleID]
	if f == nil {
		f = &foundRule{
			title:     a.Title,
			severity:  a.Severity,
			technique: a.Technique(),
			first:     a.EventTime,
			because:   a.Reasons,
			sources:   map[string]bool{},
			hosts:     map[string]bool{},
		}
		found[a.RuleID] = f
	}
	f.count++
	f.first = min(f.first, a.EventTime)
	if a.SourceIP != "" && len(f.sources) < 10_000 {
		f.sources[a.SourceIP] = true
	}
	if a.Host != "" && len(f.hosts) < 10_000 {
		f.hosts[a.Host] = true
	}
}

// few lists the first of a set.
func few(set map[string]bool) string {
	var names []string
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) > 3 {
		names = append(names[:3], fmt.Sprintf("and %d more", len(set)-3))
	}
	return safe(strings.Join(names, ", "))
}

// ranked orders rules by level, count and title.
func ranked(found map[string]*foundRule) []*foundRule {
	var rows []*foundRule
	for _, f := range found {
		rows = append(rows, f)
	}
	sort.Slice(rows, func(i, j int) bool {
		if a, b := rows[i].severity, rows[j].severity; a != b {
			return a > b
		}
		if rows[i].count != rows[j].count {
			return rows[i].count > rows[j].count
		}
		return rows[i].title < rows[j].title
	})
	return rows
}

func printReasons(out io.Writer, rows []*foundRule) {
	for _, f := range rows {
		fmt.Fprintln(out, safe(f.title))
		for _, r := range f.because {
			fmt.Fprintln(out, "  "+safe(r.String()))
		}
	}
	fmt.Fprintln(out)
}

func printFound(out io.Writer, rows []*foundRule) {
	if len(rows) == 0 {
		return
	}
	t := newTable(out, "rule", "level", "technique", "count", "first", "sources", "hosts")
	t.SetColumnConfigs(
		[]table.ColumnConfig{
			{Number: 1, WidthMax: 58, WidthMaxEnforcer: text.WrapSoft},
			{Number: 6, WidthMax: 34, WidthMaxEnforcer: text.WrapSoft},
			{Number: 7, WidthMax: 34, WidthMaxEnforcer: text.WrapSoft},
		},
	)
	for _, f := range rows {
		t.AppendRow(
			table.Row{safe(f.title), f.severity, f.technique, f.count, defenders.StampUTC(f.first), few(f.sources), few(f.hosts)},
		)
	}
	t.Render()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
