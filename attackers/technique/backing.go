package technique

import (
	_ "embed"
	"encoding/csv"
	"strconv"
	"strings"

	"hemostat/sim/attack"
)

// Backing tells how far recordings back a tool: of how many recordings of its technique it
// was compared with, some rule fires on both.
type Backing struct{ Recordings, Sharing int }

//go:embed backing.csv
var backingText string

// backing is by technique and tool; `hemostat fidelity INDEX --backing FILE` writes it.
var backing = func() map[string]Backing {
	rows, err := csv.NewReader(strings.NewReader(backingText)).ReadAll()
	if err != nil {
		panic("technique: backing.csv: " + err.Error())
	}
	out := map[string]Backing{}
	for _, row := range rows[1:] {
		recordings, first := strconv.Atoi(row[2])
		sharing, second := strconv.Atoi(row[3])
		if first != nil || second != nil {
			panic("technique: backing.csv: numbers are expected: " + strings.Join(row, ","))
		}
		out[row[0]+"\n"+row[1]] = Backing{recordings, sharing}
	}
	return out
}()

// BackingOf tells how far recordings back a tool. A footprint is a recording itself.
func (t *Technique) BackingOf(tool string) Backing {
	if t.footprints[tool] != nil {
		return Backing{1, 1}
	}
	return backing[t.ID+"\n"+tool]
}

// IsBacked tells whether some tool of a technique, by its id, is backed by a recording.
func (l *Library) IsBacked(id string) bool {
	t := l.Find(attack.Current(id))
	if t == nil {
		return false
	}
	for _, tool := range t.Tools {
		if t.BackingOf(tool).Sharing > 0 {
			return true
		}
	}
	return false
}
