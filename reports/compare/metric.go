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
	Unit   record.Unit
	Better int // 1 when more is better, -1 when less is
	// Bound is the greatest value that a gate counts in one trial; what lies above
	// counts as the bound. 0 stands for the trial's horizon.
	Bound float64
	// Of reads the metric off a trial. NaN stands for "does not apply" (the fate of
	// an attack where there is none), an infinite time for "never".
	Of  func(*record.Trial) float64
	Doc string
	// Optional metrics are left out where they are 0 everywhere.
	Optional bool
}

// metrics is everything that variants are compared by: the columns of trials that
// are marked as better when more or less, and behind the column named what is derived
// from several. Times count from the attack's first event, in nanoseconds.
var metrics = metricsOf(record.TrialColumns, []derived{
	{
		"objective_reached",
		Metric{
			Name:   "detected_before_objective",
			Kind:   Rate,
			Unit:   record.Share,
			Better: 1,
			Bound:  1,
			Of:     attacked(detectedInTime),
			Doc:    "trials whose attack was detected before its goal, or without its reaching it",
		},
	},
	{
		"alerts_false",
		Metric{
			Name:   "alerts_false_per_1000_benign",
			Kind:   Count,
			Unit:   record.Share,
			Better: -1,
			Bound:  10,
			Of:     falsePerThousand,
			Doc:    "false positives for 1,000 events of ordinary work",
		},
	},
	{
		"alerts_false",
		Metric{
			Name:   "alerts_false_per_day",
			Kind:   Count,
			Unit:   record.Count,
			Better: -1,
			Bound:  400,
			Of:     falsePerDay,
			Doc:    "false positives in an analyst's day of eight hours",
		},
	},
	{
		"alerts_false_to_people",
		Metric{
			Name:   "forecast_top3",
			Kind:   Count,
			Unit:   record.Share,
			Better: 1,
			Bound:  1,
			Of:     forecast(func(t *record.Trial) float64 { return t.ForecastTop3 }),
			Doc:    "share of forecasts of the next technique that hold it among the three likeliest",
		},
	},
	{
		"alerts_false_to_people",
		Metric{
			Name:   "forecast_log_loss",
			Kind:   Count,
			Unit:   record.NoUnit,
			Better: -1,
			Bound:  21,
			Of:     forecast(func(t *record.Trial) float64 { return t.ForecastLogLoss }),
			Doc:    "mean log loss of these forecasts",
		},
	},
	{
		"alerts_false_to_people",
		Metric{
			Name:   "join_precision",
			Kind:   Count,
			Unit:   record.Share,
			Better: 1,
			Bound:  1,
			Of:     alertsJoined(func(t *record.Trial) float64 { return t.JoinPrecision }),
			Doc:    "of the pairs of alerts in one campaign of which one at least is about an attack, the share in which both are about the same",
		},
	},
	{
		"alerts_false_to_people",
		Metric{
			Name:   "join_recall",
			Kind:   Count,
			Unit:   record.Share,
			Better: 1,
			Bound:  1,
			Of:     alertsJoined(func(t *record.Trial) float64 { return t.JoinRecall }),
			Doc:    "of the pairs of alerts about the same attack, the share that is in one campaign",
		},
	},
	{
		"alerts_false_to_people",
		Metric{
			Name:   "attribution_top1",
			Kind:   Count,
			Unit:   record.Share,
			Better: 1,
			Bound:  1,
			Of:     attributed(func(t *record.Trial) float64 { return t.AttributionTop1 }),
			Doc:    "share of attacks for whose campaign the right actor stood first",
		},
	},
	{
		"alerts_false_to_people",
		Metric{
			Name:   "attribution_brier",
			Kind:   Count,
			Better: -1,
			Bound:  2,
			Of:     attributed(func(t *record.Trial) float64 { return t.AttributionBrier }),
			Doc:    "mean Brier score of the probabilities of actors, 0 to 2",
		},
	},
	{
		"approvals_asked",
		Metric{
			Name:   "approval_wait",
			Kind:   Count,
			Unit:   record.Seconds,
			Better: -1,
			Bound:  86_400,
			Of:     approvalWait,
			Doc:    "time that approval requests waited for their answers",
		},
	},
})

// derived is a metric of several columns and the metric that it stands behind.
type derived struct {
	after string
	Metric
}

func metricsOf(columns []record.Column, more []derived) []Metric {
	var all []Metric
	for _, c := range columns {
		if c.Better == 0 {
			continue
		}
		all = append(all, columnMetric(c))
		for _, d := range more {
			if d.after == c.Name {
				all = append(all, d.Metric)
			}
		}
	}
	return all
}

// columnMetric makes a metric of a column. The fate of an attack applies to trials
// with an attacker only.
func columnMetric(c record.Column) Metric {
	m := Metric{Name: c.Name, Unit: c.Unit, Better: c.Better, Bound: c.Bound, Doc: c.Doc, Optional: c.Optional}
	m.Of = func(t *record.Trial) float64 {
		if v, there := c.Number(t); there {
			return v
		}
		return math.Inf(1)
	}
	switch {
	case c.Nullable:
		m.Kind, m.Of = Time, attacked(m.Of)
	case c.Unit == record.Share && c.Type == "INTEGER":
		m.Kind, m.Of = Rate, attacked(m.Of)
	case c.Unit == record.Bytes:
		m.Kind = Volume
	default:
		m.Kind = Count
	}
	return m
}

// MetricByName finds a metric, or nil.
func MetricByName(name string) *Metric {
	at := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == name })
	if at < 0 {
		return nil
	}
	return &metrics[at]
}

// MetricNames lists them.
func MetricNames() []string {
	var out []string
	for _, m := range metrics {
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

// alertsJoined applies a metric to trials with several alerts about one attack.
func alertsJoined(of func(*record.Trial) float64) func(*record.Trial) float64 {
	return func(t *record.Trial) float64 {
		if t.JoinPairs == 0 {
			return math.NaN()
		}
		return of(t)
	}
}

// attributed applies a metric to trials with an attack for whose campaign an actor was named.
func attributed(of func(*record.Trial) float64) func(*record.Trial) float64 {
	return func(t *record.Trial) float64 {
		if t.AttributionsScored == 0 {
			return math.NaN()
		}
		return of(t)
	}
}

// forecast applies a metric to trials with forecasts that can be scored.
func forecast(of func(*record.Trial) float64) func(*record.Trial) float64 {
	return func(t *record.Trial) float64 {
		if t.Forecasts == 0 {
			return math.NaN()
		}
		return of(t)
	}
}

func detectedInTime(t *record.Trial) float64 {
	return one(t.TimeToDetect != nil && (t.TimeToObjective == nil || *t.TimeToDetect < *t.TimeToObjective))
}

func falsePerThousand(t *record.Trial) float64 {
	benign := t.EventsTotal - t.EventsMalicious
	if benign <= 0 {
		return math.NaN()
	}
	return 1000 * float64(t.AlertsFalse) / float64(benign)
}

// analystDay is the working day that false positives are counted by.
const analystDay = 8 * time.Hour

func falsePerDay(t *record.Trial) float64 {
	if t.Horizon <= 0 {
		return math.NaN()
	}
	return float64(t.AlertsFalse) * float64(analystDay) / float64(t.Horizon)
}

func approvalWait(t *record.Trial) float64 {
	if t.ApprovalWait == nil {
		return 0
	}
	return time.Duration(*t.ApprovalWait).Seconds()
}

// Least is what differences of small values are held against in relative checks, so
// that one alert instead of none is not infinitely more: a minute of an attack's time,
// a share's hundredth of its bound, of people's time a 200th, otherwise one.
func (m Metric) Least() float64 {
	switch {
	case m.Kind == Time:
		return float64(time.Minute)
	case m.Unit == record.Seconds:
		return m.Bound / 200
	case m.Unit == record.Share:
		return m.Bound / 100
	}
	return 1
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
	case m.Unit == record.Seconds:
		return duration(v * float64(time.Second))
	case m.Unit == record.Bytes:
		return strconv.FormatFloat(v/1e6, 'f', 1, 64) + " MB"
	case m.Unit == record.Share:
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
