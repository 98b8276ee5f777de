package explain_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/fusion/attribution"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/explain"
	"hemostat/scenarios/trial"
	"hemostat/sim/record"
)

func rowsOf(t *testing.T) (*scenarios.Scenario, *record.Trial) {
	s, err := scenarios.Load("ransomware", []scenarios.Setting{{Path: "background.rate", Value: "0.05"}})
	require.NoError(t, err)
	v, err := defence.Load("default", nil)
	require.NoError(t, err)
	r, err := trial.Run(s, v, 0, trial.Options{Seed: 21}, nil)
	require.NoError(t, err)
	require.NotEmpty(t, r.Incidents)
	return s, r
}

// What is told of a recorded incident rests on the rows of its campaign and on nothing else.
func TestARecordedIncidentIsExplainedFromItsRows(t *testing.T) {
	s, r := rowsOf(t)
	facts, err := attribution.Embedded()
	require.NoError(t, err)
	for _, row := range r.Incidents {
		x, err := explain.Of(r, row.Incident, s.Epoch, facts)
		require.NoError(t, err)
		threat := x.Threat
		assert.Equal(t, row.Incident, threat.Incident)
		assert.Contains(t, threat.Incidents, row.Incident)
		assert.Equal(t, row.LinkedTo, threat.LinkedTo)
		assert.Equal(t, row.Correlation, threat.CorrelationScore)
		known := map[int]bool{}
		of := map[int]*record.Alert{}
		for i := range r.Alerts {
			of[r.Alerts[i].Alert] = &r.Alerts[i]
		}
		for _, a := range threat.Alerts {
			known[a.Alert] = true
			recorded := of[a.Alert]
			require.NotNil(t, recorded)
			assert.Equal(t, recorded.RuleID, a.RuleID)
			assert.Equal(t, recorded.Host, a.Host)
			assert.Contains(t, threat.Incidents, recorded.Incident, "an alert of the campaign")
		}
		require.NotEmpty(t, threat.Narrative)
		for _, sentence := range threat.Narrative {
			for _, id := range sentence.Alerts {
				assert.True(t, known[id], "%q names alert %d, which is not of the campaign", sentence.Text, id)
			}
		}
		assert.NotNil(t, x.Graph)
	}
}

func TestIncidentsThatAreNotThere(t *testing.T) {
	s, r := rowsOf(t)
	_, err := explain.Of(r, 9999, s.Epoch, nil)
	assert.ErrorContains(t, err, "the trial has no incident 9999")
	bare := *r
	bare.Alerts = nil
	_, err = explain.Of(&bare, r.Incidents[0].Incident, s.Epoch, nil)
	assert.ErrorContains(t, err, "has no alerts")
}

// A database of an earlier version has no rows of incidents; alerts name them.
func TestOlderDatabases(t *testing.T) {
	s, r := rowsOf(t)
	old := *r
	old.Incidents = nil
	x, err := explain.Of(&old, r.Alerts[0].Incident, s.Epoch, nil)
	require.NoError(t, err)
	assert.NotEmpty(t, x.Threat.Alerts)
}
