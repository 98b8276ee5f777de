package ingest

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

// A log in its binary form and the JSON that another reader makes of it give the same
// events.
func TestEVTXAndJSONGiveTheSameEvents(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "evtx"), "*.evtx.gz"))
	require.NoError(t, err)
	eventsOf := func(name string) []*event.Event {
		var events []*event.Event
		s, err := Read(context.Background(), []string{name}, Options{}, func(e *event.Event) error {
			events = append(events, e)
			return nil
		})
		require.NoError(t, err)
		require.Zero(t, s.Skipped, name)
		require.Zero(t, s.Undated, name)
		return events
	}
	total := 0
	for _, file := range files {
		binary, text := eventsOf(file), eventsOf(strings.TrimSuffix(file, ".evtx.gz")+".json.gz")
		require.Len(t, binary, len(text), file)
		for i := range binary {
			got, want := fieldsOf(binary[i]), fieldsOf(text[i])
			if !maps.Equal(got, want) {
				require.Equal(t, want, got, "%s: event %d", filepath.Base(file), i+1)
			}
			require.Equal(t, text[i].Source, binary[i].Source, file)
			require.Equal(t, text[i].Host, binary[i].Host, file)
			require.InDelta(t, text[i].Time, binary[i].Time, 1000, file)
		}
		total += len(binary)
	}
	require.Positive(t, total)
}

func fieldsOf(e *event.Event) map[string]string {
	out := map[string]string{}
	e.Each(func(name, value string) bool {
		out[name] = value
		return true
	})
	return out
}
