package technique

import (
	"fmt"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
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
			r, played := a.playFurther(f)
			if !r.OK() {
				return blocked(r)
			}
			switch {
			case played:
			case a.Tool == "vssadmin":
				a.start(f, world.Vssadmin, `vssadmin.exe delete shadows /all /quiet`)
			case a.Tool == "wmic":
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
		Telemetry: []string{"linux/auditd", "zeek/conn"}, Achieves: "mine", Tools: []string{"xmrig", "renamed xmrig"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.98,
		ready: needLinux, run: mine,
	},
	{
		ID: "T1485", Name: "Data Destruction", Tactic: "impact", Effect: "the files of a host are gone for good", Achieves: "destroy", Takes: sim.LogNormal(4*time.Minute, 0.7), Success: 0.97,
		script: &script{at: anywhere, then: destroy, variants: []variant{
			by("cipher", either(cmd(world.Cipher, `cipher.exe /w:C:`), sh(world.DD, "dd if=/dev/zero of=/var/lib/mysql/ibdata1 bs=1M")), either(cmd(sdelete, `sdelete64.exe -accepteula -z c:`), sh(world.RM, "rm -rf --no-preserve-root /var/lib"))),
			by("overwrite", either(cmd(world.Fsutil, `fsutil.exe file setZeroData offset=0 length=9999999999 C:\Data\customers.mdf`), sh(world.Shred, "shred -u /var/lib/mysql/ibdata1"))),
		}},
	},
	{
		ID: "T1561.002", Name: "Disk Wipe: Disk Structure Wipe", Tactic: "impact", Effect: "the host does not start again", Achieves: "destroy", Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.96,
		script: &script{at: onElevated, then: destroy, variants: []variant{
			by("raw disk", cmd(world.Dropped(`C:\Windows\Temp\disksvc.exe`, &plain), `disksvc.exe \\.\PhysicalDrive0`), rawWrite, driver(`C:\Windows\System32\drivers\epmntdrv.sys`)),
			by("diskpart", cmd(world.InSystem32("diskpart.exe", "diskpart.exe", "DiskPart"), `diskpart.exe /s C:\Windows\Temp\d.txt`)),
		}},
	},
	{
		ID: "T1489", Name: "Service Stop", Tactic: "impact", Effect: "databases and backups stand still", Takes: quick, Success: 0.98,
		script: &script{at: onElevated, variants: []variant{
			by("net stop", cmd(world.Net, `net stop MSSQLSERVER /y`), cmd(world.Net, `net stop "Acronis VSS Provider" /y`), cmd(world.Taskkill, `taskkill.exe /f /im sqlservr.exe`)),
			by("Stop-Service", powershell(`Get-Service | Where-Object {$_.Name -like "*sql*"} | Stop-Service -Force`), cmd(world.Sc, `sc.exe config MSSQLSERVER start= disabled`)),
		}},
	},
	{
		ID: "T1529", Name: "System Shutdown/Reboot", Tactic: "impact", Effect: "the host is down", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("at once", either(cmd(world.Shutdown, `shutdown.exe /r /f /t 0`), sh(world.UnixProgram("/sbin/reboot"), "reboot -f"))),
			by("logoff", either(cmd(world.Shutdown, `shutdown.exe /l`), sh(world.Systemctl, "systemctl reboot"))),
		}},
	},
	{
		ID: "T1531", Name: "Account Access Removal", Tactic: "impact", Effect: "people are locked out", Takes: quick, Success: 0.95,
		script: &script{at: anywhere, variants: []variant{
			by("net user", either(cmd(world.Net, `net user {user} N3wP@ss!`), sh(world.UnixProgram("/usr/sbin/userdel"), "userdel -r deploy")), either(cmd(world.Net, `net user {user} /delete`), sh(world.Pkill, "pkill -KILL -u deploy")), log("Security 4726", "TargetUserName", "{user}", "TargetDomainName", "{netbios}")),
			by("group membership", either(powershell(`Remove-ADGroupMember -Identity "Domain Users" -Members {user} -Confirm:$false`), sh(world.UnixProgram("/usr/sbin/groupdel"), "groupdel admins"))),
		}},
	},
	{
		ID: "T1491.001", Name: "Defacement: Internal Defacement", Tactic: "impact", Effect: "everybody sees the attacker's message", Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("wallpaper", cmd(world.Reg, `reg add "HKCU\Control Panel\Desktop" /v Wallpaper /t REG_SZ /d C:\Users\Public\w.bmp /f`)),
			by("logon message", registry(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\legalnoticetext`, `Your files are ours.`)),
		}},
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
		if r := a.createFile(a.Now+time.Duration(i)*time.Second, a.Process, name+".locked"); !r.OK() {
			return blocked(r)
		}
		w.DeleteFile(a.Now+time.Duration(i)*time.Second, a.Actor, a.Process, name)
	}
	a.createFile(a.Now+7*time.Second, a.Process, `C:\Users\Public\Desktop\RECOVER-FILES.txt`)
	if r := w.CheckImplant(a.worker(f)); !r.OK() {
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
		return h.Windows() && h != f.Host && !h.Encrypted && h.Role != role.DomainController && a.credentialFor(h) != nil &&
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
	if !slices.Contains(a.Mining, f.Host) {
		a.Mining = append(a.Mining, f.Host)
	}
	return success("%s mines", f.Host.Name)
}

// destroy counts a host whose data or disk is gone.
func destroy(a *Attempt, f *Foothold) string {
	f.Host.Encrypted = true
	if !slices.Contains(a.Destroyed, f.Host) {
		a.Destroyed = append(a.Destroyed, f.Host)
	}
	return f.Host.Name + " is destroyed"
}

// rawWrite opens the disk itself (Sysmon 9).
var rawWrite = move{"windows/sysmon 9", func(a *Attempt, f *Foothold) world.Refusal {
	p := a.last(f)
	a.World.Log(a.Now, a.Actor, p, "Sysmon 9", "Device", `\Device\Harddisk0\DR0`)
	return world.Refusal{}
}}
