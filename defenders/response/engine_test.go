package response

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"hemostat/defenders/alert"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/severity"
)

// world is an actuator and approver whose results the test decides.
type world struct {
	engine  *Engine
	started []ActionRequest
	asked   []ApprovalRequest
	undone  []int64
	active  map[int64]bool
	seen    map[int64]bool
	atOnce  bool // every action works, at once
}

func (w *world) Start(now time.Duration, a ActionRequest) {
	w.started = append(w.started, a)
	if w.atOnce {
		w.engine.Done(now, a.ID, Result{OK: true, Changed: true})
	}
}
func (w *world) Ask(_ time.Duration, q ApprovalRequest) { w.asked = append(w.asked, q) }
func (w *world) Undo(_ time.Duration, action int64) bool {
	w.undone = append(w.undone, action)
	delete(w.active, action)
	return true
}

func (w *world) Observe(_ time.Duration, action int64) bool { return w.seen[action] }

func decode(file string, data []byte, into any) error {
	d := yaml.NewDecoder(strings.NewReader(string(data)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func book(t testing.TB, text string) *Playbook {
	t.Helper()
	p, err := Parse("p.yaml", []byte("schema: hemostat.playbook/v1\nid: p\n"+text), decode)
	require.NoError(t, err)
	return p
}

// recorded is an engine with what its listener was told.
type recorded struct {
	*Engine
	Actions   []*ActionRecord
	Approvals []*ApprovalRecord
	Audit     []AuditEntry
}

func (r *recorded) listener() Listener {
	return Listener{
		ActionRequested: func(_ time.Duration, a *ActionRecord) { r.Actions = append(r.Actions, a) },
		ApprovalAsked:   func(_ time.Duration, a *ApprovalRecord) { r.Approvals = append(r.Approvals, a) },
		Audited:         func(a AuditEntry) { r.Audit = append(r.Audit, a) },
	}
}

// restoreAll releases everything for an incident, the least disruptive first.
func (r *recorded) restoreAll(now time.Duration, incident int) int {
	n := 0
	for _, classes := range action.ReleaseOrder {
		n += len(r.Release(now, incident, classes))
	}
	return n
}

// custom is an engine of these options with what its listener was told.
func custom(t testing.TB, o Options) *recorded {
	t.Helper()
	r := &recorded{}
	o.Listener = r.listener()
	e, err := New(o)
	require.NoError(t, err)
	r.Engine = e
	return r
}

func engine(t testing.TB, policy Policy, books ...*Playbook) (*recorded, *world) {
	t.Helper()
	w := &world{active: map[int64]bool{}}
	r := &recorded{}
	e, err := New(Options{Listener: r.listener(), Playbooks: books, Policy: policy, Actuator: w, Approver: w, Inventory: inventory.New([]inventory.Host{{Name: "H1", IP: "10.0.0.1", Zone: "z", Role: "workstation", Criticality: 1}, {Name: "DC", Zone: "z", Role: "domain_controller", Criticality: 20}}, nil)})
	require.NoError(t, err)
	w.engine, r.Engine = e, e
	return r, w
}

func bruteForce() *alert.Alert {
	return &alert.Alert{Techniques: []string{"T1110.001"}, Severity: severity.High, Confidence: 0.9, Entities: alert.Entities{Host: "H1", Zone: "z", SourceIP: "203.0.113.5", User: "eve"}}
}

func fire(e *recorded, now time.Duration) {
	e.Alert(now, &incident.Incident{ID: 1, Score: 0.9, Severity: severity.High, Accounts: []string{"eve", "bob", "joe"}}, bruteForce())
}

const block = `trigger: {any: [T1110], min_severity: medium}
inputs: {ip: {type: ipv4, from: alert.source_ip, required: true}}
limits: {cooldown: 10m, key: ip}
steps:
  - {id: block, action: block_ip, with: {source_ip: "${ip}"}, ttl: 1h, retry: {max: 1, backoff: 5s}, hotl: {required: true, timeout: 5m, on_timeout: %s}}
  - {id: tell, action: alert_soc, with: {severity: "${severity}"}, always: true}
`

func statuses(e *recorded) string {
	var out []string
	for _, a := range e.Actions {
		out = append(out, fmt.Sprint(a.Request.Kind, " ", a.Status))
	}
	return strings.Join(out, ", ")
}

func TestApprovedActionsRunInOrderAndAreUndoneOnce(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, fmt.Sprintf(block, "deny")))
	fire(e, 0)
	require.Empty(t, w.started, "nothing runs before the answer")
	require.True(t, e.Answer(time.Minute, 1, true, "ann"))
	require.EqualValues(t, "block_ip", w.started[0].Kind)
	require.Equal(t, action.Target{Kind: action.Address, Value: "203.0.113.5"}, w.started[0].Target)
	e.Done(2*time.Minute, 1, Result{OK: true, Changed: true, Detail: "blocked"})
	require.EqualValues(t, "alert_soc", w.started[1].Kind)
	e.Done(2*time.Minute, 2, Result{OK: true, Changed: false, Detail: "told"})
	require.Equal(t, "block_ip succeeded, alert_soc succeeded", statuses(e))
	require.Equal(t, 1, e.Active())
	for range 3 {
		e.Advance(63 * time.Minute)
	}
	require.Equal(t, []int64{1}, w.undone)
	require.Zero(t, e.Active())
}

func TestDenialTimeoutAndEscalationAreToldApart(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, fmt.Sprintf(block, "deny")))
	fire(e, 0)
	e.Answer(time.Minute, 1, false, "ann")
	require.EqualValues(t, "denied", e.Approvals[0].Outcome)
	require.Equal(t, "block_ip denied, alert_soc pending", statuses(e), "the run goes on after a denial")
	require.False(t, e.Answer(2*time.Minute, 1, true, "bob"), "a second answer has no effect")
	require.Len(t, w.started, 1)

	e, _ = engine(t, Policy{}, book(t, fmt.Sprintf(block, "deny")))
	fire(e, 0)
	e.Advance(5 * time.Minute)
	require.EqualValues(t, "timed_out", e.Approvals[0].Outcome)
	require.False(t, e.Answer(6*time.Minute, 1, true, "ann"), "an answer after its time has no effect")
	require.Equal(t, "block_ip timed_out, alert_soc pending", statuses(e))

	e, w = engine(t, Policy{}, book(t, fmt.Sprintf(block, "escalate, escalate_to: tier2, then: deny")))
	fire(e, 0)
	e.Advance(5 * time.Minute)
	require.Equal(t, []approval.Role{approval.Tier1, approval.Tier2}, []approval.Role{w.asked[0].Role, w.asked[1].Role})
	e.Answer(6*time.Minute, 2, true, "boss")
	require.EqualValues(t, "escalated", e.Approvals[0].Outcome)
	require.EqualValues(t, "approved", e.Approvals[1].Outcome)
	require.EqualValues(t, "block_ip", w.started[0].Kind)

	e, w = engine(t, Policy{}, book(t, fmt.Sprintf(block, `approve_if, approve_if: fusion.confidence >= 0.8`)))
	fire(e, 0)
	e.Advance(5 * time.Minute)
	require.EqualValues(t, "approved", e.Approvals[0].Outcome)
	require.Len(t, w.started, 1)
}

func TestFailuresAreRetriedThenFail(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, fmt.Sprintf(block, "deny")))
	fire(e, 0)
	e.Done(time.Second, 1, Result{OK: false, Changed: false, Detail: "no"})
	require.Len(t, w.started, 1)
	e.Advance(5 * time.Second)
	require.Len(t, w.started, 1, "not before its backoff")
	e.Advance(6 * time.Second)
	require.Len(t, w.started, 2)
	e.Done(7*time.Second, 1, Result{OK: false, Changed: false, Detail: "no again"})
	require.Equal(t, "block_ip failed, alert_soc pending", statuses(e), "always runs after a failure")
	require.Equal(t, 2, e.Actions[0].Attempts)
	require.Zero(t, e.Active())
}

func TestALateResultIsUndone(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {any: [T1110]}
steps: [{id: a, action: block_ip, with: {source_ip: "${alert.source_ip}"}, timeout: 10s}]`))
	fire(e, 0)
	e.Advance(10 * time.Second)
	require.Equal(t, "block_ip failed", statuses(e))
	e.Done(time.Minute, 1, Result{OK: true, Changed: true, Detail: "at last"})
	require.Equal(t, []int64{1}, w.undone)
}

func TestARepeatedAlertHasOneEffect(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, fmt.Sprintf(block, "deny")))
	fire(e, 0)
	fire(e, time.Second)
	require.Len(t, w.started, 1)
	e.Done(2*time.Second, 1, Result{OK: true, Changed: true, Detail: ""})
	e.Done(2*time.Second, 2, Result{OK: true, Changed: false, Detail: ""})
	fire(e, 11*time.Minute) // after the cooldown: the block is in force and its time is extended
	require.Equal(t, "block_ip succeeded, alert_soc succeeded, block_ip succeeded, alert_soc pending", statuses(e))
	e.Advance(61 * time.Minute)
	require.Empty(t, w.undone)
	e.Advance(71*time.Minute + time.Second)
	require.Equal(t, []int64{1}, w.undone)
}

func TestForEachGoesThroughItsListWithAWidth(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, `trigger: {any: [T1110]}
inputs: {users: {type: "account[]", from: fusion.accounts}}
steps: [{id: r, action: credential_rotation, for_each: "${users}", max_parallel: 2, with: {user: "${item}"}}]`))
	fire(e, 0)
	require.Len(t, w.started, 2)
	e.Done(time.Second, 1, Result{OK: true, Changed: true, Detail: ""})
	require.Len(t, w.started, 3)
	e.Done(time.Second, 2, Result{OK: false, Changed: false, Detail: ""})
	e.Done(time.Second, 3, Result{OK: true, Changed: true, Detail: ""})
	require.Equal(t, "credential_rotation succeeded, credential_rotation failed, credential_rotation succeeded", statuses(e))
	require.False(t, e.IsBusy(1))
}

func TestMissingVariablesFailBeforeAnybodyIsAsked(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, `trigger: {any: [T1110]}
inputs: {pid: {type: int, from: alert.process_id}}
steps: [{id: k, action: kill_malicious_process, with: {host: "${alert.host}", pid: "${pid}"}, hotl: {required: true, timeout: 5m, on_timeout: deny}}]`))
	fire(e, 0)
	require.Empty(t, w.asked)
	require.Empty(t, e.Actions)
	require.Contains(t, fmt.Sprint(e.Audit), "${pid} has no value")
}

func TestLimitsStopAStep(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {any: [T1110]}
limits: {exempt: ["role:workstation"]}
steps: [{id: i, action: isolate_host, with: {host: "${alert.host}"}, hotl: {required: true, timeout: 1m, on_timeout: deny}}]`))
	fire(e, 0)
	require.Empty(t, w.started)
	require.Contains(t, fmt.Sprint(e.Audit), "step_ended limited")
	e, w = engine(t, Policy{Approval: "none"}, book(t, `trigger: {any: [T1110]}
limits: {max_disruption: 3}
steps: [{id: i, action: isolate_host, ttl: 8h, with: {host: "${alert.host}"}, hotl: {required: true, timeout: 1m, on_timeout: deny}}]`))
	fire(e, 0)
	require.Empty(t, w.started)
	require.Contains(t, fmt.Sprint(e.Audit), "predicted disruption 8.0 is above the limit 3.0")
}

func TestConditionsAndTriggers(t *testing.T) {
	for text, starts := range map[string]bool{
		`{any: [brute_force]}`: true, `{any: [T1110.001]}`: true, `{any: [T1486]}`: false, `{}`: true,
		`{min_severity: critical}`: false, `{when: alert.confidence > 0.95}`: false, `{when: 'fusion.confidence >= 0.9 && "eve" in fusion.accounts'}`: true,
	} {
		e, w := engine(t, Policy{}, book(t, "trigger: "+text+"\nsteps: [{id: a, action: alert_soc, with: {severity: high}}]\n"))
		fire(e, 0)
		require.Equal(t, starts, len(w.started) == 1, text)
	}
	e, w := engine(t, Policy{}, book(t, `trigger: {}
steps:
  - {id: a, action: block_ip, with: {source_ip: "${alert.source_ip}"}, hotl: {required: true, timeout: 1m, on_timeout: deny}}
  - {id: b, action: traffic_shaping, if: 'steps.a.status in ["denied", "timed_out"]', with: {zone: "${alert.zone}"}}
`))
	fire(e, 0)
	e.Answer(time.Second, 1, false, "")
	require.Empty(t, w.started, "medium risk asks too, without hotl in the file")
	e.Answer(2*time.Second, 2, true, "")
	require.EqualValues(t, "traffic_shaping", w.started[0].Kind)
}

func TestTwoApproversMustBothAgree(t *testing.T) {
	text := `trigger: {}
steps: [{id: a, action: revoke_credentials, with: {user: "${alert.user}"}, hotl: {required: true, approvers: 2, timeout: 5m, on_timeout: deny}}]`
	e, w := engine(t, Policy{}, book(t, text))
	fire(e, 0)
	require.Len(t, w.asked, 2)
	e.Answer(time.Second, 1, true, "a")
	require.Empty(t, w.started)
	e.Answer(time.Second, 2, true, "b")
	require.Len(t, w.started, 1)
	e, w = engine(t, Policy{}, book(t, text))
	fire(e, 0)
	e.Answer(time.Second, 1, true, "a")
	e.Answer(time.Second, 2, false, "b")
	require.Empty(t, w.started)
	require.Equal(t, "revoke_credentials denied", statuses(e))
}

func TestDryRunAsksAndAuditsButStartsNothing(t *testing.T) {
	e, w := engine(t, Policy{DryRun: true}, book(t, fmt.Sprintf(block, "deny")))
	fire(e, 0)
	e.Answer(time.Second, 1, true, "ann")
	require.Empty(t, w.started)
	require.Equal(t, "block_ip dry_run, alert_soc dry_run", statuses(e))
	none := custom(t, Options{Playbooks: []*Playbook{book(t, fmt.Sprintf(block, "deny"))}})
	none.Act(0, 0, action.FromReflex, "reflex.test", action.Request{Kind: action.RateLimit, Target: action.Target{Kind: action.Address, Value: "203.0.113.5"}}, time.Hour)
	require.Equal(t, "rate_limit dry_run", statuses(none))
}

func TestRestoreUndoesTheLatestFirst(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {}
steps:
  - {id: a, action: block_ip, with: {source_ip: "${alert.source_ip}"}, ttl: 4h}
  - {id: b, action: traffic_shaping, with: {zone: "${alert.zone}"}}
`))
	fire(e, 0)
	e.Done(1, 1, Result{OK: true, Changed: true, Detail: ""})
	e.Done(2, 2, Result{OK: true, Changed: true, Detail: ""})
	require.Equal(t, 2, e.restoreAll(time.Minute, 1))
	require.Equal(t, []int64{2, 1}, w.undone)
	e.Advance(5 * time.Hour)
	require.Len(t, w.undone, 2)
}

func TestFaultsOfAFolderAreReportedTogether(t *testing.T) {
	head := "schema: hemostat.playbook/v1\n"
	fs := fstest.MapFS{
		"p/a.yaml": {Data: []byte(head + `id: x
trigger: {any: [sorcery], when: alert.confidence >}
inputs: {q: {type: ipv4, from: alert.nothing}}
limits: {key: z}
steps:
  - {id: a, action: dance}
  - {id: b, action: isolate_host, risk: low, with: {hst: H1}}
  - {id: b, action: block_ip, with: {source_ip: "${unknown}"}, ttl: 1h, retry: {max: 99}}
  - {id: c, action: alert_soc, ttl: 1h, with: {severity: low}}
  - {id: d, action: block_ip, if: now() > 5, with: {source_ip: "${item}"}, hotl: {required: true, timeout: 5m, on_timeout: escalate}}
`)},
		"p/b.yaml": {Data: []byte(head + "id: y\ntrigger: {}\nsteps: [{id: a, action: alert_soc, with: {severity: low}}]\n")},
		"p/c.yaml": {Data: []byte(head + "id: y\ntrigger: {}\nsteps: []\n")},
		"p/d.yaml": {Data: []byte(head + "id: y\ntrigger: {}\nsteps: [{id: a, action: alert_soc, with: {severity: low}}]\n")},
		"e/x.txt":  {Data: []byte("no playbook")},
	}
	_, err := Load(fs, "p", decode)
	for _, want := range []string{
		`"sorcery" is no ATT&CK id`, "trigger.when: the expression does not compile", `nothing is called "alert.nothing"`, `limits.key: no input is called "z"`,
		`unknown action "dance"; accepted: alert_soc`, "may raise it, not lower it", `takes no parameter "hst"; accepted: host, allow`,
		`the step id "b" is used twice`, "${unknown} is neither an input", "isolate_host needs the parameter host", "0 to 10 is accepted, not 99", "cannot be undone, so a ttl means nothing",
		"unknown name now", "${item} stands for something only with for_each", "on_timeout: escalate needs escalate_to",
		"a playbook needs at least one step", `the id "y" is used by p/b.yaml too`,
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = Load(fs, "e", decode)
	require.ErrorContains(t, err, "holds no .yaml file")
	_, err = Load(fs, "nowhere", decode)
	require.ErrorContains(t, err, "nowhere")
}

func TestMetricsOfTwoEnginesDoNotCollide(t *testing.T) {
	p := book(t, fmt.Sprintf(block, "deny"))
	for range 2 {
		reg := prometheus.NewRegistry()
		e := custom(t, Options{Playbooks: []*Playbook{p}, Registry: reg})
		fire(e, 0)
		e.Advance(5 * time.Minute)
		families, err := reg.Gather()
		require.NoError(t, err)
		var names []string
		for _, f := range families {
			names = append(names, f.GetName())
		}
		require.Equal(t, []string{"response_actions_executed_total", "response_execution_seconds", "response_hotl_outcome_total", "response_hotl_requests_total", "response_hotl_wait_seconds", "response_playbooks_executed_total", "response_verify_failed_total"}, names)
	}
	reg := prometheus.NewRegistry()
	_, err := New(Options{Registry: reg})
	require.NoError(t, err)
	_, err = New(Options{Registry: reg})
	require.ErrorContains(t, err, "response metrics")
}

func BenchmarkCondition(b *testing.B) {
	p, err := compile("alert.confidence >= 0.6 && fusion.alerts > 2")
	require.NoError(b, err)
	env := newEnv(bruteForce(), &incident.Incident{Score: 0.9, Count: 5}, 1)
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := evaluate(p, &env); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

func TestPlaybooksKnowWhatIsBelievedOfTheAttacker(t *testing.T) {
	p, err := compile(`attacker.goal == "encrypt" && attacker.goal_confidence > 0.5 && attacker.aware < 0.5`)
	require.NoError(t, err)
	in := &incident.Incident{Attacker: incident.Attacker{Goal: "encrypt", GoalConfidence: 0.8, NextHost: "FS001"}}
	known := newEnv(bruteForce(), in, 1)
	ok, err := evaluate(p, &known)
	require.NoError(t, err)
	require.True(t, ok)
	host, err := scope{env: &known}.value("attacker.next_host")
	require.NoError(t, err)
	require.Equal(t, "FS001", host)
	unknown := newEnv(bruteForce(), &incident.Incident{}, 1)
	ok, err = evaluate(p, &unknown)
	require.NoError(t, err)
	require.False(t, ok)
}
