package defence

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/detect"
)

// TestABaselineThatIsTooOldIsTold holds that those who use a baseline after its day are told so, and
// that the day is a part of the file alone.
func TestABaselineThatIsTooOldIsTold(t *testing.T) {
	v, err := Load("all_detectors", nil)
	require.NoError(t, err)
	members, err := v.BuildDetectors(detect.Env{Learning: true})
	require.NoError(t, err)
	b, err := Learned(members, "nothing", 0)
	require.NoError(t, err)
	for until, told := range map[string]bool{"": false, "2020-01-01": true, "9999-01-01": false} {
		dir := t.TempDir()
		b.Until = until
		var file bytes.Buffer
		require.NoError(t, b.Write(&file))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "b.json.gz"), file.Bytes(), 0o644))
		variant := filepath.Join(dir, "v.yaml")
		require.NoError(t, os.WriteFile(variant, []byte("name: v\ndetectors: [behavior]\nbaseline: b.json.gz\n"), 0o644))
		v, err := Load(variant, nil)
		require.NoError(t, err)
		assert.Equal(t, told, strings.Contains(strings.Join(v.LeftOut(), "\n"), "was made to hold until 2020-01-01"), until)
	}
}
