package fusion

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel"
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
	raise := func(at time.Duration) *Incident {
		n++
		in, _ := f.Add(at, sentinel.Alert{RuleID: fmt.Sprint(n), Severity: severity.High, Confidence: 0.5, Entities: sentinel.Entities{SourceIP: fmt.Sprintf("203.0.113.%d", n)}})
		return in
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
	require.Positive(t, raise(3*breakerOpen).IntelHits, "answered, so it is closed")
	raise(3 * breakerOpen)
	require.Equal(t, breakerErrors+3, s.asked)
}
