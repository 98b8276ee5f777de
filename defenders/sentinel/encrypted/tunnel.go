package encrypted

import (
	"fmt"
	"math"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/logistic"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// tunnels remembers what each host asks for below each registered domain.
type tunnels struct{ pairs *sketch.Map[uint64, asking] }

func newTunnels() tunnels { return tunnels{sketch.NewMap[uint64, asking](20_000)} }

const (
	// tunnelWindow is the time over which names are counted.
	tunnelWindow = 30 * time.Minute
	// enoughNames is how many different names below a domain say something.
	enoughNames = 12
)

// asking is a host and a domain in a window.
type asking struct {
	window          sketch.Window
	names           sketch.Distinct
	asked, distinct float64
	bytes           float64 // of the different names below the domain
	entropy         float64 // sum of the entropies of the different names, in bits a character
	odd             float64 // questions of types that carry text, or without an answer
	found           bool
	reported        time.Duration
}

// question looks at a DNS question.
func (d *detector) question(e *event.Event, report detect.Report) {
	d.asked(e, e.Value(event.IDOrigHost), e.Value(event.DNSQuery), e.Value(event.QtypeName), report)
}

// asked looks at a name that a host asked for.
func (d *detector) asked(e *event.Event, from, name, kind string, report detect.Report) {
	if h := d.inventory.Host(from); h != nil {
		from = h.Name // a sensor of the network names the address, one of the host the name
	}
	domain := registered(name)
	if domain == "" || from == "" || len(name) <= len(domain)+1 || strings.HasSuffix(name,
		".in-addr.arpa") || strings.HasSuffix(name, ".ip6.arpa") {
		return
	}
	below := name[:len(strings.TrimSuffix(name, "."))-len(domain)-1]
	key := sketch.Hash(from, domain)
	a := d.tunnels.pairs.Get(key)
	if a == nil {
		a = &asking{}
		a.window.Passed(e.Time, tunnelWindow)
		d.tunnels.pairs.Put(key, a)
	}
	if a.window.Passed(e.Time, tunnelWindow) {
		found, reported := a.found, a.reported
		*a = asking{window: a.window, found: found, reported: reported}
	}
	a.asked++
	switch kind {
	case "TXT", "NULL", "CNAME", "MX", "SRV", "PRIVATE":
		a.odd++
	}
	if !a.names.Add(sketch.Hash(below)) {
		return
	}
	a.distinct++
	a.bytes += float64(len(below))
	a.entropy += entropy(below)
	if a.distinct < enoughNames || a.found && (e.Time-a.reported).Abs() < quiet {
		return
	}
	score := a.score()
	if d.places.knows(domain) {
		score *= 0.5
	}
	if d.score != nil && score >= scoreFloor {
		d.score(detect.Score{Entity: from + " " + domain, Of: "tunnel", Value: score, Bar: d.options.Tunnel, Reported: score >= d.options.Tunnel,
			Evidence: e.ID, Time: e.Time})
	}
	if score < d.options.Tunnel {
		return
	}
	a.found, a.reported = true, e.Time
	report(detect.Finding{
		RuleID: "encrypted/tunnel", Title: "Names That Carry Data Below One Domain",
		Techniques: []string{"T1071.004", "T1048.003"},
		Severity:   severity.Medium, Confidence: min(0.9, score), Evidence: []uint64{e.ID},
		Reasons: []alert.Reason{
			reason("names", fmt.Sprintf("%.0f different below %s", a.distinct, domain),
				fmt.Sprintf("a host asks for 3 to 15 in %s", tunnelWindow)),
			reason("length", fmt.Sprintf("%.0f characters", a.bytes/a.distinct), "names of people and products have about 8"),
			reason("entropy", fmt.Sprintf("%.1f bits a character", a.entropy/a.distinct), "words have about 2.5"),
			reason("asked once", fmt.Sprintf("%.0f %%", 100*a.distinct/a.asked), "names are asked for again"),
		},
	})
}

// score is how much the names look like data, from 0 to 1: how much text they hold, how
// random it is, and that none comes again.
func (a *asking) score() float64 {
	length := a.bytes / a.distinct
	text := 1 - math.Exp(-a.bytes/600) // 600 bytes of different names in half an hour
	long := logistic.Of((length - 22) / 4)
	random := logistic.Of((a.entropy/a.distinct - 3.1) * 3)
	once := a.distinct / a.asked
	odd := a.odd / a.asked
	return text * combine(0.8*long*random, 0.35*odd, 0.35*random*logistic.Of((length-12)/3)) * (0.5 + 0.5*once) * 1.15
}

// entropy is Shannon's entropy of a text, in bits a character.
func entropy(s string) float64 {
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	h, n := 0.0, float64(len(s))
	for i := range len(s) {
		if c := counts[s[i]]; c > 0 {
			p := float64(c) / n
			h -= p * math.Log2(p)
			counts[s[i]] = 0
		}
	}
	return h
}
