package source

import (
	"bufio"
	"crypto/sha1"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"hemostat/defenders/fusion/indicator"
)

// Writer writes indicators in one of the formats; Close ends the document.
type Writer struct {
	out    *bufio.Writer
	format Format
	table  *csv.Writer
	now    time.Time
	n      int
	// Left counts indicators that the format has no form for.
	Left int
}

// NewWriter begins a document. Now is the time of objects that do not say theirs.
func NewWriter(to io.Writer, f Format, now time.Time) (*Writer, error) {
	w := &Writer{out: bufio.NewWriter(to), format: f, now: now.UTC().Truncate(time.Second)}
	switch f {
	case NDJSON, List:
	case CSV:
		w.table = csv.NewWriter(w.out)
		return w, w.table.Write([]string{"ioc_type", "value", "first_seen", "last_seen", "source", "confidence",
			"tags"})
	case STIX:
		_, err := fmt.Fprintf(w.out, `{"type":"bundle","id":"bundle--%s","objects":[`, UUID("bundle "+now.String()))
		return w, err
	default:
		return nil, fmt.Errorf("%q is no format to write; accepted: stix, csv, list, ndjson", f)
	}
	return w, nil
}

// UUID is a version 5 UUID (RFC 9562) below hemostat's own name, so that equal indicators
// have equal identities.
func UUID(name string) string {
	sum := sha1.Sum([]byte("hemostat\x00" + name)) //nolint:gosec // it identifies, and protects nothing
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// Write writes an indicator.
func (w *Writer) Write(i *indicator.IOC) error {
	switch w.format {
	case List:
		_, err := fmt.Fprintln(w.out, i.Value)
		return err
	case CSV:
		return w.table.Write([]string{
			string(i.Type), i.Value, stamp(i.FirstSeen), stamp(i.LastSeen), i.Source,
			strconv.FormatFloat(i.Confidence, 'g', -1, 64), strings.Join(i.Tags, ";"),
		})
	case STIX:
		return w.stix(i)
	}
	text, err := json.Marshal(i)
	if err == nil {
		_, err = w.out.Write(append(text, '\n'))
	}
	return err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// patterns give the comparison of each kind; %s stands for the value.
var patterns = map[indicator.Kind]string{
	indicator.IPv4: "[ipv4-addr:value = '%s']", indicator.IPv6: "[ipv6-addr:value = '%s']", indicator.Domain: "[domain-name:value = '%s']",
	indicator.URL: "[url:value = '%s']", indicator.Email: "[email-addr:value = '%s']", indicator.MD5: "[file:hashes.MD5 = '%s']",
	indicator.SHA1: "[file:hashes.'SHA-1' = '%s']", indicator.SHA256: "[file:hashes.'SHA-256' = '%s']", indicator.Mutex: "[mutex:name = '%s']",
	indicator.RegistryKey: "[windows-registry-key:key = '%s']", indicator.Account: "[user-account:account_login = '%s']",
	indicator.ProcessPath: "[process:image_ref.name = '%s']",
	indicator.UserAgent:   "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = '%s']",
}

// Pattern is the pattern of STIX for an indicator, "" where there is no object for it.
func Pattern(i *indicator.IOC) string {
	value := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(i.Value)
	switch i.Type {
	case indicator.CIDR:
		if strings.Contains(i.Value, ":") {
			return fmt.Sprintf("[ipv6-addr:value ISSUBSET '%s']", value)
		}
		return fmt.Sprintf("[ipv4-addr:value ISSUBSET '%s']", value)
	case indicator.Certificate:
		name := "SHA-256"
		if len(i.Value) == 40 {
			name = "SHA-1"
		}
		return fmt.Sprintf("[x509-certificate:hashes.'%s' = '%s']", name, value)
	}
	if form, ok := patterns[i.Type]; ok {
		return fmt.Sprintf(form, value)
	}
	return ""
}

func (w *Writer) stix(i *indicator.IOC) error {
	p := Pattern(i)
	if p == "" {
		w.Left++
		return nil
	}
	first, last := i.FirstSeen, i.LastSeen
	if first.IsZero() {
		first = last
	}
	if first.IsZero() {
		first = w.now
	}
	if last.Before(first) {
		last = first
	}
	o := map[string]any{
		"type": "indicator", "spec_version": "2.1", "id": "indicator--" + UUID(string(i.Type)+" "+i.Value+" "+i.Source),
		"created": millis(first), "modified": millis(last), "pattern": p, "pattern_type": "stix", "valid_from": millis(first),
		"name": string(i.Type) + " " + i.Value, "indicator_types": []string{"malicious-activity"}, "confidence": int(100*i.Confidence + 0.5),
	}
	if until, err := time.Parse(time.RFC3339, i.Context[indicator.ValidUntil]); err == nil {
		o["valid_until"] = millis(until)
	}
	if len(i.Tags) > 0 {
		o["labels"] = i.Tags
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if w.n++; w.n > 1 {
		text = append([]byte(","), text...)
	}
	_, err = w.out.Write(append(text, '\n'))
	return err
}

func millis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Close ends the document.
func (w *Writer) Close() error {
	if w.table != nil {
		if w.table.Flush(); w.table.Error() != nil {
			return w.table.Error()
		}
	}
	if w.format == STIX {
		if _, err := fmt.Fprintln(w.out, "]}"); err != nil {
			return err
		}
	}
	return w.out.Flush()
}
