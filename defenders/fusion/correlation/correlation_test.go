package correlation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/defenders/alert"
	"hemostat/defenders/boosting"
	"hemostat/defenders/logistic"
)

// plain are weights that are simple to follow: half of the methods in common, and rules here
// and there that few incidents have.
func plain() *Weights {
	above := func(feature int, limit, step float64) boosting.Tree {
		return boosting.Tree{{Feature: feature, Limit: limit, Left: 1, Right: 2},
			{Feature: -1}, {Feature: -1, Value: step}}
	}
	return &Weights{Format: weightsFormat, Threshold: 0.5, Model: boosting.Model{Features: featureNames(), Bias: -5,
		Trees: []boosting.Tree{above(sameMethods, 0.4, 4), above(rareRule, 0.2, 2), above(rareRuleThere, 0.2, 2)}}}
}

func correlator(t require.TestingT, o Options) *Correlator {
	if o.Weights == nil {
		o.Weights = plain()
	}
	c, err := New(o)
	require.NoError(t, err)
	return c
}

// see lets an incident have an alert.
func (c *Correlator) see(at time.Duration, incident int, rule, technique string, entities ...string) Link {
	l, _ := c.Observe(at, incident, Observation{Alert: &alert.Alert{RuleID: rule, Techniques: []string{technique},
		Entities: alert.Entities{Zone: "users"}},
		Entities: entities})
	return l
}

// An attacker who comes back by the same way, to another host, is recognised; what has nothing
// in common is not joined.
func TestTheSameMethodsAreOneCampaign(t *testing.T) {
	c := correlator(t, Options{})
	for _, r := range []string{"office", "powershell", "cradle"} {
		c.see(0, 1, r, "T1566.001", "host WS1")
	}
	c.see(5*time.Minute, 1, "lsass", "T1003.001", "host WS1")
	var l Link
	for _, r := range []string{"office", "powershell", "cradle"} {
		l = c.see(40*time.Minute, 2, r, "T1566.001", "host WS2")
	}
	assert.Equal(t, 1, l.Earlier)
	assert.Greater(t, l.Score, 0.5)
	sum := 0.0
	for _, p := range l.Parts {
		sum += p
	}
	assert.InDelta(t, l.Score, logistic.Of(sum+c.scorer.model.Bias), 1e-9, "the parts and the bias are the score")
	assert.Equal(t, []int{1, 2}, c.Campaign(2))
	l = c.see(41*time.Minute, 3, "printer", "T1112", "host WS9")
	assert.Zero(t, l.Earlier)
	assert.Equal(t, []int{3}, c.Campaign(3))
}

// Nothing is joined with what came later than the window.
func TestOldCampaignsAreForgotten(t *testing.T) {
	var gone []int
	c := correlator(t, Options{Forgotten: func(id int) { gone = append(gone, id) }})
	for _, r := range []string{"office", "powershell"} {
		c.see(0, 1, r, "T1566.001", "host WS1")
	}
	l := c.see(Window+time.Minute, 2, "office", "T1566.001", "host WS1")
	assert.Zero(t, l.Earlier)
	assert.Equal(t, []int{1}, gone)
	assert.Equal(t, []int{1}, c.Campaign(1), "what is forgotten stands for itself")
}

// A campaign falls apart when what held it together turns out to be everywhere.
func TestCampaignsSplit(t *testing.T) {
	c := correlator(t, Options{})
	at := time.Duration(0)
	link := func(id int) Link {
		l, ok := c.Link(id)
		require.True(t, ok)
		return l
	}
	for _, r := range []string{"a", "b"} {
		c.see(at, 1, r, "T1021.002", "host WS1")
	}
	for _, r := range []string{"a", "b"} {
		c.see(at+30*time.Minute, 2, r, "T1021.002", "host WS2")
	}
	require.Equal(t, 1, link(2).Earlier)
	for i := range 400 { // the rules fire on every host
		for _, r := range []string{"a", "b"} {
			c.see(at+40*time.Minute, 10+i, r, "T1112", fmt.Sprint("host X", i))
		}
	}
	c.see(at+50*time.Minute, 2, "b", "T1112", "host WS2", "host WS3")
	assert.Zero(t, link(2).Earlier)
	assert.NotContains(t, c.Campaign(2), 1)
	assert.NotContains(t, c.Campaign(1), 2)
}

func TestMergedIncidentsKeepTheirCampaign(t *testing.T) {
	c := correlator(t, Options{})
	for _, r := range []string{"office", "powershell", "cradle"} {
		c.see(0, 1, r, "T1566.001", "host WS1")
		c.see(30*time.Minute, 2, "unrelated", "T1112", "host WS7")
		c.see(40*time.Minute, 3, r, "T1566.001", "host WS2")
	}
	require.Equal(t, []int{1, 3}, c.Campaign(3))
	l, changed := c.Merged(3, 2)
	assert.True(t, changed)
	assert.Equal(t, Link{Incident: 2, Earlier: 1, Score: l.Score, Parts: l.Parts}, l)
	assert.Equal(t, []int{1, 2}, c.Campaign(3), "the number of the part is still known")
	_, changed = c.Merged(99, 2)
	assert.False(t, changed)
}

// Leaving a part out takes its contribution away, and only that.
func TestPartsCanBeLeftOut(t *testing.T) {
	for _, part := range PartNames() {
		c := correlator(t, Options{Without: []string{part}})
		for _, r := range []string{"office", "powershell"} {
			c.see(0, 1, r, "T1566.001", "host WS1")
			c.see(time.Minute, 2, r, "T1566.001", "host WS1")
		}
		l, _ := c.Link(2)
		assert.Zero(t, l.Parts.Map()[part])
	}
	_, err := New(Options{Without: []string{"luck"}})
	assert.ErrorContains(t, err, `"luck" is no part of the correlation score; entities, indicators, methods, order`)
}

func TestWeightsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{`:              "these are no weights",
		`{"format":"x"}`: "the format is \"x\"",
		`{"format":"hemostat.correlation/v2","threshold":2}`:                                          "threshold 2",
		`{"format":"hemostat.correlation/v2","threshold":0.5,"model":{"features":["shared_entity"]}}`: "model: the features are",
		`{"format":"hemostat.correlation/v2","threshold":0.5,"model":{"trees":[[[1,2]]]}}`:            "1 or 5 numbers",
	} {
		_, err := ReadWeights([]byte(text))
		assert.ErrorContains(t, err, want)
	}
}

// Whatever happens: a link leads to an earlier incident, campaigns are a partition, and the
// same alerts give the same links.
func TestCampaignsArePartitions(t *testing.T) {
	type step struct {
		at                    time.Duration
		incident, merged      int
		rule, technique, host string
	}
	rapid.Check(t, func(t *rapid.T) {
		var steps []step
		at := time.Duration(0)
		for range rapid.IntRange(1, 80).Draw(t, "n") {
			at += time.Duration(rapid.IntRange(0, 300).Draw(t, "minutes")) * time.Minute
			steps = append(steps, step{at, rapid.IntRange(1, 12).Draw(t, "incident"), rapid.IntRange(0, 12).Draw(t, "merged"),
				rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "rule"),
				rapid.SampledFrom([]string{"T1566.001", "T1486", "T1112", "T9999", ""}).Draw(t, "technique"),
				rapid.SampledFrom([]string{"host A", "host B", "account m"}).Draw(t, "host")})
		}
		play := func() []string {
			c := correlator(t, Options{})
			var said []string
			gone := map[int]bool{}
			for _, s := range steps {
				if gone[s.incident] {
					continue
				}
				l := c.see(s.at, s.incident, s.rule, s.technique, s.host)
				if l.Earlier >= s.incident || l.Score < 0 || l.Score > 1 {
					t.Fatalf("link %+v of %d", l, s.incident)
				}
				if s.merged > s.incident && !gone[s.merged] && c.incidents[s.merged] != nil {
					c.Merged(s.merged, s.incident)
					gone[s.merged] = true
				}
				seen := map[int]int{}
				for id, x := range c.incidents {
					if !slices.Contains(x.campaign.members, x) {
						t.Fatalf("incident %d is not in its campaign", id)
					}
					for _, m := range x.campaign.members {
						if m.campaign != x.campaign {
							t.Fatalf("%d and %d disagree", m.id, id)
						}
					}
					seen[id]++
				}
				said = append(said, fmt.Sprint(l, c.Campaign(s.incident)))
			}
			return said
		}
		if one, two := play(), play(); !slices.Equal(one, two) {
			t.Fatalf("%v\n%v", one, two)
		}
	})
}

func TestLearning(t *testing.T) {
	day := func(n int) []Labelled {
		var out []Labelled
		add := func(minute, incident, attack int, rule, technique, host string) {
			out = append(out, Labelled{At: time.Duration(minute) * time.Minute, Incident: incident, Attack: attack,
				Observation: Observation{Alert: &alert.Alert{RuleID: rule, Techniques: []string{technique}}, Entities: []string{host}}})
		}
		for _, r := range []string{"office", "cradle"} {
			add(1, 1, 1, r, "T1566.001", "host A")
			add(2, 2, 0, fmt.Sprint("noise ", n), "T1112", "host B")
			add(30, 3, 1, r, "T1566.001", "host C")
			add(31, 4, 0, "noise", "T1112", "host B")
		}
		return out
	}
	var all []Example
	for i := range 20 {
		examples, err := Examples(day(i))
		require.NoError(t, err)
		all = append(all, examples...)
	}
	w, err := Fit(all, 0.5, "a test")
	require.NoError(t, err)
	data, err := w.Encode()
	require.NoError(t, err)
	again, err := ReadWeights(data)
	require.NoError(t, err)
	assert.Equal(t, w, again, "weights survive their file")
	assert.Equal(t, "a test", w.From)
	_, err = Fit(nil, 0.5, "nothing")
	assert.ErrorContains(t, err, "no two incidents of one attack")
	c := correlator(t, Options{Weights: w})
	for _, l := range day(99) {
		c.Observe(l.At, l.Incident, l.Observation)
	}
	assert.Equal(t, []int{1, 3}, c.Campaign(3))
}

// The example of scikit-learn's documentation of Hubert and Arabie's index: [0 0 1 2] against
// [0 0 1 1] is 0.57.
func TestAdjustedRand(t *testing.T) {
	assert.InDelta(t, 0.571, adjustedRand(1, 1, 2, 6), 0.001)
	assert.Equal(t, 1.0, adjustedRand(0, 0, 0, 0))
}
