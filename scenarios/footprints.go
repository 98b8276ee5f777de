package scenarios

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hemostat/attackers/technique"
	"hemostat/defenders/ingest"
	"hemostat/sim/boundedfile"
	"hemostat/sim/event"
	"hemostat/sim/footprint"
	"hemostat/sim/world"
)

// library is the techniques with the footprints that the scenario names.
func (s *Scenario) library() (*technique.Library, error) {
	if len(s.Footprints) == 0 {
		return nil, nil
	}
	var names []string
	for _, name := range s.Footprints {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(s.File), name)
		}
		names = append(names, name)
	}
	library, texts, err := LoadFootprints(names)
	s.prints = append(s.prints, texts...)
	return library, err
}

// LoadFootprints reads footprints from files and from all YAML files of folders, and adds
// them to the library. It also returns their texts, which belong to a scenario's digest.
func LoadFootprints(names []string) (*technique.Library, [][]byte, error) {
	var prints []*footprint.Footprint
	var texts [][]byte
	var faults []error
	read := func(file string) {
		data, err := boundedfile.Read(file)
		if err != nil {
			faults = append(faults, err)
			return
		}
		f, err := footprint.Parse(file, data)
		if err != nil {
			faults = append(faults, err)
			return
		}
		prints, texts = append(prints, f), append(texts, data)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, nil, err
		}
		if !info.IsDir() {
			read(name)
			continue
		}
		found := 0
		err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if ext := strings.ToLower(filepath.Ext(path)); err == nil && !d.IsDir() && (ext == ".yaml" || ext == ".yml") {
				found++
				read(path)
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		if found == 0 {
			return nil, nil, fmt.Errorf("the folder %s has no YAML file", name)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, nil, err
	}
	library, err := technique.NewLibrary(prints)
	return library, texts, err
}

// mostRecorded bounds the events of recorded background, which are kept in memory.
const mostRecorded = 300_000

// readRecorded reads the recordings that are played in as background.
func (s *Scenario) readRecorded() error {
	if len(s.Background.Recorded) == 0 {
		return nil
	}
	var names []string
	for _, name := range s.Background.Recorded {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(s.File), name)
		}
		names = append(names, name)
	}
	var chosen []footprint.Chosen
	var line []byte
	digest := sha256.New()
	summary, err := ingest.Read(context.Background(), names, ingest.Options{}, func(e *event.Event) error {
		if len(chosen) == mostRecorded {
			return fmt.Errorf("the recordings have more than %d events, which are kept in memory: take a part of them",
				mostRecorded)
		}
		line = e.AppendJSON(line[:0])
		digest.Write(line)
		chosen = append(chosen, footprint.Chosen{Number: len(chosen) + 1, Event: e, Keep: true})
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(chosen) == 0:
		return fmt.Errorf("%s: no event", strings.Join(names, ", "))
	case summary.Undated == len(chosen):
		return fmt.Errorf("%s: no event has a time, so nothing is known of their order and gaps", strings.Join(names, ", "))
	}
	day, err := footprint.MakeDay(chosen)
	if err != nil {
		return err
	}
	for i := range day.Events {
		if _, ok := world.RecordedKind(&day.Events[i]); !ok {
			return fmt.Errorf("event %d: no sensor of an estate carries events of %s", i+1, day.Events[i].Source)
		}
	}
	s.RecordedDay, s.prints = day, append(s.prints, digest.Sum(nil))
	return nil
}
