package source

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hemostat/defenders/fusion/indicator"
)

// mispEvent is what is read of an event of MISP (its core format).
type mispEvent struct {
	UUID      string `json:"uuid"`
	Info      string `json:"info"`
	Date      string `json:"date"`
	Orgc      struct{ Name string }
	Attribute []mispAttribute `json:"Attribute"`
	Object    []struct {
		Name      string          `json:"name"`
		Attribute []mispAttribute `json:"Attribute"`
	} `json:"Object"`
	Tag []mispTag `json:"Tag"`
}

type mispTag struct{ Name string }

type mispAttribute struct {
	Type      string    `json:"type"`
	Value     any       `json:"value"`
	ToIDs     any       `json:"to_ids"` // a truth value, or "0" and "1"
	Timestamp any       `json:"timestamp"`
	FirstSeen string    `json:"first_seen"`
	LastSeen  string    `json:"last_seen"`
	Comment   string    `json:"comment"`
	UUID      string    `json:"uuid"`
	Tag       []mispTag `json:"Tag"`
	Deleted   any       `json:"deleted"`
}

// mispKinds gives the kinds of attribute types; the parts of a type with | in their order.
// What is missing says too little alone, or is no indicator.
var mispKinds = map[string][]indicator.Kind{
	"ip-src": {"address"}, "ip-dst": {"address"}, "ip-src|port": {"address", ""}, "ip-dst|port": {"address",
		""}, "domain": {indicator.Domain},
	"hostname": {indicator.Domain}, "hostname|port": {indicator.Domain, ""}, "domain|ip": {indicator.Domain,
		"address"}, "url": {indicator.URL},
	"link": nil, "email": {indicator.Email}, "email-src": {indicator.Email}, "email-dst": {indicator.Email}, "md5": {indicator.MD5},
	"sha1": {indicator.SHA1}, "sha256": {indicator.SHA256}, "filename|md5": {"", indicator.MD5}, "filename|sha1": {"",
		indicator.SHA1},
	"filename|sha256": {"",
		indicator.SHA256}, "ja3-fingerprint-md5": {indicator.JA3}, "ja4": {indicator.JA4}, "ja4-plus": {indicator.JA4},
	"x509-fingerprint-sha1": {indicator.Certificate}, "x509-fingerprint-sha256": {indicator.Certificate}, "mutex": {indicator.Mutex},
	"regkey": {indicator.RegistryKey}, "regkey|value": {indicator.RegistryKey, ""}, "user-agent": {indicator.UserAgent},
	"target-user": {indicator.Account},
}

// misp reads events: one, a list, an answer of a server, or a feed's file.
func (t *taker) misp(b *bufio.Reader) error {
	d := json.NewDecoder(b)
	for n := 0; d.More(); n++ {
		var document json.RawMessage
		if err := d.Decode(&document); err != nil {
			return fmt.Errorf("document %d: %w", n+1, err)
		}
		if err := t.mispDocument(document); err != nil || t.failed != nil {
			return err
		}
	}
	return nil
}

func (t *taker) mispDocument(document json.RawMessage) error {
	if strings.HasPrefix(strings.TrimSpace(string(document)), "[") {
		var list []json.RawMessage
		if err := json.Unmarshal(document, &list); err != nil {
			return err
		}
		for _, x := range list {
			if err := t.mispDocument(x); err != nil || t.failed != nil {
				return err
			}
		}
		return nil
	}
	var outer struct {
		Event     json.RawMessage
		Response  json.RawMessage `json:"response"`
		Attribute json.RawMessage
	}
	if err := json.Unmarshal(document, &outer); err != nil {
		return err
	}
	switch {
	case outer.Response != nil:
		return t.mispDocument(outer.Response)
	case outer.Event != nil:
		return t.mispEvent(outer.Event)
	case outer.Attribute != nil:
		return t.mispEvent(document)
	}
	return errors.New("it holds no Event; of a feed, the event files are wanted and not its manifest")
}

func (t *taker) mispEvent(raw json.RawMessage) error {
	var e mispEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		var wrong *json.UnmarshalTypeError
		if !errors.As(err, &wrong) {
			return err
		}
		t.report.skip("a part of an event that is not as MISP has it", err.Error())
	}
	all := e.Attribute
	for _, o := range e.Object {
		all = append(all, o.Attribute...)
	}
	for i := range all {
		if !t.mispAttribute(&e, &all[i], fmt.Sprintf("attribute %d %s", i, all[i].UUID)) {
			return nil
		}
	}
	return nil
}

// isTrue reads a truth value in the forms of MISP.
func isTrue(v any) bool { return v == true || v == "1" || v == 1.0 || v == "true" }

func (t *taker) mispAttribute(e *mispEvent, a *mispAttribute, place string) bool {
	known, there := mispKinds[a.Type]
	switch {
	case isTrue(a.Deleted):
		return true
	case !there || known == nil:
		t.report.Read++
		t.report.skip("an attribute of the type "+a.Type, place)
		return true
	case a.ToIDs != nil && !isTrue(a.ToIDs):
		t.report.Read++
		t.report.skip("not meant for detection (to_ids)", place)
		return true
	}
	text, ok := a.Value.(string)
	if !ok {
		t.report.Read++
		t.report.skip("a value that is no text", place)
		return true
	}
	var tags []string
	for _, tag := range append(a.Tag, e.Tag...) {
		tags = append(tags, tag.Name)
	}
	parts := strings.SplitN(text, "|", len(known))
	for n, kind := range known {
		if kind == "" || n >= len(parts) {
			continue
		}
		i := indicator.IOC{
			Value: parts[n], Type: kindOf(kind,
				parts[n]), FirstSeen: parseTime(a.FirstSeen), LastSeen: parseTime(a.LastSeen),
			Tags: tags, Source: e.Orgc.Name, Context: map[string]string{"misp": e.UUID},
		}
		if i.LastSeen.IsZero() {
			i.LastSeen = unixTime(a.Timestamp)
		}
		if i.LastSeen.IsZero() {
			i.LastSeen = parseTime(e.Date)
		}
		if e.Info != "" {
			i.Context["event"] = e.Info
		}
		if a.Comment != "" {
			i.Context["comment"] = a.Comment
		}
		if !t.offer(&i, place) {
			return false
		}
	}
	return true
}

// unixTime reads seconds since 1970, a number or a text.
func unixTime(v any) time.Time {
	var seconds int64
	switch x := v.(type) {
	case string:
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil {
			return time.Time{}
		}
		seconds = n
	case float64:
		seconds = int64(x)
	}
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
