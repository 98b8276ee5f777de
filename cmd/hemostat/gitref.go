package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"hemostat/scenarios/defence"
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
	return errors.New(
		strings.ReplaceAll(
			err.Error(),
			filepath.Dir(c.variant)+string(filepath.Separator),
			filepath.Dir(c.original)+string(filepath.Separator),
		),
	)
}

// checkoutVariant takes what a variant file reads from a git revision. The variant
// file itself stays as it is.
func checkoutVariant(file, revision string) (*checkout, error) {
	if file == "default" {
		return nil, errors.New(
			"--baseline-ref needs a --candidate FILE with folders of rules or playbooks that are under git; the default has none",
		)
	}
	sources, err := defence.Sources(file)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf(
			"--baseline-ref: variant %s names no folder of rules or playbooks, so nothing of it can come from a revision",
			file,
		)
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
	files, err := filesAt(top, short, paths)
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
		err = c.fill(top, files, path)
	}
	if err != nil {
		c.remove()
		return nil, fmt.Errorf("--baseline-ref %s: %w", revision, err)
	}
	return c, nil
}

// treeFile is a file of a revision.
type treeFile struct{ blob, path string }

// filesAt lists the files below paths in a revision's tree. Links and submodules are
// refused by name: what they stand for is not in the tree, so the baseline would lack
// it.
func filesAt(top, commit string, paths []string) ([]treeFile, error) {
	listing, err := git(
		top,
		append([]string{"ls-tree", "-r", "-z", "--full-tree", commit, "--"}, treePaths(paths)...)...)
	if err != nil {
		return nil, err
	}
	var files []treeFile
	var faults []error
	for entry := range strings.SplitSeq(strings.TrimRight(listing, "\x00"), "\x00") {
		about, path, ok := strings.Cut(entry, "\t")
		parts := strings.Fields(about) // mode, type, object (git-ls-tree, "Output Format")
		if !ok || len(parts) != 3 {
			return nil, fmt.Errorf("git ls-tree printed %q", entry)
		}
		switch parts[0] {
		case "120000":
			faults = append(
				faults,
				fmt.Errorf("%s is a symbolic link at this revision; name the file that it leads to", path),
			)
		case "160000":
			faults = append(
				faults,
				fmt.Errorf("%s is a submodule at this revision; its files are in another repository", path),
			)
		default:
			files = append(files, treeFile{parts[2], path})
		}
	}
	return files, errors.Join(faults...)
}

// treePaths are paths as git's trees have them; the top is all of it.
func treePaths(paths []string) []string {
	var out []string
	for _, p := range paths {
		if p == "." {
			return nil
		}
		out = append(out, filepath.ToSlash(p))
	}
	return out
}

// fill writes the files' contents as they are in the repository, without attributes
// and filters, and puts the variant file beside them.
func (c *checkout) fill(top string, files []treeFile, variant string) error {
	var ids strings.Builder
	for _, f := range files {
		if !filepath.IsLocal(f.path) {
			return fmt.Errorf("%q is no path within the repository", f.path)
		}
		ids.WriteString(f.blob + "\n")
	}
	blobs, err := gitRaw(top, ids.String(), "cat-file", "--batch")
	if err != nil {
		return err
	}
	for _, f := range files {
		var content []byte
		if content, blobs, err = nextBlob(blobs, f.blob); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if err := writeFile(filepath.Join(c.dir, filepath.FromSlash(f.path)), content); err != nil {
			return err
		}
	}
	data, err := boundedfile.Read(variant)
	if err != nil {
		return err
	}
	return writeFile(c.variant, data)
}

// nextBlob takes the next object from what git cat-file --batch prints: a line with
// id, type and size, the content, and a line end.
func nextBlob(batch []byte, id string) (content, rest []byte, err error) {
	header, after, _ := bytes.Cut(batch, []byte("\n"))
	var name, kind string
	var size int
	if _, err := fmt.Sscanf(string(header), "%s %s %d", &name, &kind, &size); err != nil || name != id ||
		kind != "blob" ||
		size < 0 ||
		size >= len(after) {
		return nil, nil, fmt.Errorf("git cat-file printed %q for %s", header, id)
	}
	return after[:size], after[size+1:], nil
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// git runs git and returns what it printed, without blanks around it.
func git(dir string, args ...string) (string, error) {
	out, err := gitRaw(dir, "", args...)
	return strings.TrimSpace(string(out)), err
}

// gitRaw runs git with a text as its standard input and returns what it printed.
func gitRaw(dir, input string, args ...string) ([]byte, error) {
	c := exec.Command("git", args...)
	c.Dir, c.Stdin = dir, strings.NewReader(input)
	var errOut bytes.Buffer
	c.Stderr = &errOut
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("git is not installed")
	}
	if err != nil {
		return nil, errors.New(strings.TrimSpace(errOut.String()))
	}
	return out, nil
}
