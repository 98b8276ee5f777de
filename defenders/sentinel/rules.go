package sentinel

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/boundedfile"
)

//go:embed rules/*/rule.yml
var embedded embed.FS

// LoadRules reads the rules of several folders; the name "embedded" stands for
// those that come with the program. Pipelines adapt them all. Every fault of every
// folder is reported.
func LoadRules(folders []string, pipelines ...*sigma.Pipeline) ([]*sigma.Rule, error) {
	var rules []*sigma.Rule
	var faults sigma.Errors
	for _, folder := range folders {
		var more []*sigma.Rule
		var err error
		if folder == "embedded" {
			more, err = sigma.ReadDir(embedded, "rules", pipelines...)
		} else {
			more, err = readFolder(folder, pipelines)
		}
		var e sigma.Errors
		if errors.As(err, &e) {
			for i := range e {
				e[i].File = folder + "/" + e[i].File
			}
			faults = append(faults, e...)
		} else if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	return rules, faults.Err()
}

// LoadUsableRules reads rules as LoadRules does, and leaves out those that cannot be used.
// It says which and why.
func LoadUsableRules(folders []string, pipelines ...*sigma.Pipeline) ([]*sigma.Rule, sigma.Errors, error) {
	rules, err := LoadRules(folders, pipelines...)
	var leftOut sigma.Errors
	if err != nil && !errors.As(err, &leftOut) {
		return nil, nil, err
	}
	usable, more := sigma.Usable(rules)
	return usable, append(leftOut, more...), nil
}

// LoadPipelines reads pipelines from files. Every fault of every file is reported.
func LoadPipelines(files []string) ([]*sigma.Pipeline, error) {
	var pipelines []*sigma.Pipeline
	var faults sigma.Errors
	for _, file := range files {
		data, err := boundedfile.Read(file)
		if err != nil {
			return nil, fmt.Errorf("pipeline %s: %w", file, err)
		}
		p, err := sigma.ParsePipeline(file, data)
		var e sigma.Errors
		if errors.As(err, &e) {
			faults = append(faults, e...)
		}
		pipelines = append(pipelines, p)
	}
	return pipelines, faults.Err()
}

func readFolder(folder string, pipelines []*sigma.Pipeline) ([]*sigma.Rule, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, fmt.Errorf("rules folder %s: %w", folder, err)
	}
	if !info.IsDir() {
		if isArchive(folder) {
			return readArchive(folder, pipelines)
		}
		if !IsRuleFile(folder) {
			return nil, fmt.Errorf("rules %s is a file; name a folder of rules, a .yml file or a .tar.gz", folder)
		}
		data, err := boundedfile.Read(folder)
		if err != nil {
			return nil, fmt.Errorf("rules %s: %w", folder, err)
		}
		return sigma.Parse(filepath.Base(folder), data, pipelines...)
	}
	rules, err := sigma.ReadDir(boundedfile.FS(folder), ".", pipelines...)
	if errors.Is(err, sigma.ErrNoRuleFile) {
		return nil, fmt.Errorf("rules folder %s: %w", folder, sigma.ErrNoRuleFile)
	}
	return rules, err
}
