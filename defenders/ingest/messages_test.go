package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

func TestMessages(t *testing.T) {
	const at = 1772439300 * time.Second
	const windows = `{"EventID":4625,"Channel":"Security","Computer":"pc1","SystemTime":"2026-03-02T08:00:00Z","TargetUserName":"kim"}`
	for name, x := range map[string]struct {
		format, text string
		events       int
		why          string
	}{
		"one document":        {"json", windows, 1, ""},
		"two documents":       {"json", windows + "\n" + windows, 2, ""},
		"an array":            {"json", "[" + windows + ",\n" + windows + "]", 2, ""},
		"recognised":          {"auto", windows, 1, ""},
		"a line of syslog":    {"syslog", "Mar  2 08:15:01 gate sshd[701]: Failed password for root from 203.0.113.9 port 4001 ssh2", 1, ""},
		"recognised syslog":   {"auto", "Mar  2 08:15:01 gate sshd[701]: Failed password for root from 203.0.113.9 port 4001 ssh2\n", 1, ""},
		"auditd of two":       {"auditd", "type=SYSCALL msg=audit(1772439300.123:42): arch=c000003e syscall=59 success=yes exe=\"/usr/bin/cat\"\ntype=EXECVE msg=audit(1772439300.123:42): argc=2 a0=\"cat\" a1=\"/etc/shadow\"", 3, ""},
		"broken JSON":         {"json", `{"EventID":`, 0, "no valid JSON"},
		"JSON of no log":      {"json", `{"a":1}`, 0, reasonUnknownJSON},
		"one of two broken":   {"json", "[" + windows + `,{"a":1}]`, 1, reasonUnknownJSON},
		"nothing":             {"json", " \n", 0, "it is empty"},
		"bytes":               {"auto", "\x00\x01\x02", 0, "its format is not recognised"},
		"an EVTX":             {"auto", "ElfFile\x00rest", 0, "the format evtx is one of whole files"},
		"longer than allowed": {"json", strings.Repeat("x", maxLine+1), 0, "it is " + reasonLong},
	} {
		m, err := NewMessages(x.format)
		require.NoError(t, err)
		var got []*event.Event
		why := m.Decode(Message{Value: []byte(x.text), Time: at}, func(e *event.Event) { got = append(got, e) })
		assert.Equal(t, x.why, why, name)
		assert.Len(t, got, x.events, name)
		for _, e := range got {
			assert.NotZero(t, e.Time, name)
		}
	}
	for _, format := range []string{"evtx", "pcap", "zeek", "w3c"} {
		_, err := NewMessages(format)
		assert.ErrorContains(t, err, "is one of whole files")
	}
	_, err := NewMessages("morse")
	assert.ErrorContains(t, err, `unknown format "morse"`)
}

// The forms of one topic may change from message to message.
func TestMessagesAreRecognisedOneByOne(t *testing.T) {
	m, err := NewMessages("auto")
	require.NoError(t, err)
	n := 0
	for range 3 {
		for _, text := range []string{
			`{"EventID":4625,"Channel":"Security","Computer":"pc1","SystemTime":"2026-03-02T08:00:00Z"}`,
			"Mar  2 08:15:01 gate sshd[701]: Failed password for root from 203.0.113.9 port 4001 ssh2",
			"\x00",
		} {
			m.Decode(Message{Value: []byte(text)}, func(*event.Event) { n++ })
		}
	}
	assert.Equal(t, 6, n)
}
