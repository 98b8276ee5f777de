package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"hemostat/scenarios"
	"hemostat/sim/boundedfile"
)

// checkout is a variant file beside its rules, pipelines and playbooks as they were
// at a git revision, in a folder of its own.
type checkout struct {
	dir, variant, original string
	revision               string // short name of the commit
}

func (c *checkout) remove() { _ = os.RemoveAll(c.dir) } // a temporary folder: nothing depends on it

// readable puts the names that a user knows into an error.
func (c *checkout) readable(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), filepath.Dir(c.variant)+string(filepath.Separator), filepath.Dir(c.original)+string(filepath.Separator)))
}

// checkoutVariant takes what a variant file reads from a git revision. The variant
// file itself stays as it is.
func checkoutVariant(file, revision string) (*checkout, error) {
	if file == "default" {
		return nil, errors.New("--baseline-ref needs a --candidate FILE with folders of rules or playbooks that are under git; the default has none")
	}
	sources, err := scenarios.VariantSources(file)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("--baseline-ref: variant %s names no folder of rules or playbooks, so nothing of it can come from a revision", file)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	base := filepath.Dir(path)
	top, err := git(base, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, fmt.Errorf("--baseline-ref: %s is in no git repository: %w", file, err)
	}
	if strings.HasPrefix(revision, "-") {
		return nil, fmt.Errorf("--baseline-ref: %q is no git revision", revision)
	}
	short, err := git(base, "rev-parse", "--short", "--verify", revision+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("--baseline-ref: %q is no git revision of %s: %w", revision, top, err)
	}
	var paths []string
	for _, s := range sources {
		if !filepath.IsAbs(s) {
			s = filepath.Join(base, s)
		}
		rel, err := filepath.Rel(top, s)
		if err != nil || strings.HasPrefix(rel, "..") {
			return nil, fmt.Errorf("--baseline-ref: %s is outside of the git repository %s", s, top)
		}
		if _, err := git(top, "cat-file", "-e", short+":"+filepath.ToSlash(rel)); err != nil {
			return nil, fmt.Errorf("--baseline-ref: %s does not exist at %s", rel, revision)
		}
		paths = append(paths, rel)
	}
	archive, err := git(top, append([]string{"archive", "--format=tar", short, "--"}, paths...)...)
	if err != nil {
		return nil, fmt.Errorf("--baseline-ref %s: %w", revision, err)
	}
	dir, err := os.MkdirTemp("", "hemostat-baseline-")
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(top, path)
	c := &checkout{dir: dir, variant: filepath.Join(dir, rel), original: file, revision: short}
	if err == nil {
		err = c.fill([]byte(archive), path)
	}
	if err != nil {
		c.remove()
		return nil, fmt.Errorf("--baseline-ref %s: %w", revision, err)
	}
	return c, nil
}

// fill unpacks git's archive and puts the variant file beside it.
func (c *checkout) fill(archive []byte, variant string) error {
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) || h.Typeflag != tar.TypeReg {
			continue // folders come with their files; links are not followed
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(c.dir, filepath.FromSlash(h.Name)), data); err != nil {
			return err
		}
	}
	data, err := boundedfile.Read(variant)
	if err != nil {
		return err
	}
	return writeFile(c.variant, data)
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// git runs git and returns what it printed.
func git(dir string, args ...string) (string, error) {
	c := exec.Command("git", args...)
	c.Dir = dir
	var errOut bytes.Buffer
	c.Stderr = &errOut
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("git is not installed")
	}
	if err != nil {
		return "", errors.New(strings.TrimSpace(errOut.String()))
	}
	if args[0] == "archive" {
		return string(out), nil
	}
	return strings.TrimSpace(string(out)), nil
}
