package sigma_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// shared is the folder of real data beside the checkout.
func shared(t testing.TB, parts ...string) string {
	t.Helper()
	name := filepath.Join(append([]string{"..", "..", "..", "..", "shared", "data"}, parts...)...)
	if _, err := os.Stat(name); err != nil {
		t.Skipf("real data is absent: %s", filepath.Join(parts...))
	}
	return name
}

// publicRules reads SigmaHQ's collection.
func publicRules(t testing.TB) ([]*sigma.Rule, sigma.Errors) {
	t.Helper()
	f, err := os.Open(shared(t, "sigma", "rules.tar.gz"))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	archive := tar.NewReader(z)
	var rules []*sigma.Rule
	var faults sigma.Errors
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return rules, faults
		}
		require.NoError(t, err)
		if !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		data, err := io.ReadAll(archive)
		require.NoError(t, err)
		more, err := sigma.Parse(h.Name, data)
		rules = append(rules, more...)
		var e sigma.Errors
		if errors.As(err, &e) {
			faults = append(faults, e...)
		}
	}
}

func TestPublicRulesLoad(t *testing.T) {
	rules, faults := publicRules(t)
	// Rules with |expand need the placeholder values of a site; everything else
	// must load.
	for _, f := range faults {
		require.Contains(t, f.Message, "placeholders need values", f.Error())
	}
	require.Greater(t, len(rules), 3100)
	_, err := sigma.Compile(rules)
	require.NoError(t, err)
}

func TestEachPublicRuleFindsItsRecordedEvent(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(shared(t, "sigma", "regression"), "*", "rule.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			rules, err := sigma.Parse(file, data)
			require.NoError(t, err)
			engine, err := sigma.Compile(rules)
			require.NoError(t, err)
			m := engine.NewMatcher()
			found := false
			_, err = ingest.ReadFile(filepath.Join(filepath.Dir(file), "event.json"), ingest.Options{Format: "winlog"}, func(e *event.Event) error {
				m.Match(e, func(sigma.Match) { found = true })
				return nil
			})
			require.NoError(t, err)
			require.True(t, found)
		})
	}
}

// captures reads the events of the shared Windows captures.
func captures(t testing.TB) []*event.Event {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared(t, "captures"), "*.gz"))
	require.NoError(t, err)
	var events []*event.Event
	for _, f := range files {
		_, err := ingest.ReadFile(f, ingest.Options{}, func(e *event.Event) error { events = append(events, e); return nil })
		require.NoError(t, err)
	}
	return events
}

// BenchmarkPublicRules runs every public rule over the shared captures, by the
// index and by looking at every rule.
func BenchmarkPublicRules(b *testing.B) {
	rules, _ := publicRules(b)
	events := captures(b)
	for name, exhaustive := range map[string]bool{"index": false, "every rule": true} {
		b.Run(name, func(b *testing.B) {
			engine, err := sigma.Compile(rules)
			require.NoError(b, err)
			engine.Exhaustive = exhaustive
			m := engine.NewMatcher()
			n, hits := 0, 0
			if !exhaustive {
				for _, e := range events { // the index is made at the first event of a source
					m.Match(e, func(sigma.Match) {})
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, e := range events {
					m.Match(e, func(sigma.Match) { hits++ })
				}
				n += len(events)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(hits)/float64(n)*1000, "hits/1000")
		})
	}
}

// verdicts runs an engine over events and lists what matched.
func verdicts(e *sigma.Engine, events []*event.Event) []string {
	m := e.NewMatcher()
	var out []string
	for i, ev := range events {
		m.Match(ev, func(x sigma.Match) { out = append(out, strconv.Itoa(i)+" "+x.Rule.Key()) })
	}
	return out
}

func TestTheIndexChangesNoVerdictOnRealEvents(t *testing.T) {
	rules, _ := publicRules(t)
	events := captures(t)[:2500]
	cases, err := filepath.Glob(filepath.Join(shared(t, "sigma", "regression"), "*", "event.json"))
	require.NoError(t, err)
	for _, file := range cases {
		_, err = ingest.ReadFile(file, ingest.Options{Format: "winlog"}, func(e *event.Event) error { events = append(events, e); return nil })
		require.NoError(t, err)
	}
	indexed, err := sigma.Compile(rules)
	require.NoError(t, err)
	plain, err := sigma.Compile(rules)
	require.NoError(t, err)
	plain.Exhaustive = true
	want := verdicts(plain, events)
	require.NotEmpty(t, want)
	require.Equal(t, want, verdicts(indexed, events))
}
