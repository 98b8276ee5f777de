package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/defenders/learning"
	"hemostat/reports/store"
	"hemostat/scenarios/signatures"
	"hemostat/sim/event"
	"hemostat/sim/record"
)

type tuneOptions struct {
	db     string
	filter store.Filter
	json   bool
}

// rulesTune proposes what a rule should not fire on.
func rulesTune() *cobra.Command {
	var o tuneOptions
	c := &cobra.Command{
		Use: "tune RULE", Short: "Propose exclusions for a rule that keep every true hit", Args: cobra.ExactArgs(1),
		Long: `Reads the events of a rule's alerts from trials that were run with --keep-events, and
proposes filters that false alarms fulfil and no true alert does. RULE is its id or title.
Every third trial is held out; on those it says how many false alarms the filters remove,
and how many true alerts they would have cost. Alerts that rest on several events, such
as those of correlations, are left out. Whether an exception is wise a person decides:
whoever attacks reads rules too.`,
		Example: `  hemostat run quiet-day patch-day ransomware --trials 20 --keep-events
  hemostat rules tune "PowerShell With An Encoded Command"`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&o.filter.Variant, "variant", "default", "variant whose alerts are read")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return c
}

// alarms are the alerts of a rule with their events.
type alarms struct{ true_, false_ []learning.Alarm }

func (a *alarms) size() int { return len(a.true_) + len(a.false_) }

// tuned is what the exclusions come to.
type tuned struct {
	Rule       string `json:"rule"`
	True       int    `json:"alerts_true"`
	False      int    `json:"alerts_false"`
	Several    int    `json:"alerts_of_several_events"`
	Filters    string `json:"filters"` // as YAML
	Removes    []int  `json:"removes"` // false alarms, by filter
	HeldTrue   int    `json:"held_out_true"`
	HeldFalse  int    `json:"held_out_false"`
	LostTrue   int    `json:"held_out_true_lost"`
	LostFalse  int    `json:"held_out_false_removed"`
	exclusions []learning.Exclusion
}

func (o *tuneOptions) run(c *cobra.Command, rule string) error {
	db, err := store.Open(c.Context(), o.db)
	if err != nil {
		return err
	}
	defer db.Close()
	days, err := daysOf(db, o.filter)
	if err != nil {
		return err
	}
	bar := startBar(c.ErrOrStderr(), "days read", len(days))
	t, err := tune(c.Context(), days, rule, bar)
	bar.stop(err == nil)
	if err != nil {
		return fmt.Errorf("%s: %w", o.db, err)
	}
	if o.json {
		return printJSON(c.OutOrStdout(), t)
	}
	return t.print(c.OutOrStdout())
}

// tune gathers the rule's alarms, those of every third trial apart, and looks for exclusions.
func tune(ctx context.Context, days []*signatures.Day, rule string, bar *bar) (*tuned, error) {
	t := &tuned{Rule: rule}
	var learned, held alarms
	for number, d := range days {
		into := &learned
		if d.Trial.Index%3 == 2 {
			into = &held
		}
		if err := t.gather(ctx, number, d, into); err != nil {
			return nil, err
		}
		bar.step()
	}
	if learned.size()+held.size()+t.Several == 0 {
		return nil, fmt.Errorf("the rule %q raised no alert; hemostat rules scorecard lists those that did", rule)
	}
	t.True, t.False = len(learned.true_), len(learned.false_)
	t.exclusions = learning.Exclude(learned.true_, learned.false_)
	for _, x := range t.exclusions {
		t.Removes = append(t.Removes, x.Removes)
	}
	excluded := func(a learning.Alarm) bool {
		for i := range t.exclusions {
			if t.exclusions[i].Holds(a) {
				return true
			}
		}
		return false
	}
	count := func(all []learning.Alarm) (n int) {
		for _, a := range all {
			if excluded(a) {
				n++
			}
		}
		return n
	}
	t.HeldTrue, t.HeldFalse = len(held.true_), len(held.false_)
	t.LostTrue, t.LostFalse = count(held.true_), count(held.false_)
	if len(t.exclusions) > 0 {
		text, err := learning.YAML(t.exclusions)
		if err != nil {
			return nil, err
		}
		t.Filters = string(text)
	}
	return t, nil
}

// gather adds a day's alerts of the rule.
func (t *tuned) gather(ctx context.Context, number int, d *signatures.Day, into *alarms) error {
	isTrue := map[uint64]bool{}
	for i := range d.Trial.Alerts {
		a := &d.Trial.Alerts[i]
		if a.RuleID != t.Rule && !strings.EqualFold(a.Title, t.Rule) {
			continue
		}
		if len(a.Evidence) != 1 {
			t.Several++
			continue
		}
		isTrue[a.Evidence[0]] = a.Attack != 0
	}
	if len(isTrue) == 0 {
		return nil
	}
	return d.Events(func(x *record.StoredEvent) error {
		is, known := isTrue[x.Event.ID]
		switch {
		case known && is:
			into.true_ = append(into.true_, learning.Alarm{Day: number, Events: []*event.Event{clone(x.Event)}})
		case known:
			into.false_ = append(into.false_, learning.Alarm{Day: number, Events: []*event.Event{clone(x.Event)}})
		}
		return ctx.Err()
	})
}

// clone copies an event out of the block of thousands that it was read from.
func clone(e *event.Event) *event.Event {
	own := &event.Event{ID: e.ID, Time: e.Time, Observed: e.Observed,
		Sensor: strings.Clone(e.Sensor), Host: strings.Clone(e.Host), Source: e.Source}
	e.Each(func(name, value string) bool {
		own.SetName(strings.Clone(name), strings.Clone(value))
		return true
	})
	return own
}

func (t *tuned) print(out io.Writer) error {
	write := func(format string, args ...any) { fmt.Fprintf(out, format, args...) }
	write("%s: %d true and %d false alerts on trials that were learned from", safe(t.Rule), t.True, t.False)
	if t.Several > 0 {
		write("; %d rest on several events and are left out", t.Several)
	}
	write("\n")
	if t.True < 3 {
		write("that is too few true ones to tell what they never have; add trials in which attackers do what the rule is about\n")
		return nil
	}
	if len(t.exclusions) == 0 {
		write("nothing that enough of the false ones have is missing in all true ones\n")
		return nil
	}
	write("\nadd to its detection, with  and not 1 of filter_learned_*  in the condition:\n\n%s\n", indent(safe(t.Filters)))
	for i, n := range t.Removes {
		write("filter_learned_%d removes %d of the %d false alerts that were learned from\n", i+1, n, t.False)
	}
	write("on trials that were held out they remove %d of %d false alerts, and %d of %d true ones\n",
		t.LostFalse, t.HeldFalse, t.LostTrue, t.HeldTrue)
	if t.LostFalse == 0 && t.HeldFalse > 0 {
		write("an exception that holds nowhere else is not worth having\n")
	}
	if t.LostTrue > 0 {
		return exit{exitFaults, errors.New("the filters cost true alerts on trials that were held out; do not take them as they are")}
	}
	return nil
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}
