package attribution

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/defenders/alert"
)

func observation(at time.Duration, rule, outside string, techniques ...string) Observation {
	return Observation{Alert: &alert.Alert{Raised: at, RuleID: rule, Techniques: techniques}, Outside: outside}
}

func TestEvidence(t *testing.T) {
	e := EvidenceOf([]Observation{
		observation(0, "b", "203.0.113.1", "T1110"), observation(2*time.Second, "a", "203.0.113.2", "T1078", "T1110"),
		observation(time.Minute, "a", "", "T1110"), observation(9*time.Hour, "a", "203.0.113.1"),
	})
	assert.Equal(t, Evidence{Techniques: []string{"T1078", "T1110"}, Rules: []string{"a", "b"}, Addresses: "few",
		Gaps: map[string]int{"seconds": 1, "minutes": 1, "days": 1}}, e)
	assert.Equal(t, "none", EvidenceOf(nil).Addresses)
}

// learned is a world of three actors with habits of their own.
func learned(t *testing.T) *Learned {
	var examples []Example
	for i := range 40 {
		for actor, technique := range map[string]string{"bear": "T1566.001", "crab": "T1110.001", "wolf": "T1190"} {
			examples = append(examples, Example{Actor: actor, Day: fmt.Sprint(actor, i), Goal: "goal of " + actor,
				Evidence: EvidenceOf([]Observation{
					observation(0, "rule of "+actor, "203.0.113.1", technique), observation(time.Minute, "common", "", "T1059.001"),
				})})
		}
	}
	l, err := Learn(examples, "a test")
	require.NoError(t, err)
	return l
}

func TestActorsAreRecognised(t *testing.T) {
	l := learned(t)
	assert.Equal(t, 1.0, l.Known.First)
	assert.Less(t, l.Known.Calibration, 0.1)
	assert.Equal(t, 120, l.LeftOut.Cases)
	assert.Greater(t, l.LeftOut.First, 0.9, "what nobody ever did is unknown's")
	e := EvidenceOf([]Observation{observation(0, "rule of crab", "203.0.113.1", "T1110.001"), observation(time.Minute,
		"common", "", "T1059.001")})
	ranked := l.Facts.Rank(&e)
	assert.Equal(t, "crab", ranked[0].Actor)
	assert.Greater(t, ranked[0].Probability, 0.8)
	assert.Contains(t, ranked[0].Because, "rule rule of crab")
	strange := EvidenceOf([]Observation{observation(0, "never seen", "", "T1200"), observation(time.Second, "nor this", "", "T1052.001")})
	assert.Equal(t, Unknown, l.Facts.Rank(&strange)[0].Actor)
	assert.Equal(t, []string{"goal of crab"}, l.Facts.Find("crab").Goals)
	_, err := Learn([]Example{{Actor: "one"}}, "")
	assert.ErrorContains(t, err, "two actors")
}

// Indicators that are said to be an actor's speak for them, whatever else there is.
func TestInfrastructureSpeaksForAnActor(t *testing.T) {
	f, err := Published([]ThreatActor{
		{ID: "G0001", Aliases: []string{"Fancy Otter"}, Techniques: []string{"T1566.001"}, Infrastructure: []string{"203.0.113.7"}},
		{ID: "G0002", Techniques: []string{"T1110"}},
	}, "a bundle")
	require.NoError(t, err)
	e := Evidence{Techniques: []string{"T1110.001"}}
	assert.Equal(t, "G0002", first(f.Rank(&e)))
	e.Indicators = []string{"203.0.113.7"}
	assert.Equal(t, "G0001", first(f.Rank(&e)))
	e.Indicators, e.Named = nil, []string{"fancy otter"}
	assert.Equal(t, "G0001", first(f.Rank(&e)))
	e.Named = []string{"Nobody Listed"}
	assert.Equal(t, "Nobody Listed", first(f.Rank(&e)), "whom a feed names is a suspect, also without facts")
	assert.Len(t, f.Rank(&e), 4)
}

// first is the likeliest actor that is known.
func first(list []Suspect) string {
	for _, s := range list {
		if s.Actor != Unknown {
			return s.Actor
		}
	}
	return ""
}

func TestProbabilitiesSumToOne(t *testing.T) {
	f, err := Embedded()
	require.NoError(t, err)
	var techniques, rules []string
	for t := range f.Base.Techniques {
		techniques = append(techniques, t)
	}
	for r := range f.Base.Rules {
		rules = append(rules, r)
	}
	rapid.Check(t, func(t *rapid.T) {
		e := Evidence{
			Techniques: rapid.SliceOfDistinct(rapid.SampledFrom(append(techniques, "T9999", "")), rapid.ID).Draw(t, "techniques"),
			Rules:      rapid.SliceOfDistinct(rapid.SampledFrom(append(rules, "new")), rapid.ID).Draw(t, "rules"),
			Gaps: map[string]int{rapid.SampledFrom([]string{"seconds", "minutes", "days"}).Draw(t,
				"gap"): rapid.IntRange(1, 9).Draw(t, "gaps")},
			Addresses: rapid.SampledFrom([]string{"none", "one", "few", "many"}).Draw(t, "addresses"),
		}
		sum := 0.0
		list := f.Rank(&e)
		for i, s := range list {
			if s.Probability < 0 || math.IsNaN(s.Probability) || i > 0 && s.Probability > list[i-1].Probability {
				t.Fatalf("%+v", list)
			}
			sum += s.Probability
		}
		if math.Abs(sum-1) > 1e-9 || len(list) != len(f.Actors)+1 {
			t.Fatalf("sum %v of %d", sum, len(list))
		}
	})
}

func TestFactsAreWrittenAndRead(t *testing.T) {
	l := learned(t)
	text, err := json.Marshal(l.Facts)
	require.NoError(t, err)
	back, err := Read(text)
	require.NoError(t, err)
	again, err := json.Marshal(back)
	require.NoError(t, err)
	assert.JSONEq(t, string(text), string(again))
	plain, err := json.Marshal(ThreatActor{ID: "x"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":"x","aliases":[],"techniques":[],"infrastructure":[],"goals":[]}`, string(plain))
	for text, want := range map[string]string{
		`{`:                               "no facts about actors",
		`{"format":"x"}`:                  "hemostat train attribution makes one",
		`{"format":"hemostat.actors/v1"}`: "they name no actor",
		`{"format":"hemostat.actors/v1","actors":[{"id":"a"},{"id":"a"}]}`: `actor 2 has the id "a"`,
		`{"format":"hemostat.actors/v1","actors":[{"id":"unknown"}]}`:      "other than unknown",
	} {
		_, err := Read([]byte(text))
		assert.ErrorContains(t, err, want)
	}
}

func TestCalibration(t *testing.T) {
	var c Calibration
	for i := range 100 {
		c.Add(0.75, i < 75)
	}
	assert.InDelta(t, 0, c.Error(), 1e-9)
	for range 100 {
		c.Add(0.95, false)
	}
	assert.InDelta(t, 0.475, c.Error(), 1e-9)
}
