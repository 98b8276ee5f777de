package ingest

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// input is one stream of records: a file, a member of an archive, or standard input.
type input struct {
	name string
	open func() (io.ReadCloser, error)
	// member tells that nobody named the input itself: if it is no log it is passed over.
	member bool
	// once tells that the input can be opened one time only, as a pipe.
	once bool
}

// found is what looking for inputs came to.
type found struct {
	inputs     []input
	passedOver []string
	faults     []error
	cleanups   []func()
}

func (f *found) close() {
	for _, c := range slices.Backward(f.cleanups) {
		c()
	}
}

// stdin is the name of standard input.
const stdin = "-"

// find looks for the inputs that a path names: a file, a folder with all below it, an
// archive with its members, an archive in an archive.
func (f *found) find(ctx context.Context, name string) {
	if name == stdin {
		f.stream(ctx, "standard input", os.Stdin)
		return
	}
	info, err := os.Stat(name)
	if err != nil {
		f.fault(fmt.Errorf("log %s: %w", name, err))
		return
	}
	switch {
	case info.IsDir():
		f.folder(ctx, name)
	case !info.Mode().IsRegular():
		file, err := os.Open(name)
		if err != nil {
			f.fault(fmt.Errorf("log %s: %w", name, err))
			return
		}
		f.cleanups = append(f.cleanups, func() { file.Close() })
		f.stream(ctx, name, file)
	default:
		f.file(ctx, name, false)
	}
}

func (f *found) fault(err error) { f.faults = append(f.faults, err) }

func (f *found) folder(ctx context.Context, name string) {
	before := len(f.inputs)
	err := filepath.WalkDir(name, func(path string, entry os.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			f.fault(fmt.Errorf("log %s: %w", path, err))
			return nil
		case entry.IsDir():
			return nil
		case isDebris(path) || !entry.Type().IsRegular() && entry.Type()&os.ModeSymlink == 0:
			f.passedOver = append(f.passedOver, path)
			return nil
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			f.passedOver = append(f.passedOver, path)
			return nil
		}
		f.file(ctx, path, true)
		return nil
	})
	if err != nil {
		f.fault(fmt.Errorf("log %s: %w", name, err))
		return
	}
	if len(f.inputs) == before && len(f.faults) == 0 {
		f.fault(fmt.Errorf("log %s: the folder holds no file that could be a log", name))
	}
}

// file adds a regular file, or what is in it.
func (f *found) file(ctx context.Context, name string, member bool) {
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	f.content(ctx, input{name: name, open: open, member: member}, 0)
}

// stream adds an input that can be read once.
func (f *found) stream(ctx context.Context, name string, r io.Reader) {
	in := bufio.NewReaderSize(cancellable{ctx, r}, headSize)
	head, _ := in.Peek(512)
	if isArchive(head) || isCompressed(head) {
		spooled, err := spool(in)
		if err != nil {
			f.fault(fmt.Errorf("log %s: %w", name, err))
			return
		}
		f.cleanups = append(f.cleanups, spooled.remove)
		f.content(ctx, input{name: name, open: spooled.open}, 0)
		return
	}
	f.inputs = append(f.inputs, input{
		name: name, once: true, open: func() (io.ReadCloser, error) { return io.NopCloser(in), nil },
	})
}

// maxContainers is how deep archives may stand in archives.
const maxContainers = 2

// content looks into an input: an archive gives its members, anything else is one
// stream.
func (f *found) content(ctx context.Context, in input, depth int) {
	if ctx.Err() != nil {
		return
	}
	r, err := in.open()
	if err != nil {
		f.fault(fmt.Errorf("log %s: %w", in.name, err))
		return
	}
	defer r.Close()
	raw := bufio.NewReaderSize(cancellable{ctx, r}, 4096)
	head, err := raw.Peek(512)
	if len(head) == 0 && err != nil && !errors.Is(err, io.EOF) {
		f.fault(&badLogError{Name: in.name, Reason: err.Error()})
		return
	}
	compressed := isCompressed(head)
	if compressed {
		plain, close, err := decompress(raw)
		if err != nil {
			f.fault(&badLogError{Name: in.name, Reason: err.Error()})
			return
		}
		defer close()
		raw = bufio.NewReaderSize(plain, 4096)
		head, _ = raw.Peek(512)
	}
	if !isArchive(head) {
		f.inputs = append(f.inputs, in)
		return
	}
	if depth >= maxContainers {
		f.passedOver = append(f.passedOver, in.name)
		return
	}
	file, isFile := r.(*os.File)
	var content io.ReaderAt
	var size int64
	if isFile && !compressed {
		info, err := file.Stat()
		if err != nil {
			f.fault(fmt.Errorf("log %s: %w", in.name, err))
			return
		}
		kept, err := os.Open(file.Name()) // r is closed when the looking is over
		if err != nil {
			f.fault(fmt.Errorf("log %s: %w", in.name, err))
			return
		}
		f.cleanups = append(f.cleanups, func() { kept.Close() })
		content, size = kept, info.Size()
	} else {
		spooled, err := spool(raw)
		if err != nil {
			f.fault(&badLogError{Name: in.name, Reason: "it cannot be unpacked: " + err.Error()})
			return
		}
		f.cleanups = append(f.cleanups, spooled.remove)
		content, size = spooled.file, spooled.size
	}
	if bytes.HasPrefix(head, zipMagic) || bytes.HasPrefix(head, emptyZip) {
		f.zip(ctx, in.name, content, size, depth)
	} else {
		f.tar(ctx, in.name, content, size, depth)
	}
}

func (f *found) zip(ctx context.Context, name string, content io.ReaderAt, size int64, depth int) {
	archive, err := zip.NewReader(content, size)
	if err != nil {
		f.fault(fmt.Errorf("log %s: %w", name, err))
		return
	}
	for _, member := range archive.File {
		full := name + "/" + member.Name
		switch {
		case member.FileInfo().IsDir():
		case isDebris(member.Name):
			f.passedOver = append(f.passedOver, full)
		case member.Flags&1 != 0:
			f.fault(
				&badLogError{Name: full, Reason: "the member is encrypted; unpack the archive with its password first"},
			)
		default:
			f.content(ctx, input{name: full, open: member.Open, member: true}, depth+1)
		}
	}
}

func (f *found) tar(ctx context.Context, name string, content io.ReaderAt, size int64, depth int) {
	counted := &countingReader{r: io.NewSectionReader(content, 0, size)}
	archive := tar.NewReader(counted)
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			f.fault(fmt.Errorf("log %s: %w", name, err))
			return
		case h.Typeflag != tar.TypeReg:
			continue
		}
		full := name + "/" + h.Name
		if isDebris(h.Name) {
			f.passedOver = append(f.passedOver, full)
			continue
		}
		section := io.NewSectionReader(content, counted.n, h.Size)
		if h.Size < 0 || counted.n+h.Size > size {
			f.fault(&badLogError{Name: full, Reason: "the archive ends within this member"})
			return
		}
		open := func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(section, 0, section.Size())), nil
		}
		f.content(ctx, input{name: full, open: open, member: true}, depth+1)
	}
}

// countingReader tells how far a reader has come. It cannot seek, so that the archive's
// reader asks for every header.
type countingReader struct {
	r *io.SectionReader
	n int64
}

// Read counts what it reads.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// isDebris tells whether a file is left by a system or explains others: resource forks
// of macOS, thumbnails, READMEs.
func isDebris(name string) bool {
	name = strings.ReplaceAll(name, `\`, "/")
	base := path.Base(name)
	lower := strings.ToLower(base)
	return strings.HasPrefix(base, "._") || slices.Contains(strings.Split(name, "/"), "__MACOSX") ||
		base == ".DS_Store" || lower == "thumbs.db" || lower == "desktop.ini" || strings.HasPrefix(lower, "readme") ||
		strings.HasPrefix(lower, "license")
}

var (
	zipMagic  = []byte("PK\x03\x04")
	emptyZip  = []byte("PK\x05\x06")
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	xzMagic   = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
)

func isArchive(head []byte) bool {
	return bytes.HasPrefix(head, zipMagic) || bytes.HasPrefix(head, emptyZip) ||
		len(head) >= 262 && bytes.Equal(head[257:262], []byte("ustar"))
}

func isCompressed(head []byte) bool {
	return bytes.HasPrefix(head, gzipMagic) || bytes.HasPrefix(head, zstdMagic) || bytes.HasPrefix(head, xzMagic)
}

// maxWindow bounds the memory that decompressing may take, in bytes.
const maxWindow = 128 << 20

// decompress unpacks gzip (of several members), zstd or xz.
func decompress(in *bufio.Reader) (io.Reader, func(), error) {
	head, _ := in.Peek(64)
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case bytes.HasPrefix(head, zstdMagic):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	if size := xzDictionary(head); size > maxWindow {
		return nil, nil, fmt.Errorf(
			"its xz dictionary has %d MiB, and at most %d are accepted",
			size>>20,
			maxWindow>>20,
		)
	}
	z, err := xz.NewReader(in)
	if err != nil {
		return nil, nil, err
	}
	return z, func() {}, nil
}

// xzDictionary is the size of the dictionary that the first block of an xz stream asks
// for (The .xz File Format, 3.1 and 5.3.1), 0 where none is found.
func xzDictionary(head []byte) int64 {
	const lzma2 = 0x21
	if len(head) < 18 {
		return 0
	}
	for at := 14; at+2 < len(head) && at < 32; at++ { // behind the optional sizes
		if head[at] == lzma2 && head[at+1] == 1 {
			bits := head[at+2]
			if bits > 40 {
				return 0
			}
			return int64(2|bits&1) << (bits/2 + 11)
		}
	}
	return 0
}

// headSize is how much of an input is looked at to know its format.
const headSize = 64 << 10

// plainText peels compression and UTF-16 off an input.
func plainText(ctx context.Context, r io.Reader) (*bufio.Reader, func(), error) {
	in := bufio.NewReaderSize(cancellable{ctx, r}, headSize)
	close := func() {}
	for range maxContainers {
		head, _ := in.Peek(64)
		if !isCompressed(head) {
			break
		}
		plain, closeOne, err := decompress(in)
		if err != nil {
			close()
			return nil, nil, err
		}
		before := close
		close = func() { closeOne(); before() }
		in = bufio.NewReaderSize(plain, 256<<10)
	}
	head, _ := in.Peek(64)
	if order, ok := utf16Order(head); ok {
		decoder := unicode.UTF16(order, unicode.UseBOM).NewDecoder()
		in = bufio.NewReaderSize(transform.NewReader(in, decoder), 256<<10)
	}
	return in, close, nil
}

// utf16Order tells UTF-16 by its byte order mark, or by the zeroes of ASCII text.
func utf16Order(head []byte) (unicode.Endianness, bool) {
	zero := func(from int) bool {
		for i := from; i < min(len(head), 16); i += 2 {
			if head[i] != 0 {
				return false
			}
		}
		return len(head) >= 4
	}
	text := func(from int) bool {
		for i := from; i < min(len(head), 16); i += 2 {
			if head[i] < 9 || head[i] > 126 {
				return false
			}
		}
		return true
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), zero(1) && text(0):
		return unicode.LittleEndian, true
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}), zero(0) && text(1):
		return unicode.BigEndian, true
	}
	return unicode.LittleEndian, false
}

// spooled is a temporary copy of what can be read once only.
type spooled struct {
	file *os.File
	size int64
}

// maxSpool bounds a temporary copy, which a small archive may unpack to.
var maxSpool int64 = 8 << 30

// errSpool tells that an archive is too large to be copied.
var errSpool = errors.New("it unpacks to more than 8 GiB; unpack it into a folder and name that")

func spool(in io.Reader) (*spooled, error) {
	file, err := os.CreateTemp("", "hemostat-log-")
	if err != nil {
		return nil, err
	}
	s := &spooled{file: file}
	if s.size, err = io.Copy(file, io.LimitReader(in, maxSpool+1)); err == nil && s.size > maxSpool {
		err = errSpool
	}
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *spooled) open() (io.ReadCloser, error) {
	return os.Open(s.file.Name())
}

func (s *spooled) remove() {
	s.file.Close()
	_ = os.Remove(s.file.Name()) // a temporary file: nothing depends on it
}
