package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
)

// wrapperKeys are the keys under which exports and interfaces put their list of
// records: CloudTrail, Azure Monitor, Microsoft Graph, Elasticsearch, Splunk,
// Kubernetes, CloudWatch and Google's reports.
var wrapperKeys = []string{"Records", "records", "value", "hits", "results", "items", "Events", "logEvents"}

// documents reads JSON that is spread over lines: values one behind another, an array
// of them, a list within an object of an export, and what evtx_dump writes, which has
// a line "Record N" before each.
type documents struct {
	ctx  context.Context
	name string
	in   *bufio.Reader
	d    decoder
	out  *output
	raw  []byte
}

// errBroken tells that a document has no end.
var errBroken = errors.New("it is no valid JSON from a place on")

func (r *documents) read() error {
	for {
		c, err := r.next()
		if err == nil {
			switch c {
			case '[':
				r.skip(1)
				err = r.elements()
			case '{':
				if wraps(r.in) {
					r.skip(1)
					err = r.object()
				} else {
					err = r.document()
				}
			default:
				err = r.otherLine()
			}
		}
		if r.out.err != nil {
			return r.out.err
		}
		switch {
		case err == nil:
		case errors.Is(err, errBroken):
			r.out.skip("no valid JSON: the rest of the file is unreadable", 1)
			return &badLogError{Name: r.name, Reason: errBroken.Error()}
		default:
			return endOf(r.ctx, r.name, err, r.out)
		}
	}
}

// next is the next byte that is no space, left unread.
func (r *documents) next() (byte, error) {
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch b {
		case ' ', '\t', '\r', '\n', ',', 0x1e, 0xef, 0xbb, 0xbf: // also of RFC 7464, and a byte order mark
			continue
		}
		return b, r.in.UnreadByte()
	}
}

func (r *documents) skip(n int) { _, _ = r.in.Discard(n) } // of bytes that were looked at before

// otherLine passes over a line that begins no value.
func (r *documents) otherLine() error {
	line, err := readLine(r.in)
	if !bytes.HasPrefix(line, []byte("Record ")) && len(line) > 0 {
		r.out.count("no valid JSON")
	}
	if errors.Is(err, errLong) {
		r.out.count("line " + reasonLong)
		return nil
	}
	return err
}

// elements reads the rest of an array.
func (r *documents) elements() error {
	for {
		c, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return errBroken
		case err != nil:
			return err
		case c == ']':
			r.skip(1)
			return nil
		}
		if err := r.document(); err != nil {
			return err
		}
		if r.out.err != nil {
			return r.out.err
		}
	}
}

// object reads the rest of an object that wraps a list of records.
func (r *documents) object() error {
	for {
		c, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return errBroken
		case err != nil:
			return err
		case c == '}':
			r.skip(1)
			return nil
		case c != '"':
			return errBroken
		}
		if err := r.capture(); err != nil {
			return err
		}
		key := string(bytes.Trim(r.raw, `"`))
		for c = ' '; c == ' ' || c == ':'; {
			if c, err = r.next(); err != nil {
				return errBroken
			}
			if c == ':' {
				r.skip(1)
			}
		}
		wrapper := slices.Contains(wrapperKeys, key)
		switch {
		case wrapper && c == '[':
			r.skip(1)
			err = r.elements()
		case key == "hits" && c == '{':
			r.skip(1)
			err = r.object()
		default:
			err = r.capture()
		}
		if err != nil && !errors.Is(err, errLong) {
			return err
		}
	}
}

// document decodes one value.
func (r *documents) document() error {
	switch err := r.capture(); {
	case errors.Is(err, errLong):
		r.out.count("document " + reasonLong)
		return nil
	case err != nil:
		return err
	}
	r.out.count(r.d.decode(r.raw, r.out))
	return nil
}

// capture reads one value into raw. After errLong the reader stands behind it.
func (r *documents) capture() error {
	r.raw = r.raw[:0]
	var v valueEnd
	long := false
	for {
		if _, err := r.in.Peek(1); err != nil {
			switch {
			case !errors.Is(err, io.EOF):
				return err
			case len(r.raw) > 0 && v.depth == 0 && !v.quoted: // a number or a word at the end
				return nil
			}
			return errBroken
		}
		window, _ := r.in.Peek(r.in.Buffered())
		end, found := v.find(window)
		if len(r.raw)+end > maxLine {
			long = true
		} else if !long {
			r.raw = append(r.raw, window[:end]...)
		}
		r.skip(end)
		if !found {
			continue
		}
		if end == 0 && len(r.raw) == 0 { // a stray closing bracket
			r.skip(1)
		}
		if long {
			return errLong
		}
		return nil
	}
}

// valueEnd finds the end of a JSON value that comes in pieces.
type valueEnd struct {
	depth           int
	quoted, escaped bool
}

// find tells where the value ends in a piece, or the piece's length and false.
func (v *valueEnd) find(piece []byte) (end int, found bool) {
	for i, b := range piece {
		if v.quoted {
			if v.text(b) && v.depth == 0 {
				return i + 1, true
			}
			continue
		}
		switch b {
		case '"':
			v.quoted = true
		case '{', '[':
			v.depth++
		case '}', ']':
			v.depth--
			if v.depth < 0 { // of what is around a number or a word
				return i, true
			}
			if v.depth == 0 {
				return i + 1, true
			}
		case ',', ' ', '\n', '\r', '\t':
			if v.depth == 0 {
				return i, true
			}
		}
	}
	return len(piece), false
}

// text takes a byte within quotes, and tells whether it is the closing quote.
func (v *valueEnd) text(b byte) bool {
	switch {
	case v.escaped:
		v.escaped = false
	case b == '\\':
		v.escaped = true
	case b == '"':
		v.quoted = false
		return true
	}
	return false
}

// wraps tells whether the object that begins at the reader is an export's wrapper
// around a list of records.
func wraps(in *bufio.Reader) bool {
	head, _ := in.Peek(32 << 10)
	depth, key := 0, ""
	for i := 0; i < len(head); i++ {
		switch head[i] {
		case '"':
			end := closingQuote(head, i+1)
			if end < 0 {
				return false
			}
			if depth == 1 && bytes.HasPrefix(bytes.TrimLeft(head[end+1:], " \t\r\n"), []byte(":")) {
				key = string(head[i+1 : end])
			}
			i = end
		case '{', '[':
			if depth == 1 && slices.Contains(wrapperKeys, key) && wrapsIn(key, head[i:]) {
				return true
			}
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return false
			}
		}
	}
	return false
}

// wrapsIn tells whether what stands under a wrapper's key is a list of records.
func wrapsIn(key string, value []byte) bool {
	if value[0] == '{' {
		return key == "hits"
	}
	return holdsObjects(value[1:])
}

// closingQuote is where the text that begins at a place ends, -1 when it does not.
func closingQuote(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// holdsObjects tells whether an array begins with an object or is empty.
func holdsObjects(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && (rest[0] == '{' || rest[0] == ']')
}
