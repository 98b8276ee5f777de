package fusion

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/sim/severity"
)

type flaky struct {
	down  bool
	asked int
}

func (f *flaky) Name() string { return "flaky" }
func (f *flaky) Lookup(time.Duration, Indicator) (Hit, bool, error) {
	f.asked++
	if f.down {
		return Hit{}, false, errors.New("down")
	}
	return Hit{Source: "flaky", Confidence: 0.9}, true, nil
}

func TestASourceThatFailsIsLeftAloneForAWhile(t *testing.T) {
	s := &flaky{down: true}
	f, err := New(Options{Sources: []Source{s}, Inventory: inventory.New(nil, nil)})
	require.NoError(t, err)
	n := 0
	raise := func(at time.Duration) Enrichment {
		n++
		return f.Enrich(at, &alert.Alert{RuleID: fmt.Sprint(n), Severity: severity.High, Confidence: 0.5, Entities: alert.Entities{SourceIP: fmt.Sprintf("203.0.113.%d", n)}})
	}
	for range 20 {
		raise(0)
	}
	require.Equal(t, breakerErrors, s.asked)
	raise(breakerOpen - 1)
	require.Equal(t, breakerErrors, s.asked)
	raise(breakerOpen)
	raise(breakerOpen)
	require.Equal(t, breakerErrors+1, s.asked, "one question, which fails, and it is open again")
	s.down = false
	require.NotEmpty(t, raise(3*breakerOpen).Sightings, "answered, so it is closed")
	raise(3 * breakerOpen)
	require.Equal(t, breakerErrors+3, s.asked)
}
