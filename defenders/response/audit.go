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
	Time      time.Duration `json:"time_ns"`
	Incident  int           `json:"incident"`
	Playbook  string        `json:"playbook"`
	Step      string        `json:"step,omitempty"`
	What      string        `json:"what"`
	Status    string        `json:"status,omitempty"`
	Detail    string        `json:"detail,omitempty"`
	Evidence  string        `json:"evidence,omitempty"`        // shown to the approver
	Waited    time.Duration `json:"waited_ns,omitempty"`       // of a question
	Playbooks string        `json:"playbook_sha256,omitempty"` // digest of the playbook that started
	Previous  string        `json:"previous"`
	Hash      string        `json:"hash"`
}

// audit appends an entry.
func (e *Engine) audit(now time.Duration, a AuditEntry) {
	a.Time = now
	if n := len(e.Audit); n > 0 {
		a.Previous = e.Audit[n-1].Hash
	}
	a.Hash = a.sum()
	e.Audit = append(e.Audit, a)
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

// AuditFault is where a chain is broken. Line counts from 1.
type AuditFault struct {
	Line   int
	Reason string
}

// VerifyAudit reads an audit log and checks its chain: the hash of each line and
// its tie to the line before. It returns the number of lines, and the first fault
// or nil.
func VerifyAudit(r io.Reader) (int, *AuditFault, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 64<<10), 16<<20)
	line, previous := 0, ""
	for scanner.Scan() {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		line++
		var a AuditEntry
		d := json.NewDecoder(bytes.NewReader(scanner.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return line, &AuditFault{line, "it is no audit entry: " + err.Error()}, nil
		}
		if fault := a.check(previous); fault != "" {
			return line, &AuditFault{line, fault}, nil
		}
		previous = a.Hash
	}
	if err := scanner.Err(); err != nil {
		return line, nil, fmt.Errorf("audit log: %w", err)
	}
	return line, nil, nil
}

// VerifyEntries checks the chain of entries at hand.
func VerifyEntries(entries []AuditEntry) *AuditFault {
	previous := ""
	for i := range entries {
		if fault := entries[i].check(previous); fault != "" {
			return &AuditFault{i + 1, fault}
		}
		previous = entries[i].Hash
	}
	return nil
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
