package response

import (
	"maps"
	"slices"
)

// Risk says how much harm a needless action does.
type Risk string

// The risks in ascending order.
const (
	Low    Risk = "low"
	Medium Risk = "medium"
	High   Risk = "high"
)

func (r Risk) rank() int { return slices.Index([]Risk{Low, Medium, High}, r) }

// ActionKind is what the engine knows of an action without knowing the world.
type ActionKind struct {
	Risk     Risk
	Params   []string // accepted, the one that names the target first
	Undo     bool     // whether it can be taken back
	D3FEND   string   // counterpart in MITRE D3FEND, or ""
	Disrupts string   // host, zone or "": whose work it stops
}

// registry lists the actions. D3FEND ids are of version 1.2.
var registry = map[string]ActionKind{
	"alert_soc":              {Low, []string{"severity"}, false, "", ""},
	"rate_limit":             {Low, []string{"source_ip", "rps"}, true, "D3-ITF", ""},
	"block_ip":               {Medium, []string{"source_ip"}, true, "D3-ITF", ""},
	"block_egress":           {Medium, []string{"host", "dest"}, true, "D3-OTF", ""},
	"sinkhole_domain":        {Medium, []string{"domain"}, true, "D3-DNSDL", ""},
	"deploy_honeypot":        {Medium, []string{"near", "service"}, true, "D3-CHN", ""},
	"deploy_decoys":          {Medium, []string{"zone", "count"}, true, "D3-DE", ""},
	"isolate_host":           {High, []string{"host", "allow"}, true, "D3-NI", "host"},
	"zone_isolation":         {High, []string{"zone", "keep"}, true, "D3-BDI", "zone"},
	"traffic_shaping":        {Medium, []string{"zone", "east_west_kbps"}, true, "D3-ITF", ""},
	"snapshot_memory":        {Low, []string{"host"}, false, "", ""},
	"kill_malicious_process": {High, []string{"host", "pid"}, false, "D3-PT", ""},
	"quarantine_files":       {Low, []string{"host", "sha256"}, true, "D3-FEV", ""},
	"traffic_capture":        {Low, []string{"host", "seconds"}, false, "D3-NTA", ""},
	"revoke_credentials":     {High, []string{"user"}, true, "D3-ANCI", ""},
	"credential_rotation":    {Low, []string{"user"}, false, "D3-CRO", ""},
	"session_termination":    {Low, []string{"user"}, false, "D3-ST", ""},
	"forensic_analysis":      {Low, []string{"host"}, false, "D3-FA", ""},
	"restore_host":           {High, []string{"host"}, false, "D3-RS", "host"},
}

// Actions lists the actions' names, sorted.
func Actions() []string { return slices.Sorted(maps.Keys(registry)) }

// Kind returns what is known of an action.
func Kind(name string) (ActionKind, bool) {
	k, ok := registry[name]
	return k, ok
}
