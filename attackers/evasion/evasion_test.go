package evasion

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/strictyaml"
)

// TestEveryMethodNamesTechniquesOfATLAS holds the ids against MITRE's table.
func TestEveryMethodNamesTechniquesOfATLAS(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "atlas", "atlas.json"))
	if os.IsNotExist(err) {
		t.Skip("the table of MITRE ATLAS is not here")
	}
	require.NoError(t, err)
	var atlas struct{ Techniques []struct{ ID string } }
	require.NoError(t, json.Unmarshal(data, &atlas))
	known := map[string]bool{}
	for _, x := range atlas.Techniques {
		known[x.ID] = true
	}
	for _, m := range Methods {
		require.NotEmpty(t, m.Techniques, m.Name)
		for _, id := range m.Techniques {
			assert.True(t, known[id], "%s names %s, which is not in ATLAS", m.Name, id)
		}
		assert.NotEmpty(t, m.Doc, m.Name)
		assert.NotEmpty(t, m.Price, m.Name)
		assert.NotEmpty(t, m.Access, m.Name)
	}
}

// TestTheFormListsTheMethods holds the enumeration of scenarios against the table.
func TestTheFormListsTheMethods(t *testing.T) {
	for _, m := range Methods {
		var s Spec
		require.NoError(t, strictyaml.Decode("e.yaml", []byte("method: "+string(m.Name)+"\n"), &s))
		assert.Empty(t, Check([]Spec{s}, "attackers[0]"))
	}
	var s Spec
	require.ErrorContains(t, strictyaml.Decode("e.yaml", []byte("method: hypnosis\n"), &s), "mimicry")
}

func TestWhatIsWrongWithASpec(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"{method: mimicry, queries: 3}", "mimicry does not read it; it reads: effort"},
		{"{method: mimicry, effort: 1.5}", "a number from 0 to 1"},
		{"{method: mimicry, access: model}", "knows no access model; accepted: none"},
		{"{method: link_breaking, access: none}", "accepted: scores, model"},
		{"{method: chaff, techniques: [T1003.001]}", "accepted: T1595.001"},
		{"{method: chaff, rate: -1}", "a number from 0 to 3600"},
		{"{method: rhythm_search, slowdown: 0.5}", "a number from 1 to 100"},
		{"{method: link_breaking, pause: 1m}", "a number from 0.25 to 48"},
	} {
		var s Spec
		require.NoError(t, strictyaml.Decode("e.yaml", []byte(x.text), &s))
		assert.ErrorContains(t, Check([]Spec{s}, "attackers[0]").Err(), x.want, x.text)
	}
	twice := []Spec{{Method: Mimicry}, {Method: Mimicry}}
	assert.ErrorContains(t, Check(twice, "attackers[0]").Err(), "stands there twice")
}

// TestASearchFindsARhythmLikePeoples holds that tuning against the public statistics succeeds, costs
// less the more is tried, and comes to the same again.
func TestASearchFindsARhythmLikePeoples(t *testing.T) {
	s := sim.NewStreams(1, 1).Stream("attacker", "evasion")
	few, many := tuneRhythm(published, 10, 3, s), tuneRhythm(published, 500, 3, s)
	require.LessOrEqual(t, many.score, tuningTarget)
	assert.False(t, better(&few, &many), "more tries found %+v, few %+v", many, few)
	assert.Equal(t, many, tuneRhythm(published, 500, 3, s))
	steady := make([]time.Duration, callsTried)
	sizes := make([]float64, callsTried)
	for i := range steady {
		steady[i], sizes[i] = time.Duration(i)*time.Minute, 640
	}
	assert.InDelta(t, 1, published(steady, sizes), 1e-9, "an untuned implant is a clock")
}

// TestASearchThatFindsNothingTakesTheLeast is of a detector that sees whatever is tried.
func TestASearchThatFindsNothingTakesTheLeast(t *testing.T) {
	s := sim.NewStreams(1, 1).Stream("attacker", "evasion")
	n := 0.0
	found := tuneRhythm(func([]time.Duration, []float64) float64 { n++; return 1 - n/100 }, 20, 3, s)
	assert.Equal(t, 0.8, found.score)
	assert.Equal(t, 20, found.asked)
}

func TestLinksAreBrokenByTheCheapestChanges(t *testing.T) {
	onlyTools := func(c Changes) float64 {
		if c.Tools && c.Pause >= time.Hour {
			return 0.5
		}
		return 1.5
	}
	found, score, asked := breakLinks(onlyTools, 2*time.Hour, 100)
	assert.Equal(t, Changes{Pause: time.Hour, Tools: true}, found)
	assert.Equal(t, 0.5, score)
	assert.Greater(t, asked, 1)
	_, score, asked = breakLinks(onlyTools, 2*time.Hour, 3)
	assert.Equal(t, 3, asked, "no more questions than are allowed")
	assert.Equal(t, 1.5, score)
}

func TestDisguisesHoldTheOrder(t *testing.T) {
	plain, err := base64.StdEncoding.DecodeString(orderText("base64"))
	require.NoError(t, err)
	assert.Equal(t, orderText(""), string(plain))
	assert.NotEqual(t, orderText(""), orderText("letters"))
	assert.Contains(t, orderText("language"), "Anweisungen")
}

func TestFormsOfAnAnnotation(t *testing.T) {
	forms := technique.Annotation{Text: orderText(""), Where: technique.InCommands}.Forms()
	require.Len(t, forms, 2)
	for _, label := range forms[1:] {
		assert.LessOrEqual(t, len(label), 63)
		assert.Empty(t, strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-"))
		assert.False(t, strings.HasSuffix(label, "-"))
	}
	stored := technique.Annotation{Text: `a/b\c:d`, Where: technique.InFiles}.Forms()
	assert.Equal(t, []string{"a-b-c d"}, stored)
}

// TestRhythmsKeepTheirMean holds that what a rhythm costs is what it says: an interval is as long
// in the mean as Stretch makes it, less what a uniform jitter takes off.
func TestRhythmsKeepTheirMean(t *testing.T) {
	for _, shape := range technique.RhythmShapes {
		r := technique.Rhythm{Shape: shape, Jitter: 0.8, Stretch: 2}
		s := sim.NewStreams(3, 3).Stream("rhythm", string(shape))
		sum := time.Duration(0)
		const n = 20_000
		for range n {
			sum += r.Interval(time.Minute, &s)
		}
		want := 120.0
		if shape == technique.UniformRhythm {
			want *= 1 - 0.8/2
		}
		mean := (sum / n).Seconds()
		assert.InDelta(t, want, mean, 0.35*want, "%s: %v s", shape, mean)
	}
}

func TestMethodsAreFoundByName(t *testing.T) {
	assert.Nil(t, methodByName("none"))
	assert.True(t, slices.ContainsFunc(Methods, func(m Method) bool { return m.Name == Chaff }))
	assert.Equal(t, 5, TamperedDays([]Spec{{Method: Tampering, Days: 5}}))
	assert.Zero(t, TamperedDays([]Spec{{Method: Chaff}}))
}
