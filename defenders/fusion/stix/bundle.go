// Package stix writes an explained incident as a bundle of STIX 2.1 (OASIS Standard, 10 June
// 2021), so that other programs can read it: the incident with its indicators, what was
// observed of them, the attack patterns, who is held to be behind it, and how all of that is
// related.
package stix

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/source"
)

// object is an object of STIX.
type object map[string]any

// bundler collects the objects of a bundle, each once.
type bundler struct {
	threat  *fusion.EnrichedThreat
	created string
	author  string
	objects []object
	seen    map[string]bool
}

// Write writes the incident. The times of its objects are those of the incident, so that the
// same incident gives the same bundle.
func Write(to io.Writer, t *fusion.EnrichedThreat) error {
	b := &bundler{threat: t, created: stamp(t.LastSeen), seen: map[string]bool{}}
	b.author = b.add("identity", "hemostat", object{"name": "hemostat", "identity_class": "system"})
	incident := b.incident()
	alerts := b.observations()
	b.indicators(incident, alerts)
	b.patterns(incident)
	b.actors(incident)
	b.account(incident)
	bundle := object{"type": "bundle", "id": "bundle--" + b.uuid("bundle"), "objects": b.objects}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", " ")
	return encoder.Encode(bundle)
}

// uuid is a version 5 UUID (RFC 9562) of something of this incident.
func (b *bundler) uuid(name string) string { return uuid("incident " + b.threat.ID + "\x00" + name) }

func uuid(name string) string { return source.UUID(name) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// add adds a domain or relationship object of a type under a name, and returns its identity.
func (b *bundler) add(kind, name string, o object) string {
	id := kind + "--" + b.uuid(kind+" "+name)
	if kind == "identity" || kind == "attack-pattern" || kind == "intrusion-set" {
		id = kind + "--" + uuid(kind+" "+name) // the same in every bundle
	}
	if b.seen[id] {
		return id
	}
	b.seen[id] = true
	o["type"], o["spec_version"], o["id"] = kind, "2.1", id
	o["created"], o["modified"] = b.created, b.created
	if b.author != "" {
		o["created_by_ref"] = b.author
	}
	b.objects = append(b.objects, o)
	return id
}

// relate adds a relationship.
func (b *bundler) relate(from, kind, to string) {
	b.add("relationship", from+" "+kind+" "+to, object{"relationship_type": kind, "source_ref": from, "target_ref": to})
}

// incident is the incident itself, with the account of it.
func (b *bundler) incident() string {
	t := b.threat
	var text []string
	for _, s := range t.Narrative {
		text = append(text, s.Text)
	}
	return b.add("incident", t.ID, object{
		"name": "incident " + t.ID, "description": strings.Join(text, " "), "confidence": percent(t.Confidence),
		"labels": []string{"severity-" + t.Severity},
	})
}

func percent(share float64) int { return min(100, max(0, int(100*share+0.5))) }

// account is the account with the alerts that each sentence rests on, as a note.
func (b *bundler) account(incident string) {
	var text []string
	for _, s := range b.threat.Narrative {
		var ids []string
		for _, id := range s.Alerts {
			ids = append(ids, fmt.Sprint(id))
		}
		text = append(text, fmt.Sprintf("%s [alert %s]", s.Text, strings.Join(ids, ", ")))
	}
	if len(text) == 0 {
		return
	}
	b.add("note", "account", object{
		"abstract": "account of the incident, each sentence with the alerts that it rests on",
		"content":  strings.Join(text, "\n"), "authors": []string{b.threat.Author}, "object_refs": []string{incident},
	})
}

// observables is the namespace of identities of observables (STIX 2.1, section 2.9).
var observables = [16]byte{0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9,
	0xb7}

// observable adds a cyber observable; its identity follows from what contributes to it.
func (b *bundler) observable(kind string, contributing map[string]any, rest object) string {
	canonical, err := json.Marshal(contributing) // the keys of maps are written in order
	if err != nil {
		canonical = []byte(fmt.Sprint(contributing))
	}
	sum := sha1.Sum(append(observables[:], canonical...)) //nolint:gosec // it identifies, and protects nothing
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	id := fmt.Sprintf("%s--%x-%x-%x-%x-%x", kind, sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	if b.seen[id] {
		return id
	}
	b.seen[id] = true
	o := object{"type": kind, "spec_version": "2.1", "id": id}
	for k, v := range contributing {
		o[k] = v
	}
	for k, v := range rest {
		o[k] = v
	}
	b.objects = append(b.objects, o)
	return id
}

// nodeObservable is a node of the graph as an observable; "" where STIX has no object for it.
func (b *bundler) nodeObservable(n *attackgraph.NodeDocument) string {
	switch n.Kind {
	case attackgraph.AddressNode:
		return b.place(n.Name)
	case attackgraph.DomainNode:
		return b.place(n.Name)
	case attackgraph.AccountNode:
		rest := object{}
		if n.Privilege != "" && n.Privilege != "user" && n.Privilege != "service" {
			rest["is_privileged"] = true
		}
		if n.Privilege == "service" {
			rest["is_service_account"] = true
		}
		return b.observable("user-account", map[string]any{"account_login": n.Name}, rest)
	case attackgraph.FileNode:
		if kind, value, err := indicator.Guess(n.Name); err == nil && kind == indicator.SHA256 {
			return b.observable("file", map[string]any{"hashes": map[string]string{"SHA-256": value}}, nil)
		}
	}
	return ""
}

// place is an address or a name as an observable.
func (b *bundler) place(name string) string {
	if a, err := netip.ParseAddr(name); err == nil {
		if a.Unmap().Is4() {
			return b.observable("ipv4-addr", map[string]any{"value": a.Unmap().String()}, nil)
		}
		return b.observable("ipv6-addr", map[string]any{"value": a.String()}, nil)
	}
	if name == "" || strings.ContainsAny(name, " /\\\x00") {
		return ""
	}
	return b.observable("domain-name", map[string]any{"value": name}, nil)
}

// observed is what an alert observed.
type observed struct {
	id   string
	refs []string
}

// observations adds an observed-data object for each alert that names something that STIX has
// an object for.
func (b *bundler) observations() map[int]observed {
	nodes := map[string]*attackgraph.NodeDocument{}
	g := &b.threat.AttackGraph
	for i := range g.Nodes {
		nodes[g.Nodes[i].ID] = &g.Nodes[i]
	}
	refs := map[string][]string{}
	for _, r := range g.Relationships {
		n := nodes[r.Target]
		if r.Type != attackgraph.IsAbout || n == nil {
			continue
		}
		if id := b.nodeObservable(n); id != "" {
			refs[r.Source] = append(refs[r.Source], id)
		}
	}
	out := map[int]observed{}
	for i := range b.threat.Alerts {
		a := &b.threat.Alerts[i]
		found := refs[fmt.Sprintf("%s:%d", attackgraph.AlertNode, a.Alert)]
		if len(found) == 0 {
			continue
		}
		at := stamp(a.Time)
		id := b.add("observed-data", fmt.Sprint(a.Alert), object{
			"first_observed": at, "last_observed": at, "number_observed": 1, "object_refs": found,
			"labels": labels(a),
		})
		out[a.Alert] = observed{id, found}
	}
	return out
}

func labels(a *fusion.ThreatAlert) []string {
	out := []string{fmt.Sprintf("alert-%d", a.Alert), "severity-" + a.Severity}
	if a.RuleID != "" {
		out = append(out, "rule:"+a.RuleID)
	}
	return out
}

// indicators adds the indicators of the incident, with a sighting of each.
func (b *bundler) indicators(incident string, alerts map[int]observed) {
	for i := range b.threat.IOCs {
		x := &b.threat.IOCs[i]
		pattern := source.Pattern(x)
		if pattern == "" {
			continue
		}
		o := object{
			"name": string(x.Type) + " " + x.Value, "pattern": pattern, "pattern_type": "stix",
			"valid_from": stamp(x.FirstSeen), "indicator_types": []string{"malicious-activity"},
			"confidence": percent(x.Confidence),
		}
		if len(x.Tags) > 0 {
			o["labels"] = x.Tags
		}
		id := b.add("indicator", string(x.Type)+" "+x.Value, o)
		b.relate(id, "related-to", incident)
		var seen []string
		count := 0
		for number, a := range alerts {
			if slices.Contains(strings.Split(x.Context["alerts"], ","), fmt.Sprint(number)) {
				seen = append(seen, a.id)
				count++
			}
		}
		slices.Sort(seen)
		s := object{
			"sighting_of_ref": id, "first_seen": stamp(x.FirstSeen), "last_seen": stamp(x.LastSeen),
			"count": max(1, count), "where_sighted_refs": []string{b.author},
		}
		if len(seen) > 0 {
			s["observed_data_refs"] = seen
		}
		b.add("sighting", x.Value, s)
	}
}

// patterns adds the techniques.
func (b *bundler) patterns(incident string) {
	for _, t := range b.threat.Techniques {
		id := b.add("attack-pattern", t, object{
			"name": t,
			"external_references": []object{{
				"source_name": "mitre-attack", "external_id": t,
				"url": "https://attack.mitre.org/techniques/" + strings.ReplaceAll(t, ".", "/"),
			}},
		})
		b.relate(incident, "related-to", id)
	}
}

// actors adds who may be behind the incident, with the probability of each.
func (b *bundler) actors(incident string) {
	for _, s := range b.threat.Actors {
		if s.Actor == attribution.Unknown || s.Probability < 0.01 {
			continue
		}
		o := object{"name": s.Actor}
		if a := b.threat.ThreatActor; a != nil && a.ID == s.Actor {
			if len(a.Aliases) > 0 {
				o["aliases"] = a.Aliases
			}
			if len(a.Goals) > 0 {
				o["goals"] = a.Goals
			}
		}
		id := b.add("intrusion-set", s.Actor, o)
		b.add("relationship", incident+" attributed-to "+id, object{
			"relationship_type": "attributed-to", "source_ref": incident, "target_ref": id,
			"confidence": percent(s.Probability),
		})
	}
}
