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
	Disrupts string   // host, zone, account or "": whose work it stops
	Metric   string   // what verify observes, or "" when there is nothing to see
	OpenC2   OpenC2   // rendering as an OpenC2 command
	// Evidence actions read a host that the actions that Destroy would wipe.
	Evidence, Destroys bool
}

// OpenC2 is the pair of action and target type of an OpenC2 command (OASIS
// OpenC2 Language Specification 1.0, sections 3.3.1 and 3.4.1).
type OpenC2 struct{ Action, Target string }

// registry lists the actions. D3FEND ids are of version 1.2; "" where it has no
// counterpart by name (it has none for a rate limit or a copy of memory, and
// D3-ITF is the nearest to a limit).
var registry = map[string]ActionKind{
	"alert_soc":              {Risk: Low, Params: []string{"severity"}, OpenC2: OpenC2{"create", "x-hemostat:notification"}},
	"rate_limit":             {Risk: Low, Params: []string{"source_ip", "rps"}, Undo: true, D3FEND: "D3-ITF", Metric: "rate_limited", OpenC2: OpenC2{"set", "ipv4_net"}},
	"block_ip":               {Risk: Medium, Params: []string{"source_ip"}, Undo: true, D3FEND: "D3-ITF", Metric: "source_silent", OpenC2: OpenC2{"deny", "ipv4_net"}},
	"block_egress":           {Risk: Medium, Params: []string{"host", "dest"}, Undo: true, D3FEND: "D3-OTF", Disrupts: "egress", Metric: "egress_silent", OpenC2: OpenC2{"deny", "ipv4_connection"}},
	"sinkhole_domain":        {Risk: Medium, Params: []string{"domain"}, Undo: true, D3FEND: "D3-DNSDL", Metric: "domain_sinkholed", OpenC2: OpenC2{"redirect", "domain_name"}},
	"deploy_honeypot":        {Risk: Medium, Params: []string{"near", "service"}, Undo: true, D3FEND: "D3-CHN", Metric: "decoys_up", OpenC2: OpenC2{"create", "x-hemostat:decoy"}},
	"deploy_decoys":          {Risk: Medium, Params: []string{"zone", "count"}, Undo: true, D3FEND: "D3-DE", Metric: "decoys_up", OpenC2: OpenC2{"create", "x-hemostat:decoy"}},
	"isolate_host":           {Risk: High, Params: []string{"host", "allow"}, Undo: true, D3FEND: "D3-NI", Disrupts: "host", Metric: "host_unreachable", OpenC2: OpenC2{"contain", "device"}},
	"zone_isolation":         {Risk: High, Params: []string{"zone", "keep"}, Undo: true, D3FEND: "D3-BDI", Disrupts: "zone", Metric: "zone_unreachable", OpenC2: OpenC2{"contain", "x-hemostat:zone"}},
	"traffic_shaping":        {Risk: Medium, Params: []string{"zone", "east_west_kbps"}, Undo: true, D3FEND: "D3-ITF", Metric: "zone_shaped", OpenC2: OpenC2{"set", "x-hemostat:zone"}},
	"snapshot_memory":        {Risk: Low, Params: []string{"host"}, Evidence: true, OpenC2: OpenC2{"copy", "device"}},
	"kill_malicious_process": {Risk: High, Params: []string{"host", "pid"}, D3FEND: "D3-PT", Metric: "process_gone", OpenC2: OpenC2{"stop", "process"}},
	"quarantine_files":       {Risk: Low, Params: []string{"host", "sha256"}, Undo: true, D3FEND: "D3-FEV", OpenC2: OpenC2{"contain", "file"}},
	"traffic_capture":        {Risk: Low, Params: []string{"host", "seconds"}, D3FEND: "D3-NTA", Evidence: true, OpenC2: OpenC2{"copy", "ipv4_connection"}},
	"revoke_credentials":     {Risk: High, Params: []string{"user"}, Undo: true, D3FEND: "D3-ANCI", Disrupts: "account", Metric: "account_refused", OpenC2: OpenC2{"deny", "x-hemostat:account"}},
	"disable_account":        {Risk: High, Params: []string{"user"}, Undo: true, D3FEND: "D3-AL", Disrupts: "account", Metric: "account_refused", OpenC2: OpenC2{"deny", "x-hemostat:account"}},
	"credential_rotation":    {Risk: Low, Params: []string{"user"}, D3FEND: "D3-CRO", OpenC2: OpenC2{"update", "x-hemostat:account"}},
	"session_termination":    {Risk: Low, Params: []string{"user"}, D3FEND: "D3-ST", Metric: "sessions_gone", OpenC2: OpenC2{"stop", "x-hemostat:session"}},
	"forensic_analysis":      {Risk: Low, Params: []string{"host"}, D3FEND: "D3-FA", Evidence: true, OpenC2: OpenC2{"investigate", "device"}},
	"remove_persistence":     {Risk: Medium, Params: []string{"host"}, D3FEND: "D3-OE", OpenC2: OpenC2{"remediate", "device"}},
	"patch_service":          {Risk: Medium, Params: []string{"host"}, D3FEND: "D3-SU", Disrupts: "host", Metric: "hole_closed", OpenC2: OpenC2{"update", "device"}},
	"release_containment":    {Risk: Medium, Params: []string{"hosts"}, D3FEND: "D3-RNA", OpenC2: OpenC2{"allow", "device"}},
	"restore_from_backup":    {Risk: High, Params: []string{"host"}, D3FEND: "D3-RDI", Disrupts: "host", Destroys: true, OpenC2: OpenC2{"restore", "device"}},
}

// Actions lists the actions' names, sorted.
func Actions() []string { return slices.Sorted(maps.Keys(registry)) }

// Kind returns what is known of an action.
func Kind(name string) (ActionKind, bool) {
	k, ok := registry[name]
	return k, ok
}
