package suggest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/suggest"
)

func TestTheNearestIsSuggested(t *testing.T) {
	words := []string{"contains", "startswith", "re"}
	require.Equal(t, ` (did you mean "contains"?)`, suggest.For("kontains", words))
	require.Equal(t, ` (did you mean "startswith"?)`, suggest.For("StartsWit", words))
	require.Empty(t, suggest.For("else", words))
	require.Empty(t, suggest.For("x", words), "every letter would be another")
	require.Empty(t, suggest.For(strings.Repeat("x", 200), words))
}
