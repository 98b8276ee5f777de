package sigma_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	return parseAll(publicFiles(t))
}

func parseAll(files map[string][]byte) ([]*sigma.Rule, sigma.Errors) {
	var rules []*sigma.Rule
	var faults sigma.Errors
	for _, name := range slices.Sorted(maps.Keys(files)) {
		more, err := sigma.Parse(name, files[name])
		rules = append(rules, more...)
		var e sigma.Errors
		if errors.As(err, &e) {
			faults = append(faults, e...)
		}
	}
	return rules, faults
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
			_, err = ingest.Read(context.Background(), []string{filepath.Join(filepath.Dir(file), "event.json")}, ingest.Options{Format: "winlog"}, func(e *event.Event) error {
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
		_, err := ingest.Read(context.Background(), []string{f}, ingest.Options{}, func(e *event.Event) error { events = append(events, e); return nil })
		require.NoError(t, err)
	}
	return events
}

// publicFiles are the files of SigmaHQ's collection by name.
func publicFiles(t testing.TB) map[string][]byte {
	t.Helper()
	f, err := os.Open(shared(t, "sigma", "rules.tar.gz"))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	archive := tar.NewReader(z)
	files := map[string][]byte{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		if strings.HasSuffix(h.Name, ".yml") {
			files[h.Name], err = io.ReadAll(archive)
			require.NoError(t, err)
		}
	}
}

func TestPublicRulesAgreeWithTheReference(t *testing.T) {
	files := publicFiles(t)
	events := recorded(t)
	for i, e := range captures(t) {
		if i%50 == 0 {
			events = append(events, e)
		}
	}
	rules, _ := publicRules(t)
	known := map[string]bool{}
	for _, r := range rules {
		known[r.ID] = true
	}
	engine, err := sigma.Compile(rules)
	require.NoError(t, err)
	got := verdicts(engine, events)
	slices.Sort(got)
	want, err := referenceVerdicts(files, func(id string) bool { return !known[id] }, events)
	require.NoError(t, err)
	require.NotEmpty(t, want)
	require.Equal(t, want, got)
}

// recorded are the events of SigmaHQ's regression cases.
func recorded(t testing.TB) []*event.Event {
	files, err := filepath.Glob(filepath.Join(shared(t, "sigma", "regression"), "*", "event.json"))
	require.NoError(t, err)
	var events []*event.Event
	for _, file := range files {
		_, err = ingest.Read(context.Background(), []string{file}, ingest.Options{Format: "winlog"}, func(e *event.Event) error { events = append(events, e); return nil })
		require.NoError(t, err)
	}
	return events
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
	events := slices.Concat(captures(t)[:2500], recorded(t))
	indexed, err := sigma.Compile(rules)
	require.NoError(t, err)
	plain, err := sigma.Compile(rules)
	require.NoError(t, err)
	plain.Exhaustive = true
	want := verdicts(plain, events)
	require.NotEmpty(t, want)
	for range 3 { // the first pass makes the index, the others use it
		require.Equal(t, want, verdicts(indexed, events))
	}
}
