package main

import (
	"errors"
	"fmt"
	"io"
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
	"hemostat/defenders/ingest"
	"hemostat/defenders/queue"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/ruledetector"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

type replayOptions struct {
	rules   ruleFlags
	format  string
	json    bool
	explain bool
	metrics string
}

func replayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Push recorded logs through the pipeline and print the alerts",
		Long: `Reads recorded logs, plain, gzip or zip, and pushes them through reflex,
detection and fusion of the same pipeline that the simulation uses; nothing is
done about what is found. Formats: winlog (Windows event logs as JSON), zeek
(JSON or TSV), sshd (syslog), ndjson (the program's own). Several files are read
one after another; - is standard input. A file that cannot be read does not take
away what the others gave: it is reported at the end, with exit code 2.`,
		Example: `  hemostat replay /var/log/auth.log.1.gz
  hemostat replay capture.json.gz --rules my-rules --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: o.replay,
	}
	f := c.Flags()
	f.StringArrayVar(
		&o.rules.folders,
		"rules",
		[]string{"embedded"},
		"folder of Sigma rules, or embedded; may be repeated",
	)
	o.rules.pipelineFlag(f)
	f.StringVar(&o.format, "format", "auto", strings.Join(ingest.Formats, ", "))
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

func (o *replayOptions) replay(c *cobra.Command, files []string) error {
	debug.SetGCPercent(200) // a log has no end: memory counts for more than the last percent of speed
	rules, err := o.rules.load()
	if err != nil {
		return err
	}
	engine, err := sigma.Compile(rules)
	if err != nil {
		return err
	}
	members, err := sentinel.Build(sentinel.AllKinds(), detect.Env{Rules: engine})
	if err != nil {
		return exit{exitInternal, err}
	}
	for i := range members {
		members[i].Service = queue.Config{} // recorded logs wait for nothing
		if d, ok := members[i].Detector.(detect.Explaining); ok && (o.explain || o.json) {
			d.Explain()
		}
	}
	out := c.OutOrStdout()
	found := map[string]*foundRule{}
	alerts := 0
	var printErr error
	onAlert := func(a *defenders.RaisedAlert) {
		alerts++
		note(found, a)
		if o.json && printErr == nil {
			printErr = printJSONLine(out, alertLine(a))
		}
	}
	var registerer prometheus.Registerer
	if o.metrics != "" {
		registry := prometheus.NewRegistry()
		registerer = registry
		stop, err := serveMetrics(o.metrics, registry, c.ErrOrStderr())
		if err != nil {
			return err
		}
		defer stop()
	}
	p, err := defenders.New(
		defenders.Config{Detectors: members, Registry: registerer, Listener: defenders.Listener{Alert: onAlert}},
	)
	if err != nil {
		return exit{exitInternal, err}
	}
	var now time.Duration
	var total ingest.Summary
	var unread []error
	for _, file := range files {
		s, err := ingest.ReadFile(c.Context(), file, ingest.Options{Format: o.format}, func(e *event.Event) error {
			now = max(now, e.Time)
			p.Event(now, e)
			p.Advance(now)
			return firstError(printErr, p.Err())
		})
		total.Merge(s)
		switch {
		case c.Context().Err() != nil:
			return exit{exitInterrupted, fmt.Errorf("interrupted after %d events", total.Events)}
		case printErr != nil:
			return printErr
		case p.Err() != nil:
			return exit{exitInternal, p.Err()}
		case err != nil:
			unread = append(unread, err)
		}
	}
	p.End(now)
	p.Advance(now)
	if err := o.summarize(out, found, total, ruleStats(members), alerts, p.Incidents().Count()); err != nil {
		return err
	}
	return errors.Join(unread...)
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

// summarize prints what was found, and what became of the lines.
func (o *replayOptions) summarize(
	out io.Writer,
	found map[string]*foundRule,
	total ingest.Summary,
	state sigma.Stats,
	alerts, incidents int,
) error {
	if o.json {
		because := total.Because
		if because == nil {
			because = map[string]int{}
		}
		return printJSONLine(out, map[string]any{"summary": map[string]any{
			"events_read": total.Events, "events_skipped": total.Skipped, "skipped_because": because, "alerts": alerts, "incidents": incidents,
			"correlation_groups_evicted": state.Evicted, "correlation_events_late": state.Late,
			"fields_omitted": total.OmittedFields}})
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
		plural(alerts, "alert", "alerts"),
		plural(incidents, "incident", "incidents"),
	)
	for _, why := range total.Reasons() {
		fmt.Fprintf(out, "  skipped %d: %s\n", total.Because[why], safe(why))
	}
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

func alertLine(a *defenders.RaisedAlert) any {
	event := uint64(0)
	if n := len(a.Evidence); n > 0 {
		event = a.Evidence[n-1]
	}
	return struct {
		Time       string  `json:"time"`
		EventID    uint64  `json:"event_id"`
		Detector   string  `json:"detector"`
		RuleID     string  `json:"rule_id"`
		Title      string  `json:"title"`
		Technique  string  `json:"technique"`
		Severity   string  `json:"severity"`
		Confidence float64 `json:"confidence"`
		Host       string  `json:"host"`
		User       string  `json:"user"`
		SourceIP   string  `json:"source_ip"`
		Incident   int     `json:"incident"`
		// Because is why the rule matched.
		Because []alert.Reason `json:"because"`
	}{stampUTC(a.EventTime), event, a.Detector, a.RuleID, a.Title, a.Technique(), a.Severity.String(), a.Confidence, a.Host, a.User, a.SourceIP, a.Incident, a.Reasons}
}

func stampUTC(at time.Duration) string {
	return time.Unix(0, int64(at)).UTC().Format("2006-01-02T15:04:05.000Z")
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
			table.Row{safe(f.title), f.severity, f.technique, f.count, stampUTC(f.first), few(f.sources), few(f.hosts)},
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
