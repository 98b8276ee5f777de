package analyst

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel/analyst/chat"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/attack"
	"hemostat/sim/event"
	"hemostat/sim/printable"
	"hemostat/sim/severity"
)

// The search for patterns in events that no rule flagged: of each half hour, the windows of
// the two hosts that did the least common things are shown to the model.
const (
	windowLength  = 30 * time.Minute
	windowsShown  = 2
	windowEvents  = 10 // the least common ones of a window
	warmUp        = 2 * windowLength
	maxTraits     = 100_000
	patternRule   = "analyst-pattern"
	patternSource = "analyst"
)

// windows collects what hosts do.
type windows struct {
	inventory *inventory.Inventory
	traits    *sketch.Map[string, sketch.Distinct] // on how many hosts each kind of thing was seen
	hosts     map[string]*hostWindow
	began     time.Duration
	first     time.Duration
	any       bool
}

// hostWindow is what one host did in the present window.
type hostWindow struct {
	rarest  []rareEvent
	alerted bool
}

type rareEvent struct {
	event  *event.Event
	rarity float64
	trait  string
}

func newWindows(v *inventory.Inventory) *windows {
	return &windows{inventory: v, traits: sketch.NewMap[string, sketch.Distinct](maxTraits),
		hosts: map[string]*hostWindow{}}
}

// traitOf is what makes an event one of a kind: log, program, parent and what it touched, in
// a form that ordinary repetitions share; "" for events that tell a model little.
func traitOf(e *event.Event) string {
	program := programOf(e.Value(event.Image), e.Value(event.NewProcessName))
	switch e.Source.Category {
	case "process_creation":
		return "process " + program + " " + programOf(e.Value(event.ParentImage), e.Value(event.ParentProcessName))
	case "network_connection":
		return "connection " + program + " " + e.Value(event.DestinationPort)
	case "registry_set", "registry_event":
		key := strings.ToLower(e.Value(event.TargetObject))
		return "registry " + program + " " + key[:min(len(key), 60)]
	case "file_event":
		name := strings.ToLower(e.Value(event.TargetFilename))
		return "file " + program + " " + name[strings.LastIndexByte(name, '.')+1:]
	case "dns_query":
		return "dns " + program
	case "process_access", "create_remote_thread", "pipe_created", "driver_load", "wmi_event":
		return e.Source.Category + " " + programOf(e.Value(event.SourceImage), program)
	}
	return ""
}

// observe takes an event in.
func (w *windows) observe(now time.Duration, e *event.Event) {
	if !w.any {
		w.any, w.first, w.began = true, now, now-now%windowLength
	}
	trait := traitOf(e)
	if trait == "" || e.Host == "" {
		return
	}
	seen := w.traits.Get(trait)
	if seen == nil {
		seen = &sketch.Distinct{}
		w.traits.Put(strings.Clone(trait), seen)
	}
	rarity := 1 / (1 + seen.Count())
	seen.Add(sketch.Hash(e.Host))
	h := w.hosts[e.Host]
	if h == nil {
		h = &hostWindow{}
		w.hosts[strings.Clone(e.Host)] = h
	}
	h.add(rareEvent{e, rarity, trait})
}

// add keeps the event when it is among the least common ones; of a kind one is enough.
func (h *hostWindow) add(r rareEvent) {
	for i := range h.rarest {
		if h.rarest[i].trait == r.trait {
			return
		}
	}
	at, _ := slices.BinarySearchFunc(h.rarest, r.rarity,
		func(x rareEvent, rarity float64) int { return -cmp.Compare(x.rarity, rarity) })
	for at < len(h.rarest) && h.rarest[at].rarity == r.rarity {
		at++
	}
	if at == windowEvents {
		return
	}
	h.rarest = slices.Insert(h.rarest, at, r)
	h.rarest = h.rarest[:min(len(h.rarest), windowEvents)]
}

// noteAlert marks the host of an alert: what a rule flagged is not looked at again.
func (w *windows) noteAlert(a *alert.Alert) {
	if h := w.hosts[a.Host]; h != nil {
		h.alerted = true
		return
	}
	for name, h := range w.hosts {
		if short, _, _ := strings.Cut(name, "."); strings.EqualFold(short, a.Host) {
			h.alerted = true
		}
	}
}

// close ends a window and returns the hosts' windows that are worth a look, with the rarest
// first.
func (w *windows) close(now time.Duration) [][]*event.Event {
	type candidate struct {
		host  string
		score float64
		h     *hostWindow
	}
	var all []candidate
	for name, h := range w.hosts {
		score := 0.0
		for _, r := range h.rarest {
			score += r.rarity
		}
		if !h.alerted {
			all = append(all, candidate{name, score, h})
		}
	}
	slices.SortFunc(all, func(a,
		b candidate) int {
		return cmp.Or(-cmp.Compare(a.score, b.score), cmp.Compare(a.host, b.host))
	})
	warm := now-w.first >= warmUp
	w.hosts, w.began = map[string]*hostWindow{}, now-now%windowLength
	if !warm {
		return nil
	}
	var out [][]*event.Event
	for _, c := range all[:min(len(all), windowsShown)] {
		var events []*event.Event
		for _, r := range c.h.rarest {
			events = append(events, r.event)
		}
		slices.SortFunc(events,
			func(a, b *event.Event) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.ID, b.ID)) })
		out = append(out, events)
	}
	return out
}

// patternAnswer is the form of an answer about a window.
type patternAnswer struct {
	Hostile    bool          `json:"hostile"`
	Confidence float64       `json:"confidence"`
	Technique  string        `json:"technique"`
	Title      string        `json:"title"`
	Reasons    []citedAnswer `json:"reasons"`
}

// finder judges windows of events.
type finder interface {
	findPattern(now time.Duration, events []*event.Event) (Answer, string, error)
}

// findPattern asks the model about a window. The title is that of what it found; the
// decision is Confirm when it found something, Dismiss when not.
func (m *Model) findPattern(now time.Duration, events []*event.Event) (answer Answer, title string, err error) {
	x := newExhibit(now)
	var list []shown
	for _, e := range events {
		list = append(list, x.event(e))
	}
	data, err := json.Marshal(shown{{"host", printable.Text(events[0].Host)}, {"minutes", int(windowLength.Minutes())},
		{"events", list}})
	if err != nil {
		return answer, "", fmt.Errorf("the question cannot be written: %w", err)
	}
	r, err := m.ask(&answer,
		[]chat.Message{{Role: "system", Text: m.config.Prompts.Patterns}, {Role: "user", Text: block(data)}},
		"pattern", patternSchema(x.labels))
	if err != nil {
		return answer, "", err
	}
	answer.Suspicious = x.suspicious
	if r.Failed != "" {
		return answer.abstain(r.Failed), "", nil
	}
	var v patternAnswer
	if err := parseAnswer(r.Text, &v); err != nil {
		return answer.refuse(err.Error()), "", nil
	}
	if !isShare(v.Confidence) {
		return answer.refuse(fmt.Sprintf("the confidence %v is no share from 0 to 1", v.Confidence)), "", nil
	}
	reasons, refused := x.reasonsOf(v.Reasons)
	answer.Refused += refused
	technique := attack.Current(strings.TrimSpace(v.Technique))
	if technique != "" && !attack.IsKnown(technique) {
		answer.Refused++
		technique = ""
	}
	answer.Verdict = Verdict{Decision: Dismiss, Confidence: 1 - v.Confidence, Technique: technique, Reasons: reasons}
	if v.Hostile && len(reasons) > 0 {
		answer.Decision, answer.Confidence = Confirm, v.Confidence
	}
	return answer, printable.Text(cutText(x.redact.restore(strings.TrimSpace(v.Title)), 100)), nil
}

// Found is what the search for patterns came to for one window: an alert, or only what the
// answer took.
type Found struct {
	Alert  *alert.Alert // nil when nothing was found
	Triage *Triage
	// Evidence are the events that were looked at.
	Evidence []uint64
}

// NextWake is when Advance has something to do; false means not before the next event.
func (s *Stage) NextWake() (time.Duration, bool) {
	if s.windows == nil || !s.windows.any {
		return 0, false
	}
	return s.windows.began + windowLength, true
}

// Advance ends the windows that are over and asks about those worth a look.
func (s *Stage) Advance(now time.Duration) ([]Found, error) {
	if at, ok := s.NextWake(); !ok || at > now {
		return nil, nil
	}
	judge := s.options.Judge.(finder)
	var out []Found
	for _, events := range s.windows.close(now) {
		answer, title, err := judge.findPattern(now, events)
		if err != nil {
			return nil, fmt.Errorf("analyst %s: %w", s.options.Judge.Name(), err)
		}
		t := &Triage{Judge: s.options.Judge.Name(), Answer: answer, Asked: now, Before: severity.Medium}
		done, ok := s.queue.EnqueueFor(now, answer.Latency)
		if t.Answered = done; !ok {
			t.Verdict, t.Why, t.Answered = Verdict{Decision: Abstain}, "too much waited for an answer", now
		}
		f := Found{Triage: t}
		for _, e := range events {
			f.Evidence = append(f.Evidence, e.ID)
		}
		if t.Decision == Confirm {
			f.Alert = s.patternAlert(t, title, events)
		}
		s.count(t)
		out = append(out, f)
	}
	return out, nil
}

// patternAlert is the alert about what was found in a window.
func (s *Stage) patternAlert(t *Triage, title string, events []*event.Event) *alert.Alert {
	var evidence []uint64
	for _, r := range t.Reasons {
		for _, id := range r.Evidence {
			if !slices.Contains(evidence, id) {
				evidence = append(evidence, id)
			}
		}
	}
	slices.Sort(evidence)
	about := events[len(events)-1]
	for _, e := range events {
		if e.ID == evidence[len(evidence)-1] {
			about = e
		}
	}
	a := &alert.Alert{
		Raised: t.Answered, EventTime: about.Time, Detector: patternSource, RuleID: patternRule,
		Title: cmp.Or(title, "Pattern of events without a rule"), Severity: severity.Medium, Confidence: t.Confidence,
		Evidence: evidence, Entities: alert.EntitiesOf(about, s.options.Inventory).Detached(),
	}
	if t.Technique != "" {
		a.Techniques = []string{t.Technique}
	}
	for _, r := range t.Reasons {
		a.Reasons = append(a.Reasons,
			alert.Reason{Part: "model", Field: "events", Value: fmt.Sprint(r.Evidence), Test: r.Text})
	}
	return a
}
