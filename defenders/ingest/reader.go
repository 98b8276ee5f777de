package ingest

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hemostat/sim/event"
)

// Formats lists the names that Options.Format takes.
var Formats = []string{"auto", "winlog", "zeek", "sshd", "ndjson"}

// Options say how to read.
type Options struct {
	Format string // one of Formats; auto when empty
}

// Summary is what became of the lines.
type Summary struct {
	Events        int            // lines that gave an event, or several
	Skipped       int            // lines that gave none
	Because       map[string]int // why, with how often
	OmittedFields int            // fields left out of events that had too many
}

// Merge adds another summary.
func (s *Summary) Merge(o Summary) {
	s.Events += o.Events
	s.Skipped += o.Skipped
	s.OmittedFields += o.OmittedFields
	for why, n := range o.Because {
		s.skip(why, n)
		s.Skipped -= n
	}
}

// count notes what became of one line.
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
	s.Because[why] += n
	s.Skipped += n
}

// Reasons lists why lines were skipped, the commonest first.
func (s Summary) Reasons() []string {
	reasons := slices.Sorted(maps.Keys(s.Because))
	slices.SortStableFunc(reasons, func(a, b string) int { return s.Because[b] - s.Because[a] })
	return reasons
}

// decoder turns one line into events. A reason other than "" means that the
// line was skipped.
type decoder interface {
	decode(line []byte, emit func(*event.Event) error) (reason string, err error)
}

// maxLine bounds a line; longer ones are skipped and counted.
const maxLine = 8 << 20

// stdin is the name under which ReadFile reads standard input.
const stdin = "-"

// ReadFile reads a log file, a pipe or standard input and calls emit for every event
// in order. An error of emit ends the reading and is returned as it is; so does the
// end of the context.
func ReadFile(ctx context.Context, name string, o Options, emit func(*event.Event) error) (Summary, error) {
	if o.Format != "" && !slices.Contains(Formats, o.Format) {
		return Summary{}, fmt.Errorf("unknown format %q; accepted: %s", o.Format, strings.Join(Formats, ", "))
	}
	if name == stdin {
		return readContainer(ctx, "standard input", os.Stdin, o, emit)
	}
	info, err := os.Stat(name)
	if err != nil {
		return Summary{}, fmt.Errorf("log %s: %w", name, err)
	}
	if info.IsDir() {
		return Summary{}, fmt.Errorf("log %s is a folder; name the files in it", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return Summary{}, fmt.Errorf("log %s: %w", name, err)
	}
	defer f.Close()
	return readContainer(ctx, name, f, o, emit)
}

// readContainer unpacks gzip and zip, known by their first bytes.
func readContainer(
	ctx context.Context,
	name string,
	f *os.File,
	o Options,
	emit func(*event.Event) error,
) (Summary, error) {
	in := bufio.NewReaderSize(f, 256<<10)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return Summary{}, fmt.Errorf("log %s: %w", name, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return readZip(ctx, name, f, in, o, emit)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return Summary{}, fmt.Errorf("log %s: %w", name, err)
		}
		defer z.Close()
		return Read(ctx, name, z, o, emit)
	}
	return Read(ctx, name, in, o, emit)
}

// spool gives random access to what a zip needs: the file itself, or for a pipe a
// temporary copy.
func spool(f *os.File, in io.Reader) (_ io.ReaderAt, size int64, remove func(), err error) {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return f, info.Size(), func() {}, nil
	}
	temporary, err := os.CreateTemp("", "hemostat-log-")
	if err != nil {
		return nil, 0, nil, err
	}
	remove = func() {
		temporary.Close()
		_ = os.Remove(temporary.Name()) // a temporary file: nothing depends on it
	}
	if size, err = io.Copy(temporary, in); err != nil {
		remove()
		return nil, 0, nil, err
	}
	return temporary, size, remove, nil
}

func readZip(
	ctx context.Context,
	name string,
	f *os.File,
	in io.Reader,
	o Options,
	emit func(*event.Event) error,
) (Summary, error) {
	content, size, remove, err := spool(f, in)
	if err != nil {
		return Summary{}, fmt.Errorf("log %s: %w", name, err)
	}
	defer remove()
	archive, err := zip.NewReader(content, size)
	if err != nil {
		return Summary{}, fmt.Errorf("log %s: %w", name, err)
	}
	var total Summary
	var faults []error
	for _, member := range archive.File {
		if member.FileInfo().IsDir() {
			continue
		}
		r, err := member.Open()
		if err != nil {
			faults = append(faults, fmt.Errorf("log %s, member %s: %w", name, member.Name, err))
			continue
		}
		s, err := Read(ctx, name+"/"+member.Name, r, o, emit)
		r.Close()
		total.Merge(s)
		var bad *badLogError
		if err != nil && !errors.As(err, &bad) {
			return total, err
		}
		if err != nil {
			faults = append(faults, err)
		}
	}
	return total, errors.Join(faults...)
}

// badLogError tells that one log, or a part of it, could not be read. What came before
// counts, and other logs may be read on.
type badLogError struct {
	Name, Reason string
}

// Error names the log and what is wrong with it.
func (e *badLogError) Error() string { return "log " + e.Name + ": " + e.Reason }

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

// Read reads one stream of log lines. The name serves errors and hints at the
// format of Zeek's logs.
func Read(ctx context.Context, name string, r io.Reader, o Options, emit func(*event.Event) error) (Summary, error) {
	in := bufio.NewReaderSize(cancellable{ctx, r}, 256<<10)
	format := o.Format
	if format == "" || format == "auto" {
		head, _ := in.Peek(64 << 10)
		format = sniff(head)
		if format == "" {
			if len(bytes.TrimSpace(head)) == 0 {
				return Summary{}, nil
			}
			return Summary{}, &badLogError{
				name,
				"its format is not recognised; name one with --format: " + strings.Join(Formats[1:], ", "),
			}
		}
	}
	d := newDecoder(format, name)
	var s Summary
	next := uint64(0)
	number := func(e *event.Event) error {
		next++
		if e.ID == 0 {
			e.ID = next
		}
		s.OmittedFields += e.Omitted()
		return emit(e)
	}
	if pretty(in) {
		return s, readDocuments(name, in, d, &s, number)
	}
	for {
		line, err := readLine(in)
		long := errors.Is(err, errLong)
		if len(line) > 0 || long {
			reason := "line longer than 8 MiB"
			if !long {
				var emitErr error
				reason, emitErr = d.decode(line, number)
				if emitErr != nil {
					return s, emitErr
				}
			}
			s.count(reason)
		}
		switch {
		case err == nil || long:
		case errors.Is(err, io.EOF):
			return s, nil
		case ctx.Err() != nil:
			return s, ctx.Err()
		default:
			s.skip("the file ends early: "+err.Error(), 1)
			return s, &badLogError{name, "it ends early: " + err.Error()}
		}
	}
}

// ignored is the reason of lines that carry no event by design, such as Zeek's
// headers; they are not counted.
const ignored = "\x00"

var errLong = errors.New("line too long")

// readLine returns the next line without its end. After errLong the reader
// stands behind the long line.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == nil {
		return bytes.TrimSpace(line), nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return bytes.TrimSpace(line), err
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
	return bytes.TrimSpace(long), err
}

// pretty tells whether JSON is spread over several lines.
func pretty(in *bufio.Reader) bool {
	head, _ := in.Peek(64)
	head = bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n")
	return bytes.HasPrefix(head, []byte("{\n")) || bytes.HasPrefix(head, []byte("{\r\n")) ||
		bytes.HasPrefix(head, []byte("["))
}

func newDecoder(format, name string) decoder {
	switch format {
	case "zeek":
		return &zeekDecoder{stream: strings.TrimSuffix(filepath.Base(name), ".log")}
	case "sshd":
		return &sshdDecoder{}
	case "ndjson":
		return ndjsonDecoder{}
	}
	return &winlogDecoder{}
}

// sniff guesses a format from the beginning of a log.
func sniff(head []byte) string {
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
		has := func(s string) bool { return bytes.Contains(line, []byte(s)) }
		switch {
		case len(line) == 0:
			continue
		case bytes.HasPrefix(line, []byte("#separator")), bytes.HasPrefix(line, []byte("#fields")):
			return "zeek"
		case line[0] == '{' || line[0] == '[':
			all := head
			switch {
			case has(`"logsource"`) && has(`"fields"`): // our own lines may hold any source's names
				return "ndjson"
			case bytes.Contains(all, []byte(`"@stream"`)), bytes.Contains(all, []byte(`"_path"`)),
				bytes.Contains(all, []byte(`"uid"`)) && bytes.Contains(all, []byte(`orig_h"`)):
				return "zeek"
			case bytes.Contains(all, []byte(`"logsource"`)) && bytes.Contains(all, []byte(`"fields"`)):
				return "ndjson"
			case bytes.Contains(all, []byte(`"EventID"`)),
				bytes.Contains(all, []byte(`"winlog"`)),
				bytes.Contains(all, []byte(`"Event"`)):
				return "winlog"
			}
			return ""
		case has("sshd[") || has("sshd:"):
			return "sshd"
		}
	}
	return ""
}
