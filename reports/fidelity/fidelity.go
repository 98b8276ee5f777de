// Package fidelity compares what a rule set sees in recordings of techniques with what
// it sees when the technique library acts them out: whether a verdict between rule sets
// that is reached in the simulation would also be reached on recordings.
//
// fidelity.go holds what was seen and the report, ranking.go the rank correlation, and
// print.go and html.go write the report. The observations come from scenarios/observe.
package fidelity

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Rule names a rule.
type Rule struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Level string `json:"level"`
}

// Hit says that a rule fired on events of one type.
type Hit struct {
	Rule   int    // index into Observations.Rules
	Type   string // such as "Microsoft-Windows-Sysmon/Operational 1"
	Events int
}

// channel is the log that an event type belongs to.
func channel(eventType string) string {
	if at := strings.LastIndexByte(eventType, ' '); at >= 0 {
		return eventType[:at]
	}
	return eventType
}

// Log is what the rules see in one recording, in what one tool of a technique leaves, or
// in a day of the simulation.
type Log struct {
	Name   string
	Events int
	Types  map[string]int // events by type
	Hits   []Hit
}

// Recording is a recorded log.
type Recording struct {
	Log
	Techniques []string // ATT&CK ids; empty when the index names none
	Benign     bool     // recorded while nobody attacked
}

// Tool is what a technique of the library leaves with one of its tools.
type Tool struct {
	Log
	Technique string
}

// Missed is a rule that fires on a recording of a technique and on nothing that the
// library writes for it.
type Missed struct {
	Rule
	EventType string `json:"event_type"`
	// Because tells what the simulation's closest event lacks.
	Because string `json:"because"`
	File    string `json:"file"`
}

// Observations are everything that a report follows from.
type Observations struct {
	Rules      []Rule
	Recordings []Recording
	Tools      []Tool
	Openings   int // recordings whose first event, the log cleared by who recorded, is left out
	Day        Log // a day of the simulation without attackers
	// Match lists, for an id of the index, the ids of the library that it is compared with.
	Match func(id string) []string
	// Explain tells why a rule that fires on a recording does not on the simulation.
	Explain func(id string, rule int) Missed
}

// Report is what comes of a comparison.
type Report struct {
	Compared int     `json:"techniques_compared"`
	Sharing  float64 `json:"techniques_sharing_a_rule"` // share of those compared
	Ranking  Ranking `json:"rank_correlation"`
	// DetectionRecorded and DetectionSimulated are the means over the techniques compared
	// of the share of recordings and of tools on which half of the rules, chosen at
	// random, fire at least once.
	DetectionRecorded  float64     `json:"detection_recorded"`
	DetectionSimulated float64     `json:"detection_simulated"`
	Techniques         []Technique `json:"techniques"`
	Missing            []TypeCount `json:"event_types_missing"`
	TypesRecorded      int         `json:"event_types_recorded"`
	False              FalseAlarms `json:"false_alarms"`
	Backing            []Backing   `json:"tools"`
	Deciding           []Deciding  `json:"deciding_rules"`
	Recordings         int         `json:"recordings"`
	Openings           int         `json:"openings_left_out"`
	Unassigned         int         `json:"recordings_without_technique"`
	// Points are the detection by subset of the rules, recorded and simulated.
	Points [][2]float64 `json:"subsets"`
}

// Technique is the comparison of one technique.
type Technique struct {
	ID         string `json:"id"`
	Recordings int    `json:"recordings"`
	Tools      int    `json:"tools"`
	// RulesRecorded, RulesSimulated and RulesBoth count rules that fire.
	RulesRecorded  int `json:"rules_recorded"`
	RulesSimulated int `json:"rules_simulated"`
	RulesBoth      int `json:"rules_both"`
	// DetectionRecorded and DetectionSimulated are as in Report.
	DetectionRecorded  float64  `json:"detection_recorded"`
	DetectionSimulated float64  `json:"detection_simulated"`
	OnlyRecorded       []Missed `json:"only_recorded"`
	OnlySimulated      []Rule   `json:"only_simulated"`
}

// TypeCount is an event type and how often it was recorded.
type TypeCount struct {
	Type       string `json:"type"`
	Events     int    `json:"events"`
	Recordings int    `json:"recordings"`
}

// Backing says how many recordings share a rule with a tool.
type Backing struct {
	Technique  string `json:"technique"`
	Tool       string `json:"tool"`
	Recordings int    `json:"recordings"` // of its technique
	Sharing    int    `json:"sharing"`    // of these, those that share a rule
}

// Deciding is what a rule is worth for the mean detection, over the techniques with
// several recordings: the mean of the subsets with it less that of the subsets without.
type Deciding struct {
	Rule
	Recorded  float64 `json:"recorded"`
	Simulated float64 `json:"simulated"`
}

// FalseAlarms compares attack-free recordings with a simulated day without attackers.
type FalseAlarms struct {
	Recorded  AlarmRates  `json:"recorded"`
	Simulated AlarmRates  `json:"simulated"`
	Rules     []AlarmRule `json:"rules"`
}

// AlarmRates are alerts for each 100,000 events, by level.
type AlarmRates struct {
	Logs   int                `json:"logs"`
	Events int                `json:"events"`
	Levels map[string]float64 `json:"per_100k_events"`
}

// AlarmRule is one rule's alerts for each 100,000 events.
type AlarmRule struct {
	Rule
	Recorded  float64 `json:"recorded_per_100k"`
	Simulated float64 `json:"simulated_per_100k"`
}

// subject is one technique with the recordings and tools that are compared.
type subject struct {
	id         string
	recordings []*Recording
	tools      []*Tool
}

// New compares.
func New(o *Observations) *Report {
	r := &Report{Techniques: []Technique{}, Missing: []TypeCount{}, Backing: []Backing{}}
	subjects := o.subjects()
	r.Openings = o.Openings
	sharing := 0
	var compared []subject
	for _, s := range subjects {
		t := o.technique(s)
		if len(s.tools) > 0 && t.RulesRecorded > 0 {
			r.Compared++
			compared = append(compared, s)
			if t.RulesBoth > 0 {
				sharing++
			}
		}
		r.Techniques = append(r.Techniques, t)
		r.Backing = append(r.Backing, s.backing()...)
	}
	if r.Compared > 0 {
		r.Sharing = float64(sharing) / float64(r.Compared)
	}
	for i := range o.Recordings {
		x := &o.Recordings[i]
		r.Recordings++
		if len(x.Techniques) == 0 && !x.Benign {
			r.Unassigned++
		}
	}
	o.rank(r, compared)
	r.Missing, r.TypesRecorded = o.missing()
	r.False = o.falseAlarms()
	return r
}

// subjects are the techniques that recordings were made of, by id.
func (o *Observations) subjects() []subject {
	byID := map[string]*subject{}
	for i := range o.Recordings {
		for _, id := range o.Recordings[i].Techniques {
			if byID[id] == nil {
				byID[id] = &subject{id: id}
			}
			byID[id].recordings = append(byID[id].recordings, &o.Recordings[i])
		}
	}
	var out []subject
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		s := byID[id]
		for _, known := range o.Match(id) {
			for i := range o.Tools {
				if o.Tools[i].Technique == known {
					s.tools = append(s.tools, &o.Tools[i])
				}
			}
		}
		out = append(out, *s)
	}
	return out
}

func rulesOf(hits []Hit, into map[int]bool) {
	for _, h := range hits {
		into[h.Rule] = true
	}
}

func (o *Observations) technique(s subject) Technique {
	t := Technique{
		ID: s.id, Recordings: len(s.recordings), Tools: len(s.tools), OnlyRecorded: []Missed{}, OnlySimulated: []Rule{},
	}
	recorded, simulated := map[int]bool{}, map[int]bool{}
	for _, x := range s.recordings {
		rulesOf(x.Hits, recorded)
	}
	for _, x := range s.tools {
		rulesOf(x.Hits, simulated)
	}
	t.RulesRecorded, t.RulesSimulated = len(recorded), len(simulated)
	for _, i := range slices.Sorted(maps.Keys(recorded)) {
		switch {
		case simulated[i]:
			t.RulesBoth++
		case len(s.tools) > 0:
			t.OnlyRecorded = append(t.OnlyRecorded, o.Explain(s.id, i))
		}
	}
	for _, i := range slices.Sorted(maps.Keys(simulated)) {
		if !recorded[i] {
			t.OnlySimulated = append(t.OnlySimulated, o.Rules[i])
		}
	}
	return t
}

// backing tells by how many recordings each tool is backed.
func (s subject) backing() []Backing {
	var out []Backing
	for _, tool := range s.tools {
		own := map[int]bool{}
		rulesOf(tool.Hits, own)
		b := Backing{Technique: tool.Technique, Tool: tool.Name, Recordings: len(s.recordings)}
		for _, x := range s.recordings {
			if slices.ContainsFunc(x.Hits, func(h Hit) bool { return own[h.Rule] }) {
				b.Sharing++
			}
		}
		out = append(out, b)
	}
	return out
}

// missing lists the event types that recordings hold and the simulation never writes.
func (o *Observations) missing() (missing []TypeCount, recorded int) {
	written := map[string]bool{}
	for t := range o.Day.Types {
		written[t] = true
	}
	for i := range o.Tools {
		for t := range o.Tools[i].Types {
			written[t] = true
		}
	}
	counts := map[string]*TypeCount{}
	for i := range o.Recordings {
		for t, n := range o.Recordings[i].Types {
			if counts[t] == nil {
				counts[t] = &TypeCount{Type: t}
			}
			counts[t].Events += n
			counts[t].Recordings++
		}
	}
	missing = []TypeCount{}
	for _, t := range slices.Sorted(maps.Keys(counts)) {
		if !written[t] {
			missing = append(missing, *counts[t])
		}
	}
	slices.SortStableFunc(missing, func(a, b TypeCount) int { return cmp.Compare(b.Recordings, a.Recordings) })
	return missing, len(counts)
}

const perEvents = 100_000

func (o *Observations) falseAlarms() FalseAlarms {
	type count struct{ recorded, simulated int }
	byRule := map[int]*count{}
	of := func(i int) *count {
		if byRule[i] == nil {
			byRule[i] = &count{}
		}
		return byRule[i]
	}
	f := FalseAlarms{Rules: []AlarmRule{}, Recorded: AlarmRates{Levels: map[string]float64{}},
		Simulated: AlarmRates{Levels: map[string]float64{}}}
	for i := range o.Recordings {
		if x := &o.Recordings[i]; x.Benign {
			f.Recorded.Logs++
			f.Recorded.Events += x.Events
			for _, h := range x.Hits {
				of(h.Rule).recorded += h.Events
			}
		}
	}
	f.Simulated.Logs, f.Simulated.Events = 1, o.Day.Events
	for _, h := range o.Day.Hits {
		of(h.Rule).simulated += h.Events
	}
	for _, i := range slices.Sorted(maps.Keys(byRule)) {
		a := AlarmRule{Rule: o.Rules[i]}
		a.Recorded = per100k(byRule[i].recorded, f.Recorded.Events)
		a.Simulated = per100k(byRule[i].simulated, f.Simulated.Events)
		f.Recorded.Levels[a.Level] += a.Recorded
		f.Simulated.Levels[a.Level] += a.Simulated
		f.Rules = append(f.Rules, a)
	}
	slices.SortStableFunc(f.Rules, func(a, b AlarmRule) int {
		return cmp.Compare(b.Recorded+b.Simulated, a.Recorded+a.Simulated)
	})
	return f
}

func per100k(n, events int) float64 {
	if events == 0 {
		return 0
	}
	return perEvents * float64(n) / float64(events)
}
