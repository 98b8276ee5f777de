package observe

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func index(t *testing.T, text string, files ...string) ([]Entry, error) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	path := filepath.Join(dir, "index.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return ReadIndex(path)
}

func TestTheIndexIsRead(t *testing.T) {
	entries, err := index(t,
		"\ufeffrecords,techniques,file\n3,T1003.001 T1562.001,a\n1,,b.json\n9,benign,c\n2,\"T1078,t1021\",d\n",
		"a.evtx.gz", "b.json", "c.ndjson", "d.zip")
	require.NoError(t, err)
	require.Len(t, entries, 4)
	require.Equal(t, []string{"T1003.001", "T1685"}, entries[0].Techniques) // ids of today
	require.Equal(t, "a.evtx.gz", filepath.Base(entries[0].Path))
	require.Empty(t, entries[1].Techniques)
	require.False(t, entries[1].Benign)
	require.True(t, entries[2].Benign)
	require.Equal(t, []string{"T1078", "T1021"}, entries[3].Techniques)
}

func TestFaultsOfTheIndexAreNamedTogether(t *testing.T) {
	_, err := index(t, "file,techniques\na.evtx,T1003\nb.evtx,mimikatz\nc.evtx,benign T1003\n,T1003\n", "b.evtx", "c.evtx")
	require.ErrorContains(t, err, "index.csv:2: a.evtx is not there, neither as it is written nor with an ending")
	require.ErrorContains(t, err, `index.csv:3: "mimikatz" is no ATT&CK technique, such as T1003 or T1003.001, nor benign`)
	require.ErrorContains(t, err, "index.csv:4: a log is benign or of a technique, not both")
	require.ErrorContains(t, err, "index.csv:5: the column file is empty")
	for text, want := range map[string]string{
		"":                  "the index is empty",
		"name,ids\na,T1003": "file and techniques must be among them; it has: name, ids",
		"file,techniques\n": "the index names no recording",
	} {
		_, err := index(t, text)
		require.ErrorContains(t, err, want)
	}
}
