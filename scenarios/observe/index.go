package observe

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"hemostat/sim/attack"
	"hemostat/sim/boundedfile"
)

// Entry is a recording that an index names.
type Entry struct {
	File       string   // as the index writes it
	Path       string   // where it was found
	Techniques []string // current ATT&CK ids
	Benign     bool
	Line       int // of the index
}

var techniqueID = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)

// attackFree are the words of an index for a log that was recorded while nobody attacked.
var attackFree = []string{"benign", "attack-free", "none"}

// extensions are tried, in this order, where an index names a file without its ending.
var extensions = []string{
	".evtx", ".evtx.gz", ".evtx.zst", ".evtx.xz", ".json", ".json.gz", ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz",
	".xml", ".xml.gz", ".log", ".log.gz", ".zip", ".tar.gz", ".tgz",
}

// ReadIndex reads an index of recordings: CSV with a header, of which the columns file
// and techniques count. Files are relative to the index; their ending may be left out.
// Techniques are ATT&CK ids apart by a space, semicolon, bar or comma; benign marks a log
// that was recorded while nobody attacked. Every fault is named with its line.
func ReadIndex(name string) ([]Entry, error) {
	data, err := boundedfile.Read(name)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(data), "\ufeff")))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the index is empty; its first line names the columns: file,techniques", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	file, ids := column(header, "file"), column(header, "techniques")
	if file < 0 || ids < 0 {
		return nil, fmt.Errorf(
			"%s:1: the first line names the columns, and file and techniques must be among them; it has: %s",
			name, strings.Join(header, ", "),
		)
	}
	var entries []Entry
	var faults []error
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		e, err := entry(filepath.Dir(name), row, file, ids)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", name, line, err))
			continue
		}
		e.Line = line
		entries = append(entries, e)
	}
	if len(entries) == 0 && len(faults) == 0 {
		return nil, fmt.Errorf("%s: the index names no recording", name)
	}
	return entries, errors.Join(faults...)
}

func column(header []string, name string) int {
	return slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) })
}

func entry(folder string, row []string, file, ids int) (Entry, error) {
	if file >= len(row) || strings.TrimSpace(row[file]) == "" {
		return Entry{}, errors.New("the column file is empty")
	}
	e := Entry{File: strings.TrimSpace(row[file])}
	if ids < len(row) {
		words := strings.FieldsFunc(row[ids], func(r rune) bool { return strings.ContainsRune(" ;|,\t", r) })
		for _, word := range words {
			switch upper := strings.ToUpper(word); {
			case slices.Contains(attackFree, strings.ToLower(word)):
				e.Benign = true
			case !techniqueID.MatchString(upper):
				return Entry{}, fmt.Errorf(
					"%q is no ATT&CK technique, such as T1003 or T1003.001, nor benign", word)
			case !slices.Contains(e.Techniques, attack.Current(upper)):
				e.Techniques = append(e.Techniques, attack.Current(upper))
			}
		}
	}
	if e.Benign && len(e.Techniques) > 0 {
		return Entry{}, fmt.Errorf("a log is benign or of a technique, not both: %s", row[ids])
	}
	path := e.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	for _, ending := range append([]string{""}, extensions...) {
		if _, err := os.Stat(path + ending); err == nil {
			e.Path = path + ending
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("%s is not there, neither as it is written nor with an ending such as .evtx or .json.gz",
		e.File)
}
