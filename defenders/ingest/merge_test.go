package ingest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"hemostat/sim/event"
)

const logon = `{"EventID":4624,"Channel":"Security","Computer":"%s","SystemTime":"2026-03-02T08:%02d:%02dZ"}` + "\n"

// logonsAt writes a log with an event at each of these seconds.
func logonsAt(host string, seconds ...int) []byte {
	var b bytes.Buffer
	for _, s := range seconds {
		fmt.Fprintf(&b, logon, host, s/60, s%60)
	}
	return b.Bytes()
}

// secondsOf reads inputs and gives the seconds and hosts of their events.
func secondsOf(t *testing.T, names ...string) ([]string, Summary) {
	t.Helper()
	var out []string
	ids := map[uint64]bool{}
	s, err := Read(context.Background(), names, Options{}, func(e *event.Event) error {
		out = append(out, fmt.Sprintf("%s%d", e.Host, int64(e.Time.Seconds())-1772438400))
		require.False(t, ids[e.ID], "ids are used once")
		ids[e.ID] = true
		return nil
	})
	require.NoError(t, err)
	return out, s
}

func TestSeveralInputsAreMergedByTime(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	a, b := file("a.json", logonsAt("a", 1, 4, 6)), file("b.json", logonsAt("b", 5, 3, 2))
	want := []string{"a1", "b2", "b3", "a4", "b5", "a6"}
	got, s := secondsOf(t, a, b)
	require.Equal(t, want, got, "also when one has the newest first")
	require.Zero(t, s.Late)
	got, _ = secondsOf(t, b, a)
	require.Equal(t, want, got)
	got, _ = secondsOf(t, dir)
	require.Equal(t, want, got)

	got, _ = secondsOf(t, b)
	require.Equal(t, []string{"b2", "b3", "b5"}, got, "the newest first, alone")
	got, _ = secondsOf(t, file("c/c.json", logonsAt("c", 1, 2, 3, 9, 8, 10, 11, 12)))
	require.Equal(t, "c1 c2 c3 c9 c8 c10 c11 c12", strings.Join(got, " "), "a single log keeps its order")

	// One event hours late among very many is told.
	var seconds []int
	for i := range 3 * windowSize {
		seconds = append(seconds, 100+i/100)
	}
	late := file("d/d.json", logonsAt("d", append(seconds, 0)...))
	_, s = secondsOf(t, late, a)
	require.Equal(t, 1, s.Late)
}

func TestContainers(t *testing.T) {
	dir := t.TempDir()
	plain := logonsAt("a", 1, 2)
	compressed := map[string]func(w io.Writer) io.WriteCloser{
		"gz":  func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zst": func(w io.Writer) io.WriteCloser { z, err := zstd.NewWriter(w); require.NoError(t, err); return z },
		"xz":  func(w io.Writer) io.WriteCloser { z, err := xz.NewWriter(w); require.NoError(t, err); return z },
	}
	pack := func(kind string, data []byte) []byte {
		var b bytes.Buffer
		w := compressed[kind](&b)
		_, err := w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	members := map[string][]byte{
		"logs/b.json": logonsAt("b", 3), "logs/a.json.gz": pack("gz", plain), "__MACOSX/logs/._a.json": {0, 5, 22, 7}, "logs/README.md": []byte("hello"),
		"logs/notes.txt": []byte("nothing of note\n"), "logs/.DS_Store": {0, 0, 0, 1},
	}
	tarOf := func() []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, name := range []string{"logs/b.json", "logs/a.json.gz", "__MACOSX/logs/._a.json", "logs/README.md", "logs/notes.txt", "logs/.DS_Store"} {
			require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(members[name]))}))
			_, err := w.Write(members[name])
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	zipOf := func(members map[string][]byte) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for name, data := range members {
			m, err := w.Create(name)
			require.NoError(t, err)
			_, err = m.Write(data)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	for name, data := range map[string][]byte{
		"a.zip": zipOf(members), "a.tar": tarOf(), "a.tar.gz": pack("gz", tarOf()), "a.tar.zst": pack("zst", tarOf()), "a.tar.xz": pack("xz", tarOf()),
		"nested.zip": zipOf(map[string][]byte{"inner.tar.gz": pack("gz", tarOf())}), "nested.tgz.zip": zipOf(map[string][]byte{"x/inner.zip": zipOf(members)}),
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		got, s := secondsOf(t, path)
		require.Equal(t, []string{"a1", "a2", "b3"}, got, name)
		require.Len(t, s.PassedOver, 4, "%s: %v", name, s.PassedOver)
		require.Zero(t, s.Skipped)
	}
	for kind := range compressed {
		path := filepath.Join(dir, "whatever-"+kind)
		require.NoError(t, os.WriteFile(path, pack(kind, plain), 0o600))
		got, _ := secondsOf(t, path)
		require.Equal(t, []string{"a1", "a2"}, got, kind)
	}
	maxSpool = 1000
	defer func() { maxSpool = 8 << 30 }()
	_, err := Read(context.Background(), []string{filepath.Join(dir, "a.tar.gz")}, Options{}, func(*event.Event) error { return nil })
	require.ErrorContains(t, err, "it unpacks to more than")
	two := filepath.Join(dir, "members.gz")
	require.NoError(t, os.WriteFile(two, append(pack("gz", logonsAt("a", 1)), pack("gz", logonsAt("a", 2))...), 0o600))
	got, _ := secondsOf(t, two)
	require.Equal(t, []string{"a1", "a2"}, got, "several members")
}

// A missing or foreign input does not take away what the others give.
func TestOneBadInputAmongOthers(t *testing.T) {
	dir := t.TempDir()
	good, junk := filepath.Join(dir, "good.json"), filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(good, logonsAt("a", 1, 2), 0o600))
	require.NoError(t, os.WriteFile(junk, []byte("what is this\n"), 0o600))
	n := 0
	s, err := Read(context.Background(), []string{filepath.Join(dir, "none"), junk, good}, Options{}, func(*event.Event) error { n++; return nil })
	require.Equal(t, 2, n)
	require.Equal(t, 2, s.Events)
	require.ErrorContains(t, err, "none")
	require.ErrorContains(t, err, "junk: its format is not recognised")
}

// More inputs than may be open at a time are merged too.
func TestManyInputs(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 * maxOpen {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.json", i)), logonsAt("h", i, i+1, i+2), 0o600))
	}
	got, s := secondsOf(t, dir)
	require.Len(t, got, 9*maxOpen)
	require.Zero(t, s.Late)
	last := -1
	for _, x := range got {
		var at int
		_, err := fmt.Sscanf(x, "h%d", &at)
		require.NoError(t, err)
		require.GreaterOrEqual(t, at, last)
		last = at
	}
}

// Blocks of lines are decoded side by side; the events and their order do not depend on
// how many there are.
func TestBlocksKeepTheOrder(t *testing.T) {
	var seconds []int
	for i := range 20_000 {
		seconds = append(seconds, i%3600)
	}
	text := string(logonsAt("a", seconds...))
	require.Greater(t, len(text), 4*blockSize)
	got, s := read(t, "a.json", "auto", text+`{"no":"time"}`+"\n")
	require.Len(t, got, len(seconds))
	require.Equal(t, map[string]int{reasonUnknownJSON: 1}, s.Because)
	for i, e := range got {
		require.Equal(t, int64(seconds[i]), int64(e.Time.Seconds())-1772438400)
		require.Equal(t, uint64(i+1), e.ID)
	}
}

func TestEventsWithoutATimeStandWithTheOneBefore(t *testing.T) {
	got, s := read(t, "x", "auto", `{"EventID":1,"Channel":"Security","SystemTime":"2026-03-02T08:15:00Z"}
{"EventID":2,"Channel":"Security","SystemTime":"yesterday"}
{"EventID":3,"Channel":"Security","SystemTime":"1601-01-01T00:00:00Z"}
`)
	require.Equal(t, 2, s.Undated)
	for _, e := range got {
		require.Equal(t, got[0].Time, e.Time)
	}
}
