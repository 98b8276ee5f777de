package sentinel

import (
	"fmt"
	"time"

	"hemostat/defenders/detect"
	"hemostat/sim/event"
)

// Direct runs detectors over events as they come, without queues, deduplication and alerts:
// for what asks only which findings there are. Time passes with the events.
type Direct struct {
	Members []Member
	Report  detect.Report
	now     time.Duration
}

// Event shows an event to every detector, after those that were due before it.
func (d *Direct) Event(e *event.Event) error {
	d.now = max(d.now, e.Time)
	for _, m := range d.Members {
		if timed, ok := m.Detector.(detect.Timed); ok {
			if at, due := timed.NextWake(); due && at <= d.now {
				if err := timed.Advance(d.now, d.Report); err != nil {
					return fmt.Errorf("detector %s: %w", m.Name, err)
				}
			}
		}
		if err := m.Detector.Inspect(d.now, e, d.Report); err != nil {
			return fmt.Errorf("detector %s: %w", m.Name, err)
		}
	}
	return nil
}

// End tells the detectors that no event follows and lets them go; completed tells that all
// events were shown.
func (d *Direct) End(completed bool) error {
	if completed {
		for _, m := range d.Members {
			if ending, ok := m.Detector.(detect.Ending); ok {
				if err := ending.End(d.now, d.Report); err != nil {
					_ = CloseAll(d.Members, false) // the error before it says why
					return fmt.Errorf("detector %s: %w", m.Name, err)
				}
			}
		}
	}
	return CloseAll(d.Members, completed)
}
