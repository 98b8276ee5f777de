package live

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/response"
)

// The kinds of inputs.
const (
	inputRecords   = "records"
	inputTick      = "tick"
	inputAnswer    = "answer"
	inputResult    = "result"
	inputDelivered = "delivered"
	inputIntel     = "intel"
)

// input is an entry of the journal. Which fields count depends on the kind.
type input struct {
	Kind string        `json:"k"`
	Now  time.Duration `json:"now"`

	// records: what was handled; the records themselves stay in the stream
	Topic     string `json:"topic,omitempty"`
	Partition int32  `json:"partition,omitempty"`
	First     int64  `json:"first,omitempty"`
	Last      int64  `json:"last,omitempty"`

	// answer
	Approval int    `json:"approval,omitempty"`
	Approved bool   `json:"approved,omitempty"`
	By       string `json:"by,omitempty"`

	// result
	Action int64           `json:"action,omitempty"`
	Result response.Result `json:"result,omitzero"`

	// delivered
	Sink string `json:"sink,omitempty"`
	Seq  uint64 `json:"seq,omitempty"`

	// intel
	Answers []fusion.Answer `json:"answers,omitempty"`

	reply chan<- bool // of an answer: whether it was accepted
}

// maxJournal is the size from which on a snapshot is taken early.
const maxJournal = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal is the file of inputs since a snapshot. Each is written with its length and its
// checksum, so that an end that was cut off is known.
type journal struct {
	file *os.File
	w    *bufio.Writer
	size int64
}

// openJournal opens a journal for appending behind a size.
func openJournal(name string, size int64) (*journal, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(size), seekTo(f, size)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &journal{file: f, w: bufio.NewWriterSize(f, 64<<10), size: size}, nil
}

func seekTo(f *os.File, at int64) error {
	_, err := f.Seek(at, io.SeekStart)
	return err
}

func (j *journal) write(in input) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	var head [inputHead]byte
	binary.LittleEndian.PutUint32(head[:4], uint32(len(data)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(data, castagnoli))
	if _, err := j.w.Write(head[:]); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if _, err := j.w.Write(data); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(len(head) + len(data))
	return nil
}

// sync puts what was written on the disk.
func (j *journal) sync() error {
	if err := errors.Join(j.w.Flush(), j.file.Sync()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *journal) close() error { return errors.Join(j.sync(), j.file.Close()) }

// readJournal reads what is whole of a journal; an input that was cut off ends it.
func readJournal(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	size := 0
	for {
		text, ok := firstInput(data[size:])
		if !ok {
			return data[:size:size], nil
		}
		size += inputHead + len(text)
	}
}

// inputHead is the size of what stands before the text of an input: its length and its checksum.
const inputHead = 8

// firstInput is the text of the first input of a journal; false where it is not whole.
func firstInput(journal []byte) ([]byte, bool) {
	if len(journal) < inputHead {
		return nil, false
	}
	n := int64(binary.LittleEndian.Uint32(journal))
	if int64(len(journal)) < inputHead+n {
		return nil, false
	}
	text := journal[inputHead : inputHead+n]
	return text, crc32.Checksum(text, castagnoli) == binary.LittleEndian.Uint32(journal[4:])
}

// journalReader reads journals again.
type journalReader struct {
	data []byte // not yet read
	next *input
	err  error // that ended it early
}

func newJournalReader(data []byte) *journalReader {
	r := &journalReader{data: data}
	r.load()
	return r
}

// load reads the next input ahead.
func (r *journalReader) load() {
	r.next = nil
	text, ok := firstInput(r.data)
	if !ok {
		return
	}
	var in input
	if err := json.Unmarshal(text, &in); err != nil {
		r.err = fmt.Errorf("journal: %w", err)
		return
	}
	r.next, r.data = &in, r.data[inputHead+len(text):]
}

// take is the next input; false at the end.
func (r *journalReader) take() (input, bool) {
	if r.next == nil {
		return input{}, false
	}
	in := *r.next
	r.load()
	return in, true
}

// answers are those of intelligence that followed the input in hand.
func (r *journalReader) answers() (input, bool) {
	if r.next == nil || r.next.Kind != inputIntel {
		return input{}, false
	}
	return r.take()
}
