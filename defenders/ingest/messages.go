package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/sim/event"
)

// Message is one that a queue such as Kafka holds: a log record, or several.
type Message struct {
	Value []byte
	// Time is that of the message, which events without one of their own get.
	Time time.Duration
}

// Messages decodes messages of one form. It serves one goroutine.
type Messages struct {
	format *Format // nil until it is recognised
	auto   bool
	json   *jsonDecoder
	reader *bufio.Reader
}

// whole are forms whose records mean nothing without what stands before them in a file.
var whole = []string{"evtx", "pcap", "zeek", "w3c"}

// NewMessages decodes messages of a form of FormatNames; auto recognises it by each message.
func NewMessages(format string) (*Messages, error) {
	f, err := chosenFormat(format)
	if err != nil {
		return nil, err
	}
	if f != nil && slices.Contains(whole, f.Name) {
		return nil, fmt.Errorf("the format %s is one of whole files, since a record of it means nothing without what stands "+
			"before it; let the sender write JSON (hemostat replay reads files)", f.Name)
	}
	return &Messages{format: f, auto: f == nil, json: newJSONDecoder(""), reader: bufio.NewReaderSize(nil, 64<<10)}, nil
}

// Decode decodes a message and calls emit for each event of it. Why is "", or why the message,
// or a part of it, gave none.
func (m *Messages) Decode(x Message, emit func(*event.Event)) (why string) {
	out := &output{last: x.Time, deliver: func(e *event.Event) error {
		emit(e)
		return nil
	}}
	value := bytes.TrimSpace(bytes.TrimPrefix(x.Value, byteOrderMark))
	if len(value) == 0 {
		return "it is empty"
	}
	if len(value) > maxLine {
		return "it is " + reasonLong
	}
	format := m.format
	if m.auto && (format == nil || format.matches == nil || !format.matches(firstLine(value))) {
		if format = formatOf(value[:min(len(value), headSize)]); format == nil {
			return "its format is not recognised"
		}
		if slices.Contains(whole, format.Name) {
			return "the format " + format.Name + " is one of whole files"
		}
		m.format = format
	}
	if format.Name == "json" {
		out.count(m.json.decode(value, out))
	} else {
		m.reader.Reset(bytes.NewReader(value))
		if err := format.read(context.Background(), "message", m.reader, out); err != nil && out.Skipped == 0 {
			return err.Error()
		}
	}
	switch {
	case out.Skipped > 0:
		return strings.Join(out.Reasons(), "; ")
	case out.Events == 0:
		return "it holds no event"
	}
	return ""
}

// firstLine is the first line of a text, as far as it is needed to know a form.
func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text[:min(len(text), 512)], []byte("\n"))
	return string(trimLine(line))
}
