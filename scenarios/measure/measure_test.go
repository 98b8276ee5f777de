package measure

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/fusion/correlation"
	"hemostat/scenarios"
	"hemostat/sim/record"
)

// trialWith is a day of 100 hours of ordinary work with one attacker who got half way.
func trialWith() (*record.Trial, facts) {
	r := &record.Trial{
		Attacks: []record.Attack{{Attack: 1, Progress: 0.5}},
		Actions: []record.Action{
			{Action: 1, Kind: "isolate_host"},                                  // on a host of the attacker
			{Action: 2, Kind: "isolate_host", OnBenign: true},                  // on an innocent one
			{Action: 3, Kind: "zone_isolation"},                                // charged in full
			{Action: 4, Kind: "restore_from_backup"},                           // with rework
			{Action: 5, Kind: "restore_from_backup", Status: "failed"},         // that did not take effect
			{Action: 6, Kind: "alert_soc"},                                     // changes nothing
			{Action: 7, Kind: "traffic_shaping", OnBenign: false, Attempts: 1}, // charged in full
		},
	}
	f := facts{work: 100, dataGoal: 2, exposure: 0.1, idle: 3, analysts: 4, exfiltrated: []int64{500_000_000},
		lost:    map[int64]float64{1: 5, 2: 7, 3: 11, 7: 1},
		applied: map[int64]bool{1: true, 2: true, 3: true, 4: true, 7: true}}
	return r, f
}

func TestTheCostsOfATrialTermByTerm(t *testing.T) {
	r, f := trialWith()
	f.fillCosts(r)
	require.InDelta(t, 100+100+50, r.Stake, 1e-9, "work, objective, data")
	require.EqualValues(t, 500_000_000, r.BytesLost)
	require.InDelta(t, 0.6*0.5*100+0.25*0.5*100+0.1*100+3, r.Harm, 1e-9, "half of the way, a quarter of the data, a tenth of the estate, idle hosts")
	require.InDelta(t, 0.2*5+7+11+0.2*3+1, r.Disruption, 1e-9)
	require.InDelta(t, 5*0.05+4*1.5, r.Operations, 1e-9)
	require.InDelta(t, 3, r.Actions[3].Realised, 1e-9)
	require.Zero(t, r.Actions[4].Realised, "a restoration that did not take effect costs no rework")
	require.InDelta(t, 100*(1-(55.5+20.6+6.25)/250), r.Score, 0.05)
}

func TestWeightsScaleTheirTerm(t *testing.T) {
	two := 2.0
	base, f := trialWith()
	f.fillCosts(base)
	for name, c := range map[string]struct {
		weights scenarios.CostWeights
		term    func(*record.Trial) float64
		add     float64
	}{
		"objective":  {scenarios.CostWeights{Objective: &two}, func(r *record.Trial) float64 { return r.Harm }, 30},
		"data":       {scenarios.CostWeights{Data: &two}, func(r *record.Trial) float64 { return r.Harm }, 37.5},
		"compromise": {scenarios.CostWeights{Compromise: &two}, func(r *record.Trial) float64 { return r.Harm }, 10},
		"contained":  {scenarios.CostWeights{Contained: &two}, func(r *record.Trial) float64 { return r.Disruption }, 1.8 * (5 + 3)},
		"rework":     {scenarios.CostWeights{Rework: &two}, func(r *record.Trial) float64 { return r.Disruption }, -0.2},
		"action":     {scenarios.CostWeights{Action: &two}, func(r *record.Trial) float64 { return r.Operations }, 5 * 1.95},
		"analyst":    {scenarios.CostWeights{Analyst: &two}, func(r *record.Trial) float64 { return r.Operations }, 4 * 0.5},
	} {
		r, f := trialWith()
		f.weights = c.weights
		f.fillCosts(r)
		require.InDelta(t, c.term(base)+c.add, c.term(r), 1e-9, name)
	}
}

func TestAReachedObjectiveIsChargedInFullAndTheScoreIsBounded(t *testing.T) {
	r, f := trialWith()
	at := int64(5)
	r.Attacks[0].ObjectiveReached = &at
	f.exfiltrated[0] = 1e12
	f.fillCosts(r)
	require.InDelta(t, 100+50+10+3, r.Harm, 1e-9, "more data than the goal asks for counts once")
	f.idle = 1e6
	worst := &record.Trial{}
	f.fillCosts(worst)
	require.Zero(t, worst.Score)
	calm := &record.Trial{}
	(&facts{work: 100}).fillCosts(calm)
	require.Equal(t, 100.0, calm.Score)
	require.Equal(t, 200.0, calm.Stake)
}

func TestCoherenceIsToldFromRows(t *testing.T) {
	sec := func(s int64) int64 { return s * int64(time.Second) }
	r := &record.Trial{
		Alerts: []record.Alert{
			{Incident: 1, Severity: "high", Time: sec(10)}, {Incident: 1, Severity: "critical", Time: sec(100)}, // acted on after 3 s
			{Incident: 2, Severity: "high", Time: sec(10)},                                                  // acted on after 6 s
			{Incident: 3, Severity: "high", Time: sec(10)},                                                  // never
			{Incident: 4, Severity: "low", Time: sec(10)},                                                   // nobody need act
			{Incident: 5, Severity: "low", Time: sec(10)}, {Incident: 5, Severity: "medium", Time: sec(50)}, // acted on 4 s after the last
			{Incident: 6, Severity: "high", Time: sec(30)}, // acted on before it
		},
		Approvals: []record.Approval{{Incident: 1, Asked: sec(13)}, {Incident: 1, Asked: sec(200)}, {Incident: 2, Asked: sec(16)}},
		Actions:   []record.Action{{Action: 7, Incident: 5}, {Action: 8, Incident: 6}, {Action: 9, Incident: 3, Status: "failed"}},
	}
	applied := map[int64]time.Duration{7: 54 * time.Second, 8: 20 * time.Second}
	require.InDelta(t, 2.0/4, coherence(r, applied, 6), 1e-9, "incidents 1 and 5 of 1, 2, 3 and 5")
	require.Zero(t, coherence(&record.Trial{}, nil, 0))
	exactly := &record.Trial{Alerts: []record.Alert{{Incident: 1, Severity: "high"}}, Approvals: []record.Approval{{Incident: 1, Asked: sec(5)}}}
	require.Zero(t, coherence(exactly, nil, 1), "five seconds are not under five seconds")
}

func TestSeveritiesFromRows(t *testing.T) {
	require.True(t, isSerious("high"))
	require.True(t, isSerious("critical"))
	require.False(t, isSerious("medium"))
	require.False(t, isSerious("hgh"))
}

func TestJoinsAreHeldAgainstTheAttacks(t *testing.T) {
	of := func(merged map[int]int, alerts ...record.Alert) *record.Trial {
		r := &record.Trial{Alerts: alerts}
		(&Day{Merged: merged}).joins(r)
		return r
	}
	alert := func(incident, attack int) record.Alert { return record.Alert{Incident: incident, Attack: attack} }
	perfect := of(map[int]int{3: 1}, alert(1, 1), alert(3, 1), alert(2, 2), alert(2, 2), alert(4, 0))
	require.Equal(t, []float64{1, 1, 1}, []float64{perfect.JoinPrecision, perfect.JoinRecall, perfect.JoinRand}, "merged incidents are one")
	require.Equal(t, 2, perfect.JoinPairs)
	split := of(nil, alert(1, 1), alert(3, 1), alert(2, 2), alert(2, 2))
	require.Equal(t, 0.5, split.JoinRecall)
	require.Equal(t, 1.0, split.JoinPrecision)
	mixed := of(nil, alert(1, 1), alert(1, 1), alert(1, 2), alert(1, 0), alert(1, 0))
	require.InDelta(t, 1.0/9, mixed.JoinPrecision, 1e-12, "of ten pairs one is of two false alarms, and one is right")
	require.Equal(t, 1.0, mixed.JoinRecall)
	require.InDelta(t, 0, mixed.JoinRand, 1e-12, "everything in one says nothing")
	r := &record.Trial{Alerts: []record.Alert{alert(2, 1), alert(5, 1), alert(7, 1), alert(9, 0)}}
	(&Day{Merged: map[int]int{5: 7}, Links: map[int]correlation.Link{7: {Incident: 7, Earlier: 2}}}).joins(r)
	require.Equal(t, 1.0, r.JoinRecall, "incidents that follow each other are one campaign")
	require.Equal(t, []int{2, 2, 2, 9}, []int{r.Alerts[0].Campaign, r.Alerts[1].Campaign, r.Alerts[2].Campaign, r.Alerts[3].Campaign})
	none := of(nil, alert(1, 0), alert(0, 1))
	require.Equal(t, []float64{1, 1}, []float64{none.JoinPrecision, none.JoinRecall})
}

// TestAMetricThatNobodyFillsStopsTheProgram holds that for a column without a part, with two, and for
// a part without a column.
func TestAMetricThatNobodyFillsStopsTheProgram(t *testing.T) {
	require.NoError(t, checkParts(parts, record.TrialColumns))
	more := append(slices.Clone(record.TrialColumns), record.Column{Name: "new_metric"})
	require.ErrorContains(t, checkParts(parts, more), "no part fills the column new_metric")
	twice := append(slices.Clone(parts), part{columns: "score"})
	require.ErrorContains(t, checkParts(twice, record.TrialColumns), "2 parts fill the column score")
	stray := append(slices.Clone(parts), part{columns: "spelled_wrong"})
	require.ErrorContains(t, checkParts(stray, record.TrialColumns), "spelled_wrong, which is no column")
}
