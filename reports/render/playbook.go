package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/sim/record"
)

// PlaybookTrial is what one playbook did in one trial.
type PlaybookTrial struct {
	Index   int           `json:"trial_index"`
	Outcome string        `json:"outcome"`
	Score   float64       `json:"score"`
	Runs    []PlaybookRun `json:"runs"`
}

// PlaybookRun is one run of a playbook: its lines of the audit log.
type PlaybookRun struct {
	Run      int                 `json:"run"`
	Incident int                 `json:"incident"`
	Started  int64               `json:"started"`
	Entries  []record.AuditEntry `json:"entries"`
	Actions  []record.Action     `json:"actions"`
}

// PlaybookStep adds up what became of one step.
type PlaybookStep struct {
	Step, Action string
	Reached      int            // runs in which it got a status
	Counts       map[string]int // by status
	After        int64          // median from the run's start to its end, when it succeeded; nanoseconds
	Lost         float64        // ordinary work that its actions cost, in hours
}

// PlaybookRuns takes the runs of a playbook out of trials.
func PlaybookRuns(id string, trials []*record.Trial) []PlaybookTrial {
	out := make([]PlaybookTrial, 0, len(trials))
	for _, t := range trials {
		p := PlaybookTrial{Index: t.Index, Outcome: t.Outcome, Score: t.Score, Runs: []PlaybookRun{}}
		at := map[int]int{} // index by run
		for _, a := range t.Audit {
			if a.Playbook != id || a.Run == 0 {
				continue
			}
			n, known := at[a.Run]
			if !known {
				n = len(p.Runs)
				at[a.Run] = n
				p.Runs = append(p.Runs, PlaybookRun{Run: a.Run, Incident: a.Incident, Started: a.Time})
			}
			p.Runs[n].Entries = append(p.Runs[n].Entries, a)
		}
		for _, a := range t.Actions {
			if n, known := at[a.Run]; known && a.Playbook == id {
				p.Runs[n].Actions = append(p.Runs[n].Actions, a)
			}
		}
		out = append(out, p)
	}
	return out
}

// PlaybookStory tells what a playbook did, trial by trial and line by line.
func PlaybookStory(trials []PlaybookTrial) string {
	var b strings.Builder
	for _, t := range trials {
		fmt.Fprintf(&b, "trial %d: %s, score %.1f of 100", t.Index, strings.ReplaceAll(t.Outcome, "_", " "), t.Score)
		if len(t.Runs) == 0 {
			b.WriteString("; the playbook did not start\n")
			continue
		}
		b.WriteByte('\n')
		for _, r := range t.Runs {
			fmt.Fprintf(&b, "  run %d, for incident %d\n", r.Run, r.Incident)
			for _, a := range r.Entries {
				step := a.Step
				if step == "" {
					step = "(run)"
				}
				fmt.Fprintf(&b, "    %s  %-12s %s\n", stamp(a.Time), step, strings.TrimSpace(said(a)))
			}
		}
	}
	return b.String()
}

// said puts an entry of the audit log into words.
func said(a record.AuditEntry) string {
	what := strings.ReplaceAll(a.What, "_", " ")
	if a.Status != "" && !strings.HasSuffix(a.What, a.Status) {
		what += ", " + strings.ReplaceAll(a.Status, "_", " ")
	}
	if a.Detail != "" {
		what += ": " + a.Detail
	}
	return what
}

// PlaybookSteps adds up the steps over all runs, in the order in which they were
// first met.
func PlaybookSteps(trials []PlaybookTrial) []PlaybookStep {
	var steps []PlaybookStep
	find := func(id string) *PlaybookStep {
		at := slices.IndexFunc(steps, func(s PlaybookStep) bool { return s.Step == id })
		if at < 0 {
			at = len(steps)
			steps = append(steps, PlaybookStep{Step: id, Counts: map[string]int{}})
		}
		return &steps[at]
	}
	after := map[string][]int64{}
	for _, t := range trials {
		for _, r := range t.Runs {
			for _, a := range r.Entries {
				if a.What == "step_ended" {
					s := find(a.Step)
					s.Reached++
					s.Counts[a.Status]++
					if a.Status == "succeeded" || a.Status == "dry_run" {
						after[a.Step] = append(after[a.Step], a.Time-r.Started)
					}
				}
			}
			for _, a := range r.Actions {
				s := find(a.Step)
				s.Action = a.Kind
				s.Lost += a.Realised
			}
		}
	}
	for i := range steps {
		if list := after[steps[i].Step]; len(list) > 0 {
			slices.Sort(list)
			steps[i].After = max(list[len(list)/2], int64(time.Millisecond))
		}
	}
	return steps
}
