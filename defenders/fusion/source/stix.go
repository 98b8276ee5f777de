package source

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/fusion/indicator"
)

// stixObject is what is read of an object of a bundle.
type stixObject struct {
	Type        string   `json:"type"`
	ID          string   `json:"id"`
	Pattern     string   `json:"pattern"`
	PatternType string   `json:"pattern_type"`
	ValidFrom   string   `json:"valid_from"`
	ValidUntil  string   `json:"valid_until"`
	Modified    string   `json:"modified"`
	Confidence  *float64 `json:"confidence"` // 0 to 100
	Labels      []string `json:"labels"`
	Kinds       []string `json:"indicator_types"`
	Name        string   `json:"name"`
	Revoked     bool     `json:"revoked"`
}

// stix reads a bundle, object by object, so that its size does not matter (STIX 2.1, section
// 8).
func (t *taker) stix(b *bufio.Reader) error {
	d := json.NewDecoder(b)
	if err := toArray(d, "objects"); err != nil {
		return err
	}
	for n := 0; d.More(); n++ {
		var o stixObject
		place := fmt.Sprintf("object %d", n)
		if err := d.Decode(&o); err != nil {
			var wrong *json.UnmarshalTypeError
			if !errors.As(err, &wrong) {
				return fmt.Errorf("%s: %w", place, err)
			}
			t.report.Read++
			t.report.skip("an object that is not as STIX has it", place+": "+err.Error())
			continue
		}
		if o.Type != "indicator" {
			continue
		}
		if o.ID != "" {
			place += " " + o.ID
		}
		if !t.stixIndicator(&o, place) {
			return nil
		}
	}
	return nil
}

// toArray moves to the array of a key of the outermost object, or to the document itself when
// it is an array.
func toArray(d *json.Decoder, key string) error {
	first, err := d.Token()
	if err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if first == json.Delim('[') {
		return nil
	}
	if first != json.Delim('{') {
		return errors.New("an object or an array is expected")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if name == key {
			open, err := d.Token()
			if err == nil && open != json.Delim('[') {
				err = fmt.Errorf("%s is no array", key)
			}
			return err
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return err
		}
	}
	return fmt.Errorf("it has no %s", key)
}

// stixIndicator takes the indicators of one object.
func (t *taker) stixIndicator(o *stixObject, place string) bool {
	switch {
	case o.Revoked:
		t.report.Read++
		t.report.skip("revoked", place)
		return true
	case o.PatternType != "" && o.PatternType != "stix":
		t.report.Read++
		t.report.skip("a pattern of the type "+o.PatternType, place)
		return true
	}
	found, err := parsePattern(o.Pattern)
	if err != nil {
		t.report.Read++
		t.report.skip("a pattern that names no value", place+": "+err.Error())
		return true
	}
	for _, c := range found {
		i := indicator.IOC{
			Value: c.value, Type: c.kind, FirstSeen: parseTime(o.ValidFrom), LastSeen: parseTime(o.Modified),
			Tags: slices.Concat(o.Labels, o.Kinds), Context: map[string]string{"stix": o.ID},
		}
		if o.Name != "" {
			i.Context["name"] = o.Name
		}
		if o.ValidUntil != "" {
			i.Context[indicator.ValidUntil] = o.ValidUntil
		}
		if o.Confidence != nil {
			i.Confidence = min(max(*o.Confidence/100, 0.01), 1)
		}
		if !t.offer(&i, place) {
			return false
		}
	}
	return true
}

func parseTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// comparison is a value that a pattern asks for.
type comparison struct {
	kind  indicator.Kind
	value string
}

// stixPaths gives the kind of the object paths that are known; "" is for those that say too
// little alone, such as the name of a file.
var stixPaths = map[string]indicator.Kind{
	"ipv4-addr:value": indicator.IPv4, "ipv6-addr:value": indicator.IPv6, "domain-name:value": indicator.Domain,
	"url:value": indicator.URL, "email-addr:value": indicator.Email, "email-message:from_ref.value": indicator.Email,
	"email-message:sender_ref.value": indicator.Email,
	"file:hashes.md5":                indicator.MD5, "file:hashes.sha1": indicator.SHA1, "file:hashes.sha256": indicator.SHA256,
	"artifact:hashes.sha256": indicator.SHA256, "artifact:hashes.md5": indicator.MD5,
	"x509-certificate:hashes.sha1": indicator.Certificate, "x509-certificate:hashes.sha256": indicator.Certificate,
	"mutex:name": indicator.Mutex, "windows-registry-key:key": indicator.RegistryKey, "process:image_ref.name": indicator.ProcessPath,
	"process:command_line": "", "file:name": "", "file:size": "", "network-traffic:dst_port": "", "network-traffic:src_port": "",
	"user-account:account_login": indicator.Account, "user-account:user_id": indicator.Account,
	"network-traffic:dst_ref.value": "address", "network-traffic:src_ref.value": "address",
	"network-traffic:extensions.http-request-ext.request_header.user-agent": indicator.UserAgent,
}

// parsePattern reads the values that a pattern asks for (STIX 2.1, section 9). Where a pattern
// demands several things at once (AND, FOLLOWEDBY), only hashes count, since any other part
// alone would match what was not meant.
func parsePattern(pattern string) ([]comparison, error) {
	s := scanner{text: pattern}
	var out []comparison
	together := false
	for {
		word, quoted := s.next()
		if word == "" && !quoted {
			break
		}
		switch upper := strings.ToUpper(word); {
		case quoted:
			continue
		case upper == "AND" || upper == "FOLLOWEDBY":
			together = true
			continue
		case upper == "NOT":
			return nil, errors.New("it demands that something is not so")
		case !strings.Contains(word, ":"):
			continue
		}
		path := strings.ToLower(strings.NewReplacer("'", "", `"`, "", "-256", "256", "-1", "1", "[*]",
			"").Replace(word))
		values, err := s.values()
		if err != nil {
			return nil, err
		}
		kind, known := stixPaths[path]
		if !known || kind == "" {
			continue
		}
		for _, v := range values {
			out = append(out, comparison{kindOf(kind, v), v})
		}
	}
	if together {
		out = slices.DeleteFunc(out, func(c comparison) bool {
			return c.kind != indicator.MD5 && c.kind != indicator.SHA1 && c.kind != indicator.SHA256
		})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%.80q", pattern)
	}
	return out, nil
}

// kindOf refines a kind by the value: networks, and addresses of either version.
func kindOf(k indicator.Kind, v string) indicator.Kind {
	switch {
	case k != indicator.IPv4 && k != indicator.IPv6 && k != "address":
		return k
	case strings.Contains(v, "/"):
		return indicator.CIDR
	case strings.Contains(v, ":"):
		return indicator.IPv6
	}
	return indicator.IPv4
}

// scanner cuts a pattern into words and quoted texts.
type scanner struct {
	text string
	at   int
}

// next is the next word, or quoted text; "" and false at the end.
func (s *scanner) next() (word string, quoted bool) {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n[](),", s.text[s.at]) >= 0 {
		s.at++
	}
	if s.at == len(s.text) {
		return "", false
	}
	if s.text[s.at] == '\'' {
		return s.quoted(), true
	}
	if strings.IndexByte("=<>!", s.text[s.at]) >= 0 {
		from := s.at
		for s.at < len(s.text) && strings.IndexByte("=<>!", s.text[s.at]) >= 0 {
			s.at++
		}
		return s.text[from:s.at], false
	}
	from := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '\'': // a quoted part of a path, as in hashes.'SHA-256'
			s.quoted()
			continue
		case c == '[' && strings.HasPrefix(s.text[s.at:], "[*]"):
			s.at += 3
			continue
		case strings.IndexByte(" \t\r\n[](),=<>!", c) >= 0:
			return s.text[from:s.at], false
		}
		s.at++
	}
	return s.text[from:], false
}

func (s *scanner) quoted() string {
	var b strings.Builder
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '\\' && s.at+1 < len(s.text):
			s.at++
			b.WriteByte(s.text[s.at])
		case c == '\'':
			s.at++
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// values are those that a path is compared with: = 'x', IN ('x', 'y'), ISSUBSET '1.2.3.0/24'.
// Other comparisons name no value.
func (s *scanner) values() ([]string, error) {
	operator, quoted := s.next()
	if quoted {
		return nil, errors.New("a comparison lacks its operator")
	}
	switch strings.ToUpper(operator) {
	case "=", "==", "ISSUBSET", "ISSUPERSET":
		v, ok := s.next()
		if !ok {
			return nil, nil // a number or a truth value
		}
		return []string{v}, nil
	case "IN":
		var out []string
		for {
			at := s.at
			v, ok := s.next()
			if !ok {
				s.at = at
				return out, nil
			}
			out = append(out, v)
		}
	case "NOT":
		return nil, errors.New("it demands that something is not so")
	}
	s.next()
	return nil, nil
}

// ndjson reads hemostat's own form, an indicator a line.
func (t *taker) ndjson(b *bufio.Reader) error {
	d := json.NewDecoder(b)
	for n := 1; ; n++ {
		var i indicator.IOC
		err := d.Decode(&i)
		place := fmt.Sprintf("entry %d", n)
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &wrong):
			t.report.Read++
			t.report.skip("an entry that is not as it has to be", place+": "+err.Error())
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", place, err)
		}
		if !t.offer(&i, place) {
			return nil
		}
	}
}
