// Package source reads indicators of compromise from the files that intelligence comes in:
// bundles of STIX 2, events and feeds of MISP, CSV, plain lists, and hemostat's own NDJSON.
// One bad entry among thousands is reported and passed over; a document that is broken gives
// what stood before the fault, and the fault. source.go recognises the form and reports,
// a file each reads one form. Output are indicators in their normal form
// (defenders/fusion/indicator).
package source

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hemostat/defenders/fusion/indicator"
)

// Format is a form of file.
type Format string

// The formats.
const (
	Auto   Format = "auto"
	STIX   Format = "stix"
	MISP   Format = "misp"
	CSV    Format = "csv"
	List   Format = "list"
	NDJSON Format = "ndjson"
)

// formats lists them.
func formats() []Format { return []Format{Auto, STIX, MISP, CSV, List, NDJSON} }

// ParseFormat reads the name of a format.
func ParseFormat(text string) (Format, error) {
	if f := Format(text); slices.Contains(formats(), f) {
		return f, nil
	}
	return "", fmt.Errorf("%q is no format of indicators; accepted: auto, stix, misp, csv, list, ndjson", text)
}

// Report says what became of a file's entries.
type Report struct {
	File   string `json:"file"`
	Format Format `json:"format"`
	Read   int    `json:"read"` // entries that could be indicators
	Taken  int    `json:"taken"`
	// Skipped counts entries that were passed over, by the reason; Examples has the first of
	// each with its place.
	Skipped  map[string]int    `json:"skipped"`
	Examples map[string]string `json:"examples"`
}

func (r *Report) skip(reason, place string) {
	if r.Skipped == nil {
		r.Skipped, r.Examples = map[string]int{}, map[string]string{}
	}
	const most = 100
	if r.Skipped[reason] == 0 && len(r.Skipped) >= most {
		reason = "other reasons"
	}
	if r.Skipped[reason]++; r.Skipped[reason] == 1 {
		r.Examples[reason] = place
	}
}

// Options say how to read.
type Options struct {
	Format Format // Auto when ""
	// Source names where indicators come from that do not say so; the file's name when "".
	Source string
	// Confidence is that of indicators that do not say so; 0.5 when 0.
	Confidence float64
	// Allowed are values that are never taken, such as an estate's own domains.
	Allowed []string
}

// Files reads files and folders, in order, and hands each indicator on. An error is that of
// files that could not be read to their end; what was read before stands.
func Files(paths []string, o Options, f func(*indicator.IOC) error) ([]Report, error) {
	var reports []Report
	var faults []error
	for _, path := range paths {
		var files []string
		err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, p)
			}
			return err
		})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, file := range files {
			r, err := readFile(file, o, f)
			reports = append(reports, r)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", file, err))
			}
		}
	}
	return reports, errors.Join(faults...)
}

func readFile(file string, o Options, f func(*indicator.IOC) error) (Report, error) {
	in, err := os.Open(file)
	if err != nil {
		return Report{File: file}, err
	}
	defer in.Close()
	if o.Source == "" {
		o.Source = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".gz"),
			filepath.Ext(strings.TrimSuffix(file, ".gz")))
	}
	r, err := Read(in, o, f)
	r.File = file
	return r, err
}

// Read reads one document, which may be compressed by gzip.
func Read(in io.Reader, o Options, f func(*indicator.IOC) error) (Report, error) {
	b := bufio.NewReaderSize(in, 1<<16)
	if head, err := b.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return Report{}, err
		}
		defer z.Close()
		b = bufio.NewReaderSize(z, 1<<16)
	}
	if o.Format == "" || o.Format == Auto {
		o.Format = recognise(b)
	}
	if o.Confidence == 0 {
		o.Confidence = 0.5
	}
	t := &taker{options: o, take: f, report: Report{Format: o.Format}, allowed: map[string]bool{}}
	for _, a := range o.Allowed {
		if _, v, err := indicator.Guess(a); err == nil {
			t.allowed[v] = true
		}
		t.allowed[strings.ToLower(a)] = true
	}
	var err error
	switch o.Format {
	case STIX:
		err = t.stix(b)
	case MISP:
		err = t.misp(b)
	case CSV:
		err = t.csv(b)
	case NDJSON:
		err = t.ndjson(b)
	default:
		err = t.list(b)
	}
	if t.failed != nil {
		err = t.failed
	}
	return t.report, err
}

// recognise tells the form of a document from its beginning.
func recognise(b *bufio.Reader) Format {
	head, _ := b.Peek(1 << 16)
	text := strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n")
	first, _, _ := strings.Cut(text, "\n")
	switch {
	case strings.HasPrefix(text, "{") && strings.Contains(first, `"ioc_type"`):
		return NDJSON
	case strings.HasPrefix(text, "{") &&
		(strings.Contains(text, `"objects"`) || strings.Contains(text, `"bundle"`) ||
			strings.Contains(text, `"spec_version"`)):
		return STIX
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		if strings.Contains(text, `"Event"`) || strings.Contains(text, `"Attribute"`) ||
			strings.Contains(text, `"response"`) {
			return MISP
		}
		return STIX
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' && !strings.Contains(line, ",") {
			continue
		}
		if strings.Contains(line, ",") {
			return CSV
		}
		return List
	}
	return List
}

// taker takes entries of a document.
type taker struct {
	options Options
	take    func(*indicator.IOC) error
	allowed map[string]bool
	report  Report
	failed  error // of take
}

// offer takes an entry whose value is as it was written; a kind of "" is guessed. It returns
// false when no more is wanted.
func (t *taker) offer(i *indicator.IOC, place string) bool {
	t.report.Read++
	var err error
	if i.Type == "" {
		i.Type, i.Value, err = indicator.Guess(i.Value)
	} else {
		i.Value, err = indicator.Normalize(i.Type, i.Value)
	}
	switch {
	case errors.Is(err, indicator.ErrNever):
		t.report.skip("can never be an indicator", place+": "+err.Error())
		return true
	case err != nil:
		t.report.skip("no value of its kind", place+": "+err.Error())
		return true
	case t.allowed[i.Value] || t.allowed[strings.ToLower(i.Value)]:
		t.report.skip("on the list of what is allowed", place+": "+i.Value)
		return true
	}
	if i.Source == "" {
		i.Source = t.options.Source
	}
	if i.Confidence == 0 {
		i.Confidence = t.options.Confidence
	}
	if !i.FirstSeen.IsZero() && !i.LastSeen.IsZero() && i.LastSeen.Before(i.FirstSeen) {
		i.FirstSeen, i.LastSeen = i.LastSeen, i.FirstSeen
	}
	if err := t.take(i); err != nil {
		t.failed = err
		return false
	}
	t.report.Taken++
	return true
}
