package response

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// AuditEntry is one line of the audit log. Each holds the hash of the one before,
// so that a line cannot be changed, left out or put in unnoticed.
type AuditEntry struct {
	Time           time.Duration `json:"time_ns"`
	Run            int           `json:"run,omitempty"` // of a playbook; 0 when none was started
	Incident       int           `json:"incident"`
	Playbook       string        `json:"playbook"`
	Step           string        `json:"step,omitempty"`
	What           string        `json:"what"`
	Status         string        `json:"status,omitempty"`
	Detail         string        `json:"detail,omitempty"`
	Evidence       string        `json:"evidence,omitempty"`        // shown to the approver
	Waited         time.Duration `json:"waited_ns,omitempty"`       // of a question
	PlaybookSHA256 string        `json:"playbook_sha256,omitempty"` // digest of the playbook that started
	Previous       string        `json:"previous"`
	Hash           string        `json:"hash"`
}

// audit appends an entry and hands it to the listener.
func (e *Engine) audit(now time.Duration, a AuditEntry) {
	a.Time, a.Previous = now, e.lastHash
	a.Hash = a.sum()
	e.lastHash = a.Hash
	if f := e.options.Listener.Audited; f != nil {
		f(a)
	}
}

// sum is the hash of an entry: SHA-256 over its JSON without the hash.
func (a AuditEntry) sum() string {
	a.Hash = ""
	data, err := json.Marshal(a)
	if err != nil {
		panic(err) // a struct of texts and numbers always encodes
	}
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

// WriteAudit writes entries as NDJSON, one a line.
func WriteAudit(w io.Writer, entries []AuditEntry) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for i := range entries {
		if err := enc.Encode(&entries[i]); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
	}
	return b.Flush()
}

// Chain is what the check of an audit log found.
type Chain struct {
	Lines int    // read, the faulty one included
	Head  string // hash of the last line
	Fault string // what is wrong with the last line read, or ""
}

// VerifyAudit reads an audit log and checks its chain, up to the first fault: the
// hash of each line and its tie to the line before. The error is one of reading.
func VerifyAudit(r io.Reader) (Chain, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 64<<10), 16<<20)
	var c Chain
	for scanner.Scan() {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		c.Lines++
		var a AuditEntry
		d := json.NewDecoder(bytes.NewReader(scanner.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			c.Fault = "it is no audit entry: " + err.Error()
			return c, nil
		}
		if c.Fault = a.check(c.Head); c.Fault != "" {
			return c, nil
		}
		c.Head = a.Hash
	}
	if err := scanner.Err(); err != nil {
		return c, fmt.Errorf("audit log: %w", err)
	}
	return c, nil
}

func (a AuditEntry) check(previous string) string {
	switch {
	case a.sum() != a.Hash:
		return "it was changed: its hash does not fit its content"
	case a.Previous != previous:
		return "it does not follow the line before: a line was left out, put in or moved"
	}
	return ""
}
