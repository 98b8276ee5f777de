package response

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/defenders/incident"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/severity"
)

const asks = "hotl: {required: true, timeout: 5m, on_timeout: deny}"

func did(w *world) string {
	var out []string
	for _, a := range w.started {
		out = append(out, string(a.Kind))
	}
	return strings.Join(out, " ")
}

func stepStatus(e *recorded, step string) string {
	for _, a := range e.Audit {
		if a.What == "step_ended" && a.Step == step {
			return a.Status
		}
	}
	return "open"
}

func ok(e *recorded, now time.Duration, id int64) { e.Done(now, id, Result{OK: true, Changed: true}) }

func TestParallelBranchesRunAtOnceAndAnAnswerMovesItsOwn(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, `trigger: {}
steps:
  - id: both
    parallel:
      steps:
        - {id: a, action: block_ip, with: {source_ip: "${alert.source_ip}"}, `+asks+`}
        - {id: b, action: isolate_host, with: {host: "${alert.host}"}, `+asks+`}
        - {id: c, action: traffic_capture, with: {host: "${alert.host}"}}
  - {id: last, action: alert_soc, with: {severity: high}}`))
	fire(e, 0)
	require.Equal(t, "traffic_capture", did(w), "an approval pauses no other branch")
	e.Answer(time.Minute, 2, true, "x")
	require.Equal(t, "traffic_capture isolate_host", did(w), "the answer moved its own branch")
	e.Answer(time.Minute, 1, false, "x")
	ok(e, time.Minute, w.started[0].ID)
	require.Equal(t, 2, len(w.started), "the group waits for all")
	ok(e, 2*time.Minute, w.started[1].ID)
	require.Equal(t, "traffic_capture isolate_host alert_soc", did(w))
	require.Equal(t, []string{"denied", "succeeded", "succeeded"}, []string{stepStatus(e, "a"), stepStatus(e, "b"), stepStatus(e, "c")})
}

func TestJoinAnyGoesOnWithTheFirstSuccess(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {}
steps:
  - id: either
    parallel:
      join: any
      steps:
        - {id: a, action: traffic_capture, with: {host: "${alert.host}"}}
        - {id: b, sequence: [{id: b1, action: snapshot_memory, with: {host: "${alert.host}"}}, {id: b2, action: forensic_analysis, with: {host: "${alert.host}"}}]}
  - {id: last, action: alert_soc, with: {severity: high}}`))
	fire(e, 0)
	ok(e, 1, w.started[0].ID)
	require.Equal(t, "traffic_capture snapshot_memory alert_soc", did(w))
	require.Equal(t, "skipped", stepStatus(e, "b2"), "what had not begun never does")
	ok(e, 2, w.started[1].ID)
	ok(e, 2, w.started[2].ID)
	require.Equal(t, "succeeded", stepStatus(e, "b1"), "what was in flight ends by itself")
	require.False(t, e.IsBusy(1))
}

func TestNeedsWaitAcrossBranches(t *testing.T) {
	text := `trigger: {}
steps:
  - id: both
    on_failure: continue
    parallel:
      steps:
        - {id: kill, needs: [memory], action: alert_soc, with: {severity: high}}
        - {id: memory, action: snapshot_memory, with: {host: "${alert.host}"}, on_failure: continue}`
	e, w := engine(t, Policy{Approval: "none"}, book(t, text))
	fire(e, 0)
	require.Equal(t, "snapshot_memory", did(w))
	ok(e, 1, 1)
	require.Equal(t, "snapshot_memory alert_soc", did(w))
	e, w = engine(t, Policy{Approval: "none"}, book(t, text))
	fire(e, 0)
	e.Done(1, 1, Result{})
	require.Equal(t, "snapshot_memory", did(w))
	require.Equal(t, "skipped", stepStatus(e, "kill"))
	require.False(t, e.IsBusy(1))
}

func TestCompensationTakesBackTheLatestFirst(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {}
steps:
  - {id: a, action: block_ip, with: {source_ip: "${alert.source_ip}"}, ttl: 4h}
  - {id: b, action: traffic_shaping, with: {zone: "${alert.zone}"}, ttl: 4h}
  - {id: c, action: snapshot_memory, with: {host: "${alert.host}"}, on_failure: compensate}
  - {id: d, action: forensic_analysis, with: {host: "${alert.host}"}}
  - {id: e, action: alert_soc, with: {severity: high}, always: true}`))
	fire(e, 0)
	ok(e, 1, 1)
	ok(e, 2, 2)
	e.Done(3, 3, Result{})
	ok(e, 4, 4)
	require.Equal(t, []int64{2, 1}, w.undone)
	require.Equal(t, "block_ip compensated, traffic_shaping compensated, snapshot_memory failed, alert_soc succeeded", statuses(e))
	require.Equal(t, "compensated", e.Audit[len(e.Audit)-1].Status)
	e.Advance(10 * time.Hour)
	require.Len(t, w.undone, 2)
}

func TestSuccessIsWhatWasVerified(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {}
steps: [{id: a, action: isolate_host, with: {host: "${alert.host}"}, retry: {max: 1, backoff: 5s}, verify: {within: 20s}, `+asks+`}]`))
	fire(e, 0)
	ok(e, 0, 1)
	require.Equal(t, "isolate_host pending", statuses(e), "the action's word is not enough")
	e.Advance(25 * time.Second)
	require.Len(t, w.started, 2, "not observed, so once more")
	w.seen = map[int64]bool{1: true}
	ok(e, 26*time.Second, 1)
	require.Equal(t, "isolate_host succeeded", statuses(e))
	require.Equal(t, 2, e.Actions[0].Attempts)

	e, w = engine(t, Policy{Approval: "none"}, book(t, `trigger: {}
steps: [{id: a, action: isolate_host, with: {host: "${alert.host}"}, verify: {within: 20s}, `+asks+`}]`))
	fire(e, 0)
	ok(e, 0, 1)
	e.Advance(time.Minute)
	require.Equal(t, "isolate_host failed", statuses(e))
	require.Equal(t, []int64{1}, w.undone, "what may have happened after all is taken back")
	require.Zero(t, e.Active())
}

func TestAnActionThatPanicsOrHangsIsContained(t *testing.T) {
	p := book(t, `trigger: {}
steps:
  - {id: a, action: alert_soc, with: {severity: high}, on_failure: continue}
  - {id: b, action: alert_soc, with: {severity: low}, timeout: 1m, on_failure: continue}`)
	e := custom(t, Options{Playbooks: []*Playbook{p}, Actuator: &bomb{}})
	fire(e, 0)
	require.Equal(t, "alert_soc failed, alert_soc pending", statuses(e))
	require.Contains(t, e.Actions[0].Detail, "panicked: boom")
	e.Advance(time.Minute)
	require.Equal(t, "alert_soc failed, alert_soc failed", statuses(e))
	require.False(t, e.IsBusy(1))
}

type bomb struct{ n int }

func (b *bomb) Start(time.Duration, ActionRequest) {
	if b.n++; b.n == 1 {
		panic("boom")
	}
}
func (b *bomb) Undo(time.Duration, int64) bool    { return false }
func (b *bomb) Observe(time.Duration, int64) bool { return false }

func TestADeadlineEndsARunAndAHeldQuestion(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, `trigger: {}
deadline: 1h
steps:
  - {id: a, action: isolate_host, with: {host: "${alert.host}"}, hotl: {required: true, timeout: 5m, on_timeout: hold}}
  - {id: b, action: traffic_shaping, with: {zone: "${alert.zone}"}}
  - {id: c, action: alert_soc, with: {severity: high}, always: true}`))
	fire(e, 0)
	e.Advance(30 * time.Minute)
	require.EqualValues(t, "pending", e.Approvals[0].Outcome, "held, not lapsed")
	e.Advance(time.Hour)
	require.EqualValues(t, "timed_out", e.Approvals[0].Outcome)
	require.Equal(t, "alert_soc", did(w))
	ok(e, time.Hour, w.started[0].ID)
	require.False(t, e.IsBusy(1))
	require.False(t, e.Answer(2*time.Hour, 1, true, "x"))
	require.Equal(t, approval.TooLate, e.Approvals[0].Outcome)
}

func TestLimitsAreAStatusOfTheirOwn(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, `trigger: {}
inputs: {users: {type: "account[]", from: fusion.accounts}}
limits: {max_targets: 2, exempt: [bob], max_per_hour: 1}
steps: [{id: r, action: credential_rotation, for_each: "${users}", with: {user: "${item}"}}]`))
	fire(e, 0)
	require.Equal(t, "credential_rotation limited, credential_rotation pending, credential_rotation pending", statuses(e), "bob is exempt")
	require.Len(t, w.started, 2)
	ok(e, 1, 2)
	ok(e, 1, 3)
	fire(e, time.Minute)
	require.Len(t, w.started, 2, "once an hour")
	require.Contains(t, e.Audit[len(e.Audit)-1].Detail, "max_per_hour")
	fire(e, 2*time.Hour)
	require.Len(t, w.started, 4)
}

func TestSecretsStayOutOfTheAudit(t *testing.T) {
	e, _ := engine(t, Policy{}, book(t, `trigger: {}
inputs: {who: {type: account, from: alert.user, secret: true}}
steps: [{id: r, action: revoke_credentials, with: {user: "${who}"}, `+asks+`}]`))
	fire(e, 0)
	e.Answer(1, 1, true, "ann")
	ok(e, 2, 1)
	var b bytes.Buffer
	require.NoError(t, WriteAudit(&b, e.Audit))
	require.NotRegexp(t, `\beve\b`, b.String())
	require.Contains(t, b.String(), "[redacted]")
}

func TestPeopleAreAskedOnceAboutTheSameThing(t *testing.T) {
	one := book(t, "trigger: {}\nsteps: [{id: a, action: isolate_host, ttl: 1h, with: {host: \"${alert.host}\"}, "+asks+"}]")
	two := book(t, "trigger: {}\nsteps: [{id: b, action: isolate_host, ttl: 2h, with: {host: \"${alert.host}\"}, "+asks+"}]")
	two.ID = "q"
	e, w := engine(t, Policy{}, one, two)
	fire(e, 0)
	require.Len(t, w.asked, 1)
	e.Answer(time.Minute, 1, true, "ann")
	require.Len(t, w.started, 1, "and it is done once")
	ok(e, time.Minute, 1)
	require.Equal(t, "isolate_host succeeded, isolate_host succeeded", statuses(e))
	require.Equal(t, 1, e.Active())
	e.Advance(90 * time.Minute)
	require.Empty(t, w.undone, "the other playbook still needs it")
	e.Advance(3 * time.Hour)
	require.Equal(t, []int64{1}, w.undone, "isolating twice leaves a host that can be released")
}

func TestRestoringOneIncidentLeavesWhatAnotherHolds(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {}
inputs: {n: {type: string, from: alert.rule_id}}
limits: {key: n}
steps: [{id: a, action: isolate_host, with: {host: "${alert.host}"}, `+asks+`}]`))
	for i := 1; i <= 2; i++ {
		a := bruteForce()
		a.RuleID = fmt.Sprint(i)
		e.Alert(time.Duration(i), &incident.Incident{ID: i, Severity: severity.High}, a)
		ok(e, time.Duration(i), int64(i))
	}
	require.Zero(t, e.restoreAll(time.Hour, 1))
	require.Empty(t, w.undone)
	require.Equal(t, 1, e.restoreAll(time.Hour, 2))
}

// Evidence is not wiped while it is taken, whatever the playbooks' order; of those
// that wait, the one of the higher precedence goes first.
func TestPlaybooksDoNotFightOverAHost(t *testing.T) {
	look := book(t, "trigger: {}\nprecedence: 1\nsteps: [{id: a, action: forensic_analysis, with: {host: \"${alert.host}\"}}]")
	look.ID = "look"
	wipe := book(t, "trigger: {}\nsteps: [{id: a, action: restore_from_backup, with: {host: \"${alert.host}\"}, "+asks+"}]")
	wipe.ID = "wipe"
	again := book(t, "trigger: {}\nprecedence: -1\nsteps: [{id: a, action: snapshot_memory, with: {host: \"${alert.host}\"}}]")
	again.ID = "again"
	e, w := engine(t, Policy{Approval: "none"}, again, wipe, look)
	fire(e, 0)
	require.Equal(t, "forensic_analysis snapshot_memory", did(w))
	ok(e, 1, w.started[0].ID)
	require.Equal(t, "forensic_analysis snapshot_memory", did(w))
	ok(e, 2, w.started[1].ID)
	require.Equal(t, "forensic_analysis snapshot_memory restore_from_backup", did(w))
	fire(e, 3) // nothing is taken from a host that is being restored
	require.Equal(t, "forensic_analysis snapshot_memory restore_from_backup", did(w))
	ok(e, 4, w.started[2].ID)
	require.Contains(t, did(w), "restore_from_backup forensic_analysis")
}

func TestRunsBeyondTheBoundWaitTheMostSevereFirst(t *testing.T) {
	p := book(t, "trigger: {}\ninputs: {n: {type: string, from: alert.rule_id}}\nlimits: {key: n}\nsteps: [{id: a, action: alert_soc, with: {severity: \"${n}\"}}]")
	e, w := engine(t, Policy{MaxRuns: 1}, p)
	for i, level := range []severity.Severity{severity.Low, severity.Low, severity.Critical} {
		a := bruteForce()
		a.RuleID = fmt.Sprint(i)
		e.Alert(0, &incident.Incident{ID: i + 1, Severity: level}, a)
	}
	require.Len(t, w.started, 1)
	require.Equal(t, 2, e.waiting())
	ok(e, 1, 1)
	require.Equal(t, "2", w.started[1].Target.Value, "the critical one")
	ok(e, 2, 2)
	require.Equal(t, "1", w.started[2].Target.Value)
}

// However many alerts come while nobody answers, what waits is bounded; the more severe takes the
// place of the less, and who is left out is noted.
func TestRunsThatWaitAreBounded(t *testing.T) {
	p := book(t, "trigger: {}\ninputs: {n: {type: string, from: alert.rule_id}}\nlimits: {key: n}\nsteps: [{id: a, action: alert_soc, with: {severity: \"${n}\"}}]")
	e, w := engine(t, Policy{MaxRuns: 1}, p)
	alerts := 0
	fire := func(level severity.Severity, n int) {
		for range n {
			alerts++
			a := bruteForce()
			a.RuleID = fmt.Sprint(level, alerts)
			e.Alert(0, &incident.Incident{ID: alerts, Severity: level}, a)
		}
	}
	fire(severity.Low, 1+maxWaiting+20)
	require.Equal(t, maxWaiting, e.waiting())
	fire(severity.Critical, 30)
	require.Equal(t, maxWaiting, e.waiting())
	require.Len(t, e.running, maxWaiting+1)
	require.Len(t, e.runsByIncident, maxWaiting+1)
	left := 0
	for _, a := range e.Audit {
		if a.What == "limited" && strings.HasPrefix(a.Detail, "queue") {
			left++
		}
	}
	require.Equal(t, 50, left)
	for i := range 30 {
		ok(e, time.Duration(i), w.started[i].ID)
	}
	require.Contains(t, w.started[30].Target.Value, "critical")
}

// What a run leaves in force does not hold the run, and starts are remembered for as long as their
// cooldowns last.
func TestWhatHasEndedIsForgotten(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t,
		"trigger: {}\ninputs: {n: {type: string, from: alert.rule_id}}\nlimits: {key: n, cooldown: 1m}\n"+
			"steps: [{id: a, action: block_ip, with: {source_ip: \"${alert.source_ip}\"}, ttl: 4h}]"))
	for i := range 4 * fewStarts {
		a := bruteForce()
		a.RuleID = fmt.Sprint(i)
		e.Alert(time.Duration(i)*time.Second, &incident.Incident{ID: 1, Severity: severity.High}, a)
		if i == 0 {
			ok(e, 0, w.started[0].ID)
		}
	}
	for _, h := range e.effects {
		for _, x := range h.holders {
			require.True(t, x.run.ended)
			require.Nil(t, x.run.root)
			require.Empty(t, x.run.env)
		}
	}
	require.NotEmpty(t, e.effects)
	require.Less(t, len(e.lastStart), 2*fewStarts)
}

// steps of every kind, for the properties below.
var kinds = []string{
	`{id: s%d, action: block_ip, with: {source_ip: "${alert.source_ip}"}, ttl: 1h, on_failure: %s, retry: {max: 1, backoff: 1s}, hotl: {required: true, ask: start, timeout: 2m, on_timeout: deny}}`,
	`{id: s%d, action: isolate_host, with: {host: "${alert.host}"}, ttl: 30m, on_failure: %s, verify: {within: 10s}, hotl: {required: true, timeout: 3m, on_timeout: escalate, escalate_to: tier2, then: hold}}`,
	`{id: s%d, action: traffic_shaping, with: {zone: "${alert.zone}"}, ttl: 10m, keep: true, on_failure: %s, hotl: {timeout: 1m, on_timeout: approve_if, approve_if: fusion.confidence > 0.5}}`,
	`{id: s%d, action: credential_rotation, for_each: "${fusion.accounts}", max_parallel: 2, with: {user: "${item}"}, on_failure: %s}`,
	`{id: s%d, action: revoke_credentials, for_each: "${fusion.accounts}", with: {user: "${item}"}, ttl: 20m, on_failure: %s, hotl: {required: true, approvers: 2, timeout: 1m, on_timeout: deny}}`,
	`{id: s%d, action: alert_soc, with: {severity: high}, always: true, on_failure: %s}`,
}

// drawn is a playbook with groups in it.
func drawn(rt *rapid.T) string {
	n := 0
	var before []string // steps of the top level that have ended before the one at hand
	extra := func() string {
		text := ""
		if len(before) > 0 && rapid.Bool().Draw(rt, "needs") {
			text += fmt.Sprintf(", needs: [%s]", rapid.SampledFrom(before).Draw(rt, "need"))
		}
		return text + rapid.SampledFrom([]string{"", ", if: fusion.confidence > 0.5", ", if: fusion.confidence < 0.1"}).Draw(rt, "if")
	}
	step := func() string {
		n++
		text := fmt.Sprintf(rapid.SampledFrom(kinds).Draw(rt, "kind"), n, rapid.SampledFrom([]string{"stop", "continue", "compensate"}).Draw(rt, "failure"))
		return strings.TrimSuffix(text, "}") + extra() + "}"
	}
	text := "trigger: {}\ndeadline: 2h\nlimits: {exempt: [bob]}\nsteps:\n"
	for range rapid.IntRange(1, 3).Draw(rt, "steps") {
		if rapid.Bool().Draw(rt, "group") {
			n++
			id := n
			text += fmt.Sprintf("  - {id: g%d, on_failure: continue, parallel: {join: %s, steps: [%s, %s]}%s}\n", id, rapid.SampledFrom([]string{"all", "any"}).Draw(rt, "join"), step(), step(), extra())
			continue
		}
		text += "  - " + step() + "\n"
		before = append(before, fmt.Sprintf("s%d", n))
	}
	return text
}

// play carries a playbook out against people and an actuator of this luck.
func play(t testing.TB, p *Playbook, seed uint64) (*recorded, *world) {
	e, w := engine(t, Policy{}, p)
	w.seen = map[int64]bool{}
	fire(e, 0)
	chance := seed
	roll := func(n uint64) uint64 {
		chance = chance*6364136223846793005 + 1442695040888963407
		return chance >> 33 % n
	}
	now, done, answered := time.Duration(0), 0, 0
	for range 2000 {
		for done < len(w.started) {
			if good := roll(3) > 0; roll(4) > 0 {
				id := w.started[done].ID
				w.seen[id] = roll(4) > 0
				if good {
					w.active[id] = true
				}
				e.Done(now, id, Result{OK: good, Changed: good})
			}
			done++
		}
		for answered < len(w.asked) {
			if roll(3) > 0 {
				e.Answer(now, w.asked[answered].ID, roll(2) > 0, "x")
			}
			answered++
		}
		at, more := e.NextWake()
		if !more {
			break
		}
		now = max(now, at)
		e.Advance(now)
	}
	return e, w
}

// Whatever people and actuators do to playbooks with groups, every run ends, every
// effect with a ttl is undone exactly once, nothing exempt is touched, the chain of
// the audit holds, and equal luck gives equal bytes.
func TestPropertiesOfEveryRun(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := drawn(rt)
		p := book(t, text)
		seed := rapid.Uint64().Draw(rt, "seed")
		e, w := play(t, p, seed)
		require.False(rt, e.IsBusy(1), "the run did not end:\n%s", text)
		require.Zero(rt, len(e.openRequests), "questions are open after the end:\n%s", text)
		seen := map[int64]bool{}
		for _, id := range w.undone {
			require.False(rt, seen[id], "action %d undone twice:\n%s", id, text)
			seen[id] = true
		}
		for id := range w.active {
			spec := action.Must(e.Actions[id-1].Request.Kind)
			require.False(rt, spec.Undo, "%s with a ttl was never undone:\n%s", e.Actions[id-1].Request.Kind, text)
		}
		require.Zero(rt, e.Active())
		for _, a := range w.started {
			require.NotEqual(rt, "bob", a.Target.Value, "bob is exempt")
		}
		for _, a := range e.Actions {
			require.NotEqual(rt, action.Pending, a.Status, text)
		}
		var one, two bytes.Buffer
		require.NoError(rt, WriteAudit(&one, e.Audit))
		chain, err := VerifyAudit(bytes.NewReader(one.Bytes()))
		require.NoError(rt, err)
		require.Empty(rt, chain.Fault)
		again, _ := play(t, p, seed)
		require.NoError(rt, WriteAudit(&two, again.Audit))
		require.Equal(rt, one.String(), two.String())
	})
}

// A dry run changes nothing and writes the same sequence as a run in which
// everything works.
func TestADryRunWritesTheSameAudit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := book(t, strings.ReplaceAll(drawn(rt), "verify: {within: 10s}, ", ""))
		verdicts := rapid.SliceOfN(rapid.Bool(), 40, 40).Draw(rt, "verdicts")
		run := func(dry bool) (*recorded, *world) {
			e, w := engine(t, Policy{DryRun: dry}, p)
			w.atOnce = true
			fire(e, 0)
			for i := 0; i < len(w.asked); i++ {
				e.Answer(0, w.asked[i].ID, verdicts[i%len(verdicts)], "x")
			}
			for at, more := e.NextWake(); more; at, more = e.NextWake() {
				e.Advance(at)
			}
			return e, w
		}
		real, _ := run(false)
		dry, w := run(true)
		require.Empty(rt, w.started)
		require.Empty(rt, w.undone)
		sequence := func(e *recorded) (out []string) {
			for _, a := range e.Audit {
				out = append(out, fmt.Sprint(a.Time, " ", a.Step, " ", a.What))
			}
			return out
		}
		require.Equal(rt, sequence(real), sequence(dry))
	})
}

// Each effect has a time of its own, whatever the order in which they came.
func TestEachUndoFiresOnItsOwnTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := book(t, "trigger: {}\ninputs: {n: {type: string, from: alert.source_ip}}\nlimits: {key: n}\nsteps: [{id: a, action: rate_limit, with: {source_ip: \"${n}\"}, ttl: 10m}]")
		e, w := engine(t, Policy{}, p)
		starts := rapid.SliceOfN(rapid.IntRange(0, 3600), 1, 8).Draw(rt, "starts")
		now := time.Duration(0)
		want := map[int64]time.Duration{}
		for i, s := range starts {
			now += time.Duration(s) * time.Second
			e.Advance(now)
			a := bruteForce()
			a.SourceIP = fmt.Sprintf("203.0.113.%d", i+1)
			e.Alert(now, &incident.Incident{ID: 1}, a)
			ok(e, now, int64(i+1))
			want[int64(i+1)] = now + 10*time.Minute
		}
		e.Advance(now + time.Hour)
		require.Len(rt, w.undone, len(starts))
		for id, at := range want {
			require.Equal(rt, at, *e.Actions[id-1].Undone)
		}
	})
}

func TestAChangedLineOfTheAuditIsNamed(t *testing.T) {
	p := book(t, fmt.Sprintf(block, "deny"))
	e, _ := play(t, p, 7)
	var b bytes.Buffer
	require.NoError(t, WriteAudit(&b, e.Audit))
	lines := strings.SplitAfter(strings.TrimSuffix(b.String(), "\n"), "\n")
	require.Greater(t, len(lines), 4)
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, len(lines)-1).Draw(rt, "line")
		changed := append([]string{}, lines...)
		want := at + 1
		switch rapid.IntRange(0, 2).Draw(rt, "how") {
		case 0:
			changed[at] = strings.Replace(changed[at], `"time_ns":`, `"time_ns":1`, 1)
		case 1:
			changed = append(changed[:at], changed[at+1:]...)
			if at == len(lines)-1 {
				return // the end of a chain cannot be seen to be missing, except by its head
			}
		default:
			changed[at] = strings.Replace(changed[at], `"what":"`, `"extra":1,"what":"`, 1)
		}
		chain, err := VerifyAudit(strings.NewReader(strings.Join(changed, "")))
		require.NoError(rt, err)
		require.NotEmpty(rt, chain.Fault)
		require.Equal(rt, want, chain.Lines)
	})
}

func TestFaultsOfStructureAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		`[{id: a, needs: [b], action: alert_soc, with: {severity: low}}, {id: b, action: alert_soc, with: {severity: low}}]`:                     "a cycle: ",
		`[{id: a, if: steps.b.status == "failed", action: alert_soc, with: {severity: low}}, {id: b, action: alert_soc, with: {severity: low}}]`: `the step "b" comes later`,
		`[{id: a, if: steps.x.status == "failed", action: alert_soc, with: {severity: low}}]`:                                                    `no step is called "x"`,
		`[{id: a, needs: [x], action: alert_soc, with: {severity: low}}]`:                                                                        `no step is called "x"`,
		`[{id: a}]`: "exactly one of action, parallel and sequence",
		`[{id: a, parallel: {steps: [{id: b, action: alert_soc, with: {severity: low}}]}}]`:                                                                            "at least two branches",
		`[{id: a, ttl: 1h, sequence: [{id: b, action: alert_soc, with: {severity: low}}]}]`:                                                                            "it belongs to a step with an action",
		`[{id: a, action: alert_soc, with: {severity: low}, verify: {within: 1m}}]`:                                                                                    "there is nothing to observe of alert_soc",
		`[{id: a, action: block_ip, with: {source_ip: x}, keep: true}]`:                                                                                                "keep needs a ttl",
		`[{id: a, action: isolate_host, with: {host: x}}]`:                                                                                                             "risk high needs hotl",
		`[{id: a, action: block_ip, with: {source_ip: "${steps.b.accounts}"}}, {id: b, action: alert_soc, with: {severity: low}}]`:                                     `the step "b" comes later`,
		`[{id: a, action: block_ip, with: {source_ip: "${x"}}]`:                                                                                                        "lacks a closing brace",
		`[{id: g, parallel: {steps: [{id: a, needs: [b], action: alert_soc, with: {severity: low}}, {id: b, needs: [a], action: alert_soc, with: {severity: low}}]}}]`: "a cycle: ",
	} {
		_, err := Parse("p.yaml", []byte("schema: hemostat.playbook/v1\nid: p\ntrigger: {}\nsteps: "+text+"\n"), decode)
		require.ErrorContains(t, err, want, text)
	}
	p := book(t, "trigger: {}\nsteps: [{id: a, action: isolate_host, with: {host: x}, timeout: 5h, hotl: {required: true, timeout: 3h, on_timeout: deny}}]")
	require.Len(t, p.Fits(2*time.Hour), 2)
	require.Empty(t, p.Fits(5*time.Hour))
}

func BenchmarkIncidentThroughPlaybookStart(b *testing.B) {
	books, err := Load(Embedded, EmbeddedDir, decode)
	require.NoError(b, err)
	e, _ := engine(b, Policy{}, books...)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		a := bruteForce()
		a.SourceIP = fmt.Sprintf("203.%d.%d.%d", i>>16&255, i>>8&255, i&255)
		e.Alert(time.Duration(i)*time.Second, &incident.Incident{ID: i, Score: 0.9, Severity: severity.High, Accounts: []string{"eve"}}, a)
	}
}

// BenchmarkOpenIncidents has a growing number of incidents open at once; the time
// of a decision must not grow with them.
func BenchmarkOpenIncidents(b *testing.B) {
	for _, open := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(open), func(b *testing.B) {
			p := book(b, fmt.Sprintf(block, "hold"))
			e, _ := engine(b, Policy{MaxRuns: 1 << 30}, p)
			next := 0
			fill := func() {
				next++
				a := bruteForce()
				a.SourceIP = fmt.Sprintf("203.%d.%d.%d", next>>16&255, next>>8&255, next&255)
				e.Alert(0, &incident.Incident{ID: next, Severity: severity.High}, a)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for range open {
				fill()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			held := float64(after.HeapAlloc-before.HeapAlloc) / 1e6
			b.ReportAllocs()
			id := 0
			for b.Loop() {
				id++
				e.Answer(1, id, false, "x")
				fill()
			}
			b.ReportMetric(held, "MB-open")
		})
	}
}

// Whatever a log holds, checking it ends.
func FuzzVerifyAudit(f *testing.F) {
	p := book(f, fmt.Sprintf(block, "deny"))
	e, _ := play(f, p, 7)
	var b bytes.Buffer
	require.NoError(f, WriteAudit(&b, e.Audit))
	f.Add(b.Bytes())
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := VerifyAudit(bytes.NewReader(data))
		if err == nil && c.Fault == "" && c.Lines > 0 && c.Head == "" {
			t.Fatal("a log in order has a head")
		}
	})
}

// Whatever a playbook's file holds, reading it ends in a playbook or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte("schema: hemostat.playbook/v1\nid: p\n" + fmt.Sprintf(block, "deny")))
	f.Add([]byte("id: p\nsteps: [{id: a, parallel: {steps: [{id: a, needs: [a], sequence: [{}]}]}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p.yaml", data, decode)
		if err == nil && p == nil {
			t.Fatal("neither a playbook nor an error")
		}
	})
}

func TestASkippedGroupHoldsNothingUp(t *testing.T) {
	e, w := engine(t, Policy{}, book(t, `trigger: {}
steps:
  - {id: a, action: alert_soc, with: {severity: low}}
  - {id: g, if: fusion.confidence < 0.1, parallel: {steps: [{id: x, needs: [a], action: alert_soc, with: {severity: high}}, {id: y, action: alert_soc, with: {severity: high}}]}}
  - {id: w, action: block_ip, with: {source_ip: "${alert.source_ip}"}, `+asks+`}`))
	fire(e, 0)
	ok(e, 1, 1)
	require.Equal(t, []string{"skipped", "skipped", "skipped"}, []string{stepStatus(e, "g"), stepStatus(e, "x"), stepStatus(e, "y")})
	require.Len(t, w.asked, 1)
	e.Answer(2, 1, true, "x")
	require.Equal(t, "alert_soc block_ip", did(w))
}

func TestWhatAlwaysRunsDoesSoInAGroupOfAStoppedRun(t *testing.T) {
	e, w := engine(t, Policy{Approval: "none"}, book(t, `trigger: {}
steps:
  - {id: a, action: snapshot_memory, with: {host: "${alert.host}"}}
  - {id: g, parallel: {steps: [{id: x, always: true, action: alert_soc, with: {severity: high}}, {id: y, action: traffic_capture, with: {host: "${alert.host}"}}]}}`))
	fire(e, 0)
	e.Done(1, 1, Result{})
	require.Equal(t, "snapshot_memory alert_soc", did(w))
	require.Equal(t, "skipped", stepStatus(e, "y"))
}

// waiting counts the runs that wait for room.
func (e *Engine) waiting() int {
	n := 0
	for _, list := range e.waitingRuns {
		n += len(list)
	}
	return n
}
