// Package boundedfile reads files that strangers may have written: rules,
// scenarios, variants, playbooks, plans. It opens regular files only, so that a
// pipe without a writer cannot block the program, and reads at most MaxBytes, so
// that a device without an end cannot fill the memory. Its input is a name or a
// folder, its output bytes or a file system; it knows no format. Log files are
// read as streams by defenders/ingest instead.
package boundedfile

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxBytes bounds one file: 16 MiB; largeBytes one that may be large, such as a bundle of
// ATT&CK: 256 MiB.
const (
	maxBytes   = 16 << 20
	largeBytes = 256 << 20
)

// Read returns the content of a regular file of at most MaxBytes. The error says
// what is wrong with the file; it names the file once, as package os does.
func Read(name string) ([]byte, error) { return read(name, maxBytes) }

// ReadLarge is Read for files that may be large: at most 256 MiB.
func ReadLarge(name string) ([]byte, error) { return read(name, largeBytes) }

func read(name string, most int64) ([]byte, error) {
	f, err := open(name, most)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(name, f, most)
}

// ReadAll reads a stream, such as a member of an archive, up to MaxBytes; more is
// an error.
func ReadAll(name string, r io.Reader) ([]byte, error) { return readAll(name, r, maxBytes) }

func readAll(name string, r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("read %s: it is longer than %d MiB, which is the most that is accepted", name, most>>20)
	}
	return data, nil
}

// open opens a regular file. It looks at the kind of file first, since opening a
// pipe waits for its writer.
func open(name string, most int64) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if err := regular(name, info, most); err != nil {
		return nil, err
	}
	return os.Open(name)
}

func regular(name string, info fs.FileInfo, most int64) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("read %s: it is a folder; a file is expected", name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("read %s: it is no regular file but a %s", name, kind(info.Mode()))
	case info.Size() > most:
		return fmt.Errorf("read %s: it has %d bytes; at most %d MiB are accepted", name, info.Size(), most>>20)
	}
	return nil
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// FS is a folder on disk as a file system that reads as Read does. Links to
// regular files are followed.
func FS(dir string) fs.FS { return folder{os.DirFS(dir)} }

type folder struct{ fs.FS }

var _ fs.ReadFileFS = folder{}

// Open opens a file or folder below the folder; special files are refused.
func (f folder) Open(name string) (fs.File, error) {
	info, err := fs.Stat(f.FS, name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if err := regular(name, info, maxBytes); err != nil {
			return nil, err
		}
	}
	return f.FS.Open(name)
}

// ReadFile reads a regular file below the folder.
func (f folder) ReadFile(name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := regular(name, info, maxBytes); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + 1)
	if _, err := io.Copy(&b, io.LimitReader(file, maxBytes+1)); err != nil {
		return nil, err
	}
	return ReadAll(name, &b)
}
