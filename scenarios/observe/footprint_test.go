package observe

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/attackers/technique"
	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/scenarios"
	"hemostat/scenarios/coverage"
	"hemostat/sim/event"
	"hemostat/sim/footprint"
	"hemostat/sim/world"
)

func sharedData(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("real data is absent: %s", name)
	}
	return path
}

func publicRules(t testing.TB) []*sigma.Rule {
	t.Helper()
	rules, err := sentinel.LoadRules([]string{sharedData(t, "sigma/rules.tar.gz")})
	require.NoError(t, err)
	return rules
}

// raceEvery is one of how many recordings is tried with the race detector.
const raceEvery = 12

// Nearly every recording becomes a footprint, and what rules see in the recording they see
// in the footprint as the simulation plays it.
func TestFootprintsRaiseTheRulesOfTheirRecordings(t *testing.T) {
	index, err := ReadIndex(filepath.Join(sharedData(t, "evtx"), "index.csv"))
	require.NoError(t, err)
	captures, err := filepath.Glob(filepath.Join(sharedData(t, "captures"), "*.json.gz"))
	require.NoError(t, err)
	for _, path := range captures {
		index = append(index, Entry{File: filepath.Base(path), Path: path})
	}
	x, err := newObserver(publicRules(t))
	require.NoError(t, err)
	day, err := scenarios.Load("quiet-day", nil)
	require.NoError(t, err)
	ordinary, err := Ordinary(day, 2*time.Hour)
	require.NoError(t, err)
	stage, err := coverage.NewStage()
	require.NoError(t, err)
	if raceEnabled { // the whole is for runs without it
		for i := range index {
			index[i/raceEvery] = index[i]
		}
		index = index[:len(index)/raceEvery]
	}
	accepted, rules, raised := 0, 0, 0
	for _, entry := range index {
		var events []*event.Event
		_, err := ingest.Read(t.Context(), []string{entry.Path}, ingest.Options{}, func(e *event.Event) error {
			events = append(events, e)
			return nil
		})
		require.NoError(t, err, entry.File)
		id := "T1059.001"
		if len(entry.Techniques) > 0 {
			id = entry.Techniques[0]
		}
		chosen, err := footprint.Choose(events, footprint.Choice{Ordinary: ordinary})
		if err != nil {
			t.Logf("%s: %v", entry.File, err)
			continue
		}
		f, err := footprint.Make(chosen, footprint.Options{Name: "recorded", Technique: id})
		if err != nil {
			t.Logf("%s: %v", entry.File, err)
			continue
		}
		text, err := f.Marshal()
		require.NoError(t, err)
		f, err = footprint.Parse("recorded.yaml", text)
		require.NoError(t, err, entry.File)
		library, err := technique.NewLibrary([]*footprint.Footprint{f})
		if err != nil {
			t.Logf("%s: %v", entry.File, err)
			continue
		}
		accepted++
		outside, inside := x.view("recording"), x.view("footprint")
		for _, e := range events {
			outside.event(e)
		}
		require.NoError(t, stage.Rehearse(library.Find(id), "recorded", func(*world.World) (func(*event.Event), error) {
			return inside.event, nil
		}), entry.File)
		fires := map[int]bool{}
		for _, h := range inside.close().Hits {
			fires[h.Rule] = true
		}
		seen := map[int]bool{}
		for _, h := range outside.close().Hits {
			if seen[h.Rule] {
				continue
			}
			seen[h.Rule] = true
			rules++
			if fires[h.Rule] {
				raised++
			} else {
				t.Logf("%s: %s (%s)", entry.File, x.o.Rules[h.Rule].Title, h.Type)
			}
		}
	}
	t.Logf("%d of %d recordings are accepted; %d of %d rules fire on the footprint too", accepted, len(index), raised,
		rules)
	require.GreaterOrEqual(t, float64(accepted), 0.8*float64(len(index)))
	require.GreaterOrEqual(t, float64(raised), 0.95*float64(rules))
}
