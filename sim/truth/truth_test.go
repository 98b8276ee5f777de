package truth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLedgerKnowsMaliciousEventsOnly(t *testing.T) {
	l := NewLedger()
	l.Record(7, Label{Attack: 1, Step: 2}, 5*time.Second)
	l.Record(8, Label{Attack: 2, Step: 1}, 6*time.Second)
	l.Record(9, Label{Attack: 1, Step: 3}, 7*time.Second)
	require.Equal(t, 3, l.Malicious())
	require.Equal(t, Label{Attack: 1, Step: 2}, l.Label(7))
	require.False(t, l.Label(10).Malicious())
	require.True(t, l.Label(8).Malicious())
	at, ok := l.FirstEvent(1)
	require.True(t, ok)
	require.Equal(t, 5*time.Second, at, "the first one stays the first")
	at, ok = l.FirstEvent(2)
	require.True(t, ok)
	require.Equal(t, 6*time.Second, at)
	_, ok = l.FirstEvent(3)
	require.False(t, ok)
}
