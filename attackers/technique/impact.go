package technique

import (
	"fmt"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var impact = []*Technique{
	{
		ID: "T1490", Name: "Inhibit System Recovery", Tactic: "impact", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "shadow copies are gone",
		Telemetry: []string{"windows/sysmon 1", "windows/security 4688"}, Tools: []string{"vssadmin", "wmic", "bcdedit and wbadmin"}, Takes: sim.LogNormal(40*time.Second, 0.7), Success: 0.98,
		ready: needElevated, run: func(a *Attempt) Progress {
			f := a.Where(true, true)
			if f == nil {
				return failure("%s", errNotElevated)
			}
			switch a.Tool {
			case "vssadmin":
				a.start(f, world.Vssadmin, `vssadmin.exe delete shadows /all /quiet`)
			case "wmic":
				a.start(f, world.Wmic, `wmic.exe shadowcopy delete`)
			default:
				a.start(f, world.Bcdedit, `bcdedit.exe /set {default} recoveryenabled no`)
				a.start(f, world.Wbadmin, `wbadmin.exe delete catalog -quiet`)
			}
			return success("recovery is disabled on %s", f.Host.Name)
		},
	},
	{
		ID: "T1486", Name: "Data Encrypted for Impact", Tactic: "impact", Platforms: []string{"windows"},
		Needs: "an elevated foothold, and credentials that administer further hosts", Effect: "hosts are encrypted, one after another",
		Telemetry: []string{"windows/sysmon 1 11 23", "windows/security 4624 5145 4697", "windows/system 7045", "zeek"}, Achieves: "encrypt", Tools: []string{"fast locker", "slow locker"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.99,
		ready: needElevated, run: encrypt,
	},
	{
		ID: "T1496", Name: "Resource Hijacking", Tactic: "impact", Platforms: []string{"linux"},
		Needs: "a session on Linux", Effect: "the host computes for the attacker",
		Telemetry: []string{"linux/auditd", "zeek/conn"}, Tools: []string{"xmrig", "renamed xmrig"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.98,
		ready: needLinux, run: mine,
	},
}

// encrypt takes one host a round. How long a host takes follows the measured
// spread of lockers (Splunk SURGe 2022: median 43 minutes for 54 GB, fastest 4).
func encrypt(a *Attempt) Progress {
	w := a.World
	f := a.Where(true, true)
	if f == nil {
		return failure("%s", errNotElevated)
	}
	if a.Target == nil {
		if a.Round == 0 {
			speed := a.Rand.For("speed")
			median := 4 * time.Minute
			if a.Tool == "slow locker" {
				median = 14 * time.Minute
			}
			a.Bytes = uint64(speed.LogNormal(float64(median), 0.6)) // time a host takes
		}
		a.Target = a.nextToEncrypt(f)
		if a.Target == nil {
			if a.Count == 0 {
				return failure("no further host can be reached to encrypt")
			}
			return success("%d hosts encrypted", a.Count)
		}
		if a.Target != f.Host {
			if p, done := a.spread(f, a.Target); done {
				return p
			}
		}
		locker := world.Dropped(`C:\Users\Public\lock.exe`, &a.Rand)
		p := w.StartProcess(a.Now+5*time.Second, a.Actor, world.Start{Host: a.Target, Binary: locker, CommandLine: `C:\Users\Public\lock.exe -all`, Integrity: "System"})
		a.Process = p
	}
	for i := range 6 {
		name := fmt.Sprintf(`C:\Users\Public\Documents\file%02d.docx`, a.Round*6%90+i)
		if r := w.CreateFile(a.Now+time.Duration(i)*time.Second, a.Actor, a.Process, name+".locked"); !r.OK() {
			return blocked(r)
		}
		w.DeleteFile(a.Now+time.Duration(i)*time.Second, a.Actor, a.Process, name)
	}
	w.CreateFile(a.Now+7*time.Second, a.Actor, a.Process, `C:\Users\Public\Desktop\RECOVER-FILES.txt`)
	if r := w.Works(a.worker(f)); !r.OK() {
		return blocked(r)
	}
	a.Count++
	a.Target.Encrypted = true
	a.Encrypted = append(a.Encrypted, a.Target)
	a.Target = nil
	return again(time.Duration(a.Bytes))
}

func (a *Attempt) worker(f *Foothold) *world.Implant {
	if f.Implant != nil {
		return f.Implant
	}
	return &world.Implant{Host: f.Host}
}

// nextToEncrypt is the foothold's own host last, so that the work can go on.
func (a *Attempt) nextToEncrypt(f *Foothold) *world.Host {
	fits := func(h *world.Host) bool {
		return h.Windows() && h != f.Host && !h.Encrypted && h.Role != "domain_controller" && a.credentialFor(h) != nil &&
			a.World.Permitted(world.At(f.Host), world.At(h), 445).OK()
	}
	if h := a.pick(&a.Rand, fits); h != nil {
		return h
	}
	if !f.Host.Encrypted {
		return f.Host
	}
	return nil
}

// spread carries the locker to a host; done tells that the round ends here.
func (a *Attempt) spread(f *Foothold, h *world.Host) (Progress, bool) {
	w := a.World
	if r := w.Reach(world.At(f.Host), world.At(h), 445); !r.OK() {
		w.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(h), Port: 445, Service: "smb", Sent: 60, State: "S0"})
		a.Avoid[h.Name] = true
		a.Target = nil
		if own := w.Reach(world.At(f.Host), a.C2(), 443); own.ByDefence() || len(a.Avoid) > 25 {
			return blocked(r), true
		}
		return again(20 * time.Second), true
	}
	if h.Decoy {
		w.TouchDecoy(a.Now, a.Actor, world.At(f.Host), h, "5000")
		a.Avoid[h.Name] = true
		a.Target = nil
		return again(2 * time.Minute), true
	}
	c := a.credentialFor(h)
	if _, r := w.LogOn(a.Now, a.Actor, world.Logon{From: world.At(f.Host), To: h, Account: c.Account, Type: world.LogonNetwork, NTLM: c.Hash, Generation: c.Generation}); !r.OK() {
		c.Refused = true
		a.Target = nil
		if !slices.ContainsFunc(a.Credentials, func(c Credential) bool { return !c.Refused }) {
			return blocked(r), true
		}
		return again(time.Minute), true
	}
	w.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(h), Port: 445, Service: "smb", Sent: 2e6, Received: 50e3, Duration: 10 * time.Second})
	w.AccessShareFile(a.Now+time.Second, a.Actor, world.At(f.Host), h, c.Account, `\\*\ADMIN$`, `Temp\lock.exe`, true)
	w.InstallService(a.Now+2*time.Second, a.Actor, h, c.Account, "lockersvc", `C:\Users\Public\lock.exe -all`)
	a.Hostile.MarkHost(h.Name)
	return Progress{}, false
}

func mine(a *Attempt) Progress {
	f := a.Where(false, false)
	if f == nil {
		return failure("%s", errNoLinux)
	}
	name, line := "/tmp/xmrig", "/tmp/xmrig -o stratum+tcp://pool.minexmr.example:4444 -u 4A --donate-level=1"
	if a.Tool == "renamed xmrig" {
		name, line = "/tmp/kworker", "/tmp/kworker -c /tmp/.c"
	}
	a.start(f, &world.Binary{Path: name}, line)
	to := world.Endpoint{Address: "192.0.77.44", Domain: "pool.minexmr.example"}
	a.World.Resolve(a.Now, a.Actor, f.Host, nil, to.Domain, "A", to.Address)
	if r := a.World.Reach(world.At(f.Host), to, 443); !r.OK() {
		return blocked(r)
	}
	a.World.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "", Sent: 40e3, Received: 60e3, Duration: time.Hour})
	return success("%s mines", f.Host.Name)
}
