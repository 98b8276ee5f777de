package trial

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
)

// restore takes a snapshot of the pipeline and of what was kept of it, and lets the trial go on
// with a new pipeline in that state, whose own snapshot is the same.
func (t *Trial) restore() error {
	var b, again bytes.Buffer
	if err := t.pipeline.Save(&b, &t.done); err != nil {
		return err
	}
	data := b.Bytes()
	if err := t.newPipeline(); err != nil {
		return err
	}
	t.done = responses{}
	if err := t.pipeline.Load(bytes.NewReader(data), &t.done); err != nil {
		return err
	}
	if err := t.pipeline.Save(&again, &t.done); err != nil {
		return err
	}
	if !bytes.Equal(data, again.Bytes()) {
		return errors.New("the snapshot of the restored pipeline is another")
	}
	return nil
}

// TestARestoredPipelineDecidesAsTheUninterruptedOne holds that for every scenario, under a
// defence with every detector.
func TestARestoredPipelineDecidesAsTheUninterruptedOne(t *testing.T) {
	parts := time.Duration(7)
	if raceEnabled || testing.Short() {
		parts = 2
	}
	for _, name := range scenarios.EmbeddedNames() {
		for _, v := range []string{"default", "all_detectors"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				s, err := scenarios.Load(name, []scenarios.Setting{{Path: "background.rate", Value: "0.02"}})
				require.NoError(t, err)
				defended, err := defence.Load(v, nil)
				require.NoError(t, err)
				want, err := Run(s, defended, 1, Options{Seed: 5}, nil)
				require.NoError(t, err)
				x, err := New(s, defended, 1, Options{Seed: 5})
				require.NoError(t, err)
				for at := x.Horizon() / parts; at < x.Horizon(); at += x.Horizon() / parts {
					require.NoError(t, x.RunUntil(at+at%977))
					require.NoError(t, x.restore())
				}
				require.NoError(t, x.RunWhile(nil))
				require.NoError(t, x.Close())
				got, err := x.Rows()
				require.NoError(t, err)
				assert.Equal(t, want.Digest, got.Digest)
			})
		}
	}
}
