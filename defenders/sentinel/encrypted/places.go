package encrypted

import (
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
	issuers      *sketch.Map[uint64, issuerUse]
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
	domain     string // registered, of the name
	domainKey  uint64
	random     bool   // the domain looks drawn by lot
	ja4        string // of the last handshake, by the host that made it
	caller     uint64
	unnamed    bool
	programKey uint64
	program    string // that called last, where a host says so
	selfSigned bool
	issuer     uint64  // of its certificate
	sent       float64 // bytes that the estate sent there, and got
	received   float64
	talks      bool // its packets go to and fro like those of a person at a keyboard
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

// issuerUse is how many places show certificates of an issuer.
type issuerUse struct {
	Name   string
	places callers
	Known  int // places in the time of training
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
		programs: sketch.NewMap[uint64, programUse](20_000), issuers: sketch.NewMap[uint64, issuerUse](20_000),
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

// setName sets the name that a place is called by.
func (x *place) setName(name string) {
	if x.name == name {
		return
	}
	x.name = clone(name)
	x.domain = registered(x.name)
	x.domainKey = sketch.Hash(x.domain)
	x.random = isRandom(ownLabel(x.domain))
}

// domainOf is the registered domain of a place's name, nil without one.
func (p *places) domainOf(x *place) *domain {
	if x.domain == "" {
		return nil
	}
	if d := p.domains.Get(x.domainKey); d != nil {
		return d
	}
	return p.domain(x.name)
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
// address or no name.
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
		x.programKey = sketch.Hash(strings.ToLower(base))
	}
	key := x.programKey
	use := p.programs.Get(key)
	if use == nil {
		use = &programUse{Name: strings.ToLower(x.program)}
		p.programs.Put(key, use)
	}
	use.users.add(host)
	if x.name == "" && name != "" && name != "-" {
		x.setName(name)
	}
	if d := p.domainOf(x); d != nil {
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
	x.setName(e.Value(event.ServerName))
	x.unnamed, x.caller = x.name == "", host
	if d := p.domainOf(x); d != nil {
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
	if issuer := e.Value(event.Issuer); issuer != "" && issuer != "-" {
		x.issuer = sketch.Hash(issuer)
		use := p.issuers.Get(x.issuer)
		if use == nil {
			use = &issuerUse{Name: clone(issuer)}
			p.issuers.Put(x.issuer, use)
		}
		use.places.add(sketch.Hash(to))
	}
	x.selfSigned = strings.HasPrefix(e.Value(event.ValidationStatus), "self")
	for _, id := range e.Members(event.CertChainFuids, "") {
		p.shown(x, id)
	}
	if id := e.Value(event.CertChainFuids); id != "" {
		p.shown(x, id)
	}
}

// shown notes a certificate that a place showed, by the id of its file.
func (p *places) shown(x *place, id string) {
	if c := p.certificates.Get(sketch.Hash(id)); c != nil {
		x.selfSigned, x.young = x.selfSigned || c.selfSigned, x.young || c.young
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

// isRandom tells a label of a name that looks drawn by lot: long, with many different letters
// and digits.
func isRandom(label string) bool {
	label = strings.Trim(label, ".")
	if len(label) < 12 || strings.Contains(label, "-") {
		return false
	}
	vowels, digits := 0, 0
	for i := range len(label) {
		switch c := label[i] | 0x20; {
		case c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u':
			vowels++
		case label[i] >= '0' && label[i] <= '9':
			digits++
		}
	}
	return entropy(label) > 3 && float64(vowels) < 0.25*float64(len(label)) && vowels+digits < len(label)
}

// ownLabel is the label of a registered domain that somebody chose when registering it.
func ownLabel(domain string) string {
	label, _, _ := strings.Cut(domain, ".")
	return label
}

// isConversation tells a connection whose first packets go to and fro in small pieces with
// pauses, from sizes in bytes (negative from the responder) and gaps in microseconds.
func isConversation(sizes, gaps string) bool {
	turns, small, pauses, n, before := 0, 0, 0, 0, 0
	for len(sizes) > 0 {
		var size, gap string
		size, sizes, _ = strings.Cut(sizes, ",")
		gap, gaps, _ = strings.Cut(gaps, ",")
		bytes, err := strconv.Atoi(size)
		wait, err2 := strconv.Atoi(gap)
		if err != nil || err2 != nil {
			return false
		}
		if n++; n > 1 && (bytes < 0) != (before < 0) {
			turns++
		}
		if bytes > -200 && bytes < 200 {
			small++
		}
		if wait > 80_000 && wait < 10_000_000 {
			pauses++
		}
		before = bytes
	}
	return n >= 32 && 2*turns >= n && 10*small >= 7*n && 4*pauses >= n
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

// knows tells a domain that was called while the baseline was made.
func (p *places) knows(name string) bool {
	d := p.domains.Get(sketch.Hash(name))
	return d != nil && d.Known
}

// trained tells that a baseline was loaded.
func (p *places) trained() bool { return p.trainedDomains > 0 }
