package sigma_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// run matches the events over and over and reports how many a second.
func run(b *testing.B, engine *sigma.Engine, events []*event.Event) {
	m := engine.NewMatcher()
	n, hits := 0, 0
	hit := func(sigma.Match) { hits++ }
	if !engine.Exhaustive {
		for _, e := range events { // the index is made at the first event of a source
			m.Match(e, hit)
		}
	}
	hits = 0
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range events {
			m.Match(e, hit)
		}
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(hits)/float64(n)*1000, "hits/1000")
}

// bothWays runs a benchmark with the index and with looking at every rule.
func bothWays(b *testing.B, events []*event.Event) {
	rules, _ := publicRules(b)
	for _, exhaustive := range []bool{false, true} {
		b.Run(map[bool]string{false: "index", true: "every rule"}[exhaustive], func(b *testing.B) {
			engine, err := sigma.Compile(rules)
			require.NoError(b, err)
			engine.Exhaustive = exhaustive
			run(b, engine, events)
		})
	}
}

// BenchmarkPublicRules runs every public rule over the shared captures.
func BenchmarkPublicRules(b *testing.B) { bothWays(b, captures(b)) }

// BenchmarkPublicRulesOnProcesses runs every public rule over process creations
// alone.
func BenchmarkPublicRulesOnProcesses(b *testing.B) { bothWays(b, processEvents(b)) }

// processEvents are the recorded process creations, which match rules, among twice
// as many ordinary ones.
func processEvents(b testing.TB) []*event.Event {
	var ordinary, matching []*event.Event
	for _, e := range captures(b) {
		if e.Source.Category == "process_creation" {
			ordinary = append(ordinary, e)
		}
	}
	for _, e := range recorded(b) {
		if e.Source.Category == "process_creation" {
			matching = append(matching, e)
		}
	}
	var events []*event.Event
	for i, e := range matching {
		events = append(events, e, ordinary[2*i%len(ordinary)], ordinary[(2*i+1)%len(ordinary)])
	}
	return events
}

// BenchmarkPublicRulesFromText goes from the captures' NDJSON text to the
// verdict of every public rule.
func BenchmarkPublicRulesFromText(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(shared(b, "captures"), "*.gz"))
	require.NoError(b, err)
	var texts []string // files of plain text
	total := int64(0)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(b, err)
		z, err := gzip.NewReader(bytes.NewReader(data))
		require.NoError(b, err)
		text, err := io.ReadAll(z)
		require.NoError(b, err)
		if !strings.HasPrefix(string(text), "{") {
			continue
		}
		plain := filepath.Join(b.TempDir(), "capture.json")
		require.NoError(b, os.WriteFile(plain, text, 0o600))
		texts = append(texts, plain)
		total += int64(len(text))
	}
	rules, _ := publicRules(b)
	engine, err := sigma.Compile(rules)
	require.NoError(b, err)
	m := engine.NewMatcher()
	n, hits := 0, 0
	pass := func() {
		for _, text := range texts {
			_, err := ingest.Read(context.Background(), []string{text}, ingest.Options{Format: "winlog"}, func(e *event.Event) error {
				m.Match(e, func(sigma.Match) { hits++ })
				n++
				return nil
			})
			require.NoError(b, err)
		}
	}
	pass()
	n = 0
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
	b.SetBytes(total)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkPublicRulesMemory reports what every public rule takes in memory with
// the index for all sources of the captures.
func BenchmarkPublicRulesMemory(b *testing.B) {
	events := captures(b)
	files := publicFiles(b)
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc) / 1e6
	}
	for b.Loop() {
		before := heap()
		rules, _ := parseAll(files)
		engine, err := sigma.Compile(rules)
		require.NoError(b, err)
		loaded := heap()
		m := engine.NewMatcher()
		for _, e := range events {
			m.Match(e, func(sigma.Match) {})
		}
		b.ReportMetric(loaded-before, "MB-rules")
		b.ReportMetric(heap()-before, "MB-rules-and-index")
		runtime.KeepAlive(m)
	}
}
