package live

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"hemostat/defenders/response"
)

// line is a line of the audit file of a live run: an output, with the hash of the line before,
// so that a line cannot be changed, left out or put in unnoticed.
type line struct {
	Seq      uint64          `json:"seq"`
	Time     string          `json:"time"`
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Data     json.RawMessage `json:"data"`
	Previous string          `json:"previous"`
	Hash     string          `json:"hash"`
}

// sum is the hash of a line: SHA-256 over its JSON without the hash.
func (l line) sum() (string, error) {
	l.Hash = ""
	data, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:]), nil
}

// auditFile is the audit file being written.
type auditFile struct {
	file *os.File
	w    *bufio.Writer
	// size and hash are where the file ends, with what was appended and not written yet.
	size int64
	hash string
	// before is what stood behind the snapshot; outputs that come again must be the same.
	before  []byte
	differs bool
}

// openAudit opens the file, and cuts off what stands behind a size: it comes again. The hash is
// that of the last line before.
func openAudit(name string, size int64, hash string) (*auditFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*auditFile, error) { return nil, errors.Join(err, f.Close()) }
	info, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	if info.Size() < size {
		return fail(fmt.Errorf("%s has %d bytes, %d were written: it was cut; the run cannot go on with it",
			name, info.Size(), size))
	}
	a := &auditFile{file: f, w: bufio.NewWriterSize(f, 64<<10), size: size, hash: hash, before: make([]byte, info.Size()-size)}
	if _, err := io.ReadFull(io.NewSectionReader(f, size, info.Size()-size), a.before); err != nil {
		return fail(err)
	}
	if err := errors.Join(f.Truncate(size), seekTo(f, size)); err != nil {
		return fail(err)
	}
	return a, nil
}

// append writes outputs.
func (a *auditFile) append(list []Output) error {
	for i := range list {
		o := &list[i]
		l := line{Seq: o.Seq, Time: time.Unix(0, int64(o.Time)).UTC().Format(time.RFC3339Nano), Type: o.Type, ID: o.ID,
			Data: o.Data, Previous: a.hash}
		var err error
		if l.Hash, err = l.sum(); err != nil {
			return fmt.Errorf("audit file: %w", err)
		}
		text, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("audit file: %w", err)
		}
		text = append(text, '\n')
		if n := min(len(text), len(a.before)); n > 0 {
			a.differs = a.differs || !bytes.Equal(text[:n], a.before[:n])
			a.before = a.before[n:]
		}
		if _, err := a.w.Write(text); err != nil {
			return fmt.Errorf("audit file: %w", err)
		}
		a.size += int64(len(text))
		a.hash = l.Hash
	}
	return nil
}

func (a *auditFile) sync() error {
	if err := errors.Join(a.w.Flush(), a.file.Sync()); err != nil {
		return fmt.Errorf("audit file: %w", err)
	}
	return nil
}

func (a *auditFile) close() error { return errors.Join(a.w.Flush(), a.file.Close()) }

// VerifyAudit reads an audit file of a live run and checks its chain, up to the first fault:
// the hash of each line, its number, and its tie to the line before. A file that was rotated
// does not begin with the first line. The error is one of reading.
func VerifyAudit(r io.Reader) (response.Chain, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var c response.Chain
	var before line
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return c, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("audit file: %w", err)
		}
		c.Lines++
		var l line
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			c.Fault = "it is no line of an audit file: " + err.Error()
			return c, nil
		}
		if c.Fault = l.check(before, c.Lines == 1); c.Fault != "" {
			return c, nil
		}
		c.Head, before = l.Hash, l
	}
}

// check tells what is wrong with a line behind another one.
func (l line) check(before line, isFirst bool) string {
	switch sum, err := l.sum(); {
	case err != nil || sum != l.Hash:
		return "it was changed: its hash does not fit its content"
	case l.Previous != before.Hash && !isFirst || l.Seq == 1 && l.Previous != "":
		return "it does not follow the line before: a line was left out, put in or moved"
	case l.Seq != before.Seq+1 && !isFirst:
		return fmt.Sprintf("its number is %d, expected is %d", l.Seq, before.Seq+1)
	}
	return ""
}
