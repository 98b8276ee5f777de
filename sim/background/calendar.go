package background

import (
	"math"
	"time"
)

// dayCurve is the relative activity of office people over the day: a floor for
// those who work late, and a bell around 13:00 with 3.2 h standard deviation;
// weekends are a fifth of that. The shape is an assumption; docs/calibration.md
// names it as such.
func dayCurve(at time.Time) float64 {
	hour := float64(at.Hour()) + float64(at.Minute())/60
	curve := 0.04 + math.Exp(-(hour-13)*(hour-13)/(2*3.2*3.2))
	if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
		curve *= 0.2
	}
	return curve
}

// night tells whether backups run: 22:00 to 05:00.
func night(at time.Time) bool { return at.Hour() >= 22 || at.Hour() < 5 }
