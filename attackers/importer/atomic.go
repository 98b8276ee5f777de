package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hemostat/sim/boundedfile"
	"hemostat/sim/strictyaml"
)

// atomicFile is a technique's file of Atomic Red Team.
type atomicFile struct {
	Technique string `yaml:"attack_technique"`
	Name      string `yaml:"display_name"`
	Tests     []struct {
		Name      string   `yaml:"name"`
		Platforms []string `yaml:"supported_platforms"`
	} `yaml:"atomic_tests"`
}

// Atomic reads a file of Atomic Red Team, or every one in a folder. The tests of one
// technique are one action each.
func Atomic(path string) (*Plan, error) {
	files := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("atomic tests %s: %w", path, err)
	}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "T*.y*ml")); err != nil {
			return nil, err
		}
		more, err := filepath.Glob(filepath.Join(path, "T*", "T*.y*ml"))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
		slices.Sort(files)
		if len(files) == 0 {
			return nil, fmt.Errorf("folder %s holds no file of Atomic Red Team, such as T1003.001.yaml", path)
		}
	}
	p := &Plan{Name: "atomic " + stem(path)}
	var names []string
	for _, file := range files {
		data, err := boundedfile.Read(file)
		if err != nil {
			return nil, fmt.Errorf("atomic tests %s: %w", file, err)
		}
		var a atomicFile
		if err := strictyaml.Unmarshal(file, data, &a); err != nil {
			return nil, fmt.Errorf("atomic tests %s: %w", file, err)
		}
		if a.Technique == "" || len(a.Tests) == 0 {
			return nil, fmt.Errorf(
				"%s is no file of Atomic Red Team: an attack_technique and atomic_tests are expected",
				file,
			)
		}
		names = append(names, a.Technique+" "+a.Name)
		done := false
		for _, t := range a.Tests {
			name := fmt.Sprintf("%s (%s)", t.Name, strings.Join(t.Platforms, ", "))
			if !slices.ContainsFunc(t.Platforms, func(s string) bool {
				return s == "windows" || s == "linux" || strings.Contains(s, "azure") || s == "office-365"
			}) {
				p.Missing = append(
					p.Missing,
					fmt.Sprintf("test %s of %s is for platforms that the estate has not", name, a.Technique),
				)
				continue
			}
			if done { // the library does a technique once a stage; its tools stand for the tests
				p.Missing = append(
					p.Missing,
					fmt.Sprintf("test %s is one more way to do %s, which the campaign does once", name, a.Technique),
				)
				continue
			}
			done = true
			p.Actions = append(p.Actions, Action{Name: name, Technique: a.Technique, Source: file})
		}
	}
	p.Description = "Atomic Red Team: " + strings.Join(names, "; ")
	return p, nil
}
