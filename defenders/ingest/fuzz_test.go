package ingest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

// fuzzFormat fuzzes the reader of one format. Whatever the input, only a fault of the
// log may come back, and events can be written out.
func fuzzFormat(f *testing.F, format string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		events := 0
		s, err := readStream("f", bytes.NewReader(data), format, func(e *event.Event) error {
			events++
			e.AppendJSON(nil)
			return nil
		})
		if bad := (*badLogError)(nil); err != nil && !errors.As(err, &bad) {
			t.Fatal(err)
		}
		sum := 0
		for _, n := range s.Because {
			sum += n
		}
		require.Equal(t, s.Skipped, sum)
		require.LessOrEqual(t, s.Undated, events)
		if events > 0 {
			require.Positive(t, s.Events)
		}
		plain := len(data) > 0 && data[0] >= ' ' && data[0] < 0x7f && bytes.IndexByte(data, 0) < 0 // not compressed, nor UTF-16
		if format == "access" && err == nil && plain {                                             // one record a line
			lines := 0
			for line := range bytes.Lines(data) {
				if len(trimLine(line)) > 0 {
					lines++
				}
			}
			require.Equal(t, lines, s.Events+s.Skipped)
		}
	})
}

func FuzzJSON(f *testing.F) {
	var seeds []string
	for _, text := range windowsForms {
		seeds = append(seeds, text)
	}
	seeds = append(seeds,
		`{"Records":[{"eventVersion":"1","eventSource":"a","eventName":"b","eventTime":"2026-03-02T08:15:00Z"}]}`,
		"Record 1\n{\n \"EventID\": 1\n}\n[{\"a\":[1,{\"b\":null}]}]",
		`{"ts":1772439300.5,"uid":"C1","id":{"orig_h":"x"},"query":"q"}`,
		`{"logsource":{"product":"x"},"fields":{"a":["b",1,null]},"time_ns":5}`)
	fuzzFormat(f, "json", seeds...)
}

func FuzzEventXML(f *testing.F) {
	fuzzFormat(f, "winxml", windowsForms["XML"], windowsForms["XML, rendered"], "<Events><Event><Event></Event>", "<Event><![CDATA[</Event>]]></Event>")
}

func FuzzEVTX(f *testing.F) { fuzzFormat(f, "evtx", "ElfFile\x00", "ElfChnk\x00**\x00\x00") }

func FuzzSyslog(f *testing.F) {
	fuzzFormat(f, "syslog",
		"Mar  2 08:15:01 gate sshd[1]: Failed password for x from 1.2.3.4 port 5 ssh2\n",
		"<86>1 2026-03-02T08:15:01Z gate sshd 1 - [a b=\"]\"] Accepted publickey for x from ::1 port 5 ssh2: RSA y\n",
		"Feb 29 08:15:01 h sudo: a : TTY=x ; PWD=/ ; USER=b ; COMMAND=c\n", "Mar  2 08:15:01 h x: message repeated 3 times: [ y]\n",
		"Mar  2 08:15:01 h sysmon: <Event><System><EventID>1</EventID></System></Event>\n")
}

func FuzzAuditd(f *testing.F) {
	fuzzFormat(f, "auditd", "type=EXECVE msg=audit(1772439300.123:42): argc=2 a0=\"cat\" a1[0]=2F a1[1]=61\ntype=EOE msg=audit(1772439300.123:42):\n",
		"node=x type=USER_LOGIN msg=audit(1772439300.1:1): pid=1 msg='acct=\"a\" res=failed'\x1dUID=\"root\"\n")
}

func FuzzZeekTSV(f *testing.F) {
	fuzzFormat(f, "zeek", "#separator \\x09\n#path\tdns\n#fields\tts\tuid\ta\n#types\ttime\tstring\tset[bool]\n1772439300.5\tC\tT,F\n", "#separator \n#fields")
}

func FuzzAccessLog(f *testing.F) {
	fuzzFormat(f, "access", `1.2.3.4 - - [02/Mar/2026:09:15:00 +0100] "GET /\"x HTTP/1.1" 200 5 "-" "\x22"`+"\n", `h:80 1.2.3.4 - a b [02/Mar/2026:09:15:00 +0100] "" - -`)
}

func FuzzW3C(f *testing.F) {
	fuzzFormat(f, "w3c", "#Fields: date time cs-uri-stem cs-uri-query cs(User-Agent)\n2026-03-02 08:15:00 /a - \"x y\"\n")
}

// FuzzRecognised lets the format be found out.
func FuzzRecognised(f *testing.F) {
	fuzzFormat(f, "auto", "\xff\xfe{\x00}\x00", "\x1f\x8b\x08\x00", "(\xb5/\xfd", "\xfd7zXZ\x00", "PK\x03\x04", "\n\n#Fields: a\n")
}

// FuzzContainer looks for inputs in what may be an archive.
func FuzzContainer(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Add(append(make([]byte, 257), []byte("ustar\x0000")...))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		_, _ = Read(context.Background(), []string{path}, Options{}, func(*event.Event) error { return nil })
	})
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-03-02T08:15:00.1+01:00", "1772439300.5", "/Date(1772439300100)/", "02/Mar/2026:09:15:00 +0100", "3/2/2026 8:15:00 AM"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := parseTime(s); ok {
			require.Positive(t, at)
		}
	})
}

// hostile is input that somebody may send to make reading slow, large or wrong.
func TestHostileInput(t *testing.T) {
	fields := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"EventID":1,"Channel":"Security","SystemTime":"2026-03-02T08:15:00Z"`)
		for i := range n {
			b.WriteString(`,"f`)
			b.WriteString(strings.Repeat("0", 5-min(5, len(strconv.Itoa(i)))))
			b.WriteString(strconv.Itoa(i))
			b.WriteString(`":"v"`)
		}
		return b.String() + "}\n"
	}
	for name, c := range map[string]struct {
		text            string
		events, skipped int
	}{
		"300,000 fields":        {fields(300_000), 1, 0},
		"nested JSON":           {strings.Repeat(`{"a":`, 1_000_000), 0, 1},
		"nested arrays":         {strings.Repeat(`[`, 3_000_000), 0, 1},
		"nested XML":            {"<Event>" + strings.Repeat("<a>", 500_000) + "</Event>", 0, 1},
		"a long line":           {`{"EventID":1,"Channel":"` + strings.Repeat("x", 20<<20) + "\"}\n" + fields(1), 1, 1},
		"a long document":       {"[\n" + `{"EventID":1,"Channel":"` + strings.Repeat("x", 20<<20) + "\"},\n" + fields(1) + "]", 1, 1},
		"a long event of XML":   {"<Event>" + strings.Repeat("<Data>x</Data>", 1_000_000) + "</Event>" + windowsForms["XML"], 1, 1},
		"audit without an end":  {"type=EXECVE msg=audit(1772439300.123:42): " + strings.Repeat(`a="b `, 100_000) + "\n", 1, 0},
		"sudo":                  {"Mar  2 08:15:01 h sudo: " + strings.Repeat("a : TTY=x ; PWD=y ; USER=z ; ", 20_000) + "\n", 1, 0},
		"sshd":                  {"Mar  2 08:15:01 h sshd[1]: Failed password for " + strings.Repeat(" from 1.2.3.4 port 5", 50_000) + "\n", 1, 0},
		"a message repeated":    {"Mar  2 08:15:01 h x[1]: message repeated 999999999 times: [ y]\n", 1, 0},
		"structured data":       {"<1>1 2026-03-02T08:15:01Z h p 1 - " + strings.Repeat(`[a b="`, 100_000) + "\n", 1, 0},
		"an access log's quote": {`1.2.3.4 - - [02/Mar/2026:09:15:00 +0100] "` + strings.Repeat(`\"`, 500_000) + "\n", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			events := 0
			s, err := readStream("f", strings.NewReader(c.text), "", func(*event.Event) error { events++; return nil })
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if bad := (*badLogError)(nil); err != nil && !errors.As(err, &bad) {
				t.Fatal(err)
			}
			require.Equal(t, c.events, s.Events)
			if c.skipped > 0 {
				require.Equal(t, c.skipped, s.Skipped, "%v", s.Because)
			}
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(600<<20))
			require.Less(t, took, 20*time.Second)
		})
	}
}
