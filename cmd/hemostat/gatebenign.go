package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"hemostat/defenders/detect"
	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel"
	"hemostat/reports/gate"
	"hemostat/scenarios/defence"
	"hemostat/sim/event"
	"hemostat/sim/footprint"
)

// judgeBenign tries both variants on the policy's attack-free recordings.
func judgeBenign(ctx context.Context, policy *gate.Policy, sides [2]*defence.Variant, result *gate.Result) error {
	if len(policy.Benign) == 0 {
		return nil
	}
	rules := map[string]*gate.BenignRule{}
	events := 0
	for i, v := range sides {
		if v == nil {
			return fmt.Errorf("the policy names attack-free recordings (benign), which the %s has to be tried on: name its variant file, not what is recorded of it", sideNames[i])
		}
		n, err := benignAlerts(ctx, policy.Benign, v, i, rules)
		if err != nil {
			return fmt.Errorf("benign: %w", err)
		}
		events = n
	}
	var list []gate.BenignRule
	for _, r := range rules {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b gate.BenignRule) int { return cmp.Compare(a.Title, b.Title) })
	result.JudgeBenign(list, events)
	return nil
}

// shownEvents bounds the events that are named of each rule.
const shownEvents = 2

func benignAlerts(ctx context.Context, files []string, v *defence.Variant, side int,
	rules map[string]*gate.BenignRule) (n int, err error) {
	detectors, err := v.BuildDetectors(detect.Env{})
	if err != nil {
		return 0, err
	}
	var current *event.Event
	report := func(f detect.Finding) {
		key := f.Title + "\n" + f.RuleID
		r := rules[key]
		if r == nil {
			r = &gate.BenignRule{Title: f.Title, Level: f.Severity.String()}
			rules[key] = r
		}
		if side == 0 {
			r.Baseline++
			return
		}
		if r.Candidate++; len(r.Events) < shownEvents && current != nil {
			r.Events = append(r.Events, fmt.Sprintf("event %d, %s", n, footprint.Type(current)))
		}
	}
	direct := sentinel.Direct{Members: detectors, Report: report}
	_, err = ingest.Read(ctx, files, ingest.Options{}, func(e *event.Event) error {
		n++
		current = e
		return direct.Event(e)
	})
	return n, errors.Join(err, direct.End(err == nil))
}
