package boundedfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// special makes one file of each kind that must not be read.
func special(t *testing.T) string {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.yml"), 0o600))
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, "zero.yml")))
	require.NoError(t, os.Symlink("loop.yml", filepath.Join(dir, "loop.yml")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.yml")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.yml"), 0o700))
	long, err := os.Create(filepath.Join(dir, "long.yml"))
	require.NoError(t, err)
	require.NoError(t, long.Truncate(maxBytes+1))
	require.NoError(t, long.Close())
	return dir
}

func TestOnlyRegularFilesOfBoundedSizeAreRead(t *testing.T) {
	dir := special(t)
	for _, name := range []string{"pipe.yml", "zero.yml", "loop.yml", "dangling.yml", "folder.yml", "long.yml"} {
		_, err := Read(filepath.Join(dir, name))
		require.ErrorContains(t, err, name)
		_, err = fs.ReadFile(FS(dir), name)
		require.ErrorContains(t, err, name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "good.yml"), []byte("a: 1"), 0o600))
	require.NoError(t, os.Symlink("good.yml", filepath.Join(dir, "linked.yml")))
	for _, name := range []string{"good.yml", "linked.yml"} {
		data, err := Read(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "a: 1", string(data))
		data, err = fs.ReadFile(FS(dir), name)
		require.NoError(t, err)
		require.Equal(t, "a: 1", string(data))
	}
}
