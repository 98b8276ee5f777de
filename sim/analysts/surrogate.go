package analysts

import (
	"math"
	"time"

	"hemostat/sim"
)

// SurrogateConfig says how good a model the surrogate plays.
type SurrogateConfig struct {
	// Sensitivity is the share of true alerts that it confirms, Specificity that of false
	// alerts that it dismisses.
	Sensitivity, Specificity float64
	// Correlation is that of the errors about alerts of one pattern, 0 to 1: a model that
	// takes one alert of a rule for what it is not takes the others of that rule so too.
	Correlation float64
	// Latency is how long an answer takes.
	Latency sim.Dist
	// Obeys is the share of texts in the evidence that order it to dismiss an alert which it obeys.
	Obeys float64
}

// DefaultSurrogate is the average of 16 models on single alerts (SecAlertBench 2026: true
// positive rate 79.7 %, false positive rate 44.1 %). The correlation and the latency are
// assumptions (docs/calibration.md).
func DefaultSurrogate() SurrogateConfig {
	return SurrogateConfig{
		Sensitivity: 0.797, Specificity: 0.559, Correlation: 0.7, Latency: sim.LogNormal(8*time.Second, 0.5),
	}
}

// Surrogate plays a model that judges alerts with stated error rates. It leans on the
// truth, and belongs to the simulator like the people do.
type Surrogate struct {
	config   SurrogateConfig
	patterns sim.Streams // one luck a pattern, in every trial of the seed
	alerts   sim.Streams
	asked    map[string]uint64
}

// NewSurrogate makes a surrogate; the luck of patterns is that of the seed, so that a
// model errs about the same patterns in every trial.
func NewSurrogate(c SurrogateConfig, seed uint64, trial sim.Streams) *Surrogate {
	const everyTrial = 1 << 62 // far from the index of any trial
	return &Surrogate{config: c, patterns: sim.NewStreams(seed, everyTrial), alerts: trial, asked: map[string]uint64{}}
}

// Judge answers whether an alert is true, and how long that took. The pattern is what a
// model would see as the same kind of alert, the key names the alert across variants.
func (s *Surrogate) Judge(pattern, key string, isTrue bool) (says bool, latency time.Duration) {
	side, rate := "false", 1-s.config.Specificity
	if isTrue {
		side, rate = "true", s.config.Sensitivity
	}
	s.asked[key]++
	own := s.alerts.Stream("surrogate", key).At(s.asked[key])
	shared := s.patterns.Stream("surrogate "+side, pattern)
	// Two normal variates with the correlation between alerts of a pattern (a one-factor
	// Gaussian copula): the share above the threshold is the rate whatever the correlation.
	z := math.Sqrt(s.config.Correlation)*shared.Normal() + math.Sqrt(1-s.config.Correlation)*own.Normal()
	return z < normalQuantile(rate), s.config.Latency.Sample(&own)
}

// ObeysOrder tells whether the model obeys a text that it has met with an alert.
func (s *Surrogate) ObeysOrder(key string) bool {
	luck := s.alerts.Stream("surrogate orders", key).At(s.asked[key])
	return luck.Bool(s.config.Obeys)
}

// normalQuantile is the quantile of the standard normal distribution.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
