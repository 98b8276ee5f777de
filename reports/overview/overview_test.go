package overview

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/sim/record"
)

func minutes(n int) record.Time {
	t := int64(n) * int64(time.Minute)
	return &t
}

// example has two scenarios under two variants; names of it would be markup if they were let.
func example() *Overview {
	o := New()
	for i := range 10 {
		for _, variant := range []string{"old", "<b>new</b>"} {
			t := &record.Trial{Scenario: "wiper", Variant: variant, Index: i, Status: "ok", Outcome: "contained", Horizon: int64(6 * time.Hour),
				AlertsFalse: 3, Disruption: 1.5, Score: 90}
			if i < 8 {
				t.Detected, t.TimeToDetect = true, minutes(i+1)
			}
			if variant == "old" && i < 4 {
				t.Contained, t.TimeToContain = true, minutes(30+i)
			}
			o.Add(t)
			o.AddTechnique(variant, "T1485", i < 5)
			o.AddTechnique(variant, "T1078", i < 9)
			o.AddStage(variant, "fusion", time.Duration(i+1)*time.Second)
		}
		o.Add(&record.Trial{Scenario: "quiet", Variant: "old", Index: i, Status: "ok", Outcome: "no_attack", Horizon: int64(time.Hour)})
	}
	o.Add(&record.Trial{Scenario: "wiper", Variant: "old", Status: "error"})
	return o
}

func TestOutcomes(t *testing.T) {
	rows := example().outcomes()
	require.Len(t, rows, 3)
	assert.Equal(t, "quiet", rows[0].Scenario)
	assert.True(t, math.IsNaN(rows[0].Detected.Value), "without an attack nothing was to be detected")
	for i, variant := range []string{"<b>new</b>", "old"} {
		r := rows[1+i]
		assert.Equal(t, variant, r.Variant)
		assert.Equal(t, 10, r.Trials)
		assert.InDelta(t, 0.8, r.Detected.Value, 1e-9)
		assert.InDelta(t, 0.49, r.Detected.Lo, 0.01) // Wilson's interval of 8 of 10
		assert.Equal(t, float64(5*time.Minute+30*time.Second), r.Medians[0])
		assert.InDelta(t, 3, r.FalseAlarms, 1e-9)
	}
	assert.InDelta(t, 0.4, rows[2].Contained.Value, 1e-9)
}

func TestTechniquesAndStages(t *testing.T) {
	o := example()
	heat := o.heatRows(Known{"T1485": {"Data Destruction", "impact"}, "T1078": {"Valid Accounts", "initial-access"}})
	require.Len(t, heat, 2)
	assert.Equal(t, "T1078", heat[0].ID, "in the order of an attack")
	assert.InDelta(t, 0.9, heat[0].Cells[0].Share(), 1e-9)
	assert.True(t, math.IsNaN(heatCell{}.Share()))
	stages := o.stageRows()
	require.Len(t, stages, 2)
	assert.InDelta(t, 5.5e9, stages[0].Median, 1)
	assert.InDelta(t, 1, stages[0].Width, 1e-9)
	assert.Equal(t, 10, stages[1].N)
}

func TestAPageNeedsNothingElse(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, example().HTML(&b, Page{Title: "Trials", Comparisons: []Comparison{{Title: "a against b", Body: "<p>body</p>"}}}))
	text := b.String()
	for _, want := range []string{"80 % [49, 94]", "1 trials ended with an error", "<svg", "5m30s", "&lt;b&gt;new&lt;/b&gt;", "<p>body</p>",
		`href="#compare-a-against-b"`, "50 % of 10"} {
		assert.True(t, strings.Contains(text, want), want)
	}
	own := strings.NewReplacer("http://www.w3.org/2000/svg", "", "http://www.w3.org/1999/xlink", "").Replace(text)
	for _, bad := range []string{"<b>new", "src=", "http://", "https://", "<script", "@import"} {
		assert.False(t, strings.Contains(own, bad), "nothing is fetched, and text stays text: %s", bad)
	}
	assert.Equal(t, strings.Count(text, "<table"), strings.Count(text, "</table>"))
}

func TestNavigator(t *testing.T) {
	o := example()
	data, err := o.Navigator("old")
	require.NoError(t, err)
	var l layer
	require.NoError(t, json.Unmarshal(data, &l))
	assert.Equal(t, "4.5", l.Versions["layer"])
	assert.Equal(t, []layerTechnique{{"T1078", 90, "seen in 9 of 10 trials", true}, {"T1485", 50, "seen in 5 of 10 trials", true}}, l.Techniques)
	_, err = o.Navigator("other")
	assert.ErrorContains(t, err, `no trials of the variant "other"`)
}

func TestSpans(t *testing.T) {
	for ns, want := range map[float64]string{math.NaN(): "-", math.Inf(1): "never", 1.5e9: "1.5s", 61e9: "1m1s", 2.5 * 3600e9: "2h30m", 1234: "1µs"} {
		assert.Equal(t, want, span(ns), fmt.Sprint(ns))
	}
}
