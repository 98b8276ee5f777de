package store

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/reports/store/eventblock"
	"hemostat/sim/event"
	"hemostat/sim/record"
)

// TestKeptEvents keeps more events than a block holds, beside some of an older version.
func TestKeptEvents(t *testing.T) {
	db, err := Create(t.Context(), filepath.Join(t.TempDir(), "kept.db"))
	require.NoError(t, err)
	defer db.Close()
	const n = eventblock.Size + 10
	trial := &record.Trial{TrialID: "new", Status: "ok"}
	for i := range n {
		e := &event.Event{ID: uint64(i)<<40 + uint64(n-i), Time: time.Duration(i), Observed: time.Duration(n - i), Sensor: "edr"}
		e.SetName("Image", strings.Repeat("x", i%5))
		trial.Events = append(trial.Events, record.StoredEvent{Event: e, Attack: i % 2, Step: i % 3})
	}
	require.NoError(t, db.Begin(Run{ID: "run"}, nil, nil))
	require.NoError(t, db.Put(Identity{Run: "run"}, trial))
	var got []KeptEvent
	collect := func(e KeptEvent) error {
		got = append(got, e)
		return nil
	}
	require.NoError(t, db.Events("new", collect))
	require.Len(t, got, n)
	for i, e := range got {
		x := trial.Events[n-1-i]
		require.Equal(t, KeptEvent{string(x.Event.AppendJSON(nil)), x.Attack, x.Step}, e)
	}
	first, last := trial.Events[0], trial.Events[n-1]
	list, err := db.EventsByID("new", []uint64{last.Event.ID, 12345, first.Event.ID, last.Event.ID})
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, string(first.Event.AppendJSON(nil)), list[0].JSON)
	assert.Equal(t, string(last.Event.AppendJSON(nil)), list[1].JSON)

	_, err = db.sql.Exec(`INSERT INTO events (trial_id,event_id,time,observed,attack,step,json) VALUES ('old',7,1,2,0,0,'{"id":7}'), ('old',6,1,1,1,2,'{"id":6}')`)
	require.NoError(t, err)
	got = nil
	require.NoError(t, db.Events("old", collect))
	assert.Equal(t, []KeptEvent{{`{"id":6}`, 1, 2}, {`{"id":7}`, 0, 0}}, got)
	list, err = db.EventsByID("old", []uint64{7})
	require.NoError(t, err)
	assert.Equal(t, []KeptEvent{{`{"id":7}`, 0, 0}}, list)

	_, err = db.sql.Exec("UPDATE event_blocks SET data=substr(data,1,50) WHERE block=1")
	require.NoError(t, err)
	assert.ErrorContains(t, db.Events("new", collect), "trial new, events 1: a block of events is faulty")
}
