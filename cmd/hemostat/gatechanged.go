package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"hemostat/reports/compare"
	"hemostat/reports/gate"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/batch"
	"hemostat/sim/record"
)

// changedOnly runs the baseline only on days on which what differs is touched.
type changedOnly struct {
	change *defence.Change // nil where everything is run
	why    string          // everything is run

	mutex    sync.Mutex
	touched  map[compare.Key]bool
	heldBack map[compare.Key]batch.Task // trials of the baseline

	touchedIn, days map[string]int // by scenario
}

// followChange finds out what differs, where --changed asks for that.
func (d *gateDays) followChange() error {
	if !d.o.changed {
		return nil
	}
	if d.simulated[0] == nil || d.simulated[1] == nil {
		return errors.New("--changed runs both sides, so no database can stand for one")
	}
	c := &changedOnly{touched: map[compare.Key]bool{}, heldBack: map[compare.Key]batch.Task{},
		touchedIn: map[string]int{}, days: map[string]int{}}
	var err error
	c.change, c.why, err = defence.ChangeBetween(d.simulated[0], d.simulated[1])
	d.changed = c
	return err
}

// isEmpty tells whether nothing differs.
func (c *changedOnly) isEmpty() bool {
	return c != nil && c.change != nil && len(c.change.Rules)+len(c.change.Playbooks) == 0
}

// alike is the result of a gate with --changed whose sides are one defence; nil where they are
// not, and where only trials tell.
func (d *gateDays) alike() (*gate.Result, error) {
	if !d.changed.isEmpty() {
		return nil, nil
	}
	return gate.Alike(d.policy, d.order)
}

// holdsBack keeps a trial of the baseline until the candidate's has told whether it is needed.
func (c *changedOnly) holdsBack(k compare.Key, side int, t batch.Task) bool {
	if c == nil || c.change == nil || side != 0 {
		return false
	}
	c.heldBack[k] = t
	return true
}

// run runs a trial; the candidate's is looked at for what differs.
func (c *changedOnly) run(
	s *scenarios.Scenario,
	v *defence.Variant,
	day gateDay,
	side int,
	interrupted func() bool,
) (*record.Trial, error) {
	if c == nil || c.change == nil || side == 0 {
		return trial.Run(s, v, day.index, trial.Options{Seed: day.seed}, interrupted)
	}
	watch := c.change.NewWatch()
	t, err := trial.New(s, v, day.index, trial.Options{Seed: day.seed, Watch: watch.Event})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(t.RunWhile(interrupted), t.Close()); err != nil {
		return nil, err
	}
	for _, a := range t.Alerts() {
		watch.Alert(&a.Alert)
	}
	c.mutex.Lock()
	c.touched[compare.Key{Scenario: s.Name, Seed: day.seed, Index: day.index}] = watch.Touched()
	c.mutex.Unlock()
	return t.Rows()
}

// stillNeeded are the baseline's trials of days on which what differs was touched, or of which
// the candidate's trial does not tell; on the others the candidate's stands for it.
func (c *changedOnly) stillNeeded(found [2]map[compare.Key]gate.Side) []batch.Task {
	if c == nil {
		return nil
	}
	var tasks []batch.Task
	for k, task := range c.heldBack {
		touched, told := c.touched[k]
		candidate, ran := found[1][k]
		c.days[k.Scenario]++
		if told && !touched && ran && candidate.Trial.Status == "ok" {
			found[0][k] = candidate
			continue
		}
		c.touchedIn[k.Scenario]++
		tasks = append(tasks, task)
	}
	clear(c.heldBack)
	clear(c.touched)
	slices.SortFunc(tasks, func(a, b batch.Task) int { return strings.Compare(a.TrialID, b.TrialID) })
	return tasks
}

// untouched says what was left out, and why that changes nothing.
func (d *gateDays) untouched() []string {
	c := d.changed
	switch {
	case c == nil || c.isEmpty():
		return nil
	case c.change == nil:
		return []string{"--changed leaves nothing out: " + c.why}
	}
	all, run := 0, 0
	var never []string
	for _, name := range d.order {
		all, run = all+c.days[name], run+c.touchedIn[name]
		if c.days[name] > 0 && c.touchedIn[name] == 0 {
			never = append(never, name)
		}
	}
	note := fmt.Sprintf("%d of %d trials of the baseline were not run: no rule that differs (%s) matched an event there, in its old "+
		"or its new form, and no playbook that differs (%s) was triggered, so that both defences did the same", all-run, all,
		listed(c.change.Rules), listed(c.change.Playbooks))
	if len(never) > 0 {
		note += "; never touched: " + strings.Join(never, ", ")
	}
	return []string{note}
}

// listed names a few of many.
func listed(names []string) string {
	const most = 8
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
