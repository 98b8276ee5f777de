package ingest

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

func read(t testing.TB, name, format, text string) ([]*event.Event, Summary) {
	t.Helper()
	var got []*event.Event
	s, err := readStream(name, strings.NewReader(text), format, func(e *event.Event) error { got = append(got, e); return nil })
	require.NoError(t, err)
	return got, s
}

// readStream reads one stream as if it were a file of that name.
func readStream(name string, r io.Reader, format string, emit func(*event.Event) error) (Summary, error) {
	chosen, err := chosenFormat(format)
	if err != nil {
		return Summary{}, err
	}
	in := input{name: name, once: true, open: func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
	return merge(context.Background(), []input{in}, chosen, emit)
}

func TestSSHD(t *testing.T) {
	got, s := read(t, "auth.log", "auto", `Dec 31 23:59:58 host sshd[10]: Failed password for invalid user web master from 203.0.113.5 port 4242 ssh2
Dec 31 23:59:59 host sshd[10]: message repeated 2 times: [ Failed password for root from 203.0.113.5 port 4242 ssh2]
Jan  1 00:00:01 host sshd[11]: Accepted publickey for ann from 10.0.0.9 port 50 ssh2: RSA SHA256:x
Jan  1 00:00:02 host CRON[12]: pam_unix(cron:session): session opened for user root
2026-03-03T08:30:00.5+01:00 host sshd-session[13]: Invalid user bob from 203.0.113.6 port 99
not a log line
`)
	require.Equal(t, Summary{Events: 5, Skipped: 1, Because: map[string]int{"no syslog line": 1}}, s)
	require.Len(t, got, 6, "a repeated line is as many events")
	require.Equal(t, "failed_password", got[0].Value(event.Action))
	require.Equal(t, "web master", got[0].Value(event.User))
	require.Equal(t, "203.0.113.5", got[0].Value(event.SourceIp))
	require.Equal(t, "root", got[2].Value(event.User))
	require.Equal(t, 2*time.Second, got[3].Time-got[1].Time, "the new year follows the old one")
	require.Equal(t, "accepted_publickey", got[3].Value(event.Action))
	require.Equal(t, event.LogSource{Product: "linux", Service: "cron"}, got[4].Source)
	require.Equal(t, "session_opened", got[4].Value(event.Action))
	require.Equal(t, "invalid_user", got[5].Value(event.Action))
	require.NotEqual(t, got[1].ID, got[2].ID)
}

func TestWindowsEventsFlatNestedAndFromWinlogbeat(t *testing.T) {
	flat := `{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"WS","Image":"a.exe","EventTime":"2020-01-01 00:00:00","@timestamp":"2020-01-01T04:00:00Z"}`
	nested := `{"Event":{"System":{"Provider":{"#attributes":{"Name":"Sysmon"}},"EventID":1,"TimeCreated":{"#attributes":{"SystemTime":"2020-01-01T04:00:00Z"}},"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"WS"},"EventData":{"Image":"a.exe"}}}`
	beat := `{"@timestamp":"2020-01-01T04:00:00Z","winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":1,"computer_name":"WS","event_data":{"Image":"a.exe"}}}`
	got, s := read(t, "x.json", "auto", flat+"\n"+nested+"\n"+beat+"\n{\"EventID\":5}\n{\"Channel\":\"x\"}\n{broken\n[1]\n")
	require.Equal(t, 4, s.Events)
	require.Equal(t, map[string]int{reasonUnknownJSON: 1, "no valid JSON": 1, "no JSON object": 1}, s.Because)
	for _, e := range got[:3] {
		require.Equal(t, event.SysmonProcess.Source, e.Source)
		require.Equal(t, "a.exe", e.Value(event.Image))
		require.Equal(t, "WS", e.Host)
		require.Equal(t, "2020-01-01T04:00:00Z", time.Unix(0, int64(e.Time)).UTC().Format(time.RFC3339))
	}
	pretty, s := read(t, "x.json", "winlog", "[\n"+nested+",\n"+nested+"]\n")
	require.Len(t, pretty, 2)
	require.Zero(t, s.Skipped)
	s, err := readStream("x.json", strings.NewReader("{\n \"EventID\": 1\n}\n{\n \"Even"), "winlog", func(*event.Event) error { return nil })
	var bad *badLogError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, 1, s.Events)
	require.Equal(t, map[string]int{"no valid JSON: the rest of the file is unreadable": 1}, s.Because)
}

func TestUnnamedDataOfClassicEventsIsRead(t *testing.T) {
	const line = `{"Event":{"System":{"Provider":{"#attributes":{"Name":"PowerShell"}},"EventID":{"#text":400},"Channel":"Windows PowerShell","Computer":"WS1"},"EventData":{"Data":{"#text":["Available","EngineVersion=2.0"]}}}}`
	var got *event.Event
	events, _ := read(t, "x.json", "auto", line)
	got = events[0]
	data, _ := got.Lookup("Data")
	require.Equal(t, "Available,EngineVersion=2.0", data)
	require.Equal(t, []string{"Available", "EngineVersion=2.0"}, got.Members(event.NoField, "Data"))
	require.Equal(t, event.LogSource{Category: "ps_classic_start", Product: "windows", Service: "powershell-classic"}, got.Source)
}

func TestZeekJSONAndTSV(t *testing.T) {
	got, s := read(t, "conn.log", "auto", `{"ts":1588205199.82,"uid":"C1","id_orig_h":"10.0.1.6","id.resp_h":"10.0.0.4","id_resp_p":53,"proto":"udp"}
{"ts":"never","uid":"C2","id.orig_h":"x"}
{"uid":"C3","id.orig_h":"x"}
`)
	require.Len(t, got, 1)
	require.Equal(t, map[string]int{"ts is no time": 1, "no ts": 1}, s.Because)
	require.Equal(t, event.LogSource{Product: "zeek", Service: "conn"}, got[0].Source)
	require.Equal(t, "10.0.1.6", got[0].Value(event.IDOrigHost))
	require.Equal(t, "53", got[0].Value(event.IDRespPort))
	got, s = read(t, "whatever", "auto", "#separator \\x09\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tquery\n#types\ttime\tstring\taddr\tstring\n1588205199.82\tC1\t10.0.1.6\texample.org\n1588205199.82\tC1\n#close\tx\n")
	require.Len(t, got, 1)
	require.Equal(t, map[string]int{"number of columns differs from the header": 1}, s.Because)
	require.Equal(t, "dns", got[0].Source.Category)
	require.Equal(t, "example.org", got[0].Value(event.DNSQuery))
}

func TestNDJSONReadsWhatTheProgramWrites(t *testing.T) {
	e := &event.Event{ID: 77, Time: time.Hour, Observed: 2 * time.Hour, Host: "WS", Source: event.SysmonProcess.Source}
	e.Set(event.Image, "a\x1b[31m.exe")
	got, _ := read(t, "e.ndjson", "auto", string(e.AppendJSON(nil))+"\n")
	require.Equal(t, string(e.AppendJSON(nil)), string(got[0].AppendJSON(nil)))
}

func TestCompressedDamagedAndForeignFiles(t *testing.T) {
	dir := t.TempDir()
	line := "Dec 10 06:55:48 LabSZ sshd[24200]: Failed password for root from 203.0.113.5 port 1 ssh2\n"
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o644))
		return path
	}
	count := func(path string) (Summary, error) {
		return Read(context.Background(), []string{path}, Options{}, func(*event.Event) error { return nil })
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	for i := range 5000 {
		fmt.Fprintf(w, "Dec 10 06:55:48 LabSZ sshd[%d]: Failed password for user%d from 203.0.113.%d port %d ssh2\n", i, i*7919, i%250, i)
	}
	require.NoError(t, w.Close())
	s, err := count(file("a.gz", z.Bytes()))
	require.NoError(t, err)
	require.Equal(t, 5000, s.Events)
	s, err = count(file("b.gz", z.Bytes()[:z.Len()/2]))
	require.ErrorContains(t, err, "b.gz: it ends early")
	require.Positive(t, s.Events)
	require.Contains(t, fmt.Sprint(s.Because), "the file ends early")

	var archive bytes.Buffer
	zw := zip.NewWriter(&archive)
	for _, name := range []string{"one.log", "two.log"} {
		m, err := zw.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(m, line)
		require.NoError(t, err)
	}
	require.NoError(t, zw.Close())
	s, err = count(file("a.zip", archive.Bytes()))
	require.NoError(t, err)
	require.Equal(t, 2, s.Events)
	_, err = count(file("b.zip", archive.Bytes()[:30]))
	require.ErrorContains(t, err, "b.zip")

	_, err = count(file("junk", []byte{0, 1, 2, 3, 255, 10, 0}))
	require.ErrorContains(t, err, "its format is not recognised")
	s, err = Read(context.Background(), []string{file("junk", []byte{0, 1, 2, 3, 255, 10, 0})}, Options{Format: "zeek"}, nil)
	require.NoError(t, err)
	require.Equal(t, 2, s.Skipped)
	s, err = count(file("empty", nil))
	require.NoError(t, err)
	require.Zero(t, s.Events)
	s, err = count(dir)
	require.ErrorContains(t, err, "b.gz: it ends early", "a folder is read with all below it")
	require.Greater(t, s.Events, 5002)
	require.Equal(t, []string{filepath.Join(dir, "junk")}, s.PassedOver)
	_, err = count(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Read(context.Background(), []string{"x"}, Options{Format: "tea"}, nil)
	require.ErrorContains(t, err, `unknown format "tea"; accepted: auto, evtx`)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Read(cancelled, []string{"/dev/zero"}, Options{Format: "winlog"}, nil)
	require.ErrorIs(t, err, context.Canceled, "a file without an end can be left")
	stop := errors.New("stop")
	_, err = Read(context.Background(), []string{file("c.log", []byte(line))}, Options{}, func(*event.Event) error { return stop })
	require.ErrorIs(t, err, stop)
}

// endless gives the same line again and again.
type endless struct {
	line string
	at   int
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, e.line[e.at:])
	e.at = (e.at + n) % len(e.line)
	e.left -= n
	return n, nil
}

func TestMemoryDoesNotGrowWithTheLog(t *testing.T) {
	used := func(size int) uint64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := readStream("a", &endless{line: "Dec 10 06:55:48 LabSZ sshd[24200]: Failed password for root from 203.0.113.5 port 1 ssh2\n", left: size}, "", func(*event.Event) error { return nil })
		require.NoError(t, err)
		runtime.GC()
		runtime.ReadMemStats(&after)
		return after.HeapAlloc - min(after.HeapAlloc, before.HeapAlloc)
	}
	require.Less(t, used(32<<20), uint64(4<<20))
	long, s := read(t, "a", "sshd", strings.Repeat("x", maxLine+10)+"\nDec 10 06:55:48 LabSZ sshd[1]: Failed password for root from 203.0.113.5 port 1 ssh2\n")
	require.Len(t, long, 1)
	require.Equal(t, map[string]int{"line longer than 8 MiB": 1}, s.Because)
}

func shared(t testing.TB, parts ...string) string {
	t.Helper()
	name := filepath.Join(append([]string{"..", "..", "..", "shared", "data"}, parts...)...)
	if _, err := os.Stat(name); err != nil {
		t.Skipf("real data is absent: %s", filepath.Join(parts...))
	}
	return name
}

func TestRealLogsAreReadWhole(t *testing.T) {
	for name, want := range map[string]int{
		"ssh/OpenSSH_2k.log.gz": 2000, "captures/empire_psexec_dcerpc_tcp_svcctl.json.gz": 4348, "captures/schtask_create.json.gz": 1041, "zeek/apt29-day1-NASHUA.zip": 1725,
	} {
		s, err := Read(context.Background(), []string{shared(t, strings.Split(name, "/")...)}, Options{}, func(e *event.Event) error {
			require.NotZero(t, e.Time)
			require.NotEmpty(t, e.Source)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, want, s.Events, name)
		require.Zero(t, s.Skipped, name)
	}
}

func BenchmarkWinlog(b *testing.B) {
	z, err := os.Open(shared(b, "captures", "empire_psexec_dcerpc_tcp_svcctl.json.gz"))
	require.NoError(b, err)
	defer z.Close()
	r, err := gzip.NewReader(z)
	require.NoError(b, err)
	data, err := io.ReadAll(r)
	require.NoError(b, err)
	n := 0
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := readStream("f", bytes.NewReader(data), "winlog", func(*event.Event) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
