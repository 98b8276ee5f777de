package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"hemostat/defenders/ingest/evtx"
	"hemostat/sim/event"
)

// fillElement reads an event from its XML tree: EVTX's, or that of its text.
func fillElement(e *event.Event, arena *event.Arena, root *evtx.Element) {
	text := func(s string) string { return arena.Join(s) } // the tree's texts do not outlive it
	set := func(f event.Field, s string) {
		if s != "" {
			e.Set(f, text(s))
		}
	}
	if sys := root.Child("System"); sys != nil {
		for c := sys.First; c != nil; c = c.Next {
			switch c.Name {
			case "Provider":
				name, _ := c.Attribute("Name")
				set(event.ProviderName, name)
			case "EventID":
				set(event.EventID, c.Text)
			case "Channel":
				set(event.LogChannel, c.Text)
			case "Computer":
				set(event.Computer, c.Text)
				e.Host = e.Value(event.Computer)
			case "TimeCreated":
				at, _ := c.Attribute("SystemTime")
				clock(e, 0, len(clocks), at)
			case "Keywords", "Level", "Task", "Opcode", "Version", "EventRecordID":
				if c.HasText && c.Text != "" {
					e.SetName(c.Name, text(c.Text))
				}
			}
		}
	}
	for _, section := range sections {
		if s := root.Child(section); s != nil {
			dataElements(e, arena, s)
		}
	}
	if r := root.Child("RenderingInfo"); r != nil {
		if m := r.Child("Message"); m != nil && m.Text != "" {
			e.SetName("Message", text(m.Text))
		}
	}
}

// dataElements reads the elements within EventData or UserData.
func dataElements(e *event.Event, arena *event.Arena, parent *evtx.Element) {
	var unnamed []string
	if parent.First == nil && parent.HasText && strings.TrimSpace(parent.Text) != "" {
		unnamed = append(unnamed, arena.Join(parent.Text))
	}
	for c := parent.First; c != nil; c = c.Next {
		name := c.Name
		if n, ok := c.Attribute("Name"); ok && name == "Data" {
			name = n
		} else if name == "Data" {
			switch {
			case c.Values != nil:
				for _, v := range c.Values {
					unnamed = append(unnamed, arena.Join(v))
				}
			case c.HasText:
				unnamed = append(unnamed, arena.Join(c.Text))
			}
			continue
		} else {
			for _, a := range c.Attributes {
				if _, there := e.Lookup(a.Name); !there && !strings.HasPrefix(a.Name, "xmlns") {
					setData(e, arena.Join(a.Name), arena.Join(a.Value))
				}
			}
		}
		switch {
		case c.Values != nil:
			members := make([]string, len(c.Values))
			for i, v := range c.Values {
				members[i] = arena.Join(v)
			}
			setDataList(e, arena.Join(name), members)
		case c.First != nil:
			dataElements(e, arena, c)
		case c.HasText && c.Text != "":
			setData(e, fieldName(arena, name), arena.Join(c.Text))
		case c.HasText && c.Name == "Data":
			setData(e, fieldName(arena, name), "")
		}
	}
	if len(unnamed) > 0 {
		setDataList(e, "Data", unnamed)
	}
}

// fieldName keeps a name that the table of fields does not know.
func fieldName(arena *event.Arena, name string) string {
	if event.FieldByName(name) != event.NoField {
		return name
	}
	return arena.Join(name)
}

// readEVTX reads a Windows event log in its binary form.
func readEVTX(ctx context.Context, name string, in *bufio.Reader, out *output) error {
	r := evtx.NewReader(in)
	var arena event.Arena
	for {
		record, err := r.Next()
		var damage *evtx.Damage
		switch {
		case errors.As(err, &damage):
			if damage.Records > 0 {
				out.skip("damaged event log "+damage.Error(), damage.Records)
			} else {
				out.note("damaged event log "+damage.Error(), 1)
			}
		case err != nil:
			return endOf(ctx, name, err, out)
		default:
			e := arena.New(40)
			fillElement(e, &arena, record.Root)
			if e.Time == 0 && record.Written.Unix() > 0 {
				e.Time = event.Since(record.Written)
			}
			reason := finishWindows(e)
			if reason == "" {
				out.event(e)
			}
			out.count(reason)
		}
		if out.err != nil {
			return out.err
		}
	}
}

// errDeepXML tells that elements nest deeper than any event's.
var errDeepXML = errors.New("its elements nest too deep")

const maxXMLDepth = 64

// parseXML reads the XML of one event.
func parseXML(text []byte) (*evtx.Element, error) {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	decoder.Strict = false
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "Event" {
			return parseElement(decoder, start, 0)
		}
	}
}

// parseElement reads an element behind its start.
func parseElement(decoder *xml.Decoder, start xml.StartElement, depth int) (*evtx.Element, error) {
	if depth > maxXMLDepth {
		return nil, errDeepXML
	}
	e := &evtx.Element{Name: start.Name.Local}
	for _, a := range start.Attr {
		name := a.Name.Local
		if a.Name.Space == "xmlns" {
			name = "xmlns:" + name
		}
		e.Attributes = append(e.Attributes, evtx.Attribute{Name: name, Value: a.Value})
	}
	var text strings.Builder
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			child, err := parseElement(decoder, token, depth+1)
			if err != nil {
				return nil, err
			}
			e.Append(child)
		case xml.CharData:
			text.Write(token)
		case xml.EndElement:
			e.Text = text.String()
			if e.First != nil { // what stands between elements is indentation
				e.Text = ""
			}
			e.HasText = e.First == nil
			return e, nil
		}
	}
}

// xmlEvents reads event XML: one event, many within Events, one a line, with a
// declaration and rendering info or without.
type xmlEvents struct {
	ctx   context.Context
	name  string
	in    *bufio.Reader
	out   *output
	arena event.Arena
	raw   []byte
}

var (
	eventStart = []byte("<Event")
	eventEnd   = []byte("</Event>")
)

func (r *xmlEvents) read() error {
	for {
		err := r.find()
		if err == nil {
			err = r.capture()
		}
		switch {
		case err == nil:
			r.out.count(r.decode(r.raw))
		case errors.Is(err, errLong):
			r.out.count("event " + reasonLong)
		case errors.Is(err, errBroken):
			r.out.skip("no valid event XML: the file ends within an event", 1)
			return &badLogError{Name: r.name, Reason: "it ends within an event"}
		default:
			return endOf(r.ctx, r.name, err, r.out)
		}
		if r.out.err != nil {
			return r.out.err
		}
	}
}

// find goes to the next start of an element Event.
func (r *xmlEvents) find() error {
	for {
		window, err := r.in.Peek(max(r.in.Buffered(), len(eventStart)+1))
		at := bytes.Index(window, eventStart)
		for at >= 0 && at+len(eventStart) < len(window) && !endsName(window[at+len(eventStart)]) { // <Events>
			next := bytes.Index(window[at+1:], eventStart)
			if next < 0 {
				at = -1
				break
			}
			at += 1 + next
		}
		if at >= 0 && at+len(eventStart) < len(window) {
			_, err := r.in.Discard(at)
			return err
		}
		if err != nil {
			_, _ = r.in.Discard(len(window))
			return err
		}
		_, _ = r.in.Discard(max(1, len(window)-len(eventStart)))
	}
}

func endsName(b byte) bool {
	return b == ' ' || b == '>' || b == '\t' || b == '\r' || b == '\n' || b == '/'
}

// capture reads one element Event into raw.
func (r *xmlEvents) capture() error {
	r.raw = r.raw[:0]
	long := false
	for {
		line, err := r.in.ReadSlice('>')
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) {
				return errBroken
			}
			return err
		case len(r.raw)+len(line) > maxLine:
			long = true
			r.raw = append(r.raw[:0], r.raw[max(0, len(r.raw)-len(eventEnd)):]...)
		}
		if at := bytes.LastIndex(line, eventStart); at >= 0 && len(r.raw)+at > 0 && at+len(eventStart) < len(line) &&
			endsName(line[at+len(eventStart)]) { // the one before has no end
			r.out.count("no valid event XML: an event has no end")
			line, r.raw, long = line[at:], r.raw[:0], false
		}
		r.raw = append(r.raw, line...)
		if bytes.HasSuffix(r.raw, eventEnd) {
			if long {
				return errLong
			}
			return nil
		}
	}
}

func (r *xmlEvents) decode(text []byte) string {
	e := r.arena.New(40)
	reason := xmlEvent(e, &r.arena, text)
	if reason == "" {
		r.out.event(e)
	}
	return reason
}

// xmlEvent reads one event's XML, of Windows or of Sysmon for Linux.
func xmlEvent(e *event.Event, arena *event.Arena, text []byte) string {
	root, err := parseXML(text)
	if err != nil {
		return fmt.Sprintf("no valid event XML: %s", plainXMLError(err))
	}
	fillElement(e, arena, root)
	if e.Value(event.ProviderName) == "Linux-Sysmon" {
		return finishLinuxSysmon(e)
	}
	return finishWindows(e)
}

// plainXMLError leaves the line out, so that equal faults count as one.
func plainXMLError(err error) string {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Msg
	}
	return err.Error()
}

// finishLinuxSysmon gives an event of Sysmon for Linux its log source.
func finishLinuxSysmon(e *event.Event) string {
	id := e.Value(event.EventID)
	if id == "" {
		return "no EventID"
	}
	e.Source = event.LogSource{Product: "linux", Service: "sysmon", Category: event.SysmonCategory(id)}
	e.Observed = e.Time
	return ""
}
