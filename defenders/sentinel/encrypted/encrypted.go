// Package encrypted is the detector of what stays visible of encrypted traffic: who calls
// whom in which rhythm with how much, what a TLS client says of itself, which certificates
// are shown, which names are asked for. It reads the logs of connections, TLS, certificates,
// DNS, and the connections that hosts report with the program that made them; simulated,
// recorded by Zeek and made of captures alike.
//
// beacon.go finds regular calls, tunnel.go names that carry data, volume.go uploads against
// a host's own history, client.go TLS clients that are not what the program says;
// places.go is what is known of places outside and of clients. docs/detectors.md has the
// methods, their sources and what they miss.
package encrypted

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
)

// Kind is the detector as variants name it.
var Kind = detect.Kind{
	Name: "encrypted", Version: "1", Optional: true,
	Doc:     "finds beacons, tunnels, uploads and contradictory TLS clients in what stays visible of encrypted traffic",
	Service: queue.Config{Mean: 50 * time.Microsecond, Servers: 2, Waiting: 50_000},
	Options: func() any { return &options{} },
	New: func(env detect.Env, chosen any) (detect.Detector, error) {
		return newDetector(*chosen.(*options), env)
	},
}

// options are the bars; zero values take the defaults named. A bar above 1 turns its
// finding off.
type options struct {
	Beacon  float64  `yaml:"beacon" doc:"score from 0 to 1 at which regular calls are a beacon; 0.88 when absent"`
	Tunnel  float64  `yaml:"tunnel" doc:"score from 0 to 1 at which names below a domain carry data; 0.7 when absent"`
	Volume  float64  `yaml:"volume" doc:"score from 0 to 1 at which an upload is unusual for its host; 0.65 when absent"`
	Client  float64  `yaml:"client" doc:"score from 0 to 1 at which a TLS client contradicts its program; 0.7 when absent"`
	Pairs   int      `yaml:"pairs" doc:"pairs of a host and a place outside that are remembered; 100000 when absent"`
	Inside  []string `yaml:"inside" doc:"networks of the estate such as 10.0.0.0/8; when absent those of the inventory, and without one the private networks"`
	MinSent float64  `yaml:"min_sent_mb" doc:"megabytes within an hour below which no upload is unusual; 100 when absent"`
}

func (o options) withDefaults() options {
	for _, x := range []struct {
		to        *float64
		otherwise float64
	}{{&o.Beacon, 0.88}, {&o.Tunnel, 0.7}, {&o.Volume, 0.65}, {&o.Client, 0.7}, {&o.MinSent, 100}} {
		if *x.to == 0 {
			*x.to = x.otherwise
		}
	}
	if o.Pairs == 0 {
		o.Pairs = 100_000
	}
	return o
}

// detector is the detector.
type detector struct {
	options   options
	networks  []netip.Prefix              `snapshot:"-"` // of the estate, where they were named
	inventory *inventory.Inventory        `snapshot:"-"`
	score     func(detect.Score)          `snapshot:"-"`
	vary      func(entity string) float64 `snapshot:"-"`

	places  places
	beacons beacons
	tunnels tunnels
	volumes volumes
	clients clients
}

// newDetector puts the detector together.
func newDetector(o options, env detect.Env) (*detector, error) {
	o = o.withDefaults()
	var networks []netip.Prefix
	for _, text := range o.Inside {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("inside: a network such as 10.0.0.0/8 is expected, not %q", text)
		}
		networks = append(networks, network)
	}
	d := &detector{
		options: o, networks: networks, inventory: env.Inventory, score: env.Score,
		places: newPlaces(), beacons: newBeacons(o.Pairs), tunnels: newTunnels(), volumes: newVolumes(), clients: newClients(),
	}
	d.vary, d.volumes.influence = env.Vary, env.Caution.Influence
	if env.Inventory != nil {
		d.places.all = len(env.Inventory.Hosts)
	}
	return d, nil
}

// bar is a bar as it stands for a host.
func (d *detector) bar(bar float64, host string) float64 {
	if d.vary == nil {
		return bar
	}
	return bar * d.vary(host)
}

// Inspect looks at one event.
func (d *detector) Inspect(_ time.Duration, e *event.Event, report detect.Report) error {
	switch e.Source.Service {
	case "conn":
		d.connection(e, report)
	case "ssl":
		d.handshake(e, report)
	case "x509":
		d.places.certificate(e)
	case "dns":
		d.question(e, report)
	case "proxy":
		d.proxied(e, report)
	case "sysmon":
		switch e.Source.Category {
		case "network_connection":
			d.clients.started(e)
			d.program(e, report)
		case "dns_query":
			d.asked(e, e.Host, e.Value(event.QueryName), "", report)
		}
	}
	return nil
}

// Notes implements detect.Noting.
func (d *detector) Notes() []string {
	var notes []string
	if n := d.beacons.pairs.Forgotten; n > 0 {
		notes = append(notes, fmt.Sprintf("encrypted forgot %d pairs of hosts and places to stay within the bound of memory", n))
	}
	if n := d.tunnels.pairs.Forgotten; n > 0 {
		notes = append(notes, fmt.Sprintf("encrypted forgot %d pairs of hosts and domains to stay within the bound of memory", n))
	}
	return notes
}

// connection looks at a connection that is over, or at its report.
func (d *detector) connection(e *event.Event, report detect.Report) {
	from, to := e.Value(event.IDOrigHost), e.Value(event.IDRespHost)
	if !d.leaves(from, to) {
		return
	}
	if state := e.Value(event.ConnState); state == "S0" || state == "REJ" || state == "RSTOS0" || state == "SH" {
		return // nobody answered
	}
	sent := number(e.Value(event.OrigBytes))
	at := e.Time
	x := d.places.contact(from, to)
	x.sent, x.received = x.sent+sent, x.received+number(e.Value(event.RespBytes))
	if sizes, ok := e.Extra("packet_sizes"); ok {
		gaps, _ := e.Extra("packet_gaps")
		x.talks = x.talks || isConversation(sizes, gaps)
	}
	d.volumes.see(from, at)
	d.upload(at, from, to, sent, e, report)
	d.call(at, from, to, sent, e, report)
}

// proxied looks at a request through a proxy. Where a sensor of the network sees the host's
// connections too, the bytes are those of that sensor.
func (d *detector) proxied(e *event.Event, report detect.Report) {
	from, to := e.Value(event.ClientIP), e.Value(event.DstIP)
	if !d.leaves(from, to) {
		return
	}
	sent := number(e.Value(event.ClientServerBytes))
	x := d.places.contact(from, to)
	if name := e.Value(event.ClientServerHost); x.name == "" && name != "" {
		x.setName(name)
	}
	if known := d.places.domainOf(x); known != nil {
		d.places.called(known, sketch.Hash(from))
	}
	if d.volumes.seen(from) {
		sent = 0
	} else {
		d.upload(e.Time, from, to, sent, e, report)
	}
	d.call(e.Time, from, to, sent, e, report)
}

// program looks at a connection that a host reports with its program. It says nothing of
// bytes; where a sensor of the network reports the same connection the two count as one.
func (d *detector) program(e *event.Event, report detect.Report) {
	from, to := e.Value(event.SourceIp), e.Value(event.DestinationIp)
	if e.Value(event.Initiated) == "false" || !d.leaves(from, to) {
		return
	}
	d.places.contact(from, to)
	d.places.program(from, to, e.Value(event.Image), e.Value(event.DestinationHostname))
	d.call(e.Time, from, to, 0, e, report)
}

// handshake looks at a TLS handshake.
func (d *detector) handshake(e *event.Event, report detect.Report) {
	from, to := e.Value(event.IDOrigHost), e.Value(event.IDRespHost)
	if !d.leaves(from, to) {
		return
	}
	d.places.handshake(e, from, to)
	d.contradiction(e, from, to, report)
}

// leaves tells a connection from the estate to the outside.
func (d *detector) leaves(from, to string) bool {
	return from != "" && to != "" && d.inside(from) && !d.inside(to)
}

// inside tells an address of the estate: one of the inventory, or where there is none a
// private one (RFC 1918, RFC 4193) or one of no use outside.
func (d *detector) inside(address string) bool {
	if len(d.networks) == 0 && d.inventory.Host(address) != nil {
		return true
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return true // no address: nothing to say
	}
	if len(d.networks) > 0 {
		return slices.ContainsFunc(d.networks, func(n netip.Prefix) bool { return n.Contains(ip.Unmap()) })
	}
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() ||
		ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// scoreFloor is the score below which nobody needs to know it.
const scoreFloor = 0.4

// number reads a count; what is none is 0.
func number(text string) float64 {
	if text == "" || text == "-" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0) || n > 1e18 {
		return 0
	}
	return n
}

// reason is one part of why something was found: what was seen against what is usual.
func reason(feature, seen, expected string) alert.Reason {
	return alert.Reason{Field: feature, Value: seen, Test: expected}
}

// combine joins independent hints, each a probability: that at least one is right.
func combine(hints ...float64) float64 {
	none := 1.0
	for _, h := range hints {
		none *= 1 - h
	}
	return 1 - none
}

func clone(s string) string { return strings.Clone(s) }
