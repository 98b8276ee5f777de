// Package truth is the ledger of what really happened in a trial: which events
// the attackers caused, and which step of theirs each belongs to. World and
// attackers write it; recorder, analysts and reports read it. Defender packages
// must never import it, and a linter rule holds that line.
package truth

import "time"

// Label names what an event belongs to. The zero Label is benign.
type Label struct {
	Attack int32 // 1-based index of the attacker in the scenario; 0 is benign
	Step   int32 // index of the attacker's step
}

// Malicious tells whether an attacker caused the event.
func (l Label) Malicious() bool { return l.Attack != 0 }

// Ledger maps event ids to labels. Benign events are not listed.
type Ledger struct {
	labels map[uint64]Label
	first  map[int32]time.Duration
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{labels: map[uint64]Label{}, first: map[int32]time.Duration{}}
}

// Record notes that an attacker's step caused an event.
func (l *Ledger) Record(event uint64, label Label, at time.Duration) {
	l.labels[event] = label
	if first, ok := l.first[label.Attack]; !ok || at < first {
		l.first[label.Attack] = at
	}
}

// Label returns what an event belongs to.
func (l *Ledger) Label(event uint64) Label { return l.labels[event] }

// Malicious counts the recorded events.
func (l *Ledger) Malicious() int { return len(l.labels) }

// FirstEvent returns the time of an attack's first event.
func (l *Ledger) FirstEvent(attack int32) (time.Duration, bool) {
	at, ok := l.first[attack]
	return at, ok
}
