package train

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hemostat/attackers/technique"
	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel/profile"
	"hemostat/scenarios/trial"
	"hemostat/sim/action"
	"hemostat/sim/record"
	"hemostat/sim/severity"
)

// ProfileResult is what was learned, and how good it is on scenarios that were left out.
type ProfileResult struct {
	Knowledge  *profile.Knowledge
	ByScenario map[string]*profile.Scores
	All        *profile.Scores
}

// Profile learns what attackers are like from trials whose truth is known. Groups are the
// techniques of groups of ATT&CK; nil for no such facts.
func Profile(ctx context.Context, d *Days, groups [][]string) (*ProfileResult, error) {
	days, err := each(ctx, d, func(ctx context.Context, x day) (profile.Day, error) {
		p := profile.Day{Scenario: x.scenario.Name}
		t, err := x.run(ctx, trial.Options{Seed: d.Seed})
		if err != nil {
			return p, err
		}
		r, err := t.Rows()
		if err != nil {
			return p, err
		}
		return p, fillDay(&p, r, t.Inventory())
	})
	if err != nil {
		return nil, err
	}
	tactics := map[string]string{}
	for _, t := range technique.All() {
		tactics[t.ID] = t.Tactic
	}
	from := fmt.Sprintf("%s; %d groups of ATT&CK", d.describe(), len(groups))
	facts := profile.Facts{Groups: groups}
	k, err := profile.Fit(days, tactics, facts, from)
	if err != nil {
		return nil, err
	}
	out := &ProfileResult{Knowledge: k}
	if len(d.Scenarios) > 2 {
		out.ByScenario, out.All, err = profile.Evaluate(days, tactics, facts)
	}
	return out, err
}

// fillDay takes the rows in.
func fillDay(d *profile.Day, r *record.Trial, estate *inventory.Inventory) error {
	for i := range r.Attacks {
		x := &r.Attacks[i]
		d.Attacks = append(d.Attacks, profile.Attack{Goal: x.Goal, Type: x.Type, Skill: x.Skill})
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		step := profile.Step{
			At: time.Duration(s.Started), Ended: time.Duration(s.Ended), Technique: s.Technique, Host: s.Target, Blocked: s.BlockedBy != 0,
		}
		if step.Host == "" {
			step.Host = s.Host
		}
		if h := estate.Host(step.Host); h != nil {
			step.Role = string(h.Role)
		}
		d.Attacks[s.Attack-1].Steps = append(d.Attacks[s.Attack-1].Steps, step)
	}
	known := map[int]time.Duration{}
	for i := range r.Predictions {
		known[r.Predictions[i].Alert] = time.Duration(r.Predictions[i].Time)
	}
	for i := range r.Alerts {
		a := &r.Alerts[i]
		at, joined := known[a.Alert]
		if !joined {
			continue
		}
		level, err := severity.Parse(a.Severity)
		if err != nil {
			return err
		}
		x := alert.Alert{ID: a.Alert, Raised: time.Duration(a.Time), Severity: level,
			Entities: alert.Entities{Host: a.Host}}
		if a.Technique != "" {
			x.Techniques = []string{a.Technique}
		}
		d.Alerts = append(d.Alerts, profile.Alert{
			Alert: &x, At: at, Incident: a.Incident, Attack: a.Attack, Actions: actionsBefore(r, a.Incident, int64(at)),
		})
	}
	slices.SortStableFunc(d.Alerts, func(a, b profile.Alert) int { return int(a.At - b.At) })
	return nil
}

// actionsBefore counts the actions for an incident that had changed something by a time.
func actionsBefore(r *record.Trial, incident int, at int64) int {
	n := 0
	for i := range r.Actions {
		a := &r.Actions[i]
		if a.Incident == incident && a.Ended != nil && *a.Ended <= at && a.Status == string(action.Succeeded) {
			n++
		}
	}
	return n
}
