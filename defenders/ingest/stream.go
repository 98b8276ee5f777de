package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"hemostat/sim/event"
)

// Summary is what became of the records of all inputs.
type Summary struct {
	Events        int            // records that gave an event, or several
	Skipped       int            // records that gave none
	Because       map[string]int // why, with how often
	OmittedFields int            // fields left out of events that had too many
	Undated       int            // events without a readable time; they have that of the event before
	Late          int            // events older than what the merge of the inputs had given out already
	PassedOver    []string       // members of archives and folders that are no logs
	Notes         map[string]int // faults that lost no record, with how often
}

// add adds what became of another input.
func (s *Summary) add(o Summary) {
	s.Events += o.Events
	s.OmittedFields += o.OmittedFields
	s.Undated += o.Undated
	s.Late += o.Late
	s.PassedOver = append(s.PassedOver, o.PassedOver...)
	for why, n := range o.Because {
		s.skip(why, n)
	}
	for what, n := range o.Notes {
		s.note(what, n)
	}
}

// note notes a fault that lost no record.
func (s *Summary) note(what string, n int) {
	if s.Notes == nil {
		s.Notes = map[string]int{}
	}
	if _, known := s.Notes[what]; !known && len(s.Notes) >= maxReasons {
		what = "other faults"
	}
	s.Notes[what] += n
}

// count notes what became of one record.
func (s *Summary) count(reason string) {
	switch reason {
	case "":
		s.Events++
	case ignored:
	default:
		s.skip(reason, 1)
	}
}

func (s *Summary) skip(why string, n int) {
	if s.Because == nil {
		s.Because = map[string]int{}
	}
	if _, known := s.Because[why]; !known && len(s.Because) >= maxReasons {
		why = "other reasons"
	}
	s.Because[why] += n
	s.Skipped += n
}

// maxReasons bounds the reasons that are told apart.
const maxReasons = 200

// Reasons lists why records were skipped, the commonest first.
func (s Summary) Reasons() []string {
	reasons := slices.Sorted(maps.Keys(s.Because))
	slices.SortStableFunc(reasons, func(a, b string) int { return s.Because[b] - s.Because[a] })
	return reasons
}

// output takes what the decoders make of one input.
type output struct {
	Summary
	deliver func(*event.Event) error
	last    time.Duration // of the last event with a time
	err     error         // of deliver; it ends the reading
	// raw tells that events are to be delivered as they are, since another output
	// completes them.
	raw bool
}

// event hands on an event. One without a time gets that of the event before.
func (o *output) event(e *event.Event) {
	if o.raw {
		o.err = o.deliver(e)
		return
	}
	if e.Time == 0 {
		o.Undated++
		e.Time, e.Observed = o.last, o.last
	} else {
		o.last = e.Time
		if e.Observed == 0 {
			e.Observed = e.Time
		}
	}
	o.OmittedFields += e.Omitted()
	if o.err == nil {
		o.err = o.deliver(e)
	}
}

// decoder reads the records of a format that has one a line. It hands events to the
// output and returns "", or why the line gave none.
type decoder interface {
	decode(line []byte, out *output) (reason string)
}

// finisher is a decoder that holds events back until it has seen more.
type finisher interface{ finish(out *output) }

// ignored is the reason of lines that carry no event by design, such as Zeek's
// headers, and of those whose records the decoder counts itself.
const ignored = "\x00"

// maxLine bounds a line or document; longer ones are skipped and counted.
const maxLine = 8 << 20

const reasonLong = "longer than 8 MiB"

// badLogError tells that one log, or a part of it, could not be read. What came before
// counts, and other logs may be read on.
type badLogError struct {
	Name, Reason string
	// unrecognised tells that the whole log is of no known format.
	unrecognised bool
}

// Error names the log and what is wrong with it.
func (e *badLogError) Error() string { return "log " + e.Name + ": " + e.Reason }

// readLines reads the lines of an input.
func readLines(ctx context.Context, name string, in *bufio.Reader, d decoder, out *output) error {
	for {
		line, err := readLine(in)
		long := errors.Is(err, errLong)
		switch {
		case long:
			out.count("line " + reasonLong)
		case len(line) > 0:
			out.count(d.decode(line, out))
		}
		if out.err != nil {
			return out.err
		}
		if err != nil && !long {
			if f, ok := d.(finisher); ok {
				f.finish(out)
			}
			return endOf(ctx, name, err, out)
		}
	}
}

// endOf tells the end of an input from a fault in it.
func endOf(ctx context.Context, name string, err error, out *output) error {
	switch {
	case out.err != nil:
		return out.err
	case errors.Is(err, io.EOF):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	out.skip("the file ends early: "+err.Error(), 1)
	return &badLogError{Name: name, Reason: "it ends early: " + err.Error()}
}

var errLong = errors.New("line too long")

// byteOrderMark is U+FEFF in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// trimLine cuts off what stands around a line: space, a byte order mark, and the record
// separator of RFC 7464.
func trimLine(line []byte) []byte {
	line = bytes.TrimPrefix(line, byteOrderMark)
	if len(line) > 0 && line[0] == 0x1e {
		line = line[1:]
	}
	return bytes.TrimSpace(line)
}

// readLine returns the next line without its end and without a byte order mark. After
// errLong the reader stands behind the long line.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == nil {
		return trimLine(line), nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return trimLine(line), err
	}
	long := append([]byte{}, line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = in.ReadSlice('\n')
		if len(long) <= maxLine {
			long = append(long, line...)
		}
	}
	if len(long) > maxLine {
		return nil, errLong
	}
	return trimLine(long), err
}

// cancellable ends a stream when its context ends, also one without line ends.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

// Read reads on, unless the context has ended.
func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
