package world

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/role"
)

// Action is a request of the defence with the number that its effects bear.
type Action struct {
	ID uint64
	action.Request
}

// Result is how an action ended.
type Result struct {
	OK      bool
	Changed bool   // the estate is different now
	Detail  string // what happened, for people
	// Accounts are what evidence on a host points to.
	Accounts []string
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

// control is what a kind of action does to the estate, and how its effect is seen.
type control struct {
	apply func(w *World, now time.Duration, a Action, e *effect) Result
	// observe tells whether what the action is for is the case now; nil where there
	// is nothing to see, and the action is taken at its word.
	observe func(w *World, a Action) bool
}

// controls are the effects of every kind of action.
var controls = registerControls(map[action.Kind]control{
	action.AlertSOC:            {apply: (*World).noEffect},
	action.RateLimit:           {(*World).rateLimit, (*World).isLimited},
	action.BlockIP:             {(*World).blockAddress, (*World).isBlocked},
	action.BlockEgress:         {(*World).blockEgress, (*World).isEgressBlocked},
	action.SinkholeDomain:      {(*World).sinkhole, (*World).isSinkholed},
	action.DeployHoneypot:      {(*World).deployHoneypot, (*World).isInForce},
	action.DeployDecoys:        {(*World).deployDecoys, (*World).isInForce},
	action.IsolateHost:         {(*World).isolateHost, (*World).isHostIsolated},
	action.IsolateZone:         {(*World).isolateZone, (*World).isZoneIsolated},
	action.ShapeTraffic:        {(*World).shapeZone, (*World).isZoneShaped},
	action.SnapshotMemory:      {apply: (*World).snapshot},
	action.KillProcess:         {(*World).killProcess, (*World).isProcessGone},
	action.QuarantineFiles:     {apply: (*World).quarantineFiles},
	action.CaptureTraffic:      {apply: (*World).noEffect},
	action.RevokeCredentials:   {(*World).revoke, (*World).isAccountRefused},
	action.DisableAccount:      {(*World).disable, (*World).isAccountRefused},
	action.RotateCredential:    {apply: (*World).rotate},
	action.TerminateSessions:   {(*World).endSessions, (*World).areSessionsGone},
	action.AnalyseForensically: {apply: (*World).analyse},
	action.RemovePersistence:   {apply: (*World).removePersistence},
	action.PatchService:        {(*World).patch, (*World).isPatched},
	action.ReleaseContainment:  {apply: (*World).release},
	action.RestoreFromBackup:   {apply: (*World).restore},
})

// registerControls checks at the program's start that the world has an effect for each
// kind of action that is declared, and an observation for each that can be verified.
func registerControls(all map[action.Kind]control) map[action.Kind]control {
	for _, kind := range action.Kinds() {
		c, ok := all[kind]
		observed := action.Must(kind).Observed != ""
		switch {
		case !ok || c.apply == nil:
			panic(fmt.Sprintf("world: action %s has no effect", kind))
		case observed != (c.observe != nil):
			panic(
				fmt.Sprintf(
					"world: action %s is declared to be observed by %q, and the world says otherwise",
					kind,
					action.Must(kind).Observed,
				),
			)
		}
	}
	if len(all) != len(action.Kinds()) {
		panic("world: an effect is registered for an action that is not declared")
	}
	return all
}

// ActionSample is what chance makes of one attempt at an action.
type ActionSample struct {
	Latency       time.Duration // until it has its effect
	Failure       bool          // it does not work, and says so
	SilentFailure bool          // it is reported done and has no effect
}

// SampleAction draws the latency and the failure of an attempt.
func SampleAction(r action.Request, s *sim.Stream) ActionSample {
	spec := action.Must(r.Kind)
	latency := sim.Fixed(spec.Latency.Median)
	if spec.Latency.Sigma > 0 {
		latency = sim.LogNormal(spec.Latency.Median, spec.Latency.Sigma)
	}
	x := ActionSample{Latency: latency.Sample(s)}
	if r.Kind == action.CaptureTraffic {
		x.Latency += captureTime(r.Seconds)
	}
	x.Failure = s.Bool(spec.Failure)
	x.SilentFailure = !x.Failure && s.Bool(spec.Silent)
	return x
}

// captureTime is how long a capture records; two minutes when the request does not say.
func captureTime(seconds float64) time.Duration {
	if seconds == 0 {
		seconds = 120
	}
	return time.Duration(seconds * float64(time.Second))
}

// Observe tells whether what an action is for is the case now: the host does not
// answer, the source is silent, the process is gone.
func (w *World) Observe(a Action) bool {
	c, ok := controls[a.Kind]
	return ok && (c.observe == nil || c.observe(w, a))
}

// Apply does what an action does, at the moment when it takes effect.
func (w *World) Apply(now time.Duration, a Action) Result {
	c, ok := controls[a.Kind]
	if !ok {
		return failed("unknown action %q", a.Kind)
	}
	if spec := action.Must(a.Kind); spec.Target == action.Host {
		h := w.Host(a.Target.Value)
		if h == nil {
			return failed("no host %q", a.Target.Value)
		}
		if spec.NeedsAgent && !h.Agent {
			return failed("the endpoint agent on %s does not answer", h.Name)
		}
	}
	e := &effect{action: a.ID, since: now}
	r := c.apply(w, now, a, e)
	if r.OK && e.undo != nil {
		w.effects[a.ID] = e
	}
	return r
}

// Undo undoes an action; false means that it left nothing to undo.
func (w *World) Undo(id uint64) bool {
	e := w.effects[id]
	if e == nil {
		return false
	}
	delete(w.effects, id)
	e.undo()
	return true
}

// host is the target of an action on a host; Apply has checked that it exists.
func (w *World) host(a Action) *Host { return w.Host(a.Target.Value) }

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
	return already("containment may be released")
}

func (w *World) rateLimit(_ time.Duration, a Action, e *effect) Result {
	source := a.Target.Value
	rate := a.Rate
	if rate == 0 {
		rate = 1
	}
	if _, limited := w.limits[source]; limited {
		return already("%s was limited before", source)
	}
	w.limits[source] = limit{time.Duration(float64(time.Second) / rate), e}
	e.undo = func() { delete(w.limits, source) }
	return done("%s is limited to %g attempts a second", source, rate)
}

func (w *World) blockAddress(_ time.Duration, a Action, e *effect) Result {
	source := a.Target.Value
	if w.addresses[source] != nil {
		return already("%s was blocked before", source)
	}
	w.addresses[source] = e
	e.undo = func() { delete(w.addresses, source) }
	return done("%s is blocked", source)
}

func (w *World) blockEgress(_ time.Duration, a Action, e *effect) Result {
	h := w.host(a)
	if h.egress != nil {
		return already("egress of %s was blocked before", h.Name)
	}
	e.target = a.Destination
	h.egress = e
	e.undo = func() { h.egress = nil }
	if e.target == "" {
		return done("%s may reach no outside address", h.Name)
	}
	return done("%s may not reach %s", h.Name, e.target)
}

func (w *World) sinkhole(_ time.Duration, a Action, e *effect) Result {
	domain := a.Target.Value
	if w.sinkholes[domain] != nil {
		return already("%s was sinkholed before", domain)
	}
	w.sinkholes[domain] = e
	e.undo = func() { delete(w.sinkholes, domain) }
	return done("%s resolves to the sinkhole", domain)
}

func (w *World) deployHoneypot(_ time.Duration, a Action, e *effect) Result {
	return w.addDecoys(w.host(a).Zone, 1, e)
}

func (w *World) deployDecoys(_ time.Duration, a Action, e *effect) Result {
	zone := w.zone(a.Target.Value)
	if zone == nil {
		return failed("no zone %q", a.Target.Value)
	}
	return w.addDecoys(zone, max(a.Count, 1), e)
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
			Role: role.Decoy, OS: neighbour.OS, Decoy: true, Ports: []Port{{"ssh", 22}, {"smb", 445}, {"rdp", 3389}, {"winrm", 5985}},
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
			h.Decoy, h.Role = false, role.RetiredDecoy
			h.isolated = e
		}
		w.byRole[role.Decoy] = slices.DeleteFunc(
			w.byRole[role.Decoy],
			func(h *Host) bool { return slices.Contains(made, h) },
		)
	}
	return done("%d decoys stand in zone %s", len(made), zone.Name)
}

func (w *World) isolateHost(_ time.Duration, a Action, e *effect) Result {
	h := w.host(a)
	if h.isolated != nil {
		return already("%s was isolated before", h.Name)
	}
	h.isolated = e
	e.undo = func() { h.isolated = nil }
	return done("%s is isolated", h.Name)
}

func (w *World) isolateZone(_ time.Duration, a Action, e *effect) Result {
	z := w.zone(a.Target.Value)
	if z == nil {
		return failed("no zone %q", a.Target.Value)
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
	z := w.zone(a.Target.Value)
	if z == nil {
		return failed("no zone %q", a.Target.Value)
	}
	if z.shaped != nil {
		return already("zone %s was shaped before", z.Name)
	}
	rate := a.Kbps
	if rate == 0 {
		rate = 1024
	}
	z.shaped, z.shapedTo = e, min(1, rate/ordinaryKbps)
	e.undo = func() { z.shaped = nil }
	return done("zone %s is shaped to %g kbit/s a conversation", z.Name, rate)
}

func (w *World) snapshot(_ time.Duration, a Action, _ *effect) Result {
	h := w.host(a)
	if !h.hasImplant() {
		return already("memory of %s saved; nothing suspicious in it", h.Name)
	}
	return already("memory of %s saved with a suspicious process in it", h.Name)
}

// killProcess ends the tree of a process. An intruder's programs on a host hang
// together, so the number of any of them leads to the implants there; without a
// number every one that the agent knows is ended.
func (w *World) killProcess(_ time.Duration, a Action, e *effect) Result {
	h := w.host(a)
	killed := 0
	for _, i := range h.Implants {
		if i.alive() && h.isInTreeOf(i, a.ProcessID) {
			i.killed = e
			killed++
		}
	}
	if killed == 0 {
		return failed("no suspicious process %s on %s", a.ProcessID, h.Name)
	}
	return done("%d suspicious process trees ended on %s", killed, h.Name)
}

func (w *World) quarantineFiles(_ time.Duration, a Action, e *effect) Result {
	h := w.host(a)
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
	who := w.account(a.Target.Value)
	if who == nil {
		return failed("no account %q", a.Target.Value)
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
	who := w.account(a.Target.Value)
	if who == nil {
		return failed("no account %q", a.Target.Value)
	}
	if who.revoked != nil {
		return already("%s was shut before", who.Name)
	}
	who.revoked = e
	e.undo = func() { who.revoked = nil }
	return done("%s is disabled; its sessions go on", who.Name)
}

func (w *World) removePersistence(_ time.Duration, a Action, e *effect) Result {
	h := w.host(a)
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
	h := w.host(a)
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

// AddPersistence makes a host start an attacker's program by itself.
func (w *World) AddPersistence(h *Host, attack int32, file string) *Autostart {
	s := &Autostart{Host: h, Attack: attack, File: file}
	h.Autostarts = append(h.Autostarts, s)
	return s
}

// CheckPersistence tells whether an autostart still works.
func (w *World) CheckPersistence(s *Autostart) Refusal {
	if s.removed != nil {
		return refusedBy("persistence_removed", s.removed)
	}
	return w.Quarantined(s.Host, s.File)
}

func (w *World) rotate(_ time.Duration, a Action, e *effect) Result {
	who := w.account(a.Target.Value)
	if who == nil {
		return failed("no account %q", a.Target.Value)
	}
	w.replaceCredential(who, e)
	return done("%s has a new password", who.Name)
}

func (w *World) replaceCredential(who *Account, e *effect) {
	who.Generation++
	w.rotations(who, e)
}

func (w *World) endSessions(_ time.Duration, a Action, e *effect) Result {
	who := w.account(a.Target.Value)
	if who == nil {
		return failed("no account %q", a.Target.Value)
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
			if i.alive() && i.Process.Account == who && !i.Elevated {
				i.killed = e
				n++
			}
		}
	}
	return n
}

func (w *World) analyse(_ time.Duration, a Action, _ *effect) Result {
	h := w.host(a)
	r := already("analysis of %s found nothing", h.Name)
	for _, i := range h.Implants {
		r.Detail = "analysis of " + h.Name + " found the intruder's traces"
		if i.Process.Account != nil {
			r.Accounts = append(r.Accounts, i.Process.Account.Name)
		}
	}
	return r
}

func (w *World) restore(_ time.Duration, a Action, e *effect) Result {
	h := w.host(a)
	for _, i := range h.Implants {
		if i.alive() {
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

// The observations.

func (w *World) isLimited(a Action) bool {
	_, limited := w.limits[a.Target.Value]
	return limited
}

func (w *World) isBlocked(a Action) bool   { return w.addresses[a.Target.Value] != nil }
func (w *World) isSinkholed(a Action) bool { return w.sinkholes[a.Target.Value] != nil }
func (w *World) isInForce(a Action) bool   { return w.effects[a.ID] != nil }

func (w *World) isEgressBlocked(a Action) bool {
	h := w.host(a)
	return h != nil && (h.egress != nil || h.isolated != nil)
}

func (w *World) isHostIsolated(a Action) bool {
	h := w.host(a)
	return h != nil && h.isolated != nil
}

func (w *World) isPatched(a Action) bool {
	h := w.host(a)
	return h != nil && h.patched != nil
}

func (w *World) isZoneIsolated(a Action) bool {
	z := w.zone(a.Target.Value)
	return z != nil && z.isolated != nil
}

func (w *World) isZoneShaped(a Action) bool {
	z := w.zone(a.Target.Value)
	return z != nil && z.shaped != nil
}

func (w *World) isProcessGone(a Action) bool {
	h := w.host(a)
	return h != nil &&
		!slices.ContainsFunc(h.Implants, func(i *Implant) bool { return i.alive() && h.isInTreeOf(i, a.ProcessID) })
}

func (w *World) isAccountRefused(a Action) bool {
	who := w.account(a.Target.Value)
	return who != nil && who.revoked != nil
}

func (w *World) areSessionsGone(a Action) bool {
	who := w.account(a.Target.Value)
	return who != nil && !slices.ContainsFunc(w.Hosts, func(h *Host) bool {
		return slices.ContainsFunc(h.Sessions, func(s *Session) bool { return s.Account == who })
	})
}

// isInTreeOf tells whether a process number points to an implant: an intruder's
// programs on a host hang together, and without a number each is meant.
func (h *Host) isInTreeOf(i *Implant, pid string) bool {
	n, err := strconv.ParseUint(pid, 0, 32)
	return err != nil || h.hostile[uint32(n)] == i.Attack
}
