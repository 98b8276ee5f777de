package technique

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// publicRules compiles the whole public collection, which nobody here wrote.
func publicRules(t testing.TB) *sigma.Engine {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "sigma", "rules.tar.gz"))
	if err != nil {
		t.Skip("real data is absent: sigma/rules.tar.gz")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var rules []*sigma.Rule
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		read, err := sigma.Parse(h.Name, data)
		require.NoError(t, err)
		rules = append(rules, read...)
	}
	engine, err := sigma.Compile(rules)
	require.NoError(t, err)
	return engine
}

func seen(level string) bool { return slices.Contains([]string{"medium", "high", "critical"}, level) }

// Of the techniques for which the public collection has a rule of level medium or
// higher, at least three quarters raise one, in one of their variants.
func TestPublicRulesSeeTheTechniques(t *testing.T) {
	engine := publicRules(t)
	covered := map[string]bool{}
	for _, r := range engine.Rules() {
		if seen(r.Level) {
			for _, id := range r.Techniques() {
				covered[id] = true
			}
		}
	}
	ruled, raised, own := 0, 0, 0
	for _, x := range All() {
		if !covered[x.ID] {
			continue
		}
		ruled++
		any, exact := map[string]bool{}, false
		for _, tool := range x.Tools {
			for _, platform := range x.Stages() {
				s, _ := lab(t, x.ID, platform)
				matcher := engine.NewMatcher()
				s.World.Deliver = func(e *event.Event) {
					matcher.Match(e, func(m sigma.Match) {
						if seen(m.Rule.Level) {
							any[m.Rule.Title] = true
							exact = exact || slices.Contains(m.Rule.Techniques(), x.ID)
						}
					})
				}
				play(t, s, x.ID, tool)
			}
		}
		if len(any) > 0 {
			raised++
		}
		if exact {
			own++
		} else {
			t.Logf("%s %s: no rule of its own; %d others", x.ID, x.Name, len(any))
		}
	}
	t.Logf("%d techniques, %d with public rules of level medium or higher, %d raise one, %d one of their own", len(All()), ruled, raised, own)
	require.GreaterOrEqual(t, float64(raised), 0.9*float64(ruled))
	require.GreaterOrEqual(t, float64(own), 0.75*float64(ruled))
}
