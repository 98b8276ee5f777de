package eventblock

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/sim/event"
	"hemostat/sim/record"
)

// anyEvents draws events with every kind of field: of the table and not, lists, ends of lines.
func anyEvents(t *rapid.T) []record.StoredEvent {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "\n", "\x01", "\x01[", `"`, "a\nb", "é", "10.0.0.1", `C:\Windows`}), rapid.String())
	name := rapid.SampledFrom([]string{"Image", "CommandLine", "id.orig_h", "own field", "other", "é"})
	seen := map[uint64]bool{}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) record.StoredEvent {
		e := &event.Event{ID: rapid.Uint64().Filter(func(id uint64) bool { return !seen[id] }).Draw(t, "id"),
			Time: time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "time")), Sensor: rapid.SampledFrom([]string{"", "edr", "zeek"}).Draw(t, "sensor"),
			Host: rapid.SampledFrom([]string{"", "WS1", "WS2"}).Draw(t, "host"), Source: event.LogSource{Product: "windows"}}
		seen[e.ID] = true
		e.Observed = e.Time + time.Duration(rapid.Int64Range(0, 1<<35).Draw(t, "delay"))
		if rapid.Bool().Draw(t, "zeek") {
			e.Source = event.LogSource{Category: "network", Product: "zeek", Service: "conn"}
		}
		for range rapid.IntRange(0, 6).Draw(t, "fields") {
			if rapid.IntRange(0, 3).Draw(t, "list") == 0 {
				e.SetList(name.Draw(t, "name"), rapid.SliceOfN(text, 2, 4).Draw(t, "members"))
			} else {
				e.SetName(name.Draw(t, "name"), text.Draw(t, "value"))
			}
		}
		return record.StoredEvent{Event: e, Attack: rapid.IntRange(0, 3).Draw(t, "attack"), Step: rapid.IntRange(0, 50).Draw(t, "step")}
	}), 0, 40).Draw(t, "events")
}

func lines(list []record.StoredEvent) (out []string) {
	for _, x := range list {
		out = append(out, fmt.Sprint(string(x.Event.AppendJSON(nil)), x.Attack, x.Step))
	}
	return out
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := anyEvents(t)
		Sort(list)
		want := lines(list)
		b, err := Open(Pack(slices.Clone(list)))
		require.NoError(t, err)
		for _, x := range list {
			assert.True(t, b.Has(x.Event.ID))
		}
		got, err := b.Events()
		require.NoError(t, err)
		assert.Equal(t, want, lines(got))
	})
}

func some() []record.StoredEvent {
	var list []record.StoredEvent
	for i := range 50 {
		e := &event.Event{ID: uint64(i), Time: time.Duration(i), Observed: time.Duration(2 * i), Sensor: "edr", Host: "WS1",
			Source: event.LogSource{Product: "windows"}}
		e.SetName("Image", fmt.Sprint(i))
		list = append(list, record.StoredEvent{Event: e})
	}
	return list
}

func TestFaultyBlocks(t *testing.T) {
	block := Pack(some())
	_, err := Open(nil)
	require.ErrorIs(t, err, errFaulty)
	_, err = Open(append([]byte{version + 1}, block[1:]...))
	require.ErrorContains(t, err, "newer form (2) than this version of the program reads (1)")
	for at := range block {
		cut := block[:at]
		if b, err := Open(cut); err == nil {
			_, err = b.Events()
			require.Error(t, err, "cut at %d of %d", at, len(block))
		}
		changed := slices.Clone(block)
		changed[at] ^= 0x40
		if b, err := Open(changed); err == nil { // some bits of a frame's head mean nothing
			if got, err := b.Events(); err == nil {
				require.Equal(t, lines(some()), lines(got), "changed at %d", at)
			}
		}
	}
}

// FuzzOpen reads blocks that nobody wrote, behind valid frames.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x01\x00"), []byte("\x00\x00\x00\x00"))
	f.Fuzz(func(_ *testing.T, first, second []byte) {
		head := encoder.EncodeAll(first, nil)
		block := append([]byte{version}, appendBytes(nil, head)...)
		if b, err := Open(encoder.EncodeAll(second, block)); err == nil {
			_, _ = b.Events()
		}
	})
}
