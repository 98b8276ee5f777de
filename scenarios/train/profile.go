package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hemostat/attackers/technique"
	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel/profile"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/action"
	"hemostat/sim/batch"
	"hemostat/sim/record"
	"hemostat/sim/severity"
)

// ProfileOptions say what knowledge of attackers is learned from.
type ProfileOptions struct {
	Trials   int // of each scenario and variant
	Seed     uint64
	Parallel int
	Groups   [][]string // techniques of groups; nil for no such facts
	// Step is called after each trial, by several at once.
	Step func()
}

// ProfileResult is what was learned, and how good it is on scenarios that were left out.
type ProfileResult struct {
	Knowledge  *profile.Knowledge
	ByScenario map[string]*profile.Scores
	All        *profile.Scores
}

// Profile learns what attackers are like from trials whose truth is known.
func Profile(ctx context.Context, all []*scenarios.Scenario, variants []*defence.Variant,
	o ProfileOptions) (*ProfileResult, error) {
	type task struct {
		s     *scenarios.Scenario
		v     *defence.Variant
		index int
		day   profile.Day
	}
	var tasks []*task
	for _, v := range variants {
		for _, s := range all {
			for i := range o.Trials {
				tasks = append(tasks, &task{s: s, v: v, index: firstDay + i})
			}
		}
	}
	var group errgroup.Group
	group.SetLimit(max(1, o.Parallel))
	for _, x := range tasks {
		group.Go(func() error {
			var err error
			if x.day, err = dayOf(ctx, x.s, x.v, x.index, o.Seed); err == nil && o.Step != nil {
				o.Step()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var days []profile.Day
	for _, x := range tasks {
		days = append(days, x.day)
	}
	tactics := map[string]string{}
	for _, t := range technique.All() {
		tactics[t.ID] = t.Tactic
	}
	var names []string
	for _, v := range variants {
		names = append(names, v.Name)
	}
	from := fmt.Sprintf("%d days of each of %d scenarios under %s with seed %d; %d groups of ATT&CK",
		o.Trials, len(all), strings.Join(names, ", "), o.Seed, len(o.Groups))
	facts := profile.Facts{Groups: o.Groups}
	k, err := profile.Fit(days, tactics, facts, from)
	if err != nil {
		return nil, err
	}
	out := &ProfileResult{Knowledge: k}
	if len(all) > 2 {
		out.ByScenario, out.All, err = profile.Evaluate(days, tactics, facts)
	}
	return out, err
}

// dayOf runs a trial and takes from its rows what is learned from.
func dayOf(ctx context.Context, s *scenarios.Scenario, v *defence.Variant, index int, seed uint64) (profile.Day,
	error) {
	d := profile.Day{Scenario: s.Name}
	t, err := trial.New(s, v, index, trial.Options{Seed: seed})
	if err != nil {
		return d, err
	}
	err = t.RunWhile(func() bool { return ctx.Err() != nil })
	if errors.Is(err, batch.ErrInterrupted) {
		err = nil
	}
	if err = errors.Join(err, ctx.Err(), t.Close()); err != nil {
		return d, err
	}
	r, err := t.Rows()
	if err != nil {
		return d, err
	}
	return d, fillDay(&d, r, t.Inventory())
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
