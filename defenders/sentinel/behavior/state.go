package behavior

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel/sketch"
)

// saved is what a baseline holds of the detector. Tables are packed: a key of eight bytes and
// so many numbers of four, in the order of the keys.
type saved struct {
	Seen   []byte          `json:"seen"` // with the age in hours
	Values []byte          `json:"values"`
	Habits []byte          `json:"habits"`
	Rates  []byte          `json:"rates"`
	Hours  []byte          `json:"hours"`
	Chains []byte          `json:"chains"`
	Steps  float64         `json:"steps"`
	Forest forest          `json:"forest"`
	Groups map[uint64]tail `json:"groups"`
	Class  []tail          `json:"class"`
}

// pack writes a table.
func pack[V any](m *sketch.Map[uint64, V], numbers func(v *V) []float64) []byte {
	var out []byte
	m.Each(func(k uint64, v *V) {
		out = binary.LittleEndian.AppendUint64(out, k)
		for _, n := range numbers(v) {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(n)))
		}
	})
	return out
}

// unpack reads a table of so many numbers an entry.
func unpack[V any](data []byte, count int, m *sketch.Map[uint64, V], make func(n []float64) V) error {
	size := 8 + 4*count
	if len(data)%size != 0 {
		return fmt.Errorf("a table of %d bytes is cut", len(data))
	}
	for ; len(data) > 0; data = data[size:] {
		n := []float64{}
		for i := range count {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[8+4*i:])))
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("a table holds what is no number")
			}
			n = append(n, x)
		}
		v := make(n)
		m.Put(binary.LittleEndian.Uint64(data), &v)
	}
	return nil
}

// Fixed implements detect.Referring: open windows refer to what is looked at.
func (d *detector) Fixed() []any { return []any{table} }

// Save implements detect.Stateful.
func (d *detector) Save(w io.Writer) error {
	d.closeAll(func(detect.Finding) {}) // what is saved is learned, not told
	for i := range d.lessons {
		d.learn(&d.lessons[i])
	}
	d.lessons = nil
	s := saved{Steps: d.chains.total, Forest: d.forest, Groups: map[uint64]tail{}, Class: d.windows.byClass[:]}
	s.Seen = pack(d.novelty.seen, func(v *time.Duration) []float64 { return []float64{(d.now - *v).Hours()} })
	s.Values = pack(d.novelty.values, func(v *spread) []float64 { return []float64{v.Entities} })
	s.Habits = pack(d.novelty.habits, func(v *habit) []float64 { return []float64{v.Seen, v.New, v.Members, v.Unique} })
	s.Rates = pack(d.rates.levels, func(v *sketch.Level) []float64 { return []float64{v.Weight, v.Mean, v.Spread} })
	s.Hours = pack(d.hours.accounts, func(v *clock) []float64 { return append(v.Hours[:], v.Total) })
	s.Chains = pack(d.chains.pairs, func(v *followers) []float64 { return []float64{v.Count} })
	for _, group := range slices.Sorted(maps.Keys(d.windows.byGroup)) {
		s.Groups[group] = *d.windows.byGroup[group]
	}
	return json.NewEncoder(w).Encode(s)
}

// Load implements detect.Stateful. What was learned counts as learned up to now.
func (d *detector) Load(r io.Reader) error {
	s := saved{}
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("baseline of behavior: %w", err)
	}
	if len(s.Forest.Trees) != treeCount || len(s.Class) != int(classCount) {
		return fmt.Errorf("baseline of behavior: %d trees and %d classes, where %d and %d are expected",
			len(s.Forest.Trees), len(s.Class), treeCount, classCount)
	}
	for _, t := range s.Forest.Trees {
		if len(t.Reference) != 1<<(treeDepth+1) || len(t.Latest) != len(t.Reference) {
			return fmt.Errorf("baseline of behavior: a tree has another depth")
		}
	}
	d.forest, d.chains.total = s.Forest, s.Steps
	copy(d.windows.byClass[:], s.Class)
	for _, group := range slices.Sorted(maps.Keys(s.Groups)) {
		t := s.Groups[group]
		d.windows.byGroup[group] = &t
	}
	for _, err := range []error{
		unpack(s.Seen, 1, d.novelty.seen, func(n []float64) time.Duration { return -time.Duration(n[0] * float64(time.Hour)) }),
		unpack(s.Values, 1, d.novelty.values, func(n []float64) spread { return spread{Entities: n[0]} }),
		unpack(s.Habits, 4, d.novelty.habits, func(n []float64) habit { return habit{n[0], n[1], n[2], n[3]} }),
		unpack(s.Rates, 3, d.rates.levels, func(n []float64) sketch.Level {
			return sketch.Level{Weight: n[0], Mean: n[1],
				Spread: n[2]}
		}),
		unpack(s.Hours, 25, d.hours.accounts, func(n []float64) clock {
			return clock{Hours: [24]float64(n[:24]),
				Total: n[24]}
		}),
		unpack(s.Chains, 1, d.chains.pairs, func(n []float64) followers { return followers{n[0]} }),
	} {
		if err != nil {
			return fmt.Errorf("baseline of behavior: %w", err)
		}
	}
	return nil
}
