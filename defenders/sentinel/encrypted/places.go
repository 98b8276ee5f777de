package encrypted

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
)

// places is what is known of places outside, by address and by registered domain, and of
// the TLS clients of the estate.
type places struct {
	byAddress    *sketch.Map[uint64, place]
	domains      *sketch.Map[uint64, domain]
	clients      *sketch.Map[uint64, clientUse]
	certificates *sketch.Map[uint64, certificate] // by the id of the file
	programs     *sketch.Map[uint64, programUse]
	hosts        sketch.Distinct // of the estate that call outside
	all          int             // hosts of the estate as far as known, 0 for not known
	// novel and familiar count the domains that few hosts have called since a baseline was
	// loaded, and that are not and are in it.
	novel, familiar float64
	// trainedDomains is how many domains a baseline brought.
	trainedDomains int
}

// place is an address outside.
type place struct {
	callers    callers
	name       string // that the last handshake asked for
	ja4        string // of the last handshake, by the host that made it
	caller     uint64
	unnamed    bool
	program    string // that called last, where a host says so
	selfSigned bool
	young      bool // its certificate was made a short time ago
}

// domain is a registered domain.
type domain struct {
	Name    string
	callers callers
	Known   bool // from the time of training
}

// programUse is how many hosts have a program that calls outside.
type programUse struct {
	Name  string
	users callers
	Known int // users in the time of training
}

// clientUse is how many hosts use a TLS client.
type clientUse struct {
	JA4   string
	users callers
	Known int // users in the time of training
}

type certificate struct{ selfSigned, young bool }

// callers counts the hosts that call, up to some; more are many.
type callers struct {
	hosts [maxCallers]uint64
	n     int
}

// maxCallers is from how many hosts on a place is one that everybody calls.
const maxCallers = 12

func (c *callers) add(host uint64) {
	for i := range c.n {
		if c.hosts[i] == host {
			return
		}
	}
	if c.n < maxCallers {
		c.hosts[c.n] = host
		c.n++
	}
}

func newPlaces() places {
	return places{
		byAddress: sketch.NewMap[uint64, place](100_000), domains: sketch.NewMap[uint64, domain](100_000),
		clients: sketch.NewMap[uint64, clientUse](10_000), certificates: sketch.NewMap[uint64, certificate](20_000),
		programs: sketch.NewMap[uint64, programUse](20_000),
	}
}

// at returns a place, made where it is new.
func (p *places) at(address string) *place {
	key := sketch.Hash(address)
	x := p.byAddress.Get(key)
	if x == nil {
		x = &place{}
		p.byAddress.Put(key, x)
	}
	return x
}

// domain returns a registered domain, made where it is new.
func (p *places) domain(name string) *domain {
	name = registered(name)
	if name == "" {
		return nil
	}
	key := sketch.Hash(name)
	x := p.domains.Get(key)
	if x == nil {
		x = &domain{Name: clone(name)}
		p.domains.Put(key, x)
	}
	return x
}

// registered is the domain that somebody registered (the public suffix list); "" for an
// address or no name. It does not allocate.
func registered(name string) string {
	name = strings.TrimSuffix(name, ".")
	if name == "" || name[len(name)-1] >= '0' && name[len(name)-1] <= '9' || !strings.Contains(name, ".") {
		return ""
	}
	suffix, _ := publicsuffix.PublicSuffix(name)
	if len(suffix) >= len(name) {
		return name
	}
	at := strings.LastIndexByte(name[:len(name)-len(suffix)-1], '.')
	return name[at+1:]
}

// contact notes a call from a host of the estate.
func (p *places) contact(from, to string) *place {
	host := sketch.Hash(from)
	p.hosts.Add(host)
	x := p.at(to)
	x.callers.add(host)
	return x
}

// program notes which program called.
func (p *places) program(from, to, image, name string) {
	x, host := p.at(to), sketch.Hash(from)
	base := image[strings.LastIndexAny(image, `\/`)+1:]
	if base == "" {
		return
	}
	if x.program != base {
		x.program = clone(base)
	}
	key := sketch.Hash(strings.ToLower(base))
	use := p.programs.Get(key)
	if use == nil {
		use = &programUse{Name: strings.ToLower(x.program)}
		p.programs.Put(key, use)
	}
	use.users.add(host)
	if x.name == "" && name != "" && name != "-" {
		x.name = clone(name)
	}
	if d := p.domain(x.name); d != nil {
		p.called(d, host)
	}
}

// fewCallers is up to how many hosts few call a place.
const fewCallers = 3

// called notes a host that called a domain.
func (p *places) called(d *domain, host uint64) {
	before := d.callers.n
	d.callers.add(host)
	change := 0.0
	switch {
	case before == 0:
		change = 1
	case before == fewCallers && d.callers.n > before:
		change = -1
	}
	if d.Known {
		p.familiar += change
	} else {
		p.novel += change
	}
}

// novelty is what it says that a domain is not in the baseline: much where the baseline
// knows nearly all that few hosts call, nothing where sensors saw too little while it was made.
func (p *places) novelty() float64 {
	unknown := (p.novel + 0.5) / (p.novel + p.familiar + 5)
	return 0.6 * max(0, 1-3*unknown)
}

// handshake notes what a TLS handshake tells of its place.
func (p *places) handshake(e *event.Event, from, to string) {
	x, host := p.at(to), sketch.Hash(from)
	if name := e.Value(event.ServerName); name != x.name {
		x.name = clone(name)
	}
	x.unnamed, x.caller = x.name == "", host
	if d := p.domain(x.name); d != nil {
		p.called(d, host)
	}
	if ja4 := e.Value(event.JA4); ja4 != "" {
		if x.ja4 != ja4 {
			x.ja4 = clone(ja4)
		}
		key := sketch.Hash(ja4)
		use := p.clients.Get(key)
		if use == nil {
			use = &clientUse{JA4: x.ja4}
			p.clients.Put(key, use)
		}
		use.users.add(host)
	}
	x.selfSigned = strings.HasPrefix(e.Value(event.ValidationStatus), "self")
	for _, id := range append(e.Members(event.CertChainFuids, ""), e.Value(event.CertChainFuids)) {
		if c := p.certificates.Get(sketch.Hash(id)); c != nil && id != "" {
			x.selfSigned, x.young = x.selfSigned || c.selfSigned, x.young || c.young
		}
	}
}

// youngFor is how long a certificate counts as made a short time ago.
const youngFor = 7 * 24 * time.Hour

// certificate notes a certificate of Zeek's x509.log.
func (p *places) certificate(e *event.Event) {
	id, ok := e.Lookup("id")
	if !ok {
		if id, ok = e.Lookup("fuid"); !ok {
			return
		}
	}
	subject, _ := e.Lookup("certificate.subject")
	issuer, _ := e.Lookup("certificate.issuer")
	text, _ := e.Lookup("certificate.not_valid_before")
	made, err := strconv.ParseFloat(text, 64)
	age := e.Time.Seconds() - made
	p.certificates.Put(sketch.Hash(id), &certificate{
		selfSigned: subject != "" && subject == issuer, young: err == nil && age >= 0 && age < youngFor.Seconds(),
	})
}

// context is how much a place stands out beside its rhythm, from 0 to 1, with the reasons.
// Each hint is the share by which it is commoner with attackers' servers than elsewhere, an
// assumption that docs/detectors.md explains.
func (p *places) context(from, to string) (score float64, reasons []hint) {
	x := p.at(to)
	var hints []hint
	add := func(weight float64, what, seen, usual string) {
		if weight > 0 {
			hints = append(hints, hint{weight, what, seen, usual})
		}
	}
	callers := x.callers.n
	d := p.domain(x.name)
	if d != nil {
		callers = max(callers, d.callers.n)
	}
	seen := p.coverage()
	switch {
	case callers == 1:
		add(0.5*seen, "callers", "1 host", "most places have more")
	case callers <= 3:
		add(0.3*seen, "callers", fmt.Sprint(callers, " hosts"), "most places have more")
	}
	trained := p.trained()
	if trained && (d == nil || !d.Known) {
		add(p.novelty(), "place", nameOr(x.name, to), "it was never called while the baseline was made")
	}
	if trained && d != nil && d.Known {
		return 0, nil // it was called while the baseline was made
	}
	if x.caller == sketch.Hash(from) && x.ja4 != "" {
		if use := p.clients.Get(sketch.Hash(x.ja4)); use != nil {
			users, hosts := max(use.users.n, use.Known), p.hosts.Count()
			if users <= 3 && float64(users) < 0.1*max(hosts, 20) {
				add(clientWeight(x.ja4), "TLS client", x.ja4, fmt.Sprintf("%d of about %.0f hosts use it", users, max(hosts, 1)))
			}
		}
	}
	if x.program != "" {
		if use := p.programs.Get(sketch.Hash(strings.ToLower(x.program))); use != nil {
			if users, hosts := max(use.users.n, use.Known), p.hosts.Count(); users <= 2 && hosts >= 10 {
				add(0.5, "program", x.program, fmt.Sprintf("%d of about %.0f hosts have it call outside", users, hosts))
			}
		}
	}
	if x.selfSigned {
		add(0.5, "certificate", "self-signed", "signed by an authority")
	}
	if x.young {
		add(0.3, "certificate", "made less than a week ago", "older")
	}
	switch {
	case x.caller == 0 && x.program != "":
		// the host's report says nothing of handshakes
	case x.caller == 0:
		add(0.5, "TLS handshake", "none was seen", "encrypted traffic begins with one")
	case x.unnamed:
		add(0.3, "server name", "none", "a name")
	case x.ja4 == "":
		add(0.3, "TLS client", "the log does not say", "a known one")
	}
	none := 1.0
	for _, h := range hints {
		none *= 1 - h.weight
	}
	return 1 - none, hints
}

// clientWeight is what a rare TLS client says: little where it is a library that programs of
// every kind use, more for Go's, which tools of attackers are written in, and for one that
// nobody knows.
func clientWeight(ja4 string) float64 {
	switch familyOf(ja4) {
	case goTLS, nobodies:
		return 0.5
	}
	return 0.15
}

// coverage is how much it says that few hosts call a place: less where sensors see few of the
// estate's hosts.
func (p *places) coverage() float64 {
	if p.all == 0 {
		return 1
	}
	return min(1, 1.5*p.hosts.Count()/float64(p.all))
}

// hint is a part of the context.
type hint struct {
	weight            float64
	what, seen, usual string
}

func nameOr(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

// knows tells a domain that was called while the baseline was made.
func (p *places) knows(name string) bool {
	d := p.domains.Get(sketch.Hash(name))
	return d != nil && d.Known
}

// trained tells that a baseline was loaded.
func (p *places) trained() bool { return p.trainedDomains > 0 }
