package capture

// stream puts the beginning of one direction of a TCP connection in order. It keeps at
// most maxPrefix bytes; what follows is not kept.
type stream struct {
	started bool
	next    uint32 // sequence number that comes next
	data    []byte // from the beginning, in order
	waiting []segment
	held    int  // bytes in waiting
	done    bool // nothing more is wanted
}

// segment is data that came before what stands in front of it.
type segment struct {
	sequence uint32
	data     []byte
}

const (
	maxPrefix  = 32 << 10 // bytes of each direction that are looked at
	maxWaiting = 64       // segments out of order
)

// begin sets the number that comes next after a SYN.
func (s *stream) begin(sequence uint32) {
	if !s.started {
		s.started, s.next = true, sequence
	}
}

// add takes a segment in, and tells whether there is more in order than before. A
// direction whose beginning was not captured begins with its first segment.
func (s *stream) add(sequence uint32, payload []byte) (grown bool) {
	if s.done || len(payload) == 0 {
		return false
	}
	s.begin(sequence)
	if ahead := int32(sequence - s.next); ahead > 0 {
		if len(s.waiting) < maxWaiting && s.held+len(payload) <= maxPrefix && ahead < maxPrefix {
			s.waiting = append(s.waiting, segment{sequence, append([]byte{}, payload...)})
			s.held += len(payload)
		}
		return false
	}
	if !s.append(sequence, payload) {
		return false
	}
	for s.takeWaiting() {
	}
	return true
}

// append adds what a segment has beyond what is there.
func (s *stream) append(sequence uint32, payload []byte) bool {
	known := int(int32(s.next - sequence))
	if known < 0 || known >= len(payload) {
		return false
	}
	payload = payload[known:]
	s.next += uint32(len(payload))
	room := maxPrefix - len(s.data)
	s.data = append(s.data, payload[:min(room, len(payload))]...)
	return true
}

func (s *stream) takeWaiting() bool {
	for i, w := range s.waiting {
		if int32(w.sequence-s.next) > 0 {
			continue
		}
		s.held -= len(w.data)
		s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
		s.append(w.sequence, w.data)
		return true
	}
	return false
}

// isFull tells that nothing more would be kept.
func (s *stream) isFull() bool { return len(s.data) >= maxPrefix }

// finish lets go of the memory.
func (s *stream) finish() { s.done, s.data, s.waiting, s.held = true, nil, nil, 0 }
