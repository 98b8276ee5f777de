// Package render writes what is recorded in forms that people read. It takes
// rows of sim/record and returns text; it reads no database.
package render

import (
	"fmt"
	"hemostat/sim/attack"
	"sort"
	"strings"
	"time"

	"hemostat/sim/record"
	"hemostat/sim/stage"
)

// line is one line of a story.
type line struct {
	at   int64
	rank int // order of lines at the same time
	who  string
	text string
}

// Story tells a trial in order, for somebody who has never seen the program.
func Story(t *record.Trial) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, trial %d against variant %s (%s)\n", t.Scenario, t.Index, t.Variant, t.TrialID)
	if t.Status != "ok" {
		fmt.Fprintf(&b, "The trial ended in an error: %s\n", t.Error)
		return b.String()
	}
	fmt.Fprintln(&b, Verdict(t))
	for i := range t.Attacks {
		for _, e := range t.Attacks[i].Evasion {
			fmt.Fprintf(&b, "%s deceived the defence by %s\n", t.Attacks[i].Name, e)
		}
	}
	b.WriteByte('\n')
	for _, l := range lines(t) {
		fmt.Fprintf(&b, "%s  %-8s  %s\n", stamp(l.at), l.who, l.text)
	}
	b.WriteByte('\n')
	b.WriteString(ending(t))
	return b.String()
}

// Verdict says in a sentence what came of each attack.
func Verdict(t *record.Trial) string {
	if len(t.Attacks) == 0 {
		return fmt.Sprintf("Nobody attacked. The defence raised %d alerts.", t.AlertsTotal)
	}
	var parts []string
	for _, a := range t.Attacks {
		s := fmt.Sprintf("The attacker %q ", a.Name)
		switch a.Outcome {
		case record.OutcomeObjective:
			s += "reached the goal after " + since(a.Started, a.ObjectiveReached)
			if a.Detected == nil {
				s += " and was never detected"
			} else {
				s += ", although first detected after " + since(a.Started, a.Detected)
			}
		case record.OutcomeContained:
			s += "was contained: nothing went through any more " + since(
				a.Started,
				a.Contained,
			) + " after the first step"
		case record.OutcomeFailed:
			s += "gave up without the defence having stopped the last attempts (" + a.EndReason + ")"
		default:
			s += fmt.Sprintf("was still at work when the trial ended, %.0f %% of the way", 100*a.Progress)
		}
		parts = append(parts, s+"."+deceptions(&a))
	}
	return strings.Join(parts, " ")
}

// deceptions names the ways in which an attacker deceived the defence, as a sentence; "" for none.
func deceptions(a *record.Attack) string {
	var names []string
	for _, e := range a.Evasion {
		name, _, _ := strings.Cut(e, " ")
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	return " They deceived the defence by " + strings.Join(names, ", ") + "."
}

func since(from, to record.Time) string {
	if from == nil || to == nil {
		return "some time"
	}
	return spoken(time.Duration(*to - *from))
}

func spoken(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func stamp(at int64) string {
	d := time.Duration(at)
	return fmt.Sprintf("%2d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

func lines(t *record.Trial) []line {
	var out []line
	for i := range t.Steps {
		out = append(out, step(&t.Steps[i], len(t.Attacks) > 1))
	}
	out = append(out, alerts(t)...)
	for i := range t.Approvals {
		out = append(out, approval(&t.Approvals[i])...)
	}
	for i := range t.Actions {
		out = append(out, action(&t.Actions[i])...)
	}
	for _, s := range t.Stages {
		if stage.Name(s.Stage) == stage.Restoration && s.Ended != nil {
			out = append(
				out,
				line{
					*s.Ended,
					6,
					"restore",
					fmt.Sprintf("incident %d is quiet; what was done for it is taken back", s.Incident),
				},
			)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].at != out[j].at {
			return out[i].at < out[j].at
		}
		return out[i].rank < out[j].rank
	})
	return out
}

func step(s *record.Step, several bool) line {
	text := fmt.Sprintf("%s (%s)", s.Name, attack.Current(s.Technique))
	if several {
		text = fmt.Sprintf("[%d] ", s.Attack) + text
	}
	if s.Tool != "" {
		text += " with " + s.Tool
	}
	if s.Host != "" && s.Host != s.Target {
		text += ", from " + s.Host
	}
	if s.Target != "" {
		text += ", at " + s.Target
	}
	switch {
	case s.Succeeded:
		text += ": " + s.Reason
	case s.BlockedBy != 0:
		text += fmt.Sprintf(": blocked by action %d (%s)", s.BlockedBy, s.Reason)
	default:
		text += ": no success, " + s.Reason
	}
	if s.Ended-s.Started > int64(10*time.Minute) {
		text += fmt.Sprintf(" [took %s]", spoken(time.Duration(s.Ended-s.Started)))
	}
	if s.Why != "" {
		text += " — " + s.Why
	}
	return line{s.Started, 0, "attacker", text}
}

// alerts tells true alarms one by one and false ones of the same title in one
// line each hour.
func alerts(t *record.Trial) []line {
	var out []line
	type group struct {
		title string
		hour  int64
	}
	quiet := map[group]int{}
	verdicts := map[int]*record.Verdict{}
	for i := range t.Verdicts {
		verdicts[t.Verdicts[i].Alert] = &t.Verdicts[i]
	}
	for i := range t.Alerts {
		a := &t.Alerts[i]
		about := a.Host
		if a.Source != "" && a.Source != a.Host {
			about += " from " + a.Source
		}
		if a.User != "" {
			about += " as " + a.User
		}
		if a.Attack == 0 {
			g := group{a.Title, a.Time / int64(time.Hour)}
			if at, ok := quiet[g]; ok {
				out[at].text = strings.TrimSuffix(
					out[at].text,
					"; and more of the same this hour",
				) + "; and more of the same this hour"
				continue
			}
			quiet[g] = len(out)
			out = append(
				out,
				line{
					a.Time,
					2,
					"alert",
					fmt.Sprintf("false alarm, %s: %s (%s)", a.Severity, a.Title,
						strings.TrimSpace(about)) + judged(verdicts[a.Alert]),
				},
			)
			continue
		}
		out = append(
			out,
			line{
				a.Time,
				1,
				"ALERT",
				fmt.Sprintf(
					"%s: %s (%s) — %s after the event",
					a.Severity,
					a.Title,
					strings.TrimSpace(about),
					spoken(time.Duration(a.Time-a.EventTime)),
				) + ofIncident(a) + because(a) + judged(verdicts[a.Alert]),
			},
		)
	}
	return out
}

// ofIncident names the incident of an alert; a dismissed one has none.
func ofIncident(a *record.Alert) string {
	if a.Incident == 0 {
		return ""
	}
	return fmt.Sprintf("; incident %d", a.Incident)
}

// judged tells what the automatic analyst said of an alert, "" when it was not asked.
func judged(v *record.Verdict) string {
	if v == nil {
		return ""
	}
	did := map[string]string{"confirm": "confirmed", "dismiss": "dismissed",
		"raise": "confirmed and raised"}[v.Decision]
	if did == "" {
		return fmt.Sprintf("; %s gave no verdict (%s)", v.Judge, v.Why)
	}
	after := "at once"
	if v.Answered > v.Asked {
		after = "after " + spoken(time.Duration(v.Answered-v.Asked))
	}
	text := fmt.Sprintf("; %s %s it %s, holding it true at %.0f %%", v.Judge, did, after, 100*v.Confidence)
	for i, r := range v.Reasons {
		if i == mostReasons {
			break
		}
		text += "; " + strings.TrimSuffix(r.Text, ".")
		if r.Weight != 0 {
			text += fmt.Sprintf(" (%+.1f)", r.Weight)
		}
	}
	return text
}

// mostReasons bounds the reasons of an alert that the story tells.
const mostReasons = 3

// because tells the first reasons of an alert, where its detector gave some.
func because(a *record.Alert) string {
	var parts []string
	for _, r := range a.Reasons[:min(len(a.Reasons), mostReasons)] {
		parts = append(parts, fmt.Sprintf("%s %s (%s)", r.Field, r.Value, r.Test))
	}
	if len(parts) == 0 {
		return ""
	}
	return "; because: " + strings.Join(parts, "; ")
}

func approval(a *record.Approval) []line {
	question := fmt.Sprintf(
		"may %s be done to %s? (%s/%s, incident %d)",
		a.Action,
		orNobody(a.Target),
		a.Playbook,
		a.Step,
		a.Incident,
	)
	out := []line{{a.Asked, 3, "asks", question}}
	about := fmt.Sprintf("%s on %s", a.Action, orNobody(a.Target))
	switch {
	case a.Closed == nil:
	case a.Outcome == "approved" || a.Outcome == "denied":
		verdict := map[string]string{"approved": "yes", "denied": "no"}[a.Outcome]
		if (a.Outcome == "approved") != a.Just {
			verdict += ", which was wrong,"
		}
		out = append(
			out,
			line{
				*a.Closed,
				4,
				"answer",
				fmt.Sprintf(
					"%s to %s, from %s after %s",
					verdict,
					about,
					a.Approver,
					spoken(time.Duration(*a.Closed-a.Asked)),
				),
			},
		)
	case a.Outcome == "withdrawn":
		out = append(
			out,
			line{*a.Closed, 2, "answer", fmt.Sprintf("about %s nobody needs to answer any more: withdrawn", about)},
		)
	case a.Outcome == "escalated":
		out = append(
			out,
			line{*a.Closed, 2, "answer", fmt.Sprintf("nobody answered in time about %s: escalated", about)},
		)
	default:
		out = append(
			out,
			line{*a.Closed, 2, "answer", fmt.Sprintf("nobody answered in time about %s: timed out", about)},
		)
		if a.Answered != nil {
			out = append(
				out,
				line{
					*a.Answered,
					4,
					"late",
					fmt.Sprintf(
						"%s answers about %s, after %s: too late",
						a.Approver,
						about,
						spoken(time.Duration(*a.Answered-a.Asked)),
					),
				},
			)
		}
	}
	return out
}

func orNobody(s string) string {
	if s == "" {
		return "it"
	}
	return s
}

func action(a *record.Action) []line {
	if a.Ended == nil || a.Status == "denied" || a.Status == "timed_out" {
		return nil
	}
	text := fmt.Sprintf("action %d, %s on %s: %s", a.Action, a.Kind, orNobody(a.Target), a.Detail)
	if a.Status != "succeeded" {
		text = fmt.Sprintf(
			"action %d, %s on %s %s: %s",
			a.Action,
			a.Kind,
			orNobody(a.Target),
			strings.ReplaceAll(a.Status, "_", " "),
			a.Detail,
		)
	}
	if a.OnBenign {
		text += " — aimed at the innocent"
	}
	out := []line{{*a.Ended, 5, "acts", text}}
	if a.Undone != nil {
		out = append(
			out,
			line{*a.Undone, 7, "undoes", fmt.Sprintf("action %d, %s on %s", a.Action, a.Kind, orNobody(a.Target))},
		)
	}
	return out
}

func ending(t *record.Trial) string {
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"%d events reached the sensors, %d of them malicious. %d alerts, %d false. %d actions, %d on the innocent. %d approvals asked.\n",
		t.EventsTotal,
		t.EventsMalicious,
		t.AlertsTotal,
		t.AlertsFalse,
		t.ActionsTotal,
		t.ActionsOnBenign,
		t.ApprovalsAsked,
	)
	fmt.Fprintf(
		&b,
		"People lost %s of work to the defence. Score %.1f of 100.\n",
		spoken(time.Duration(t.CollateralSeconds*1e9)),
		t.Score,
	)
	for _, a := range t.Attacks {
		var parts []string
		for _, p := range []struct {
			name string
			at   record.Time
		}{{"first event", a.FirstEvent}, {"ingested", a.Ingested}, {"detected", a.Detected}, {"enriched",
			a.Enriched}, {"playbook", a.PlaybookStarted},
			{"approval asked", a.ApprovalAsked}, {"approval given", a.ApprovalGiven}, {"action in effect",
				a.FirstAction}, {"contained", a.Contained}, {"goal", a.ObjectiveReached}, {"restored", a.Restored}} {
			if p.at != nil {
				parts = append(parts, p.name+" "+strings.TrimSpace(stamp(*p.at)))
			}
		}
		fmt.Fprintf(
			&b,
			"Clock of %s: %s. End: %s.\n",
			a.Name,
			strings.Join(parts, ", "),
			orElse(a.EndReason, "the horizon"),
		)
	}
	return b.String()
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
