// Package analysts are the people on the loop: pools of first line, second line
// and commander with queues, notice and decision times, triage of alerts as
// competing work, fatigue, and verdicts by signal detection theory. Their
// verdicts lean on the truth, which they see only as far as their
// discrimination d' goes, so the package belongs to the simulator and not to
// the defence. Questions come from defenders/response through an adapter in
// scenarios; answers go back the same way.
package analysts

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/severity"
)

// The modes of answering.
const (
	pool     = "pool"     // people with queues and errors
	oracle   = "oracle"   // always right, at once: the bound that people cannot pass
	always   = "always"   // approves everything at once
	never    = "never"    // denies everything at once
	scripted = "scripted" // right with a fixed delay
)

// Config is the staffing.
type Config struct {
	Mode      string
	Tier1     int // people on the first line
	Tier2     int
	Commander int
	// Decision is how long one decision takes once begun; Notice how long until
	// somebody sees the question; OnCall the same outside the shift.
	Decision, Notice, OnCall sim.Dist
	// Triage is how long an alert keeps a first-line analyst busy.
	Triage sim.Dist
	// Shift is the hours of the day at which people are at their desks; both 0
	// means around the clock.
	ShiftFrom, ShiftTo int
	// Roster, when given, says who is at the desks when, in place of the shift and
	// the numbers above. A role with nobody at a desk is on call with one person, if
	// the roster names it at all.
	Roster []ShiftSlot
	// DPrime is the discrimination: 1.9 gives 83 % right verdicts at a neutral
	// criterion (Moosmann et al. 2026).
	DPrime float64
	// Delay is the answer time of the modes oracle, always, never and scripted.
	Delay sim.Dist
}

// ShiftSlot is a number of people of one role at their desks, from one hour of the day
// to another.
type ShiftSlot struct {
	Role     approval.Role
	From, To int
	People   int
}

// Default is a mid-sized centre: at the desks from 7 to 20, on call by night. Decision times are an assumption: no
// public distribution of approval times exists (docs/calibration.md).
func Default() Config {
	return Config{
		Mode: pool, Tier1: 2, Tier2: 1, Commander: 1,
		Decision: sim.LogNormal(
			2*time.Minute,
			0.8,
		), Notice: sim.LogNormal(20*time.Second, 0.6), OnCall: sim.LogNormal(10*time.Minute, 0.6),
		Triage: sim.LogNormal(
			5*time.Minute,
			0.8,
		), ShiftFrom: 7, ShiftTo: 20, DPrime: 1.9, Delay: sim.Fixed(time.Second),
	}
}

// Question is what a person is asked.
type Question struct {
	ID         int
	Role       approval.Role
	Key        string // names the decision across variants, so that they share its luck
	Action     action.Kind
	Priority   severity.Severity // the higher goes first; triage of alerts comes after every request
	Confidence float64
	Disruption float64
	Deadline   time.Duration
	Justified  bool // in truth
}

// Answer is called with a person's verdict. It returns false when it came too
// late.
type Answer func(now time.Duration, id int, approved bool, by string) bool

// Staff answers questions.
type Staff struct {
	// Late counts answers that nobody waited for any more.
	Late int
	// Minutes is the time spent on triage and decisions.
	Minutes float64

	// Verdicts counts decisions by verdict and truth; nil counts nothing.
	Verdicts *prometheus.CounterVec

	config  Config
	engine  *sim.Engine
	streams sim.Streams
	epoch   time.Time
	answer  Answer
	queues  map[approval.Role]*tierQueue
	asked   map[string]int
	alerts  uint64
}

// tierQueue is the people of one role and what waits for them.
type tierQueue struct {
	role    approval.Role
	people  int
	busy    int
	waiting []job
	recent  []time.Duration      // when the decisions of the last hour were made
	known   map[action.Kind]bool // that were decided before
}

type job struct {
	question *Question
	took     time.Duration
	since    time.Duration
	verdict  bool
}

// New puts people to work. The epoch is the calendar time of virtual time zero.
func New(e *sim.Engine, streams sim.Streams, epoch time.Time, c Config, answer Answer) *Staff {
	s := &Staff{
		config:  c,
		engine:  e,
		streams: streams,
		epoch:   epoch,
		answer:  answer,
		asked:   map[string]int{},
		queues:  map[approval.Role]*tierQueue{},
	}
	people := map[approval.Role]int{
		approval.Tier1:             c.Tier1,
		approval.Tier2:             c.Tier2,
		approval.IncidentCommander: c.Commander,
	}
	for _, role := range approval.Roles() {
		s.queues[role] = &tierQueue{role: role, people: people[role], known: map[action.Kind]bool{}}
	}
	if len(c.Roster) > 0 {
		e.After(time.Hour, s.changeShift)
	}
	return s
}

// changeShift lets those who have come take what waits, every hour.
func (s *Staff) changeShift(now time.Duration) {
	for _, role := range approval.Roles() {
		s.serve(now, s.queues[role])
	}
	s.engine.After(time.Hour, s.changeShift)
}

// Ask puts a question to a role. Luck is drawn from the question's key, so the
// same question in another variant meets the same person in the same mood.
func (s *Staff) Ask(now time.Duration, q Question) {
	s.asked[q.Key]++
	luck := s.streams.Stream("analysts", q.Key).At(uint64(s.asked[q.Key]))
	if s.config.Mode != pool {
		s.engine.After(s.config.Delay.Sample(&luck), func(now time.Duration) {
			approved := q.Justified
			switch s.config.Mode {
			case always:
				approved = true
			case never:
				approved = false
			}
			s.reply(now, q, approved, s.config.Mode)
		})
		return
	}
	d := s.queues[q.Role]
	people, onShift := s.staffed(now, q.Role)
	if d == nil || people == 0 {
		return // nobody is there, so nobody answers
	}
	notice := s.config.Notice
	if !onShift {
		notice = s.config.OnCall
	}
	wait := notice.Sample(&luck)
	took := s.config.Decision.Sample(&luck)
	evidence := luck.Normal()
	s.engine.After(wait, func(now time.Duration) {
		j := job{
			question: &q,
			took:     time.Duration(float64(took) * d.effort(q)),
			since:    now,
			verdict:  s.verdict(now, d, q, evidence),
		}
		at := slices.IndexFunc(
			d.waiting,
			func(other job) bool { return other.question == nil || other.question.Priority < q.Priority },
		)
		if at < 0 {
			at = len(d.waiting)
		}
		d.waiting = slices.Insert(d.waiting, at, j)
		s.serve(now, d)
	})
}

// Triage gives the first line an alert to look at, which keeps them from
// answering questions meanwhile.
func (s *Staff) Triage(now time.Duration, key string) {
	if s.config.Mode != pool {
		return
	}
	s.alerts++
	luck := s.streams.Stream("analysts", "triage "+key).At(s.alerts)
	d := s.queues[approval.Tier1]
	d.waiting = append(d.waiting, job{took: s.config.Triage.Sample(&luck), since: now})
	s.serve(now, d)
}

// staffed is how many people of a role can take work now, and whether they are at
// their desks; those who are not are on call.
func (s *Staff) staffed(now time.Duration, role approval.Role) (people int, onShift bool) {
	hour := s.epoch.Add(now).Hour()
	if len(s.config.Roster) == 0 {
		d := s.queues[role]
		if d == nil {
			return 0, false
		}
		return d.people, s.config.ShiftFrom == 0 && s.config.ShiftTo == 0 ||
			within(hour, s.config.ShiftFrom, s.config.ShiftTo)
	}
	named := false
	for _, duty := range s.config.Roster {
		if duty.Role != role {
			continue
		}
		named = true
		if duty.From == duty.To || within(hour, duty.From, duty.To) {
			people += duty.People
		}
	}
	if people == 0 && named {
		return 1, false
	}
	return people, people > 0
}

func within(hour, from, to int) bool {
	if from < to {
		return hour >= from && hour < to
	}
	return hour >= from || hour < to
}

// timeOnShift is for how long the present shift has lasted; 0 for those on call.
func (s *Staff) timeOnShift(now time.Duration, role approval.Role) time.Duration {
	if _, onShift := s.staffed(now, role); !onShift {
		return 0
	}
	at := s.epoch.Add(now)
	from := s.config.ShiftFrom
	for _, duty := range s.config.Roster {
		if duty.Role == role && within(at.Hour(), duty.From, duty.To) {
			from = duty.From
		}
	}
	hours := (at.Hour() - from + 24) % 24
	return min(time.Duration(hours)*time.Hour+time.Duration(at.Minute())*time.Minute, 12*time.Hour)
}

// effort is by how much a decision takes longer or shorter than usual: what nobody
// has decided before takes longer, good evidence makes it shorter (factors are
// assumptions, docs/calibration.md).
func (d *tierQueue) effort(q Question) float64 {
	f := 1.0
	if !d.known[q.Action] {
		f = 1.3
	}
	d.known[q.Action] = true
	return f / (0.7 + 0.5*q.Confidence)
}

// abandon is how long an alert waits for triage before it is left.
const abandon = time.Hour

// serve lets free people take what waits, questions first.
func (s *Staff) serve(now time.Duration, d *tierQueue) {
	people, _ := s.staffed(now, d.role)
	for d.busy < people && len(d.waiting) > 0 {
		j := d.waiting[0]
		d.waiting = d.waiting[1:]
		if j.question != nil && j.question.Deadline < now {
			s.Late++
			continue
		}
		if j.question == nil && now-j.since > abandon {
			continue
		}
		d.busy++
		s.Minutes += j.took.Minutes()
		s.engine.After(j.took, func(now time.Duration) {
			d.busy--
			if j.question != nil {
				d.recent = append(d.recent, now)
				s.reply(now, *j.question, j.verdict, fmt.Sprintf("%s analyst", d.role))
			}
			s.serve(now, d)
		})
	}
}

func (s *Staff) reply(now time.Duration, q Question, approved bool, by string) {
	if s.Verdicts != nil {
		verdict := "denied"
		if approved {
			verdict = "approved"
		}
		s.Verdicts.WithLabelValues(verdict, fmt.Sprint(q.Justified)).Inc()
	}
	if !s.answer(now, q.ID, approved, by) {
		s.Late++
	}
}

// verdict is equal-variance signal detection: the person sees the truth through
// d' and approves above a criterion. It falls with the confidence shown
// (automation bias, Thomson et al. 2024), and under pressure, when much waits; it
// rises with the predicted disruption (caution). d' falls with the decisions of
// the last hour and the time on shift, at most by 29 % (CSA 2025).
func (s *Staff) verdict(now time.Duration, d *tierQueue, q Question, noise float64) bool {
	d.recent = slices.DeleteFunc(d.recent, func(at time.Duration) bool { return now-at > time.Hour })
	fatigue := 0.02*float64(len(d.recent)) + 0.008*s.timeOnShift(now, d.role).Hours()
	dPrime := s.config.DPrime * (1 - min(0.29, fatigue))
	signal := -dPrime / 2
	if q.Justified {
		signal = dPrime / 2
	}
	pressure := min(0.3, 0.03*float64(len(d.waiting)))
	criterion := 0.8*(0.5-q.Confidence) + min(0.6, q.Disruption/600) - pressure
	return signal+noise > criterion
}
