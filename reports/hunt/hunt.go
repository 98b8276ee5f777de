// Package hunt makes a hunting task of recorded trials, and scores what hunters, people or
// programs, flag in it against the ledger of what really happened. It does no I/O.
package hunt

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"hemostat/reports/stats"
	"hemostat/sim/record"
)

// Version is that of the ledger's form.
const Version = 1

// Ledger is the truth of a task, which hunters do not see.
type Ledger struct {
	Version int   `json:"version"`
	Days    []Day `json:"days"`
}

// Day is one trial of a task.
type Day struct {
	Day     string `json:"day"` // name that hunters know it by
	TrialID string `json:"trial_id"`
	Trial   string `json:"trial"` // scenario and number
	Digest  string `json:"digest"`
	Events  int    `json:"events"` // numbered from 1 in the order of delivery
	Horizon int64  `json:"horizon_ns"`
	Steps   []Step `json:"steps"`
}

// Step is what an attacker did, with the events that sensors have of it.
type Step struct {
	Attack    int    `json:"attack"`
	Step      int    `json:"step"`
	Technique string `json:"technique"`
	Tactic    string `json:"tactic"`
	Name      string `json:"name"`
	Started   int64  `json:"started_ns"`
	Succeeded bool   `json:"succeeded"`
	Detected  bool   `json:"detected"` // by the recorded defence
	Events    []int  `json:"events"`
}

// NewDay makes a day of a trial; Add is then called for each of its events, in the order in which
// hunters get them.
func NewDay(name string, t *record.Trial) *Day {
	d := &Day{Day: name, TrialID: t.TrialID, Trial: fmt.Sprintf("%s/%d", t.Scenario, t.Index), Digest: t.Digest, Horizon: t.Horizon}
	for i := range t.Steps {
		s := &t.Steps[i]
		d.Steps = append(d.Steps, Step{Attack: s.Attack, Step: s.Step, Technique: s.Technique, Tactic: s.Tactic, Name: s.Name,
			Started: s.Started, Succeeded: s.Succeeded, Detected: s.Detected != nil})
	}
	return d
}

// Add numbers an event and notes whose it is.
func (d *Day) Add(attack, step int) (number int) {
	d.Events++
	if attack != 0 {
		at := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Attack == attack && s.Step == step })
		if at < 0 {
			d.Steps = append(d.Steps, Step{Attack: attack, Step: step})
			at = len(d.Steps) - 1
		}
		d.Steps[at].Events = append(d.Steps[at].Events, d.Events)
	}
	return d.Events
}

// Flag is an event that a hunter holds to be an attacker's.
type Flag struct {
	Day       string
	Event     int
	Technique string  // "" where the hunter names none
	Minutes   float64 // since the hunter began; NaN where they do not say
}

// ReadFlags reads answers: a table with the columns day and event_id, and at will technique and
// minutes, in any order. Every fault is told with its line.
func ReadFlags(file string, in io.Reader) ([]Flag, error) {
	r := csv.NewReader(in)
	r.TrimLeadingSpace, r.Comment = true, '#'
	column, err := readHeader(file, r)
	if err != nil {
		return nil, err
	}
	var out []Flag
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		f, err := readFlag(row, column)
		if err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("%s:%d: %w", file, line, err)
		}
		out = append(out, f)
	}
}

// readHeader says where which column is.
func readHeader(file string, r *csv.Reader) (map[string]int, error) {
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is empty; a first line day,event_id is expected", file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	column := map[string]int{}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if !slices.Contains([]string{"day", "event_id", "technique", "minutes"}, name) {
			return nil, fmt.Errorf("%s:1: the column %q is unknown; day, event_id, technique and minutes are known", file, name)
		}
		column[name] = i
	}
	for _, name := range []string{"day", "event_id"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("%s:1: the column %s is missing", file, name)
		}
	}
	return column, nil
}

func readFlag(row []string, column map[string]int) (f Flag, err error) {
	f = Flag{Day: row[column["day"]], Minutes: math.NaN()}
	if f.Event, err = strconv.Atoi(row[column["event_id"]]); err != nil || f.Event < 1 {
		return f, fmt.Errorf("event_id is a number from 1 on, not %q", row[column["event_id"]])
	}
	if i, ok := column["technique"]; ok {
		f.Technique = strings.ToUpper(strings.TrimSpace(row[i]))
	}
	i, ok := column["minutes"]
	if !ok || row[i] == "" {
		return f, nil
	}
	f.Minutes, err = strconv.ParseFloat(row[i], 64)
	if err != nil || math.IsNaN(f.Minutes) || math.IsInf(f.Minutes, 0) || f.Minutes < 0 {
		return f, fmt.Errorf("minutes is a number of 0 or more, not %q", row[i])
	}
	return f, nil
}

// alpha is the error rate of all intervals.
const alpha = 0.05

// Score is how good a hunter's flags are.
type Score struct {
	Days      int            `json:"days"`
	Flags     int            `json:"flags"` // each event once
	True      int            `json:"flags_true"`
	Precision stats.Interval `json:"precision"`
	// Recall counts steps of which sensors have an event; a step is found when one of its events
	// is flagged. Missed are those that the recorded defence raised no alert about.
	Steps        int            `json:"steps"`
	Found        int            `json:"steps_found"`
	Recall       stats.Interval `json:"recall"`
	Undetected   int            `json:"steps_without_an_alert"`
	FoundMissed  int            `json:"of_these_found"`
	Attacks      int            `json:"attacks"`
	AttacksFound int            `json:"attacks_found"`
	FalsePerDay  float64        `json:"false_flags_per_day"`
	// Named are true flags with a technique, Right those whose technique, or its parent, is right.
	Named   int      `json:"techniques_named"`
	Right   int      `json:"techniques_right"`
	Tactics []Tactic `json:"tactics"`
	// FirstMinutes and HalfMinutes are when the first true flag came, and when half of what was
	// found in the end was found; absent where no minutes are given.
	FirstMinutes *float64   `json:"minutes_to_first,omitempty"`
	HalfMinutes  *float64   `json:"minutes_to_half,omitempty"`
	Missed       []StepName `json:"missed"`
}

// Tactic is the recall of the steps of one tactic.
type Tactic struct {
	Tactic string         `json:"tactic"`
	Steps  int            `json:"steps"`
	Found  int            `json:"found"`
	Recall stats.Interval `json:"recall"`
}

// StepName names a step.
type StepName struct {
	Day       string `json:"day"`
	Technique string `json:"technique"`
	Name      string `json:"name"`
	Tactic    string `json:"tactic"`
	Events    int    `json:"events"`
	Detected  bool   `json:"detected"`
}

// place is an event of a task.
type place struct {
	day   string
	event int
}

// Grade scores flags. A day or an event that is not in the task is an error.
func (l *Ledger) Grade(flags []Flag) (*Score, error) {
	owner := map[place]*Step{}
	events := map[string]int{}
	for i := range l.Days {
		d := &l.Days[i]
		events[d.Day] = d.Events
		for j := range d.Steps {
			for _, e := range d.Steps[j].Events {
				owner[place{d.Day, e}] = &d.Steps[j]
			}
		}
	}
	s := &Score{Days: len(l.Days)}
	found := map[*Step]float64{} // with the minutes of the first flag
	seen := map[place]bool{}
	for _, f := range flags {
		n, known := events[f.Day]
		switch {
		case !known:
			return nil, fmt.Errorf("there is no day %q in the task", f.Day)
		case f.Event > n:
			return nil, fmt.Errorf("day %s has %d events, and none with the number %d", f.Day, n, f.Event)
		}
		at := place{f.Day, f.Event}
		step := owner[at]
		if step != nil {
			if before, known := found[step]; !known || f.Minutes < before {
				found[step] = f.Minutes
			}
		}
		if seen[at] {
			continue
		}
		seen[at] = true
		s.Flags++
		if step == nil {
			continue
		}
		s.True++
		if f.Technique != "" {
			s.Named++
			if sameTechnique(f.Technique, step.Technique) {
				s.Right++
			}
		}
	}
	l.count(s, found)
	s.times(found)
	return s, nil
}

// sameTechnique tells whether two techniques are the same, or one is the parent of the other.
func sameTechnique(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}

func (l *Ledger) count(s *Score, found map[*Step]float64) {
	tactics := map[string]*Tactic{}
	days := 0.0
	for i := range l.Days {
		d := &l.Days[i]
		days += float64(d.Horizon) / (24 * 3600e9)
		attacks := map[int]bool{}
		for j := range d.Steps {
			step := &d.Steps[j]
			if len(step.Events) == 0 {
				continue // no sensor has anything of it
			}
			_, isFound := found[step]
			attacks[step.Attack] = attacks[step.Attack] || isFound
			t := tactics[step.Tactic]
			if t == nil {
				t = &Tactic{Tactic: step.Tactic}
				tactics[step.Tactic] = t
			}
			s.Steps++
			t.Steps++
			if !step.Detected {
				s.Undetected++
			}
			switch {
			case isFound:
				s.Found++
				t.Found++
				if !step.Detected {
					s.FoundMissed++
				}
			default:
				s.Missed = append(s.Missed, StepName{d.Day, step.Technique, step.Name, step.Tactic, len(step.Events), step.Detected})
			}
		}
		s.Attacks += len(attacks)
		for _, isFound := range attacks {
			if isFound {
				s.AttacksFound++
			}
		}
	}
	for _, t := range tactics {
		t.Recall = stats.Wilson(t.Found, t.Steps, alpha)
		s.Tactics = append(s.Tactics, *t)
	}
	slices.SortFunc(s.Tactics, func(a, b Tactic) int { return cmp.Compare(a.Tactic, b.Tactic) })
	s.Recall = stats.Wilson(s.Found, s.Steps, alpha)
	s.Precision = stats.Wilson(s.True, s.Flags, alpha)
	if days > 0 {
		s.FalsePerDay = float64(s.Flags-s.True) / days
	}
}

// times says how soon the steps were found.
func (s *Score) times(found map[*Step]float64) {
	var minutes []float64
	for _, m := range found {
		if math.IsNaN(m) {
			return
		}
		minutes = append(minutes, m)
	}
	if len(minutes) == 0 {
		return
	}
	slices.Sort(minutes)
	s.FirstMinutes, s.HalfMinutes = &minutes[0], &minutes[(len(minutes)-1)/2]
}
