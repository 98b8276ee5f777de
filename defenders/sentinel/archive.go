package sentinel

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/boundedfile"
)

const (
	// maxArchive bounds what an archive of rules unpacks to, in bytes.
	maxArchive = 1 << 30
	// maxArchiveMembers bounds its rule files.
	maxArchiveMembers = 100_000
)

// IsRuleFile tells by its name whether a file holds rules.
func IsRuleFile(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".yml" || ext == ".yaml"
}

// isArchive tells by its name whether a file is an archive of rules.
func isArchive(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

// EachInArchive hands over each rule file of a .tar.gz, or why it cannot be read.
func EachInArchive(name string, each func(file string, data []byte, fault error)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("a folder, a rule file or a .tar.gz is expected: %w", err)
	}
	defer z.Close()
	unpacked := &io.LimitedReader{R: z, N: maxArchive}
	archive := tar.NewReader(unpacked)
	for files := 0; ; {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && unpacked.N <= 0:
			return fmt.Errorf("it unpacks to more than %d MiB", maxArchive>>20)
		case err != nil:
			return err
		case h.Typeflag != tar.TypeReg || !IsRuleFile(h.Name):
			continue
		case files >= maxArchiveMembers:
			return fmt.Errorf("it holds more than %d rule files", maxArchiveMembers)
		}
		files++
		data, err := boundedfile.ReadAll(h.Name, archive)
		each(h.Name, data, err)
	}
}

// readArchive reads the rules of an archive.
func readArchive(name string, pipelines []*sigma.Pipeline) ([]*sigma.Rule, error) {
	var rules []*sigma.Rule
	var faults sigma.Errors
	files := 0
	err := EachInArchive(name, func(file string, data []byte, fault error) {
		files++
		if fault != nil {
			faults = append(faults, sigma.Error{File: file, Message: fault.Error()})
			return
		}
		more, err := sigma.Parse(file, data, pipelines...)
		rules = append(rules, more...)
		var e sigma.Errors
		if errors.As(err, &e) {
			faults = append(faults, e...)
		} else if err != nil {
			faults = append(faults, sigma.Error{File: file, Message: err.Error()})
		}
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("rules %s: %w", name, err)
	case files == 0:
		return nil, fmt.Errorf("rules archive %s: %w", name, sigma.ErrNoRuleFile)
	}
	return rules, faults.Err()
}
