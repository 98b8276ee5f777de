package world

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"hemostat/sim"
)

// Action is something that the defence does to the estate.
type Action struct {
	ID     uint64
	Kind   string
	Params map[string]string
}

// Result is what came of an action.
type Result struct {
	OK      bool
	Changed bool   // the estate is different now
	Detail  string // what happened, for people
	// Found are the accounts and addresses that evidence on a host points to.
	Found map[string][]string
}

type effect struct {
	action uint64
	since  time.Duration
	target string
	undo   func()
}

type limit struct {
	interval time.Duration
	effect   *effect
}

// actionKind says how long an action takes to have its effect, how often it
// fails by itself, and what it does. The figures are cited in
// docs/calibration.md.
type actionKind struct {
	latency    sim.Dist
	failure    float64 // share of attempts that fail and say so
	silent     float64 // share that are reported done and have no effect
	needsAgent bool    // works through the endpoint agent
	apply      func(w *World, now time.Duration, a Action, e *effect) Result
}

var actionKinds = map[string]actionKind{
	"alert_soc":              {sim.Fixed(time.Second), 0, 0, false, (*World).noEffect},
	"rate_limit":             {sim.LogNormal(3*time.Second, 0.8), 0.01, 0.005, false, (*World).rateLimit},
	"block_ip":               {sim.LogNormal(5*time.Second, 0.8), 0.01, 0.005, false, (*World).blockAddress},
	"block_egress":           {sim.LogNormal(5*time.Second, 0.8), 0.01, 0.005, false, (*World).blockEgress},
	"sinkhole_domain":        {sim.LogNormal(8*time.Second, 0.8), 0.01, 0.01, false, (*World).sinkhole},
	"deploy_honeypot":        {sim.LogNormal(40*time.Second, 0.6), 0.03, 0, false, (*World).deployHoneypot},
	"deploy_decoys":          {sim.LogNormal(60*time.Second, 0.6), 0.03, 0, false, (*World).deployDecoys},
	"isolate_host":           {sim.LogNormal(20*time.Second, 1), 0.04, 0.02, true, (*World).isolateHost},
	"zone_isolation":         {sim.LogNormal(15*time.Second, 0.8), 0.02, 0.01, false, (*World).isolateZone},
	"traffic_shaping":        {sim.LogNormal(8*time.Second, 0.8), 0.01, 0, false, (*World).shapeZone},
	"snapshot_memory":        {sim.LogNormal(4*time.Minute, 0.5), 0.05, 0, true, (*World).snapshot},
	"kill_malicious_process": {sim.LogNormal(6*time.Second, 0.8), 0.05, 0.02, true, (*World).killProcess},
	"quarantine_files":       {sim.LogNormal(10*time.Second, 0.8), 0.03, 0, true, (*World).quarantineFiles},
	"traffic_capture":        {sim.LogNormal(45*time.Second, 0.5), 0.02, 0, false, (*World).noEffect}, // beside the seconds that it records
	"revoke_credentials":     {sim.LogNormal(10*time.Second, 0.8), 0.01, 0.005, false, (*World).revoke},
	"release_containment":    {sim.Fixed(time.Second), 0, 0, false, (*World).release},
	"disable_account":        {sim.LogNormal(10*time.Second, 0.8), 0.01, 0.005, false, (*World).disable},
	"remove_persistence":     {sim.LogNormal(6*time.Minute, 0.6), 0.05, 0, true, (*World).removePersistence},
	"patch_service":          {sim.LogNormal(25*time.Minute, 0.5), 0.05, 0, false, (*World).patch},
	"credential_rotation":    {sim.LogNormal(20*time.Second, 0.8), 0.02, 0, false, (*World).rotate},
	"session_termination":    {sim.LogNormal(8*time.Second, 0.8), 0.03, 0.01, false, (*World).endSessions},
	"forensic_analysis":      {sim.LogNormal(25*time.Minute, 0.6), 0.02, 0, true, (*World).analyse},
	"restore_from_backup":    {sim.LogNormal(45*time.Minute, 0.4), 0, 0, false, (*World).restore},
}

// ActionKinds lists the actions that the world knows, sorted.
func ActionKinds() []string { return slices.Sorted(maps.Keys(actionKinds)) }

// Luck is what chance makes of one attempt at an action.
type Luck struct {
	Takes  time.Duration // until it has its effect
	Fails  bool          // it does not work, and says so
	Silent bool          // it is reported done and has no effect
}

// ActionLuck draws the luck of an attempt.
func ActionLuck(a Action, s *sim.Stream) (Luck, error) {
	k, ok := actionKinds[a.Kind]
	if !ok {
		return Luck{}, fmt.Errorf("unknown action %q", a.Kind)
	}
	l := Luck{Takes: k.latency.Sample(s)}
	if a.Kind == "traffic_capture" {
		seconds, err := strconv.ParseFloat(a.Params["seconds"], 64)
		if err != nil || seconds <= 0 {
			seconds = 120
		}
		l.Takes += time.Duration(min(seconds, 3600) * float64(time.Second))
	}
	l.Fails = s.Bool(k.failure)
	l.Silent = !l.Fails && s.Bool(k.silent)
	return l, nil
}

// Observe tells whether what an action is for is the case now: the host does not
// answer, the source is silent, the process is gone. Actions of which nothing can
// be seen are taken at their word.
func (w *World) Observe(a Action) bool {
	h, who, z := w.Host(a.Params["host"]), w.Account(a.Params["user"]), w.zone(a.Params["zone"])
	switch a.Kind {
	case "rate_limit":
		_, limited := w.limits[a.Params["source_ip"]]
		return limited
	case "block_ip":
		return w.addresses[a.Params["source_ip"]] != nil
	case "block_egress":
		return h != nil && (h.egress != nil || h.isolated != nil)
	case "sinkhole_domain":
		return w.sinkholes[a.Params["domain"]] != nil
	case "isolate_host":
		return h != nil && h.isolated != nil
	case "zone_isolation":
		return z != nil && z.isolated != nil
	case "traffic_shaping":
		return z != nil && z.shaped != nil
	case "kill_malicious_process":
		return h != nil && !slices.ContainsFunc(h.Implants, func(i *Implant) bool { return i.Alive() && h.meant(i, a.Params["pid"]) })
	case "revoke_credentials", "disable_account":
		return who != nil && who.revoked != nil
	case "session_termination":
		return who != nil && !slices.ContainsFunc(w.Hosts, func(h *Host) bool {
			return slices.ContainsFunc(h.Sessions, func(s *Session) bool { return s.Account == who })
		})
	case "patch_service":
		return h != nil && h.patched != nil
	case "deploy_honeypot", "deploy_decoys":
		return w.effects[a.ID] != nil
	}
	return true
}

// meant tells whether a process number points to an implant: an intruder's programs
// on a host hang together, and without a number each is meant.
func (h *Host) meant(i *Implant, pid string) bool {
	n, err := strconv.ParseUint(pid, 0, 32)
	return err != nil || h.hostile[uint32(n)] == i.Attack
}

// Apply does what an action does, at the moment when it takes effect.
func (w *World) Apply(now time.Duration, a Action) Result {
	k, ok := actionKinds[a.Kind]
	if !ok {
		return Result{Detail: fmt.Sprintf("unknown action %q", a.Kind)}
	}
	if k.needsAgent {
		h := w.Host(a.Params["host"])
		if h == nil {
			return Result{Detail: fmt.Sprintf("no host %q", a.Params["host"])}
		}
		if !h.Agent {
			return Result{Detail: "the endpoint agent on " + h.Name + " does not answer"}
		}
	}
	e := &effect{action: a.ID, since: now}
	r := k.apply(w, now, a, e)
	if r.OK && e.undo != nil {
		w.effects[a.ID] = e
	}
	return r
}

// Undo takes an action back; false means that it left nothing to undo.
func (w *World) Undo(action uint64) bool {
	e := w.effects[action]
	if e == nil {
		return false
	}
	delete(w.effects, action)
	e.undo()
	return true
}

// Active counts the actions whose effects still hold.
func (w *World) Active() int { return len(w.effects) }

func done(format string, args ...any) Result {
	return Result{OK: true, Changed: true, Detail: fmt.Sprintf(format, args...)}
}

func already(format string, args ...any) Result {
	return Result{OK: true, Detail: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) Result {
	return Result{Detail: fmt.Sprintf(format, args...)}
}

func (w *World) noEffect(_ time.Duration, a Action, _ *effect) Result {
	return already("%s done", a.Kind)
}

// release only says that what was done may be taken back; the response does that.
func (w *World) release(_ time.Duration, a Action, _ *effect) Result {
	if a.Params["hosts"] == "" {
		return failed("nothing to release is named")
	}
	return already("containment may be released")
}

func (w *World) rateLimit(_ time.Duration, a Action, e *effect) Result {
	source := a.Params["source_ip"]
	rate, err := strconv.ParseFloat(a.Params["rps"], 64)
	if err != nil || rate <= 0 {
		rate = 1
	}
	if source == "" {
		return failed("no source address given")
	}
	if _, limited := w.limits[source]; limited {
		return already("%s was limited before", source)
	}
	w.limits[source] = limit{time.Duration(float64(time.Second) / rate), e}
	e.undo = func() { delete(w.limits, source) }
	return done("%s is limited to %g attempts a second", source, rate)
}

func (w *World) blockAddress(_ time.Duration, a Action, e *effect) Result {
	source := a.Params["source_ip"]
	if source == "" {
		return failed("no source address given")
	}
	if w.addresses[source] != nil {
		return already("%s was blocked before", source)
	}
	w.addresses[source] = e
	e.undo = func() { delete(w.addresses, source) }
	return done("%s is blocked", source)
}

func (w *World) blockEgress(_ time.Duration, a Action, e *effect) Result {
	h := w.Host(a.Params["host"])
	if h == nil {
		return failed("no host %q", a.Params["host"])
	}
	if h.egress != nil {
		return already("egress of %s was blocked before", h.Name)
	}
	e.target = a.Params["dest"]
	h.egress = e
	e.undo = func() { h.egress = nil }
	if e.target == "" {
		return done("%s may reach no outside address", h.Name)
	}
	return done("%s may not reach %s", h.Name, e.target)
}

func (w *World) sinkhole(_ time.Duration, a Action, e *effect) Result {
	domain := a.Params["domain"]
	if domain == "" {
		return failed("no domain given")
	}
	if w.sinkholes[domain] != nil {
		return already("%s was sinkholed before", domain)
	}
	w.sinkholes[domain] = e
	e.undo = func() { delete(w.sinkholes, domain) }
	return done("%s resolves to the sinkhole", domain)
}

func (w *World) deployHoneypot(_ time.Duration, a Action, e *effect) Result {
	near := w.Host(a.Params["near"])
	if near == nil {
		return failed("no host %q to stand near", a.Params["near"])
	}
	return w.addDecoys(near.Zone, 1, e)
}

func (w *World) deployDecoys(_ time.Duration, a Action, e *effect) Result {
	zone := w.zone(a.Params["zone"])
	if zone == nil {
		return failed("no zone %q", a.Params["zone"])
	}
	count, err := strconv.Atoi(a.Params["count"])
	if err != nil || count < 1 {
		count = 1
	}
	return w.addDecoys(zone, min(count, 5), e)
}

// addDecoys puts hosts into a zone that only an intruder would use. They answer
// on the ports of their neighbours and report every touch.
func (w *World) addDecoys(zone *Zone, count int, e *effect) Result {
	neighbour := w.Hosts[slices.IndexFunc(w.Hosts, func(h *Host) bool { return h.Zone == zone })]
	var made []*Host
	for range count {
		address := w.spare[zone]
		if !zone.Prefix.Contains(address) {
			break
		}
		w.spare[zone] = address.Next()
		h := &Host{
			Name: fmt.Sprintf("SRV%03d", len(w.Hosts)+100), IP: address.String(), Zone: zone,
			Role: "decoy", OS: neighbour.OS, Decoy: true, Ports: []Port{{"ssh", 22}, {"smb", 445}, {"rdp", 3389}, {"winrm", 5985}},
			honeypot: e,
		}
		h.sensors = neighbour.sensors
		for _, other := range w.Hosts {
			if s := other.sensors[decoyChannel]; s != nil {
				h.sensors[decoyChannel] = s
				break
			}
		}
		w.addHost(h)
		made = append(made, h)
	}
	if len(made) == 0 {
		return failed("no spare address in zone %s", zone.Name)
	}
	e.undo = func() {
		for _, h := range made {
			h.Decoy, h.Role = false, "retired_decoy"
			h.isolated = e
		}
		w.byRole["decoy"] = slices.DeleteFunc(w.byRole["decoy"], func(h *Host) bool { return slices.Contains(made, h) })
	}
	return done("%d decoys stand in zone %s", len(made), zone.Name)
}

func (w *World) isolateHost(_ time.Duration, a Action, e *effect) Result {
	h := w.Host(a.Params["host"])
	if h.isolated != nil {
		return already("%s was isolated before", h.Name)
	}
	h.isolated = e
	e.undo = func() { h.isolated = nil }
	return done("%s is isolated", h.Name)
}

func (w *World) isolateZone(_ time.Duration, a Action, e *effect) Result {
	z := w.zone(a.Params["zone"])
	if z == nil {
		return failed("no zone %q", a.Params["zone"])
	}
	if z.isolated != nil {
		return already("zone %s was isolated before", z.Name)
	}
	z.isolated = e
	e.undo = func() { z.isolated = nil }
	return done("zone %s is cut off from the others", z.Name)
}

// ordinaryKbps is the east-west rate that one conversation usually gets; shaping
// is relative to it.
const ordinaryKbps = 10_000

func (w *World) shapeZone(_ time.Duration, a Action, e *effect) Result {
	z := w.zone(a.Params["zone"])
	if z == nil {
		return failed("no zone %q", a.Params["zone"])
	}
	if z.shaped != nil {
		return already("zone %s was shaped before", z.Name)
	}
	rate, err := strconv.ParseFloat(a.Params["east_west_kbps"], 64)
	if err != nil || rate <= 0 {
		rate = 1024
	}
	z.shaped, z.shapedTo = e, min(1, rate/ordinaryKbps)
	e.undo = func() { z.shaped = nil }
	return done("zone %s is shaped to %g kbit/s a conversation", z.Name, rate)
}

func (w *World) snapshot(_ time.Duration, a Action, _ *effect) Result {
	h := w.Host(a.Params["host"])
	if !h.HasImplant() {
		return already("memory of %s saved; nothing suspicious in it", h.Name)
	}
	return already("memory of %s saved with a suspicious process in it", h.Name)
}

// killProcess ends the tree of a process. An intruder's programs on a host hang
// together, so the number of any of them leads to his implants there; without a
// number every one that the agent knows is ended.
func (w *World) killProcess(_ time.Duration, a Action, e *effect) Result {
	h := w.Host(a.Params["host"])
	killed := 0
	for _, i := range h.Implants {
		if i.Alive() && h.meant(i, a.Params["pid"]) {
			i.killed = e
			killed++
		}
	}
	if killed == 0 {
		return failed("no suspicious process %s on %s", a.Params["pid"], h.Name)
	}
	return done("%d suspicious process trees ended on %s", killed, h.Name)
}

func (w *World) quarantineFiles(_ time.Duration, a Action, e *effect) Result {
	h := w.Host(a.Params["host"])
	var paths []string
	for _, i := range h.Implants {
		for _, path := range i.Files {
			key := fileKey{h.Name, path}
			if w.quarantine[key] == nil {
				w.quarantine[key] = e
				paths = append(paths, path)
			}
		}
	}
	if len(paths) == 0 {
		return already("nothing to quarantine on %s", h.Name)
	}
	e.undo = func() {
		for _, path := range paths {
			delete(w.quarantine, fileKey{h.Name, path})
		}
	}
	return done("%d files quarantined on %s", len(paths), h.Name)
}

// Quarantined tells whether a file of a host was taken away.
func (w *World) Quarantined(h *Host, path string) Refusal {
	if e := w.quarantine[fileKey{h.Name, path}]; e != nil {
		return refusedBy("file_quarantined", e)
	}
	return Refusal{}
}

func (w *World) revoke(_ time.Duration, a Action, e *effect) Result {
	who := w.Account(a.Params["user"])
	if who == nil {
		return failed("no account %q", a.Params["user"])
	}
	if who.revoked != nil {
		return already("%s was revoked before", who.Name)
	}
	who.revoked = e
	w.logOffEverywhere(who, e)
	e.undo = func() {
		who.revoked = nil
		w.replaceCredential(who, e)
	}
	return done("%s can log on nowhere", who.Name)
}

// disable shuts an account without ending what it is logged on to.
func (w *World) disable(_ time.Duration, a Action, e *effect) Result {
	who := w.Account(a.Params["user"])
	if who == nil {
		return failed("no account %q", a.Params["user"])
	}
	if who.revoked != nil {
		return already("%s was shut before", who.Name)
	}
	who.revoked = e
	e.undo = func() { who.revoked = nil }
	return done("%s is disabled; its sessions go on", who.Name)
}

func (w *World) removePersistence(_ time.Duration, a Action, e *effect) Result {
	h := w.Host(a.Params["host"])
	n := 0
	for _, s := range h.Autostarts {
		if s.removed == nil {
			s.removed = e
			n++
		}
	}
	if n == 0 {
		return already("nothing starts by itself on %s that should not", h.Name)
	}
	return done("%d hostile autostarts removed from %s", n, h.Name)
}

func (w *World) patch(_ time.Duration, a Action, e *effect) Result {
	h := w.Host(a.Params["host"])
	if h == nil {
		return failed("no host %q", a.Params["host"])
	}
	if len(h.Vulnerabilities) == 0 || h.patched != nil {
		return already("%s has no hole that is known", h.Name)
	}
	h.patched = e
	return done("%s is patched", h.Name)
}

// Patched is the refusal of an exploit on a host that was patched meanwhile.
func (w *World) Patched(h *Host) Refusal {
	if h.patched != nil {
		return refusedBy("patched", h.patched)
	}
	return Refusal{}
}

// Autostart is a hostile program that a host starts by itself.
type Autostart struct {
	Host    *Host
	Attack  int32
	File    string // "" in the cloud
	removed *effect
}

// Settle makes a host start an attacker's program by itself.
func (w *World) Settle(h *Host, attack int32, file string) *Autostart {
	s := &Autostart{Host: h, Attack: attack, File: file}
	h.Autostarts = append(h.Autostarts, s)
	return s
}

// Starts tells whether an autostart still works.
func (w *World) Starts(s *Autostart) Refusal {
	if s.removed != nil {
		return refusedBy("persistence_removed", s.removed)
	}
	return w.Quarantined(s.Host, s.File)
}

func (w *World) rotate(_ time.Duration, a Action, e *effect) Result {
	who := w.Account(a.Params["user"])
	if who == nil {
		return failed("no account %q", a.Params["user"])
	}
	w.replaceCredential(who, e)
	return done("%s has a new password", who.Name)
}

func (w *World) replaceCredential(who *Account, e *effect) {
	who.Generation++
	w.rotations(who, e)
}

func (w *World) endSessions(_ time.Duration, a Action, e *effect) Result {
	who := w.Account(a.Params["user"])
	if who == nil {
		return failed("no account %q", a.Params["user"])
	}
	n := w.logOffEverywhere(who, e)
	if n == 0 {
		return already("%s had no session", who.Name)
	}
	return done("%d sessions of %s ended", n, who.Name)
}

// logOffEverywhere ends an account's sessions and the implants that run in them.
func (w *World) logOffEverywhere(who *Account, e *effect) int {
	n := 0
	for _, h := range w.Hosts {
		h.Sessions = slices.DeleteFunc(h.Sessions, func(s *Session) bool {
			if s.Account != who {
				return false
			}
			s.Ended, s.cause = true, e
			n++
			return true
		})
		for _, i := range h.Implants {
			if i.Alive() && i.Process.Account == who && !i.Elevated {
				i.killed = e
				n++
			}
		}
	}
	return n
}

func (w *World) analyse(_ time.Duration, a Action, _ *effect) Result {
	h := w.Host(a.Params["host"])
	r := already("analysis of %s found nothing", h.Name)
	for _, i := range h.Implants {
		r.Detail = "analysis of " + h.Name + " found the intruder's traces"
		if i.Process.Account != nil {
			r.Found = map[string][]string{"account": append(r.Found["account"], i.Process.Account.Name)}
		}
	}
	return r
}

func (w *World) restore(_ time.Duration, a Action, e *effect) Result {
	h := w.Host(a.Params["host"])
	if h == nil {
		return failed("no host %q", a.Params["host"])
	}
	for _, i := range h.Implants {
		if i.Alive() {
			i.killed = e
		}
	}
	for _, s := range h.Autostarts {
		if s.removed == nil {
			s.removed = e
		}
	}
	h.Implants, h.Autostarts, h.Encrypted, h.Agent = nil, nil, false, true
	return done("%s is rebuilt from its image", h.Name)
}
