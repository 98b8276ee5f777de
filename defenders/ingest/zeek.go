package ingest

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// zeekDecoder reads Zeek's logs: JSON, one record a line, or TSV with its
// header. The stream's name comes from the record, the header, or the file.
type zeekDecoder struct {
	stream    string
	parser    fastjson.Parser
	arena     event.Arena
	fields    []string
	separator string
}

func (d *zeekDecoder) decode(line []byte, emit func(*event.Event) error) (string, error) {
	switch line[0] {
	case '#':
		d.header(string(line))
		return ignored, nil
	case '{':
		return d.json(line, emit)
	}
	return d.tsv(line, emit)
}

func (d *zeekDecoder) json(line []byte, emit func(*event.Event) error) (string, error) {
	v, err := d.parser.ParseBytes(line)
	if err != nil {
		return "no valid JSON", nil
	}
	root, err := v.Object()
	if err != nil {
		return "no JSON object", nil
	}
	stream := d.stream
	e := d.arena.New(24)
	root.Visit(func(key []byte, v *fastjson.Value) {
		value, ok := jsonText(&d.arena, v)
		if !ok {
			return
		}
		switch name := string(key); name {
		case "@stream", "_path":
			stream = value
		case "@system", "_system_name":
			e.Sensor = value
		case "@proc", "_write_ts":
		default:
			e.SetName(zeekName(name), value)
		}
	})
	return d.finish(e, stream, emit)
}

// zeekName restores the dots that some exporters turn into underscores.
func zeekName(name string) string {
	for _, prefix := range []string{"id_orig_", "id_resp_"} {
		if strings.HasPrefix(name, prefix) {
			return "id." + name[3:]
		}
	}
	if rest, ok := strings.CutPrefix(name, "certificate_"); ok {
		return "certificate." + rest
	}
	return strings.Clone(name)
}

func (d *zeekDecoder) finish(e *event.Event, stream string, emit func(*event.Event) error) (string, error) {
	ts, ok := e.Get(event.ZeekTime)
	if !ok {
		return "no ts", nil
	}
	seconds, err := strconv.ParseFloat(ts, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > 9e9 {
		if at := textTime(ts); at != 0 {
			seconds = at.Seconds()
		} else {
			return "ts is no time", nil
		}
	}
	e.Time = time.Duration(seconds * float64(time.Second))
	e.Observed = e.Time
	if e.Host = e.Value(event.IDOrigHost); e.Host == "" {
		e.Host = e.Value(event.TxHosts)
	}
	e.Source = event.LogSource{Product: "zeek", Service: stream}
	if stream == "dns" {
		e.Source.Category = "dns"
	}
	return "", emit(e)
}

func (d *zeekDecoder) header(line string) {
	name, value, _ := strings.Cut(line, "\t")
	switch {
	case strings.HasPrefix(line, "#separator "):
		text := strings.TrimPrefix(line, "#separator ")
		if hex, ok := strings.CutPrefix(text, `\x`); ok {
			if b, err := strconv.ParseUint(hex, 16, 8); err == nil {
				text = string(rune(b))
			}
		}
		d.separator = text
	case name == "#path":
		d.stream = value
	case name == "#fields":
		d.fields = strings.Split(value, d.sep())
	}
}

func (d *zeekDecoder) sep() string {
	if d.separator == "" {
		return "\t"
	}
	return d.separator
}

func (d *zeekDecoder) tsv(line []byte, emit func(*event.Event) error) (string, error) {
	if len(d.fields) == 0 {
		return "no #fields header before it", nil
	}
	values := bytes.Split(line, []byte(d.sep()))
	if len(values) != len(d.fields) {
		return "number of columns differs from the header", nil
	}
	e := d.arena.New(len(values))
	for i, v := range values {
		if s := string(v); s != "-" && s != "(empty)" {
			e.SetName(d.fields[i], s)
		}
	}
	return d.finish(e, d.stream, emit)
}
