package response

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"hemostat/sim/action"
)

// effect is something in force that will be undone: what it is, and for which
// runs until when. It ends when the last of them releases it.
type effect struct {
	key     string
	record  *ActionRecord
	dry     bool
	holders []*holder
}

type holder struct {
	run     *run
	expires time.Duration // 0 for until restored
	keep    bool          // restoration leaves it alone
	renewed int           // how often its time was set, so that older timers are void
}

// hold keeps an effect in force for a run; a second request of the same run
// extends it, never stacks.
func (e *Engine) hold(now time.Duration, t *task) {
	key, r := t.key(), t.node.run
	h := e.effects[key]
	if h == nil {
		h = &effect{key: key, record: t.record, dry: e.isDry(t)}
		e.effects[key] = h
	}
	x := e.holderFor(h, r)
	ttl := e.ttlOf(t.node.step)
	x.keep = x.keep || t.node.step.Keep
	if ttl == 0 {
		x.expires = 0
		x.renewed++
		return
	}
	if x.renewed > 0 && x.expires == 0 || now+ttl <= x.expires {
		return
	}
	x.expires = now + ttl
	x.renewed++
	e.setTimer(x.expires, timer{kind: timerUndo, effect: h, holder: x, attempt: x.renewed})
}

// ttlOf is how long the action of a step stays in force, 0 for until it is restored.
func (e *Engine) ttlOf(s *Step) time.Duration {
	if most := e.options.Policy.MostTTL; most > 0 && action.Must(s.Action).Undo && (s.TTL == 0 || s.TTL > most) {
		return most
	}
	return s.TTL
}

// holderFor is the holder of an effect for a run's incident and playbook.
func (e *Engine) holderFor(h *effect, r *run) *holder {
	incident := r.incident.ID
	at := slices.IndexFunc(
		h.holders,
		func(x *holder) bool { return x.run.incident.ID == incident && x.run.playbook.ID == r.playbook.ID },
	)
	if at < 0 {
		x := &holder{run: r}
		h.holders = append(h.holders, x)
		r.effects = append(r.effects, h)
		e.effectsByIncident[incident] = addEffect(e.effectsByIncident[incident], h)
		return x
	}
	x := h.holders[at]
	if x.run != r {
		x.run = r
		r.effects = append(r.effects, h)
	}
	return x
}

// releaseHold ends a run's hold on an effect; the last one undoes it.
func (e *Engine) releaseHold(now time.Duration, h *effect, x *holder, cause, why string) bool {
	if e.effects[h.key] != h || !slices.Contains(h.holders, x) {
		return false
	}
	h.holders = slices.DeleteFunc(h.holders, func(other *holder) bool { return other == x })
	incident := x.run.incident.ID
	if !slices.ContainsFunc(h.holders, func(other *holder) bool { return other.run.incident.ID == incident }) {
		e.effectsByIncident[incident] = slices.DeleteFunc(
			e.effectsByIncident[incident],
			func(other *effect) bool { return other == h },
		)
		if len(e.effectsByIncident[incident]) == 0 {
			delete(e.effectsByIncident, incident)
		}
	}
	if len(h.holders) > 0 {
		return false
	}
	delete(e.effects, h.key)
	e.undo(now, h.record, cause, why)
	return true
}

// undo undoes an action, once.
func (e *Engine) undo(now time.Duration, rec *ActionRecord, cause, why string) {
	if rec.Undone != nil {
		return
	}
	what := "action_undone"
	if !e.options.Policy.DryRun && rec.Status != action.DryRun {
		done := false
		if panicked := guarded(func() { done = e.options.Actuator.Undo(now, rec.ID) }); panicked != "" {
			what, why = "undo_failed", "the undo panicked: "+panicked
		} else if !done {
			why += "; it had left nothing to undo"
		}
	}
	rec.Undone = &now
	e.metrics.undo(rec.Request.Kind, cause)
	e.audit(
		now,
		AuditEntry{
			Run:      rec.Run,
			Incident: rec.Incident,
			Playbook: rec.Playbook,
			Step:     rec.Step,
			What:     what,
			Status:   cause,
			Detail:   strings.TrimSpace(string(rec.Request.Kind) + " " + rec.Target + ": " + why),
		},
	)
}

// compensate undoes what a run has put in force, the latest first.
func (e *Engine) compensate(now time.Duration, r *run) {
	r.compensates = false
	r.status = action.Compensated
	for _, h := range slices.Backward(r.effects) {
		for _, x := range slices.Clone(h.holders) {
			if x.run == r {
				e.releaseHold(now, h, x, "compensated", "the run is taken back")
			}
		}
	}
	r.walkLeaves(func(n *node) {
		for _, t := range n.tasks {
			if t.record != nil && t.record.Status == action.Succeeded && t.record.Undone != nil {
				t.record.Status = action.Compensated
			}
		}
	})
}

// InForce counts the actions in force for an incident that restoration may undo.
func (e *Engine) InForce(incident int) int {
	n := 0
	for _, h := range e.effectsByIncident[incident] {
		if slices.ContainsFunc(h.holders, func(x *holder) bool { return x.run.incident.ID == incident && !x.keep }) {
			n++
		}
	}
	return n
}

func (e *Engine) release(now time.Duration, incident int, classes []action.Disruption) []*ActionRecord {
	list := slices.Clone(e.effectsByIncident[incident])
	slices.SortFunc(list, func(a, b *effect) int { return cmp.Compare(b.record.ID, a.record.ID) })
	var undone []*ActionRecord
	for _, h := range list {
		if !slices.Contains(classes, action.Must(h.record.Request.Kind).Disrupts) {
			continue
		}
		for _, x := range slices.Clone(h.holders) {
			if x.run.incident.ID == incident && !x.keep && e.releaseHold(now, h, x, "restored", "the threat is gone") {
				undone = append(undone, h.record)
			}
		}
	}
	return undone
}

func addEffect(list []*effect, h *effect) []*effect {
	if slices.Contains(list, h) {
		return list
	}
	return append(list, h)
}
