package encrypted

import (
	"fmt"
	"math"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/logistic"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// volumes remembers what each host sends outside.
type volumes struct {
	hosts *sketch.Map[uint64, sending]
	all   sketch.Level // of all hosts, for one without a history
	// influence bounds by how many mean deviations an hour may move what is usual; 0 for the
	// bound of sketch.Level.
	influence float64 `snapshot:"-"`
}

func newVolumes() volumes { return volumes{hosts: sketch.NewMap[uint64, sending](20_000)} }

const (
	volumeWindow = time.Hour
	// volumeHalf is the number of hours after which one counts half.
	volumeHalf = 24 * 7
	// enoughHours is how many hours are a history of a host's own.
	enoughHours = 24
)

// sending is what a host sends outside, in an hour and usually, in the logarithm of bytes.
type sending struct {
	Host     string
	Usual    sketch.Level
	window   sketch.Window
	sent     float64
	top      float64 // to one place
	places   [4]struct{ place, bytes float64 }
	found    bool
	reported time.Duration
	// counted tells that a sensor of the network reports the host's connections.
	counted bool
}

// see notes that a sensor of the network reports a host's connections.
func (v *volumes) see(from string, at time.Duration) { v.host(from, at).counted = true }

// seen tells whether one does.
func (v *volumes) seen(from string) bool {
	s := v.hosts.Get(sketch.Hash(from))
	return s != nil && s.counted
}

func (v *volumes) host(from string, at time.Duration) *sending {
	key := sketch.Hash(from)
	s := v.hosts.Get(key)
	if s == nil {
		s = &sending{Host: clone(from)}
		s.window.Passed(at, volumeWindow)
		v.hosts.Put(key, s)
	}
	return s
}

// upload adds what a connection carried out, and judges the hour against the host's own.
func (d *detector) upload(at time.Duration, from, to string, sent float64, e *event.Event, report detect.Report) {
	s := d.volumes.host(from, at)
	hour := s.window.Began
	if s.window.Passed(at, volumeWindow) {
		d.volumes.close(s)
		if missed := int((s.window.Began - hour) / volumeWindow); missed > 1 { // hours without a byte
			s.Usual.Weight *= math.Exp2(-float64(missed) / volumeHalf)
		}
	}
	s.sent += sent
	s.toPlace(float64(sketch.Hash(to)>>12), sent)
	if s.sent < d.options.MinSent*1e6 || s.found && (at-s.reported).Abs() < quiet {
		return
	}
	usual := &s.Usual
	if usual.Weight < enoughHours {
		usual = &d.volumes.all
	}
	deviation := usual.Score(math.Log(1+s.sent), 0.5, enoughHours)
	if usual.Weight < enoughHours { // nothing is known: against twenty megabytes an hour
		deviation = (math.Log(1+s.sent) - math.Log(2e7)) / 1.5
	}
	// An upload to a place that all call is rarely theft; the place decides unless the
	// volume is beyond all that was ever seen.
	context := d.places.standsOut(from, to)
	score := logistic.Of(deviation-3) * min(1, 0.4+0.6*context+0.25*logistic.Of(deviation-9))
	bar := d.bar(d.options.Volume, from)
	if d.score != nil && score >= scoreFloor {
		d.score(detect.Score{Entity: from, Of: "volume", Value: score, Bar: bar, Reported: score >= bar, Evidence: e.ID,
			Time: at})
	}
	if score < bar {
		return
	}
	s.found, s.reported = true, at
	expected := fmt.Sprintf("usually %s", bytesText(math.Exp(usual.Mean)))
	if usual.Weight < enoughHours {
		expected = "no history of the host is known yet"
	}
	reasons := []alert.Reason{
		reason("sent within the hour", bytesText(s.sent), expected),
		reason("deviation", fmt.Sprintf("%.1f standard deviations of the logarithm", deviation), "under 3"),
		reason("to one place", fmt.Sprintf("%.0f %%", 100*s.top/max(1, s.sent)), nameOr(d.places.at(to).name, to)),
	}
	reasons = append(reasons, d.places.why(from, to)...)
	report(detect.Finding{
		RuleID: "encrypted/volume", Title: "Host Sends Out Far More Than Usual",
		Techniques: []string{"T1041", "T1567", "T1048"},
		Severity:   severity.Medium, Confidence: min(0.85, score), Evidence: []uint64{e.ID}, Reasons: reasons,
	})
}

// close ends a host's hour.
func (v *volumes) close(s *sending) {
	x := math.Log(1 + s.sent)
	s.Usual.AddWithin(x, volumeHalf, v.influence)
	v.all.AddWithin(x, volumeHalf*100, v.influence)
	s.sent, s.top = 0, 0
	s.places = [4]struct{ place, bytes float64 }{}
}

// toPlace keeps the places that get most (the scheme of Misra and Gries).
func (s *sending) toPlace(place, bytes float64) {
	least := 0
	for i := range s.places {
		if s.places[i].place == place {
			s.places[i].bytes += bytes
			s.top = max(s.top, s.places[i].bytes)
			return
		}
		if s.places[i].bytes < s.places[least].bytes {
			least = i
		}
	}
	s.places[least].place = place
	s.places[least].bytes += bytes
	s.top = max(s.top, s.places[least].bytes)
}

func bytesText(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", n/1e6)
	}
	return fmt.Sprintf("%.0f kB", n/1e3)
}
