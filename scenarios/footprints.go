package scenarios

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hemostat/attackers/technique"
	"hemostat/sim/boundedfile"
	"hemostat/sim/footprint"
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
	s.prints = texts
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
			return nil, nil, fmt.Errorf("footprints: %w", err)
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
			return nil, nil, fmt.Errorf("footprints: %w", err)
		}
		if found == 0 {
			return nil, nil, fmt.Errorf("footprints: the folder %s has no YAML file", name)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, nil, err
	}
	library, err := technique.NewLibrary(prints)
	return library, texts, err
}
