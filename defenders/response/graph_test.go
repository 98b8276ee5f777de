package response

import (
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/incident"
	"hemostat/sim/action"
	"hemostat/sim/severity"
)

const cutBook = `version: 1.0.0
trigger: {any: [T1110], min_severity: low}
steps:
  - {id: hosts, action: isolate_host, risk: high, hotl: {required: true, timeout: 5m, on_timeout: deny}, for_each: "${graph.cut}", with: {host: "${item}"}, ttl: 1h}
  - {id: accounts, action: disable_account, risk: high, hotl: {required: true, timeout: 5m, on_timeout: deny}, for_each: "${graph.cut}", with: {user: "${item}"}, ttl: 1h}
  - {id: addresses, action: block_ip, risk: medium, for_each: "${graph.cut}", with: {source_ip: "${item}"}, ttl: 1h}
  - {id: decoys, action: deploy_honeypot, risk: medium, for_each: "${graph.next}", with: {near: "${item}"}, ttl: 1h}
`

// Each step takes of the cut what it can be done to; the graph is drawn once a run, and only
// when a playbook asks.
func TestTargetsComeFromTheAttackGraph(t *testing.T) {
	drawn := 0
	w := &world{active: map[int64]bool{}, atOnce: true}
	e := custom(t, Options{
		Playbooks: []*Playbook{book(t, cutBook)}, Policy: Policy{Approval: "none"}, Actuator: w, Approver: w,
		Graph: func(id int) GraphTargets {
			drawn++
			require.Equal(t, 7, id)
			return GraphTargets{Cut: map[action.TargetKind][]string{action.Host: {"WS1", "WS2"},
				action.Account: {"adm"}}, Next: []string{"DC1"}}
		},
	})
	w.engine = e.Engine
	a := bruteForce()
	a.Severity = severity.High
	e.Alert(0, &incident.Incident{ID: 7, Score: 0.9}, a)
	var did []string
	for _, s := range w.started {
		did = append(did, string(s.Kind)+" "+s.Target.Value)
	}
	require.Equal(t, []string{"isolate_host WS1", "isolate_host WS2", "disable_account adm", "deploy_honeypot DC1"}, did)
	require.Equal(t, 1, drawn)
	for _, entry := range e.Audit {
		if entry.Step == "addresses" {
			require.NotEqual(t, "action_started", entry.What, "nothing to block is in the cut")
		}
	}
}

func TestTheCutIsNoInput(t *testing.T) {
	_, err := Parse("p.yaml", []byte("schema: hemostat.playbook/v1\nid: p\nversion: 1.0.0\ntrigger: {any: [T1110]}\n"+
		"inputs: {x: {type: 'host[]', from: graph.cut}}\nsteps:\n  - {id: a, action: alert_soc, with: {severity: high}}\n"), decode)
	require.ErrorContains(t, err, "graph.cut_hosts")
}
