package fidelity

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// shownEach bounds the rows that the text shows of each list; JSON and HTML have all.
const shownEach = 12

// Summary tells the result in sentences.
func (r *Report) Summary() []string {
	var lines []string
	lines = append(lines, fmt.Sprintf(
		"%d recordings, %d techniques with a tool in the library and a rule that fires on a recording; %.0f %% of these share a rule with the simulation.",
		r.Recordings, r.Compared, 100*r.Sharing))
	lines = append(lines, fmt.Sprintf(
		"Half of the rules detect %.2f of recordings and %.2f of simulated tools (means over techniques).",
		r.DetectionRecorded, r.DetectionSimulated))
	if k := r.Ranking; k.Techniques > 1 {
		lines = append(lines, fmt.Sprintf(
			"Which of two rule sets of equal size is better: simulation and recordings agree with rank correlation %.2f [%.2f, %.2f] on the %d techniques with several recordings; one half of the recordings agrees with the other half with %.2f (the ceiling), with the simulation with %.2f. Seen through the recordings' logs only: %.2f. All techniques: %.2f. %d subsets of %.0f %% of the rules.",
			k.Value, k.Lo, k.Hi, k.Techniques, k.Ceiling, k.Half, k.AsRecorded, k.All, k.Subsets, 100*k.Share))
	} else {
		lines = append(lines, "Too few techniques have several recordings to tell how well rule sets are ranked.")
	}
	lines = append(lines, fmt.Sprintf("Of %d recorded event types the simulation writes %d.",
		r.TypesRecorded, r.TypesRecorded-len(r.Missing)))
	lines = append(lines, r.False.sentence())
	var lacking []string
	for _, t := range r.Techniques {
		if t.Tools == 0 {
			lacking = append(lacking, t.ID)
		}
	}
	if len(lacking) > 0 {
		lines = append(lines, fmt.Sprintf("The library has no tool for %s, so nothing is compared.", strings.Join(lacking, ", ")))
	}
	if r.Openings > 0 {
		lines = append(lines, fmt.Sprintf(
			"%d recordings begin with the clearing of the log by who recorded them; that event is left out.", r.Openings))
	}
	if r.Unassigned > 0 {
		lines = append(lines, fmt.Sprintf(
			"The index names no technique for %d recordings; they count for event types only.", r.Unassigned))
	}
	return lines
}

func (f FalseAlarms) sentence() string {
	text := "Alerts for each 100,000 events on a simulated day without attackers: " + f.Simulated.text()
	if f.Recorded.Logs == 0 {
		return text + "; the index has no attack-free recording to compare with."
	}
	return fmt.Sprintf("%s; on %d attack-free recordings: %s.", text, f.Recorded.Logs, f.Recorded.text())
}

func (a AlarmRates) text() string {
	var parts []string
	for _, level := range []string{"critical", "high", "medium", "low", "informational"} {
		parts = append(parts, fmt.Sprintf("%s %.1f", level, a.Levels[level]))
	}
	return strings.Join(parts, ", ")
}

// BackingCSV writes by how many recordings each tool is backed, each tool once: a recording
// of a technique counts for the tools of its sub-techniques when it has none itself.
func (r *Report) BackingCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"technique", "tool", "recordings", "sharing"}); err != nil {
		return err
	}
	rows := slices.Clone(r.Backing)
	slices.SortStableFunc(rows, func(a, b Backing) int {
		return cmp.Or(cmp.Compare(a.Technique, b.Technique), cmp.Compare(a.Tool, b.Tool))
	})
	for i, b := range rows {
		if i+1 < len(rows) && rows[i+1].Technique == b.Technique && rows[i+1].Tool == b.Tool {
			rows[i+1].Recordings += b.Recordings
			rows[i+1].Sharing += b.Sharing
			continue
		}
		if err := out.Write([]string{b.Technique, b.Tool, strconv.Itoa(b.Recordings), strconv.Itoa(b.Sharing)}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Details lists what is only recorded: rules with their reasons, event types.
func (r *Report) Details() string {
	var b strings.Builder
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "\nrecorded, never simulated:\n")
		for _, t := range r.Missing[:min(len(r.Missing), shownEach)] {
			fmt.Fprintf(&b, "  %s (%d events in %d recordings)\n", t.Type, t.Events, t.Recordings)
		}
		more(&b, len(r.Missing))
	}
	var only []string
	for _, t := range r.Techniques {
		for _, m := range t.OnlyRecorded {
			only = append(only, fmt.Sprintf("  %s  %s (%s), %s: %s\n", t.ID, m.Title, m.Level, m.EventType, m.Because))
		}
	}
	if len(only) > 0 {
		fmt.Fprintf(&b, "\nrules that fire on recordings only:\n")
		fmt.Fprint(&b, strings.Join(only[:min(len(only), shownEach)], ""))
		more(&b, len(only))
	}
	if rules := r.False.Rules; len(rules) > 0 {
		fmt.Fprintf(&b, "\nalerts without attackers, for each 100,000 events (recorded, simulated):\n")
		for _, a := range rules[:min(len(rules), shownEach)] {
			fmt.Fprintf(&b, "  %8.1f %8.1f  %s (%s)\n", a.Recorded, a.Simulated, a.Title, a.Level)
		}
		more(&b, len(rules))
	}
	return b.String()
}

func more(b *strings.Builder, n int) {
	if n > shownEach {
		fmt.Fprintf(b, "  … and %d more; --json and --html have all\n", n-shownEach)
	}
}

// Shown are the techniques in the order in which the table shows them: those compared
// first, those with the least in common before others.
func (r *Report) Shown() []Technique {
	out := slices.Clone(r.Techniques)
	rank := func(t Technique) int {
		switch {
		case t.Tools == 0:
			return 3
		case t.RulesRecorded == 0:
			return 2
		case t.RulesBoth == 0:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b Technique) int { return rank(a) - rank(b) })
	return out
}
