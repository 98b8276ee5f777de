package response

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/scripttest"
	"hemostat/sim/severity"
)

// scripted is an engine that writes down all it does and all it is told.
type scripted struct {
	*Engine
	log       strings.Builder
	observed  map[int64]bool
	incidents map[int]*incident.Incident
	released  []incident.Released
	registry  *prometheus.Registry
}

func (s *scripted) say(now time.Duration, format string, args ...any) {
	fmt.Fprintf(&s.log, "%s: %s\n", now, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (s *scripted) Start(now time.Duration, a ActionRequest) {
	s.say(now, "start action %d, %s %s, attempt %s", a.ID, a.Kind, a.Target.Value, a.Attempt)
}

func (s *scripted) Undo(now time.Duration, id int64) bool {
	s.say(now, "undo action %d", id)
	return true
}

func (s *scripted) Observe(now time.Duration, id int64) bool {
	s.say(now, "observe action %d: %v", id, s.observed[id])
	return s.observed[id]
}

func (s *scripted) Ask(now time.Duration, q ApprovalRequest) {
	var targets []string
	for _, r := range q.Requests {
		targets = append(targets, r.Target.Value)
	}
	s.say(now, "ask %s request %d, %s %s, risk %s, confidence %.2f, disruption %.2f, by %s", q.Role, q.ID, q.Kind, strings.Join(targets, ","), q.Risk, q.Confidence, q.Disruption, q.Deadline)
}

func (s *scripted) listener() Listener {
	return Listener{
		Audited: func(a AuditEntry) {
			text := a.What
			for _, part := range []string{a.Playbook, a.Step, a.Status, a.Detail} {
				if part != "" {
					text += " " + part
				}
			}
			if a.Waited != 0 {
				text += " after " + a.Waited.String()
			}
			s.say(a.Time, "audit: %s", text)
		},
		RunEnded: func(now time.Duration, r RunInfo) {
			s.say(now, "run %d of %s for incident %d ended: %s", r.Run, r.Playbook, r.Incident, r.Status)
		},
		ApprovalClosed: func(now time.Duration, a *ApprovalRecord) {
			s.say(now, "request %d closed: %s by %s", a.ID, a.Outcome, a.Approver)
		},
		ActionEnded: func(now time.Duration, a *ActionRecord) {
			s.say(now, "action %d %s: attempts %d, changed %v", a.ID, a.Status, a.Attempts, a.Changed)
		},
	}
}

func TestScripts(t *testing.T) {
	scripttest.Run(t, "testdata/scripts/*.txt", func(t *testing.T) func(*scripttest.Command) string {
		s := &scripted{observed: map[int64]bool{}, incidents: map[int]*incident.Incident{}}
		return func(c *scripttest.Command) string {
			s.log.Reset()
			s.do(t, c)
			return s.log.String()
		}
	})
}

// do carries out a command. Its comment tells the arguments.
func (s *scripted) do(t *testing.T, c *scripttest.Command) {
	now, id := c.Time("at"), int64(c.Number("id"))
	switch c.Name {
	case "given": // playbooks approval=none|low|medium|high dry_run=yes max_runs
		s.begin(t, c)
	case "alert": // at incident host user source severity confidence technique
		level, err := severity.Parse(c.Text("severity", "high"))
		require.NoError(t, err)
		in := s.incident(int(c.Number("incident")))
		in.Severity = max(in.Severity, level)
		in.Accounts = c.List("accounts")
		a := &alert.Alert{RuleID: "r", Techniques: []string{c.Text("technique", "T1110")}, Severity: level, Confidence: 0.9, Raised: now,
			Entities: alert.Entities{Host: c.Text("host", "ws1"), Zone: "clients", SourceIP: c.Text("source", "203.0.113.5"), User: c.Text("user", "eve")}}
		if c.Has("confidence") {
			a.Confidence = c.Number("confidence")
		}
		in.Score = a.Confidence
		s.Alert(now, in, a)
	case "done": // at id ok=no changed=no detail
		s.Done(now, id, Result{OK: c.Text("ok", "yes") == "yes", Changed: c.Text("changed", "yes") == "yes", Detail: c.Text("detail", "")})
	case "answer": // at id is=no by
		s.say(now, "taken: %v", s.Answer(now, int(id), c.Text("is", "yes") == "yes", c.Text("by", "ann")))
	case "observed": // id is=no
		s.observed[id] = c.Text("is", "yes") == "yes"
	case "until": // at: time passes, timer by timer
		for {
			next, ok := s.NextWake()
			if !ok || next > now {
				return
			}
			s.Advance(next)
		}
	case "act": // at incident kind target ttl
		s.Act(now, int(c.Number("incident")), action.FromReflex, "reflex.test", request(c), c.Time("ttl"))
	case "decide": // at incident kind target ttl: a program outside decides
		s.Decide(c.Time("at"), s.incident(int(c.Number("incident"))), DecidedBy{"agent:test", c.Text("step", "one")}, request(c), c.Time("ttl"))
	case "take_back": // at id
		s.say(c.Time("at"), "taken back: %v", s.Engine.Undo(c.Time("at"), int64(c.Number("id")), "agent:test"))
	case "order": // at incident kind target ttl approval=yes
		step := incident.OrderStep{ID: "s", Requests: []action.Request{request(c)}, Risk: action.High, TTL: c.Time("ttl")}
		if c.Text("approval", "no") == "yes" {
			step.Approval = &incident.Approval{Timeout: 10 * time.Minute, EscalateTo: approval.Tier2}
		}
		s.Execute(now, incident.Order{Incident: s.incident(int(c.Number("incident"))), Origin: action.FromCascade, Name: "cascade_isolate", Key: "k", Steps: []incident.OrderStep{step}})
	case "release": // at incident: all classes
		for _, classes := range action.ReleaseOrder {
			s.released = append(s.released, s.Release(now, int(c.Number("incident")), classes)...)
		}
	case "reapply": // at ttl: what was released
		s.Reapply(now, s.released, c.Time("ttl"))
	case "merge": // from into
		s.Merge(s.incident(int(c.Number("from"))), s.incident(int(c.Number("into"))))
	case "state": // incident
		n := int(c.Number("incident"))
		fmt.Fprintf(&s.log, "incident %d: busy %v, %d in force; %d effects, %d requests open, %d runs wait, %d in flight\n", n, s.IsBusy(n), s.InForce(n), s.Active(), len(s.openRequests), s.waiting(), len(s.inFlight))
	case "metrics": // every metric that is not 0; of a histogram how many and their sum
		s.metrics(t)
	default:
		t.Fatalf("unknown command %s", c.Name)
	}
}

func (s *scripted) metrics(t *testing.T) {
	families, err := s.registry.Gather() // in the order of names and labels
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := strings.TrimPrefix(f.GetName(), "response_") + " " + strings.Join(labels, " ")
			switch {
			case m.GetHistogram().GetSampleCount() > 0:
				h := m.GetHistogram()
				fmt.Fprintf(&s.log, "%s: %d, %g in all\n", strings.TrimSpace(name), h.GetSampleCount(), h.GetSampleSum())
			case m.GetCounter().GetValue() > 0:
				fmt.Fprintf(&s.log, "%s: %g\n", strings.TrimSpace(name), m.GetCounter().GetValue())
			}
		}
	}
}

func request(c *scripttest.Command) action.Request {
	kind := action.Kind(c.Text("kind", "block_ip"))
	return action.Request{Kind: kind, Target: action.Target{Kind: action.Must(kind).Target, Value: c.Text("target", "203.0.113.5")}}
}

func (s *scripted) incident(id int) *incident.Incident {
	if s.incidents[id] == nil {
		s.incidents[id] = &incident.Incident{ID: id, Score: 0.9}
	}
	return s.incidents[id]
}

func (s *scripted) begin(t *testing.T, c *scripttest.Command) {
	var books []*Playbook
	for _, name := range c.List("playbooks") {
		file := "testdata/playbooks/" + name + ".yaml"
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		p, err := Parse(file, text, decode)
		require.NoError(t, err)
		books = append(books, p)
	}
	var err error
	s.registry = prometheus.NewRegistry()
	s.Engine, err = New(Options{
		Registry: s.registry, Playbooks: books, Actuator: s, Approver: s, Listener: s.listener(),
		Policy: Policy{Approval: c.Text("approval", ""), DryRun: c.Text("dry_run", "no") == "yes",
			MaxRuns: int(c.Number("max_runs")), MostTTL: c.Time("most_ttl")},
		Inventory: inventory.New([]inventory.Host{
			{Name: "ws1", IP: "10.0.1.1", Zone: "clients", Role: "workstation", Criticality: 1},
			{Name: "ws2", IP: "10.0.1.2", Zone: "clients", Role: "workstation", Criticality: 1},
			{Name: "dc1", IP: "10.0.2.1", Zone: "servers", Role: "domain_controller", Criticality: 20},
		}, nil),
	})
	require.NoError(t, err)
}
