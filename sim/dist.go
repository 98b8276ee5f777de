package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Dist is a distribution of durations as scenario files write it:
//
//	5m                              always five minutes
//	exponential(20m)                mean 20 minutes
//	uniform(1m, 5m)
//	lognormal(median 12m, sigma 0.8)
//
// The zero Dist is always 0.
type Dist struct {
	kind  distKind
	a, b  time.Duration
	sigma float64
}

type distKind uint8

const (
	distFixed distKind = iota
	distExponential
	distUniform
	distLogNormal
)

// Fixed returns the distribution that is always d.
func Fixed(d time.Duration) Dist { return Dist{a: d} }

// LogNormal returns a lognormal distribution with this median and log-scale sigma.
func LogNormal(median time.Duration, sigma float64) Dist {
	return Dist{kind: distLogNormal, a: median, sigma: sigma}
}

// Exponential returns an exponential distribution with this mean.
func Exponential(mean time.Duration) Dist { return Dist{kind: distExponential, a: mean} }

// uniform returns a uniform distribution over [low, high).
func uniform(low, high time.Duration) Dist { return Dist{kind: distUniform, a: low, b: high} }

// IsZero tells whether the distribution is always 0.
func (d Dist) IsZero() bool { return d == Dist{} }

// Sample takes one draw.
func (d Dist) Sample(s *Stream) time.Duration {
	switch d.kind {
	case distExponential:
		return time.Duration(float64(d.a) * s.Exp())
	case distUniform:
		return s.Between(d.a, d.b)
	case distLogNormal:
		return time.Duration(s.LogNormal(float64(d.a), d.sigma))
	}
	s.Uint64()
	return d.a
}

// String writes the distribution as it is read.
func (d Dist) String() string {
	switch d.kind {
	case distExponential:
		return fmt.Sprintf("exponential(%s)", d.a)
	case distUniform:
		return fmt.Sprintf("uniform(%s, %s)", d.a, d.b)
	case distLogNormal:
		return fmt.Sprintf("lognormal(median %s, sigma %s)", d.a, strconv.FormatFloat(d.sigma, 'g', -1, 64))
	}
	return d.a.String()
}

// MarshalText writes the distribution as it is read.
func (d Dist) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

const distForms = "a duration such as 5m, exponential(20m), uniform(1m, 5m) or lognormal(median 12m, sigma 0.8)"

// UnmarshalText reads one of the forms above; the error lists them.
func (d *Dist) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	name, args, isCall := strings.Cut(s, "(")
	if !isCall {
		fixed, err := positiveDuration(s)
		if err != nil {
			return fmt.Errorf("%q is no distribution; accepted: %s", s, distForms)
		}
		*d = Fixed(fixed)
		return nil
	}
	args, closed := strings.CutSuffix(args, ")")
	if !closed {
		return fmt.Errorf("%q lacks its closing parenthesis; accepted: %s", s, distForms)
	}
	parsed, err := parseDist(strings.TrimSpace(name), splitArgs(args))
	if err != nil {
		return fmt.Errorf("%q: %w; accepted: %s", s, err, distForms)
	}
	*d = parsed
	return nil
}

func parseDist(name string, args []string) (Dist, error) {
	switch name {
	case "exponential":
		if len(args) != 1 {
			return Dist{}, fmt.Errorf("exponential takes its mean")
		}
		mean, err := positiveDuration(strings.TrimPrefix(args[0], "mean "))
		return Exponential(mean), err
	case "uniform":
		if len(args) != 2 {
			return Dist{}, fmt.Errorf("uniform takes two durations")
		}
		low, err := positiveDuration(args[0])
		if err != nil {
			return Dist{}, err
		}
		high, err := positiveDuration(args[1])
		if err == nil && high < low {
			err = fmt.Errorf("the second duration is below the first")
		}
		return uniform(low, high), err
	case "lognormal":
		if len(args) != 2 {
			return Dist{}, fmt.Errorf("lognormal takes a median and a sigma")
		}
		median, err := positiveDuration(strings.TrimPrefix(args[0], "median "))
		if err != nil {
			return Dist{}, err
		}
		sigma, err := strconv.ParseFloat(strings.TrimPrefix(args[1], "sigma "), 64)
		if err != nil || !(sigma >= 0 && sigma <= 10) {
			return Dist{}, fmt.Errorf("sigma must be a number from 0 to 10")
		}
		return LogNormal(median, sigma), nil
	}
	return Dist{}, fmt.Errorf("unknown distribution %q", name)
}

func splitArgs(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func positiveDuration(s string) (time.Duration, error) {
	v, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	if v < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return v, nil
}
