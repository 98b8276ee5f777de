package action

import (
	"fmt"
	"slices"
	"time"
)

// The kinds of action.
const (
	AlertSOC            Kind = "alert_soc"
	RateLimit           Kind = "rate_limit"
	BlockIP             Kind = "block_ip"
	BlockEgress         Kind = "block_egress"
	SinkholeDomain      Kind = "sinkhole_domain"
	DeployHoneypot      Kind = "deploy_honeypot"
	DeployDecoys        Kind = "deploy_decoys"
	IsolateHost         Kind = "isolate_host"
	IsolateZone         Kind = "zone_isolation"
	ShapeTraffic        Kind = "traffic_shaping"
	SnapshotMemory      Kind = "snapshot_memory"
	KillProcess         Kind = "kill_malicious_process"
	QuarantineFiles     Kind = "quarantine_files"
	CaptureTraffic      Kind = "traffic_capture"
	RevokeCredentials   Kind = "revoke_credentials"
	DisableAccount      Kind = "disable_account"
	RotateCredential    Kind = "credential_rotation"
	TerminateSessions   Kind = "session_termination"
	AnalyseForensically Kind = "forensic_analysis"
	RemovePersistence   Kind = "remove_persistence"
	PatchService        Kind = "patch_service"
	ReleaseContainment  Kind = "release_containment"
	RestoreFromBackup   Kind = "restore_from_backup"
)

// specs declares every kind. Latencies and failure rates are cited in
// docs/calibration.md. D3FEND has no counterpart by name for a rate limit or a copy of
// memory; D3-ITF is the nearest to a limit.
var specs = []Spec{
	{Kind: AlertSOC, Target: NoTarget, Risk: Low, Justified: Always,
		Params:  []Param{target("severity")},
		Latency: Latency{Median: time.Second},
		OpenC2:  OpenC2{"create", "x-hemostat:notification"}},
	{Kind: RateLimit, Target: Address, Risk: Low, Undo: true, Observed: "rate_limited",
		Params:  []Param{target("source_ip"), positive("rps", 1e6, func(r *Request) *float64 { return &r.Rate })},
		Latency: Latency{3 * time.Second, 0.8}, Failure: 0.01, Silent: 0.005,
		D3FEND: "D3-ITF", OpenC2: OpenC2{"set", "ipv4_net"}},
	{Kind: BlockIP, Target: Address, Risk: Medium, Undo: true, Observed: "source_silent",
		Params:  []Param{target("source_ip")},
		Latency: Latency{5 * time.Second, 0.8}, Failure: 0.01, Silent: 0.005,
		D3FEND: "D3-ITF", OpenC2: OpenC2{"deny", "ipv4_net"}},
	{Kind: BlockEgress, Target: Host, Risk: Medium, Disrupts: EgressTraffic, Undo: true, Observed: "egress_silent",
		Params:  []Param{target("host"), text("dest", func(r *Request) *string { return &r.Destination })},
		Latency: Latency{5 * time.Second, 0.8}, Failure: 0.01, Silent: 0.005,
		D3FEND: "D3-OTF", OpenC2: OpenC2{"deny", "ipv4_connection"}},
	{Kind: SinkholeDomain, Target: Domain, Risk: Medium, Undo: true, Observed: "domain_sinkholed",
		Params:  []Param{target("domain")},
		Latency: Latency{8 * time.Second, 0.8}, Failure: 0.01, Silent: 0.01,
		D3FEND: "D3-DNSDL", OpenC2: OpenC2{"redirect", "domain_name"}},
	{Kind: DeployHoneypot, Target: Host, Risk: Medium, Undo: true, Observed: "decoys_up", Justified: IfExists,
		Params:  []Param{target("near"), text("service", func(r *Request) *string { return &r.Service })},
		Latency: Latency{40 * time.Second, 0.6}, Failure: 0.03,
		D3FEND: "D3-CHN", OpenC2: OpenC2{"create", "x-hemostat:decoy"}},
	{Kind: DeployDecoys, Target: Zone, Risk: Medium, Undo: true, Observed: "decoys_up",
		Params:  []Param{target("zone"), count("count", 5)},
		Latency: Latency{60 * time.Second, 0.6}, Failure: 0.03,
		D3FEND: "D3-DE", OpenC2: OpenC2{"create", "x-hemostat:decoy"}},
	{Kind: IsolateHost, Target: Host, Risk: High, Disrupts: HostWork, Undo: true, Observed: "host_unreachable",
		Params:  []Param{target("host"), list("allow", func(r *Request) *[]string { return &r.Allow })},
		Latency: Latency{20 * time.Second, 1}, Failure: 0.04, Silent: 0.02, NeedsAgent: true,
		D3FEND: "D3-NI", OpenC2: OpenC2{"contain", "device"}},
	{Kind: IsolateZone, Target: Zone, Risk: High, Disrupts: ZoneTraffic, Undo: true, Observed: "zone_unreachable", ChargedInFull: true,
		Params:  []Param{target("zone"), list("keep", func(r *Request) *[]string { return &r.Keep })},
		Latency: Latency{15 * time.Second, 0.8}, Failure: 0.02, Silent: 0.01,
		D3FEND: "D3-BDI", OpenC2: OpenC2{"contain", "x-hemostat:zone"}},
	{Kind: ShapeTraffic, Target: Zone, Risk: Medium, Undo: true, Observed: "zone_shaped", ChargedInFull: true,
		Params:  []Param{target("zone"), positive("east_west_kbps", 1e9, func(r *Request) *float64 { return &r.Kbps })},
		Latency: Latency{8 * time.Second, 0.8}, Failure: 0.01,
		D3FEND: "D3-ITF", OpenC2: OpenC2{"set", "x-hemostat:zone"}},
	{Kind: SnapshotMemory, Target: Host, Risk: Low, Evidence: true,
		Params:  []Param{target("host")},
		Latency: Latency{4 * time.Minute, 0.5}, Failure: 0.05, NeedsAgent: true,
		OpenC2: OpenC2{"copy", "device"}},
	{Kind: KillProcess, Target: Host, Risk: High, Observed: "process_gone",
		Params:  []Param{target("host"), process("pid", func(r *Request) *string { return &r.ProcessID })},
		Latency: Latency{6 * time.Second, 0.8}, Failure: 0.05, Silent: 0.02, NeedsAgent: true,
		D3FEND: "D3-PT", OpenC2: OpenC2{"stop", "process"}},
	{Kind: QuarantineFiles, Target: Host, Risk: Low, Undo: true,
		Params:  []Param{target("host"), text("sha256", func(r *Request) *string { return &r.FileHash })},
		Latency: Latency{10 * time.Second, 0.8}, Failure: 0.03, NeedsAgent: true,
		D3FEND: "D3-FEV", OpenC2: OpenC2{"contain", "file"}},
	{Kind: CaptureTraffic, Target: Host, Risk: Low, Evidence: true,
		Params:  []Param{target("host"), positive("seconds", 3600, func(r *Request) *float64 { return &r.Seconds })},
		Latency: Latency{45 * time.Second, 0.5}, Failure: 0.02, // beside the seconds that it records
		D3FEND: "D3-NTA", OpenC2: OpenC2{"copy", "ipv4_connection"}},
	{Kind: RevokeCredentials, Target: Account, Risk: High, Disrupts: AccountWork, Undo: true, Observed: "account_refused",
		Params:  []Param{target("user")},
		Latency: Latency{10 * time.Second, 0.8}, Failure: 0.01, Silent: 0.005,
		D3FEND: "D3-ANCI", OpenC2: OpenC2{"deny", "x-hemostat:account"}},
	{Kind: DisableAccount, Target: Account, Risk: High, Disrupts: AccountWork, Undo: true, Observed: "account_refused",
		Params:  []Param{target("user")},
		Latency: Latency{10 * time.Second, 0.8}, Failure: 0.01, Silent: 0.005,
		D3FEND: "D3-AL", OpenC2: OpenC2{"deny", "x-hemostat:account"}},
	{Kind: RotateCredential, Target: Account, Risk: Low,
		Params:  []Param{target("user")},
		Latency: Latency{20 * time.Second, 0.8}, Failure: 0.02,
		D3FEND: "D3-CRO", OpenC2: OpenC2{"update", "x-hemostat:account"}},
	{Kind: TerminateSessions, Target: Account, Risk: Low, Observed: "sessions_gone",
		Params:  []Param{target("user")},
		Latency: Latency{8 * time.Second, 0.8}, Failure: 0.03, Silent: 0.01,
		D3FEND: "D3-ST", OpenC2: OpenC2{"stop", "x-hemostat:session"}},
	{Kind: AnalyseForensically, Target: Host, Risk: Low, Evidence: true,
		Params:  []Param{target("host")},
		Latency: Latency{25 * time.Minute, 0.6}, Failure: 0.02, NeedsAgent: true,
		D3FEND: "D3-FA", OpenC2: OpenC2{"investigate", "device"}},
	{Kind: RemovePersistence, Target: Host, Risk: Medium,
		Params:  []Param{target("host")},
		Latency: Latency{6 * time.Minute, 0.6}, Failure: 0.05, NeedsAgent: true,
		D3FEND: "D3-OE", OpenC2: OpenC2{"remediate", "device"}},
	{Kind: PatchService, Target: Host, Risk: Medium, Disrupts: HostWork, Observed: "vulnerability_patched",
		Params:  []Param{target("host")},
		Latency: Latency{25 * time.Minute, 0.5}, Failure: 0.05,
		D3FEND: "D3-SU", OpenC2: OpenC2{"update", "device"}},
	{Kind: ReleaseContainment, Target: Hosts, Risk: Medium, Justified: IfClean,
		Params:  []Param{target("hosts")},
		Latency: Latency{Median: time.Second},
		D3FEND:  "D3-RNA", OpenC2: OpenC2{"allow", "device"}},
	{Kind: RestoreFromBackup, Target: Host, Risk: High, Disrupts: HostWork, Destroys: true, Rework: true,
		Params:  []Param{target("host")},
		Latency: Latency{45 * time.Minute, 0.4},
		D3FEND:  "D3-RDI", OpenC2: OpenC2{"restore", "device"}},
}

func count(name string, greatest int) Param {
	return Param{name, func(r *Request, v string) error {
		var n int
		if _, err := fmt.Sscanf(v, "%d", &n); err != nil || n < 1 || fmt.Sprint(n) != v {
			return fmt.Errorf("a whole number of 1 or more is expected, not %q", v)
		}
		r.Count = min(n, greatest)
		return nil
	}, func(r *Request) string { return number(float64(r.Count)) }}
}

// byKind finds specs; a kind that is declared twice, or lacks a part, stops the
// program at its start.
var byKind = func() map[Kind]*Spec {
	index := map[Kind]*Spec{}
	for i := range specs {
		s := &specs[i]
		switch {
		case index[s.Kind] != nil:
			panic(fmt.Sprintf("action: %s is declared twice", s.Kind))
		case s.Risk.Rank() < 0 || len(s.Params) == 0 || s.OpenC2 == (OpenC2{}) || s.Latency.Median <= 0:
			panic(fmt.Sprintf("action: %s lacks a risk, a parameter for its target, an OpenC2 counterpart or a latency", s.Kind))
		case s.Disrupts != NoDisruption && !slices.ContainsFunc(ReleaseOrder, func(c []Disruption) bool { return slices.Contains(c, s.Disrupts) }):
			panic(fmt.Sprintf("action: %s disrupts %q, which restoration never releases", s.Kind, s.Disrupts))
		}
		index[s.Kind] = s
	}
	return index
}()

// Find returns the declaration of a kind.
func Find(k Kind) (*Spec, bool) {
	s, ok := byKind[k]
	return s, ok
}

// Must returns the declaration of a kind that has passed the loader.
func Must(k Kind) *Spec {
	s := byKind[k]
	if s == nil {
		panic(fmt.Sprintf("action: unknown kind %q", k))
	}
	return s
}

// Kinds lists the kinds, sorted.
func Kinds() []Kind {
	var all []Kind
	for i := range specs {
		all = append(all, specs[i].Kind)
	}
	slices.Sort(all)
	return all
}
