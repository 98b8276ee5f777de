package encrypted

import (
	"fmt"

	"hemostat/defenders/alert"
	"hemostat/defenders/sentinel/sketch"
)

// context is how much a place stands out beside its rhythm: hints that are taken for
// independent. Each weight is the share by which the hint is commoner with attackers' servers
// than elsewhere, an assumption that docs/detectors.md explains.
type context struct {
	none    float64 // chance that no hint is right
	explain bool    // reasons are wanted
	reasons []alert.Reason
}

// add takes a hint in; what was seen and what is usual are written only where they are wanted.
func (c *context) add(weight float64, what string, seen, usual func() string) {
	if weight <= 0 {
		return
	}
	c.none *= 1 - weight
	if c.explain {
		c.reasons = append(c.reasons, reason(what, seen(), usual()))
	}
}

// say is a text that needs no making.
func say(text string) func() string { return func() string { return text } }

// standsOut is how much a place stands out to a host, from 0 to 1.
func (p *places) standsOut(from, to string) float64 {
	score, _ := p.context(from, to, false)
	return score
}

// why are the reasons that a place stands out.
func (p *places) why(from, to string) []alert.Reason {
	_, reasons := p.context(from, to, true)
	return reasons
}

func (p *places) context(from, to string, explain bool) (score float64, reasons []alert.Reason) {
	x := p.at(to)
	d := p.domainOf(x)
	if p.trained() && d != nil && d.Known {
		return 0, nil // it was called while the baseline was made
	}
	c := context{none: 1, explain: explain}
	p.addCallers(&c, x, d)
	if p.trained() {
		c.add(p.novelty(), "place", say(nameOr(x.name, to)), say("it was never called while the baseline was made"))
	}
	p.addClient(&c, x, from)
	p.addProgram(&c, x)
	p.addCertificate(&c, x)
	addHandshake(&c, x)
	addTraffic(&c, x)
	return 1 - c.none, c.reasons
}

func (p *places) addCallers(c *context, x *place, d *domain) {
	callers := x.callers.n
	if d != nil {
		callers = max(callers, d.callers.n)
	}
	weight := 0.0
	switch {
	case callers == 1:
		weight = 0.5
	case callers <= fewCallers:
		weight = 0.3
	}
	c.add(weight*p.coverage(), "hosts that call it", func() string { return fmt.Sprint(callers) }, say("most places have more"))
}

func (p *places) addClient(c *context, x *place, from string) {
	if x.ja4 == "" || x.caller != sketch.Hash(from) {
		return
	}
	use := p.clients.Get(sketch.Hash(x.ja4))
	if use == nil {
		return
	}
	users, hosts := max(use.users.n, use.Known), p.hosts.Count()
	if users <= 3 && float64(users) < 0.1*max(hosts, 20) {
		c.add(clientWeight(x.ja4), "TLS client", say(x.ja4), func() string {
			return fmt.Sprintf("%d of about %.0f hosts use it", users, max(hosts, 1))
		})
	}
}

func (p *places) addProgram(c *context, x *place) {
	if x.program == "" {
		return
	}
	use := p.programs.Get(x.programKey)
	if use == nil {
		return
	}
	if users, hosts := max(use.users.n, use.Known), p.hosts.Count(); users <= 2 && hosts >= 10 {
		c.add(0.5, "program", say(x.program),
			func() string { return fmt.Sprintf("%d of about %.0f hosts have it call outside", users, hosts) })
	}
}

func (p *places) addCertificate(c *context, x *place) {
	if x.selfSigned {
		c.add(0.5, "certificate", say("self-signed"), say("signed by an authority"))
	} else if use := p.issuers.Get(x.issuer); use != nil && max(use.places.n, use.Known) == 1 && p.issuers.Len() > 5 {
		c.add(0.15, "issuer of the certificate", say(use.Name), say("it issued those of other places too"))
	}
	if x.young {
		c.add(0.3, "certificate", say("made less than a week ago"), say("older"))
	}
	if x.random {
		c.add(0.3, "name", say(x.name), say("words; this one is random"))
	}
}

func addHandshake(c *context, x *place) {
	switch {
	case x.caller == 0 && x.program != "":
		// the host's report says nothing of handshakes
	case x.caller == 0:
		c.add(0.5, "TLS handshake", say("none was seen"), say("encrypted traffic begins with one"))
	case x.unnamed:
		c.add(0.3, "server name", say("none"), say("a name"))
	case x.ja4 == "":
		c.add(0.3, "TLS client", say("the log does not say"), say("a known one"))
	}
}

func addTraffic(c *context, x *place) {
	if x.sent > 1e6 && x.sent > 2*x.received {
		c.add(0.2, "ratio", func() string { return bytesText(x.sent) + " sent, " + bytesText(x.received) + " received" },
			say("more is received than sent"))
	}
	if x.talks {
		c.add(0.3, "packets", say("small ones to and fro"), say("large ones one way"))
	}
}

func nameOr(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}
