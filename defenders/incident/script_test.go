package incident

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/cascade"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/role"
	"hemostat/sim/scripttest"
	"hemostat/sim/severity"
)

// scripted is a lifecycle whose responder writes down what it is asked for. What is in
// force is what the script says.
type scripted struct {
	*Lifecycle
	log     strings.Builder
	inForce map[int][]action.Request
	busy    map[int]bool
	stages  []*StageTime
	metrics *prometheus.Registry
}

func (s *scripted) say(now time.Duration, format string, args ...any) {
	fmt.Fprintf(&s.log, "%s: %s\n", now, fmt.Sprintf(format, args...))
}

func (s *scripted) Execute(now time.Duration, o Order) {
	var steps []string
	for _, step := range o.Steps {
		text := step.ID
		for _, r := range step.Requests {
			text += fmt.Sprintf(" %s %s", r.Kind, r.Target.Value)
			if r.Count != 0 {
				text += fmt.Sprintf(" count %d", r.Count)
			}
			if r.Kbps != 0 {
				text += fmt.Sprintf(" kbps %v", r.Kbps)
			}
		}
		for _, d := range []struct {
			name string
			time time.Duration
		}{{"ttl", step.TTL}, {"timeout", step.Timeout}} {
			if d.time != 0 {
				text += fmt.Sprintf(" %s %s", d.name, d.time)
			}
		}
		if step.Approval != nil {
			text += fmt.Sprintf(" after approval within %s, then %s", step.Approval.Timeout, step.Approval.EscalateTo)
		}
		steps = append(steps, text)
	}
	s.say(now, "order %s (key %s, deadline %s) for incident %d, about %q", o.Name, o.Key, o.Deadline, o.Incident.ID, o.About)
	for _, text := range steps {
		fmt.Fprintf(&s.log, "    %s\n", text)
	}
}

func (s *scripted) Release(now time.Duration, id int, classes []action.Disruption) []Released {
	var released []Released
	s.inForce[id] = slices.DeleteFunc(s.inForce[id], func(r action.Request) bool {
		if !slices.Contains(classes, action.Must(r.Kind).Disrupts) {
			return false
		}
		s.say(now, "release %s %s", r.Kind, r.Target.Value)
		released = append(released, Released{id, r})
		return true
	})
	return released
}

func (s *scripted) Reapply(now time.Duration, list []Released, ttl time.Duration) {
	for _, r := range list {
		s.say(now, "reapply %s %s of incident %d for %s", r.Request.Kind, r.Request.Target.Value, r.Incident, ttl)
	}
}

func (s *scripted) InForce(id int) int { return len(s.inForce[id]) }

func (s *scripted) IsBusy(id int) bool { return s.busy[id] }

func (s *scripted) Merge(from, into *Incident) {
	fmt.Fprintf(&s.log, "incident %d is merged into %d\n", from.ID, into.ID)
	s.inForce[into.ID] = append(s.inForce[into.ID], s.inForce[from.ID]...)
	delete(s.inForce, from.ID)
}

func TestScripts(t *testing.T) {
	scripttest.Run(t, "testdata/*.txt", func(t *testing.T) func(*scripttest.Command) string {
		s := &scripted{inForce: map[int][]action.Request{}, busy: map[int]bool{}}
		return func(c *scripttest.Command) string {
			s.log.Reset()
			s.do(t, c)
			return s.log.String()
		}
	})
}

// do carries out a command. Its comment tells the arguments.
func (s *scripted) do(t *testing.T, c *scripttest.Command) {
	now, id := c.Time("at"), int(c.Number("incident"))
	switch c.Name {
	case "given": // rebuild=off approval=off restoration=off cascade=off window=DURATION
		s.begin(t, c)
	case "alert": // at host zone rule severity confidence keys account source
		level, err := severity.Parse(c.Text("severity", "high"))
		require.NoError(t, err)
		a := &alert.Alert{RuleID: c.Text("rule", "r"), Severity: level, Confidence: 0.9, Raised: now,
			Techniques: c.List("techniques"),
			Entities:   alert.Entities{Host: c.Text("host", ""), Zone: c.Text("zone", ""), Destination: c.Text("destination", "")}}
		if c.Has("confidence") {
			a.Confidence = c.Number("confidence")
		}
		in := s.Join(now, a, fusion.Enrichment{
			Keys: c.List("keys"), Account: c.Text("account", ""), OutsideSource: c.Text("source", ""),
			Sightings: make([]fusion.Sighting, int(c.Number("hits"))), Confidence: c.Number("intel"),
		})
		s.say(now, "alert %s on %s is of incident %d: %d alerts, %s, score %.3f, hosts %v", a.RuleID, a.Host, in.ID, in.Count, in.Severity, in.Score, in.Hosts)
		s.Recur(now, in, a.Severity)
		s.React(now, in, a)
	case "action": // incident kind target
		r := action.Request{Kind: action.Kind(c.Text("kind", "")), Target: action.Target{Value: c.Text("target", "")}}
		s.inForce[id] = append(s.inForce[id], r)
		s.ActionEnded(id, r.Kind, true)
	case "expired": // incident: nothing is in force any more
		s.inForce[id] = nil
	case "busy": // incident is=yes|no
		s.busy[id] = c.Text("is", "yes") == "yes"
	case "answer": // at incident is=yes|no
		s.StepEnded(now, id, action.FromRestoration, c.Text("is", "yes") == "yes", nil)
	case "refused": // at zone: nobody may isolate it
		s.StepEnded(now, id, action.FromCascade, false, c.List("zone"))
	case "rebuilt": // at incident
		s.RunEnded(now, id, rebuild, action.FromRebuild)
	case "until": // at: time passes, step by step
		for {
			next, ok := s.NextWake()
			if !ok || next > now {
				return
			}
			s.Advance(next)
		}
	case "asked": // at incident step: an approval request
		s.ApprovalAsked(now, id, "p", c.Text("step", "s"))
	case "closed": // at incident step asked
		s.ApprovalClosed(now, id, "p", c.Text("step", "s"), c.Time("asked"))
	case "effect": // at incident: an action changed something
		s.ActionTookEffect(now, id)
	case "run": // at incident playbook is=started|ended
		if c.Text("is", "started") == "started" {
			s.RunStarted(now, id, c.Text("playbook", "p"))
		} else {
			s.RunEnded(now, id, c.Text("playbook", "p"), action.FromTrigger)
		}
	case "incident": // incident
		in := s.find(id).Incident
		fmt.Fprintf(&s.log, "incident %d: first %s, last %s, %s, %d alerts, %d hits\n", in.ID, in.First, in.Last, in.Severity, in.Count, in.IntelHits)
		fmt.Fprintf(&s.log, "hosts %v, serious %v, zones %v, accounts %v, sources %v, destinations %v, techniques %v\n",
			in.Hosts, in.SeriousHosts, in.Zones, in.Accounts, in.Sources, in.Destinations, in.Techniques)
	case "stages":
		for _, x := range s.stages {
			ended := "goes on"
			if x.Ended != nil {
				ended = "to " + x.Ended.String()
			}
			fmt.Fprintf(&s.log, "incident %d %s from %s %s\n", x.Incident, x.Stage, x.Started, ended)
		}
	case "coherence":
		families, err := s.metrics.Gather()
		require.NoError(t, err)
		h := families[0].GetMetric()[0].GetHistogram()
		fmt.Fprintf(&s.log, "%d observed, %gs together\n", h.GetSampleCount(), h.GetSampleSum())
	case "state":
		fmt.Fprintf(&s.log, "%d so far, %d open, %d watched, %d keys, %d merged, %d stages open\n", s.Count(), s.Open(), len(s.watching), len(s.byKey), len(s.merged), len(s.Lifecycle.stages))
	default:
		t.Fatalf("unknown command %s", c.Name)
	}
}

func (s *scripted) begin(t *testing.T, c *scripttest.Command) {
	off := func(key string) bool { return c.Text(key, "on") == "off" }
	inv := inventory.New([]inventory.Host{
		{Name: "ws1", IP: "10.0.1.1", Zone: "clients", Role: role.Workstation, Criticality: 1},
		{Name: "ws2", IP: "10.0.1.2", Zone: "clients", Role: role.Workstation, Criticality: 1},
		{Name: "db1", IP: "10.0.2.1", Zone: "servers", Role: role.DatabaseServer, Criticality: 8},
		{Name: "dc1", IP: "10.0.2.2", Zone: "servers", Role: role.DomainController, Criticality: 10},
	}, nil)
	s.metrics = prometheus.NewRegistry()
	var err error
	s.Lifecycle, err = New(Options{
		Window: c.Time("window"), Inventory: inv, Cascade: cascade.Options{Off: off("cascade"), Budget: 1},
		Restoration: RestorationOptions{NoRebuild: off("rebuild"), NoApproval: off("approval"), Off: off("restoration")},
		Registry:    s.metrics,
		Stage:       func(x *StageTime) { s.stages = append(s.stages, x) },
		Ended:       func(now time.Duration, in *Incident) { s.say(now, "incident %d is over", in.ID) },
	}, s)
	require.NoError(t, err)
}
