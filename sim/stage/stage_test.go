package stage

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	require.Equal(t, Name("response isolate"), Response("isolate"))
	require.True(t, Response("isolate").IsResponse())
	require.Equal(t, Name("approval isolate/step"), Approval("isolate", "step"))
	require.False(t, Approval("isolate", "step").IsResponse())
	require.False(t, Rollback.IsResponse())
}
