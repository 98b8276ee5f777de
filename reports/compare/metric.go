package compare

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"hemostat/sim/record"
)

// Kind says what a metric is, and so how it is estimated.
type Kind int

// The kinds of metric.
const (
	Rate   Kind = iota // share of trials; effect is the difference
	Time               // nanoseconds, perhaps never; effect is the share of pairs that got slower minus faster
	Count              // a number; effect is the standardized mean difference (Cohen's dz)
	Volume             // an amount that is nothing in most trials and much in some; effect as for times
)

// Metric is something that a trial is judged by.
type Metric struct {
	Name   string
	Kind   Kind
	Better int // 1 when more is better, -1 when less is
	// Bound is the greatest value that a gate counts in one trial; what lies above
	// counts as the bound. 0 stands for the trial's horizon.
	Bound float64
	// Of reads the metric off a trial. NaN stands for "does not apply" (the fate of
	// an attack where there is none), an infinite time for "never".
	Of  func(*record.Trial) float64
	Doc string
}

// Metrics is everything that variants are compared by. Times count from the
// attack's first event, in nanoseconds.
var Metrics = []Metric{
	{"detected", Rate, 1, 1, attacked(func(t *record.Trial) float64 { return one(t.Detected) }), "trials whose attack was noticed"},
	{"contained", Rate, 1, 1, attacked(func(t *record.Trial) float64 { return one(t.Contained) }), "trials whose attacker was left no way on"},
	{"objective_reached", Rate, -1, 1, attacked(func(t *record.Trial) float64 { return one(t.ObjectiveReached) }), "trials in which an attacker got what he came for"},
	{"detected_before_objective", Rate, 1, 1, attacked(noticedInTime), "trials whose attack was noticed before its goal, or without its reaching it"},
	{"time_to_detect", Time, -1, 0, when(func(t *record.Trial) record.Time { return t.TimeToDetect }), "until the first alert about the attack"},
	{"time_to_respond", Time, -1, 0, when(func(t *record.Trial) record.Time { return t.TimeToRespond }), "until the first action against it"},
	{"time_to_contain", Time, -1, 0, when(func(t *record.Trial) record.Time { return t.TimeToContain }), "until the attacker has no way on"},
	{"alerts_false", Count, -1, 200, func(t *record.Trial) float64 { return float64(t.AlertsFalse) }, "false alarms a trial"},
	{"alerts_false_per_1000_benign", Count, -1, 10, perBenign, "false alarms for 1,000 events of ordinary work"},
	{"alerts_false_per_day", Count, -1, 400, perDay, "false alarms in an analyst's day of eight hours"},
	{"actions_on_benign", Count, -1, 50, func(t *record.Trial) float64 { return float64(t.ActionsOnBenign) }, "actions that hit somebody innocent"},
	{"collateral_user_seconds", Count, -1, 720_000, func(t *record.Trial) float64 { return t.CollateralSeconds }, "working time that people lost to the defence; a gate counts 200 hours at most"},
	{"approvals_asked", Count, -1, 100, func(t *record.Trial) float64 { return float64(t.ApprovalsAsked) }, "questions to people"},
	{"approval_wait", Count, -1, 86_400, wait, "seconds that questions waited for their answers"},
	{"coherence", Count, 1, 1, func(t *record.Trial) float64 { return t.Coherence }, "share of incidents that were acted on within 5 s, 0 to 1"},
	{"bytes_lost", Volume, -1, 100e9, func(t *record.Trial) float64 { return float64(t.BytesLost) }, "bytes that the attackers carried out of the estate"},
	{"harm", Count, -1, 5000, func(t *record.Trial) float64 { return t.Harm }, "what the attack cost, in hours of work"},
	{"disruption", Count, -1, 5000, func(t *record.Trial) float64 { return t.Disruption }, "ordinary work that the defence cost, in hours"},
	{"operations", Count, -1, 500, func(t *record.Trial) float64 { return t.Operations }, "effort of the defence itself, in hours"},
	{"score", Count, 1, 100, func(t *record.Trial) float64 { return t.Score }, "0 to 100"},
}

// MetricByName finds a metric, or nil.
func MetricByName(name string) *Metric {
	at := slices.IndexFunc(Metrics, func(m Metric) bool { return m.Name == name })
	if at < 0 {
		return nil
	}
	return &Metrics[at]
}

// MetricNames lists them.
func MetricNames() []string {
	var out []string
	for _, m := range Metrics {
		out = append(out, m.Name)
	}
	return out
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// attacked applies a metric to trials with an attacker only.
func attacked(of func(*record.Trial) float64) func(*record.Trial) float64 {
	return func(t *record.Trial) float64 {
		if t.Outcome == record.OutcomeNone {
			return math.NaN()
		}
		return of(t)
	}
}

func noticedInTime(t *record.Trial) float64 {
	return one(t.TimeToDetect != nil && (t.TimeToObjective == nil || *t.TimeToDetect < *t.TimeToObjective))
}

func when(f func(*record.Trial) record.Time) func(*record.Trial) float64 {
	return attacked(func(t *record.Trial) float64 {
		if at := f(t); at != nil {
			return float64(*at)
		}
		return math.Inf(1)
	})
}

func perBenign(t *record.Trial) float64 {
	benign := t.EventsTotal - t.EventsMalicious
	if benign <= 0 {
		return math.NaN()
	}
	return 1000 * float64(t.AlertsFalse) / float64(benign)
}

// analystDay is the working day that false alarms are counted by.
const analystDay = 8 * time.Hour

func perDay(t *record.Trial) float64 {
	if t.Horizon <= 0 {
		return math.NaN()
	}
	return float64(t.AlertsFalse) * float64(analystDay) / float64(t.Horizon)
}

func wait(t *record.Trial) float64 {
	if t.ApprovalWait == nil {
		return 0
	}
	return time.Duration(*t.ApprovalWait).Seconds()
}

// Format writes a value as people read it.
func (m Metric) Format(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case m.Kind == Time && math.IsInf(v, 1):
		return "never"
	case math.IsInf(v, 0):
		return "?"
	case m.Kind == Rate:
		return fmt.Sprintf("%.1f %%", 100*v)
	case m.Kind == Time:
		return duration(v)
	case m.Name == "collateral_user_seconds", m.Name == "approval_wait":
		return duration(v * float64(time.Second))
	case m.Kind == Volume:
		return strconv.FormatFloat(v/1e6, 'f', 1, 64) + " MB"
	case m.Bound <= 10:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// Signed is Format with a plus before what is more.
func (m Metric) Signed(v float64) string {
	if v > 0 {
		return "+" + m.Format(v)
	}
	return m.Format(v)
}

// duration writes nanoseconds as people read them.
func duration(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d.Abs() >= time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", int(d/time.Hour), int(d.Abs()%time.Hour/time.Minute))
	case d.Abs() >= time.Minute:
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
