package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hemostat/sim/event"
)

// Options say how to read.
type Options struct {
	Format string // one of FormatNames; auto when empty
}

// Read reads logs and calls emit for every event: files, pipes, standard input (-),
// folders with all below them, archives with their members. Several inputs are merged
// by the time of their events. An error of emit ends the reading and is returned as it
// is; so does the end of the context. An input that cannot be read does not take away
// what the others give: its fault is part of the error, beside the summary.
func Read(ctx context.Context, names []string, o Options, emit func(*event.Event) error) (Summary, error) {
	format, err := chosenFormat(o.Format)
	if err != nil {
		return Summary{}, err
	}
	var f found
	defer f.close()
	for _, name := range names {
		f.find(ctx, name)
	}
	if err := ctx.Err(); err != nil {
		return Summary{}, err
	}
	summary, err := merge(ctx, f.inputs, format, emit)
	summary.PassedOver = append(f.passedOver, summary.PassedOver...)
	slices.Sort(summary.PassedOver)
	if err != nil && !isFault(err) {
		return summary, err
	}
	return summary, errors.Join(append(f.faults, err)...)
}

// chosenFormat is the form that a name stands for, nil for auto.
func chosenFormat(name string) (*Format, error) {
	if name == "" || name == "auto" {
		return nil, nil
	}
	if alias, ok := formatAliases[name]; ok {
		name = alias
	}
	formats := Formats()
	at := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("unknown format %q; accepted: %s", name, strings.Join(FormatNames(), ", "))
	}
	return &formats[at], nil
}

// isFault tells the faults of inputs from what ends the reading.
func isFault(err error) bool {
	var faults faultList
	return errors.As(err, &faults)
}

// faultList are the faults of several inputs.
type faultList []error

// Error lists them, one a line.
func (l faultList) Error() string { return errors.Join(l...).Error() }

// Unwrap gives the faults.
func (l faultList) Unwrap() []error { return l }

// read reads one input from its beginning to its end.
func (in input) read(ctx context.Context, format *Format, out *output) error {
	r, err := in.open()
	if err != nil {
		return &badLogError{Name: in.name, Reason: err.Error()}
	}
	defer r.Close()
	text, done, err := plainText(ctx, r)
	if err != nil {
		return &badLogError{Name: in.name, Reason: err.Error()}
	}
	defer done()
	head, err := text.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return endOf(ctx, in.name, err, out)
	}
	if format == nil {
		if format = formatOf(head); format == nil {
			if len(bytes.TrimSpace(bytes.TrimPrefix(head, byteOrderMark))) == 0 {
				return nil
			}
			return unrecognised(in.name)
		}
		err := format.read(ctx, in.name, text, out)
		if out.Events == 0 && out.Skipped > 0 && format.Name == "json" && ctx.Err() == nil && out.err == nil &&
			(in.member || out.Because[reasonUnknownJSON] == out.Skipped) { // JSON, or like it, but no log
			return unrecognised(in.name)
		}
		return err
	}
	return format.read(ctx, in.name, text, out)
}

func unrecognised(name string) error {
	return &badLogError{
		Name:         name,
		Reason:       "its format is not recognised; hemostat formats lists those that are, and --format names one",
		unrecognised: true,
	}
}
