package indicator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Entry is an indicator of a set as it is found.
type Entry struct {
	Value      string
	Kind       Kind
	Source     string
	Confidence float64
	FirstSeen  time.Time
	LastSeen   time.Time
	ValidUntil time.Time // the zero value for ever
	Tags       []string
}

// IOC is the entry in the form in which indicators are exchanged.
func (e *Entry) IOC() IOC {
	i := IOC{Value: e.Value, Type: e.Kind, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, Source: e.Source,
		Confidence: e.Confidence, Tags: e.Tags}
	if !e.ValidUntil.IsZero() {
		i.Context = map[string]string{ValidUntil: e.ValidUntil.Format(time.RFC3339)}
	}
	return i
}

// ValidUntil is the name in IOC.Context of the time (RFC 3339) from which on an indicator no longer
// counts.
const ValidUntil = "valid_until"

// untilTag keeps that time among the tags of a set, by the day, so that equal ones are kept once.
const untilTag = ValidUntil + ":"

// tagsOf are the tags of an indicator as a set keeps them.
func tagsOf(i *IOC) string {
	tags := i.Tags
	if until, err := time.Parse(time.RFC3339, i.Context[ValidUntil]); err == nil {
		tags = append(slices.Clone(tags), untilTag+until.UTC().Format(time.DateOnly))
	}
	return strings.Join(tags, "\x00")
}

// Set holds millions of indicators in little memory: values in one block, entries of a fixed
// size, and an index with open addressing. It is built once and then only read; reading is
// safe from several goroutines.
type Set struct {
	text    []byte
	entries []entry
	index   []uint32 // of entries plus 1, by the hash of kind and value
	sources names
	tags    names // lists of tags, joined
	bits4   [33]bool
	bits6   [129]bool
	domains int
	// Replaced counts entries that a later one of the same value and source stands for.
	Replaced int
}

// entry is an indicator in 32 bytes.
type entry struct {
	at          uint64 // of the value in text
	length      uint16
	kind        uint8
	confidence  uint8 // in steps of 1/200
	source      uint32
	tags        uint32
	first, last uint32 // seconds since 1970, 0 when not known
	next        uint32 // another entry of the same value plus 1, 0 for none
}

const confidenceSteps = 200

// names numbers texts.
type names struct {
	list []string
	at   map[string]uint32
}

func (n *names) of(text string) uint32 {
	if i, ok := n.at[text]; ok {
		return i
	}
	if n.at == nil {
		n.at = map[string]uint32{}
	}
	i := uint32(len(n.list))
	n.list = append(n.list, strings.Clone(text))
	n.at[n.list[i]] = i
	return i
}

// NewSet makes an empty set with room for so many indicators.
func NewSet(room int) *Set {
	s := &Set{entries: make([]entry, 0, room), text: make([]byte, 0, 20*room)}
	s.grow(max(16, 2*room))
	return s
}

// Len is the number of indicators.
func (s *Set) Len() int { return len(s.entries) }

func kindNumber(k Kind) uint8 { return uint8(slices.Index(kinds, k)) }

// hash of a kind and a value (FNV-1a, 64 bits, mixed).
func hash(kind uint8, value string) uint64 {
	h := uint64(14695981039346656037) ^ uint64(kind)*0x9e3779b97f4a7c15
	for i := range len(value) {
		h = (h ^ uint64(value[i])) * 1099511628211
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

func (s *Set) value(e *entry) string { return string(s.text[e.at : e.at+uint64(e.length)]) }

// is tells whether an entry has a kind and value, without a copy.
func (s *Set) is(e *entry, kind uint8, value string) bool {
	return e.kind == kind && int(e.length) == len(value) && string(s.text[e.at:e.at+uint64(e.length)]) == value
}

// grow makes the index larger.
func (s *Set) grow(room int) {
	size := 16
	for size < room {
		size *= 2
	}
	s.index = make([]uint32, size)
	for i := range s.entries {
		if e := &s.entries[i]; !s.isChained(i) {
			at := s.slot(e.kind, s.value(e))
			s.index[at] = uint32(i + 1)
		}
	}
}

// isChained tells whether an entry is found through another one of the same value. Such
// entries are marked by the highest bit of next.
func (s *Set) isChained(i int) bool { return s.entries[i].next&chained != 0 }

const (
	chained  = 1 << 31
	nextMask = chained - 1
)

// slot is where a kind and value stand in the index, or would.
func (s *Set) slot(kind uint8, value string) int {
	mask := len(s.index) - 1
	for at := int(hash(kind, value)) & mask; ; at = (at + 1) & mask {
		i := s.index[at]
		if i == 0 || s.is(&s.entries[i-1], kind, value) {
			return at
		}
	}
}

// Add takes an indicator in, whose value is in the normal form already. A later one of the
// same value and source stands for an earlier one.
func (s *Set) Add(i *IOC) error {
	kind := kindNumber(i.Type)
	if int(kind) >= len(kinds) {
		return fmt.Errorf("%q is no kind of indicator", i.Type)
	}
	if len(i.Value) > 1<<16-1 || len(s.entries) >= nextMask {
		return fmt.Errorf("the set cannot hold more or longer indicators")
	}
	if 4*(len(s.entries)+1) > 3*len(s.index) {
		s.grow(2 * len(s.index))
	}
	e := entry{
		kind: kind, confidence: uint8(min(max(i.Confidence, 0),
			1)*confidenceSteps + 0.5), source: s.sources.of(i.Source),
		tags: s.tags.of(tagsOf(i)), first: seconds(i.FirstSeen), last: seconds(i.LastSeen),
	}
	at := s.slot(kind, i.Value)
	head := s.index[at]
	for n := head; n != 0; n = s.entries[n-1].next & nextMask {
		old := &s.entries[n-1]
		if old.source == e.source {
			e.at, e.length, e.next = old.at, old.length, old.next
			*old = e
			s.Replaced++
			return nil
		}
	}
	if head != 0 {
		first := &s.entries[head-1]
		e.at, e.length, e.next = first.at, first.length, first.next&nextMask|chained
		s.entries = append(s.entries, e)
		first = &s.entries[head-1]
		first.next = uint32(len(s.entries)) | first.next&chained
		return nil
	}
	e.at, e.length = uint64(len(s.text)), uint16(len(i.Value))
	s.text = append(s.text, i.Value...)
	s.entries = append(s.entries, e)
	s.index[at] = uint32(len(s.entries))
	s.noteShape(i)
	return nil
}

// noteShape remembers which lengths of networks there are, and whether there are domains.
func (s *Set) noteShape(i *IOC) {
	switch i.Type {
	case CIDR:
		if p, err := netip.ParsePrefix(i.Value); err == nil {
			if p.Addr().Is4() {
				s.bits4[p.Bits()] = true
			} else {
				s.bits6[p.Bits()] = true
			}
		}
	case Domain:
		s.domains++
	}
}

func seconds(t time.Time) uint32 {
	if t.IsZero() || t.Unix() <= 0 || t.Unix() > 1<<32-1 {
		return 0
	}
	return uint32(t.Unix())
}

func timeOf(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// exact calls f with the entries of a value.
func (s *Set) exact(kind uint8, value string, f func(*entry)) {
	for n := s.index[s.slot(kind, value)]; n != 0; n = s.entries[n-1].next & nextMask {
		f(&s.entries[n-1])
	}
}

// Lookup finds the entries that a value meets: of an address the networks that hold it too,
// of a domain the domains above it, of a URL also those of its host. The value is in the
// normal form.
func (s *Set) Lookup(k Kind, value string) []Entry {
	var out []Entry
	take := func(e *entry) { out = append(out, s.entry(e)) }
	s.lookup(k, value, take)
	return out
}

func (s *Set) lookup(k Kind, value string, take func(*entry)) {
	s.exact(kindNumber(k), value, take)
	switch k {
	case IPv4, IPv6:
		if a, err := netip.ParseAddr(value); err == nil {
			s.networks(a, take)
		}
	case Domain:
		s.above(value, take)
	case URL:
		_, rest, _ := strings.Cut(value, "://")
		host, _, _ := strings.Cut(rest, "/")
		name := host
		if at := strings.LastIndexByte(host, ':'); at > 0 && host[len(host)-1] != ']' {
			name = host[:at]
		}
		name = strings.Trim(name, "[]")
		if a, err := netip.ParseAddr(name); err == nil {
			kind := IPv6
			if a.Is4() {
				kind = IPv4
			}
			s.lookup(kind, name, take)
			return
		}
		s.lookup(Domain, name, take)
	case Email:
		if _, host, ok := strings.Cut(value, "@"); ok {
			s.lookup(Domain, host, take)
		}
	}
}

// networks finds the networks that hold an address, by the lengths that there are.
func (s *Set) networks(a netip.Addr, take func(*entry)) {
	lengths := s.bits6[:]
	if a.Is4() {
		lengths = s.bits4[:]
	}
	kind := kindNumber(CIDR)
	for bits, there := range lengths {
		if !there {
			continue
		}
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		var room [64]byte
		s.exact(kind, string(p.AppendTo(room[:0])), take)
	}
}

// above finds the domains above a name.
func (s *Set) above(name string, take func(*entry)) {
	if s.domains == 0 {
		return
	}
	kind := kindNumber(Domain)
	for {
		_, rest, ok := strings.Cut(name, ".")
		if !ok || !strings.Contains(rest, ".") {
			return
		}
		name = rest
		s.exact(kind, name, take)
	}
}

func (s *Set) entry(e *entry) Entry {
	x := Entry{
		Value: s.value(e), Kind: kinds[e.kind], Source: s.sources.list[e.source], Confidence: float64(e.confidence) / confidenceSteps,
		FirstSeen: timeOf(e.first), LastSeen: timeOf(e.last),
	}
	if tags := s.tags.list[e.tags]; tags != "" {
		x.Tags = strings.Split(tags, "\x00")
		if last := len(x.Tags) - 1; strings.HasPrefix(x.Tags[last], untilTag) {
			x.ValidUntil, _ = time.Parse(time.DateOnly, strings.TrimPrefix(x.Tags[last], untilTag))
			x.Tags = x.Tags[:last:last]
		}
	}
	return x
}
