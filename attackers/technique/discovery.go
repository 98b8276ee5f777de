package technique

import (
	"fmt"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var discovery = []*Technique{
	{
		ID: "T1082", Name: "System Information Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "the host is known", Telemetry: []string{"windows/sysmon 1", "linux/auditd"},
		Tools: []string{"systeminfo", "wmic", "registry read"}, Takes: sim.LogNormal(30*time.Second, 0.8), Success: 0.99,
		ready: needFoothold, run: func(a *Attempt) Progress {
			f := a.Current()
			if f == nil {
				return failure("%s", errNoFoothold)
			}
			switch {
			case !f.Host.Windows():
				a.start(f, world.Uname, "uname -a")
				a.start(f, world.Cat, "cat /etc/passwd")
				a.start(f, world.Id, "id")
			case a.Tool == "systeminfo":
				a.start(f, world.Cmd, `cmd.exe /c systeminfo & whoami /all & ipconfig /all`)
				a.start(f, world.Whoami, "whoami /all")
			case a.Tool == "wmic":
				a.start(f, world.Wmic, `wmic.exe logicaldisk get caption,description,drivetype,providername,volumename`)
			default:
				a.start(f, world.Reg, `reg query "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion" /v ProductName`)
			}
			return success("looked around on %s", f.Host.Name)
		},
	},
	{
		ID: "T1018", Name: "Remote System Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "hosts of the domain or of the neighbourhood are known", Telemetry: []string{"windows/sysmon 1 3", "windows/powershell 4104", "zeek/conn"},
		Tools: []string{"adfind", "nltest and net", "Get-ADComputer", "ldap query"}, Takes: sim.LogNormal(3*time.Minute, 0.9), Success: 0.96,
		ready: needFoothold, run: findHosts,
	},
	{
		ID: "T1046", Name: "Network Service Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "hosts that answer are known", Telemetry: []string{"zeek/conn"},
		Tools: []string{"fast sweep", "slow sweep"}, Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.97,
		ready: needFoothold, run: sweep,
	},
	{
		ID: "T1087.002", Name: "Account Discovery: Domain Account", Tactic: "discovery", Platforms: []string{"windows"},
		Needs: "a foothold on Windows", Effect: "the administrators' names are known", Telemetry: []string{"windows/sysmon 1", "windows/powershell 4104"},
		Tools: []string{"net group", "Get-ADUser", "ldap query"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.97,
		ready: needWindows, run: findAccounts,
	},
	{
		ID: "T1083", Name: "File and Directory Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "where the data lies is known", Telemetry: []string{"windows/sysmon 1", "windows/security 5140 5145", "linux/auditd"},
		Tools: []string{"dir /s", "explorer"}, Takes: sim.LogNormal(5*time.Minute, 0.9), Success: 0.98,
		ready: needFoothold, run: func(a *Attempt) Progress {
			f := a.Current()
			if f == nil {
				return failure("%s", errNoFoothold)
			}
			if !f.Host.Windows() {
				a.start(f, world.Find, "find / -name *.sql -o -name *.key")
				return success("searched %s", f.Host.Name)
			}
			if a.Tool == "dir /s" {
				a.start(f, world.Cmd, `cmd.exe /c dir /s /b C:\Users\*.xlsx C:\Users\*.pdf C:\Users\*.kdbx > C:\Users\Public\l.txt`)
			}
			for _, d := range a.World.Data {
				a.learn(d.Host)
				if a.World.Reach(world.At(f.Host), world.At(d.Host), 445).OK() && f.Account != nil && a.Tool == "dir /s" {
					a.World.OpenShare(a.Now+5*time.Second, a.Actor, world.At(f.Host), d.Host, f.Account, `\\*\`+d.Name)
				}
			}
			return success("found %d data stores", len(a.World.Data))
		},
	},
	{
		ID: "T1007", Name: "System Service Discovery", Tactic: "discovery", Effect: "the services of the host are known", Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("net start", cmd(world.Net, `net start`), cmd(world.Sc, `sc query`), cmd(world.Tasklist, `tasklist.exe /svc`)),
			by("wmic", cmd(world.Wmic, `wmic service where "caption like '%sql server (%'"`)),
		}},
	},
	{
		ID: "T1012", Name: "Query Registry", Tactic: "discovery", Effect: "settings of the host are known", Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("reg query", cmd(world.Reg, `reg query "HKLM\Software\Microsoft\Windows\CurrentVersion\Run"`), cmd(world.Reg, `reg query "HKLM\SYSTEM\CurrentControlSet\Services"`)),
			by("one value", cmd(world.Reg, `reg query "HKLM\SOFTWARE\Microsoft\Cryptography" /v MachineGuid`)),
		}},
	},
	{
		ID: "T1016", Name: "System Network Configuration Discovery", Tactic: "discovery", Effect: "the host's network is known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("many commands", either(cmd(world.Ipconfig, `ipconfig /all`), sh(world.IfConfig, "ifconfig -a")), either(cmd(world.Netsh, `netsh advfirewall firewall show rule name=all`), sh(world.Cat, "cat /etc/resolv.conf")), connect("api.ipify.org", 443, "ssl", 600, 900), either(cmd(world.Arp, "arp -a"), sh(world.UnixProgram("/usr/sbin/arp"), "arp -a"))),
			by("one command", either(cmd(world.Nslookup, `nslookup -querytype=ALL -timeout=10 _ldap._tcp.dc._msdcs.{domain}`), sh(world.UnixProgram("/sbin/ip"), "ip addr"))),
		}},
	},
	{
		ID: "T1033", Name: "System Owner/User Discovery", Tactic: "discovery", Effect: "who works here is known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("whoami", either(cmd(world.Whoami, `whoami /all`), sh(world.UnixProgram("/usr/bin/whoami"), "whoami")), either(cmd(world.Quser, "quser"), sh(world.W, "w"))),
			by("query user", either(cmd(world.Cmd, `cmd.exe /c query user`), sh(world.UnixProgram("/usr/bin/who"), "who"))),
		}},
	},
	{
		ID: "T1049", Name: "System Network Connections Discovery", Tactic: "discovery", Effect: "who talks to this host is known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("netstat", either(cmd(world.Netstat, "netstat -ano"), sh(world.UnixProgram("/bin/netstat"), "netstat -antp")), either(cmd(world.Net, "net sessions"), sh(world.SS, "ss -tap"))),
			by("Get-NetTCPConnection", either(powershell(`Get-NetTCPConnection -State Established`), sh(world.Cat, "cat /proc/net/tcp"))),
		}},
	},
	{
		ID: "T1057", Name: "Process Discovery", Tactic: "discovery", Effect: "what runs on the host is known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("tasklist", either(cmd(world.Tasklist, "tasklist.exe /v"), sh(world.Ps, "ps aux")), either(cmd(world.Cmd, `cmd.exe /c tasklist | findstr lsass`), sh(world.Ps, "ps -ef"))),
			by("Get-Process", either(powershell(`Get-Process -IncludeUserName`), sh(world.UnixProgram("/usr/bin/top"), "top -b -n 1"))),
		}},
	},
	{
		ID: "T1069.001", Name: "Permission Groups Discovery: Local Groups", Tactic: "discovery", Effect: "the host's administrators are known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("SharpHound", either(cmd(sharpHound, `SharpHound.exe --CollectionMethods LocalGroup,Session --Loop --Loopduration 00:10:00`), sh(world.Cat, "cat /etc/group"))),
			by("net localgroup", either(cmd(world.Net, `net localgroup administrators`), sh(world.Cat, "cat /etc/group"))),
			by("wmi", either(powershell(`Get-LocalGroupMember -Group Administrators; Get-WmiObject Win32_Group`), sh(world.UnixProgram("/usr/bin/groups"), "groups"))),
		}},
	},
	{
		ID: "T1069.002", Name: "Permission Groups Discovery: Domain Groups", Tactic: "discovery", Effect: "the domain's groups are known", Takes: quick, Success: 0.98,
		script: &script{at: onDomain, variants: []variant{
			by("SharpHound", cmd(sharpHound, `SharpHound.exe -CollectionMethod All`), file(`C:\Users\Public\20260303_BloodHound.zip`)),
			by("adfind", cmd(adFind, `AdFind.exe -f (objectcategory=group)`)),
			by("net group", cmd(world.Net, `net group "Domain Admins" /domain`), cmd(world.Net, `net group "Enterprise Admins" /domain`)),
			by("ADSI", block(`([adsisearcher]'(objectCategory=group)').FindAll()`)),
		}},
	},
	{
		ID: "T1087.001", Name: "Account Discovery: Local Account", Tactic: "discovery", Effect: "the host's accounts are known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("net user", either(cmd(world.Net, `net localgroup administrators /domain`), sh(world.Getent, "getent passwd")), either(cmd(world.Net, `net user`), sh(world.Cat, "cat /etc/passwd")), either(cmd(world.Wmic, `wmic useraccount get name,sid`), sh(world.UnixProgram("/usr/bin/lastlog"), "lastlog"))),
			by("Get-LocalUser", either(powershell(`Get-LocalUser | Select-Object Name,Enabled`), sh(world.Getent, "getent passwd"))),
		}},
	},
	{
		ID: "T1124", Name: "System Time Discovery", Tactic: "discovery", Effect: "the victims' hours are known", Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("net time", cmd(world.Net, `net time \\{dc}`), cmd(world.W32tm, `w32tm /tz`), cmd(world.W32tm, `w32tm.exe /stripchart /computer:localhost /period:5 /dataonly /samples:2`)),
			by("Get-Date", powershell(`Get-Date; Get-TimeZone`)),
		}},
	},
	{
		ID: "T1135", Name: "Network Share Discovery", Tactic: "discovery", Effect: "shares of the estate are known", Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.97,
		script: &script{at: onDomain, then: knowSome(0.1), variants: []variant{
			by("Advanced IP Scanner", cmd(ipScanner, `advanced_ip_scanner.exe /portable "C:\\Users\\Public\\" /lng en_us`)),
			by("net view", cmd(world.Net, `net view /all /domain`), cmd(world.Net, `net share`)),
			by("Invoke-ShareFinder", block(`Invoke-ShareFinder -CheckShareAccess -Verbose`)),
			by("Get-SmbShare", block(`Get-SmbShare`)),
		}},
	},
	{
		ID: "T1201", Name: "Password Policy Discovery", Tactic: "discovery", Effect: "how often one may guess is known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("net accounts", samPolicy, either(cmd(world.Net, `net accounts /domain`), sh(world.Cat, "cat /etc/pam.d/common-password"))),
			by("Get-ADDefaultDomainPasswordPolicy", either(powershell(`Get-ADDefaultDomainPasswordPolicy`), sh(world.UnixProgram("/usr/bin/chage"), "chage -l root"))),
		}},
	},
	{
		ID: "T1482", Name: "Domain Trust Discovery", Tactic: "discovery", Effect: "neighbouring domains are known", Takes: quick, Success: 0.98,
		script: &script{at: onDomain, variants: []variant{
			by("adfind", cmd(adFind, `AdFind.exe -f (objectClass=trustedDomain)`)),
			by("nltest", cmd(world.Nltest, `nltest.exe /domain_trusts /all_trusts`)),
			by("dsquery", cmd(world.Dsquery, `dsquery.exe * -filter "(objectClass=trustedDomain)" -attr *`)),
		}},
	},
	{
		ID: "T1518.001", Name: "Software Discovery: Security Software Discovery", Tactic: "discovery", Effect: "the defence on the host is known", Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("wmic", either(cmd(world.Wmic, `wmic /Node:localhost /Namespace:\\root\SecurityCenter2 Path AntiVirusProduct Get displayName`), sh(world.Grep, "grep -E falcon|osquery|auditd /proc/1/comm"))),
			by("process list", either(cmd(world.Findstr, `findstr.exe /i cylance`), sh(world.Ps, "ps -ef"))),
		}},
	},
	{
		ID: "T1615", Name: "Group Policy Discovery", Tactic: "discovery", Effect: "the domain's policies are known", Takes: quick, Success: 0.98,
		script: &script{at: onDomain, variants: []variant{
			by("gpresult", cmd(world.Gpresult, `gpresult.exe /z`)),
			by("Get-DomainGPO", block(`Get-DomainGPO | Select-Object displayname,gpcfilesyspath`)),
		}},
	},
}

func findHosts(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	if !f.Host.Windows() {
		a.start(f, world.Cat, "cat /etc/hosts /root/.ssh/known_hosts")
		a.learnSome(0.15, func(h *world.Host) bool {
			return a.World.Permitted(world.At(f.Host), world.At(h), 22).OK() && sshServer(h)
		})
		return success("%d hosts known", len(a.Known))
	}
	dc, refused := a.directory(f)
	if dc == nil {
		return refused
	}
	r, played := a.playFurther(f)
	if !r.OK() {
		return blocked(r)
	}
	switch {
	case played:
	case a.Tool == "nltest and net":
		a.start(f, world.Nltest, "nltest /dclist:"+a.World.Domain)
		a.start(f, world.Net, `net view /domain:`+a.World.NetBIOS)
		a.start(f, world.Net, `net group "domain computers" /domain`)
	case a.Tool == "adfind":
		a.start(f, adFind, `AdFind.exe -default -sc computers_active -csv`)
	case a.Tool == "Get-ADComputer":
		a.start(f, world.PowerShell, `powershell.exe -c "Get-ADComputer -Filter * -Properties *"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, a.last(f), "Get-ADComputer -Filter * -Properties * | Select Name,OperatingSystem")
	}
	var p *world.Process
	if f.Implant != nil {
		p = f.Implant.Process
	}
	a.World.Flow(a.Now+2*time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(dc), Port: 389, Service: "ldap", Process: p, Sent: 4e3, Received: 600e3, Duration: 4 * time.Second})
	a.learn(dc)
	a.learnSome(1, (*world.Host).Windows)
	return success("%d hosts known", len(a.Known))
}

// directory is the domain controller that a foothold can ask over LDAP; without
// one it is nil and the progress says why.
func (a *Attempt) directory(f *Foothold) (*world.Host, Progress) {
	dc := a.World.DomainController(f.Host)
	if dc == nil {
		return nil, failure("no domain controller answers")
	}
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 389); !r.OK() {
		return nil, blocked(r)
	}
	return dc, Progress{}
}

// learnSome makes a share of the hosts that fit known, drawn per host.
func (a *Attempt) learnSome(share float64, fits func(*world.Host) bool) {
	for _, h := range a.World.Hosts {
		if (fits(h) || h.Decoy) && a.Rand.Bool(share) {
			a.learn(h)
		}
	}
}

func sweep(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	gap := 30 * time.Millisecond
	if a.Tool == "slow sweep" {
		gap = 3 * time.Second
	}
	port := 445
	if !f.Host.Windows() {
		port = 22
		a.start(f, world.Nmap, "nmap -Pn -p 22 --open "+f.Host.Zone.Prefix.String())
	} else if a.Tool == "fast sweep" && a.Round == 0 {
		a.start(f, netScan, `netscan.exe /hide /auto:C:\Users\Public\scan.xml /range:`+f.Host.Zone.Prefix.String())
	}
	at := a.Now
	found := 0
	for range 60 {
		h := sim.Pick(&a.Rand, a.World.Hosts)
		at += gap
		if !a.World.Permitted(world.At(f.Host), world.At(h), port).OK() {
			continue
		}
		r := a.World.Reach(world.At(f.Host), world.At(h), port)
		state := "S0"
		if r.OK() {
			state = "RSTO"
			if !slices.Contains(a.Known, h) {
				found++
			}
			a.learn(h)
			if h.Decoy && a.Rand.Bool(0.5) {
				a.World.TouchDecoy(at, a.Actor, world.At(f.Host), h, "5001")
			}
		}
		a.World.Flow(at, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(h), Port: port, Sent: 44, Received: 40, State: state})
	}
	return success("%d further hosts answer", found)
}

func findAccounts(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	dc, refused := a.directory(f)
	if dc == nil {
		return refused
	}
	r, played := a.playFurther(f)
	if !r.OK() {
		return blocked(r)
	}
	switch {
	case played:
	case a.Tool == "net group":
		a.start(f, world.Net, `net group "domain admins" /domain`)
		a.start(f, world.Net, `net user /domain`)
	case a.Tool == "Get-ADUser":
		a.start(f, world.PowerShell, `powershell.exe -c "Get-ADUser -Filter * -Properties MemberOf"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, a.last(f), "Get-ADGroupMember 'Domain Admins' -Recursive")
	}
	a.World.Flow(a.Now+2*time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(dc), Port: 389, Service: "ldap", Sent: 3e3, Received: 200e3, Duration: 2 * time.Second})
	return success("the administrators' names are known")
}

var (
	sharpHound = named(world.Dropped(`C:\Users\Public\SharpHound.exe`, &plain), "SharpHound.exe", "SharpHound", "SpecterOps")
	ipScanner  = named(world.Dropped(`C:\Users\Public\advanced_ip_scanner.exe`, &plain), "advanced_ip_scanner.exe", "Advanced IP Scanner", "Famatech Corp.")
	netScan    = named(world.Dropped(`C:\Users\Public\netscan.exe`, &plain), "netscan.exe", "Application for scanning networks", "SoftPerfect Pty Ltd")
)

// samPolicy is the domain's policy asked of the account manager (Security 4661).
var samPolicy = atController("Security 4661", "ObjectServer", "Security Account Manager", "ObjectType", "SAM_DOMAIN", "ObjectName", "{dn}", "AccessList", "%%5392\r\n\t\t\t\t%%5393", "AccessMask", "0x2d")

var adFind = named(world.Dropped(`C:\Users\Public\AdFind.exe`, &plain), "AdFind.exe", "AdFind", "www.joeware.net")

// knowSome makes a share of the Windows hosts known.
func knowSome(share float64) func(a *Attempt, f *Foothold) string {
	return func(a *Attempt, _ *Foothold) string {
		a.learnSome(share, (*world.Host).Windows)
		return fmt.Sprintf("%d hosts known", len(a.Known))
	}
}
