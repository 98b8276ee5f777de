package record

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestColumnsFollowFromTheFields(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range TrialColumns {
		require.False(t, seen[c.Name], c.Name)
		seen[c.Name] = true
		require.NotEmpty(t, c.Doc, "column %s needs a doc", c.Name)
	}
	detect, ok := trialColumn("time_to_detect")
	require.True(t, ok)
	require.Equal(t, Column{Name: "time_to_detect", Type: "INTEGER", Nullable: true, Unit: Nanoseconds, Better: -1, Doc: detect.Doc, field: detect.field}, detect)
	require.Equal(t, "time_to_detect INTEGER", detect.Definition())
	score, _ := trialColumn("score")
	require.Equal(t, "score REAL NOT NULL DEFAULT 0", score.Definition())
	require.Equal(t, 100.0, score.Bound)
	_, ok = trialColumn("attacks")
	require.False(t, ok, "lists of rows are tables of their own")
	line := ColumnsOf[AuditEntry]()
	require.Equal(t, "json", line[len(line)-1].Name, "what is no part of the digest may still be a column")
}

func TestValuesGoToTheDatabaseAndBack(t *testing.T) {
	at := int64(7)
	row := Trial{Detected: true, TimeToDetect: &at, Score: 2.5, AlertsFalse: 3}
	for name, want := range map[string]float64{"detected": 1, "time_to_detect": 7, "score": 2.5, "alerts_false": 3, "contained": 0} {
		c, ok := trialColumn(name)
		require.True(t, ok, name)
		v, there := c.Number(&row)
		require.True(t, there)
		require.Equal(t, want, v, name)
	}
	never, _ := trialColumn("time_to_contain")
	_, there := never.Number(&row)
	require.False(t, there)

	evidence := ColumnsOf[Alert]()
	var c Column
	for _, e := range evidence {
		if e.Name == "evidence" {
			c = e
		}
	}
	v, err := c.Value(&Alert{Evidence: []uint64{1, 1 << 63}})
	require.NoError(t, err)
	require.Equal(t, "[1,9223372036854775808]", v)
	var back Alert
	require.NoError(t, c.Target(&back).(interface{ Scan(any) error }).Scan(v))
	require.Equal(t, []uint64{1, 1 << 63}, back.Evidence)
	require.Error(t, c.Target(&back).(interface{ Scan(any) error }).Scan(int64(1)))
}

func TestWrongTagsStopTheProgramAtItsStart(t *testing.T) {
	require.PanicsWithValue(t, `record: field a.X: unknown unit "miles"`, func() {
		type a struct {
			X int `json:"x" unit:"miles"`
		}
		ColumnsOf[a]()
	})
	require.Panics(t, func() {
		type a struct {
			X int `json:"x" better:"less" doc:"no bound"`
		}
		ColumnsOf[a]()
	})
	require.Panics(t, func() {
		type a struct {
			X int `json:"x" better:"sideways" bound:"1" doc:"d"`
		}
		ColumnsOf[a]()
	})
	require.Panics(t, func() {
		type a struct {
			X chan int `json:"x"`
		}
		ColumnsOf[a]()
	})
}

func TestADigestIsThatOfTheRowsAlone(t *testing.T) {
	one := Trial{Scenario: "s", Alerts: []Alert{{Title: "a"}}, Cost: []Cost{{WallNS: 5}}}
	two := Trial{Scenario: "s", Alerts: []Alert{{Title: "a"}}, Digest: "old", Events: []StoredEvent{{}}}
	require.NoError(t, one.Seal())
	require.NoError(t, two.Seal())
	require.Equal(t, one.Digest, two.Digest)
	two.Alerts[0].Title = "b"
	require.NoError(t, two.Seal())
	require.NotEqual(t, one.Digest, two.Digest)
	require.NotEqual(t, TrialID("a", "b", 1, 2), TrialID("a", "b", 1, 3))
}

func TestTimes(t *testing.T) {
	one, two := At(time.Second), At(2*time.Second)
	require.Equal(t, one, Earliest(one, two))
	require.Equal(t, one, Earliest(two, one))
	require.Equal(t, one, Earliest(nil, one))
	require.Equal(t, one, Earliest(one, nil))
	require.Nil(t, Earliest(nil, nil))
	text, err := json.Marshal(Trial{})
	require.NoError(t, err)
	require.Contains(t, string(text), `"time_to_detect":null`)
}

// trialColumn finds a column of trials by its name.
func trialColumn(name string) (Column, bool) {
	at := slices.IndexFunc(TrialColumns, func(c Column) bool { return c.Name == name })
	if at < 0 {
		return Column{}, false
	}
	return TrialColumns[at], true
}
