package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/sim/attack"
)

// Actors reads facts about threat actors: what hemostat train attribution made, a list of
// actors as JSON (hemostat intel import --actors), or what a STIX bundle says of them.
func Actors(data []byte, name string) (*attribution.Facts, error) {
	var own struct {
		Format string `json:"format"`
	}
	trimmed := bytes.TrimSpace(data)
	if bytes.HasPrefix(trimmed, []byte("[")) {
		var list []attribution.ThreatActor
		if err := json.Unmarshal(trimmed, &list); err != nil {
			return nil, fmt.Errorf("this is no list of threat actors: %w", err)
		}
		return attribution.Published(list, name)
	}
	if err := json.Unmarshal(trimmed, &own); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if own.Format != "" {
		return attribution.Read(trimmed)
	}
	list, err := ActorsOf(trimmed)
	if err != nil {
		return nil, err
	}
	return attribution.Published(list, name)
}

// actorObject is what is read of an object of STIX that says something of actors.
type actorObject struct {
	Type         string   `json:"type"`
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Aliases      []string `json:"aliases"`
	Goals        []string `json:"goals"`
	Motivation   string   `json:"primary_motivation"`
	Pattern      string   `json:"pattern"`
	Relationship string   `json:"relationship_type"`
	Source       string   `json:"source_ref"`
	Target       string   `json:"target_ref"`
	Revoked      bool     `json:"revoked"`
	Deprecated   bool     `json:"x_mitre_deprecated"`
	References   []struct {
		Name string `json:"source_name"`
		ID   string `json:"external_id"`
	} `json:"external_references"`
}

func (o *actorObject) mitreID() string {
	for _, r := range o.References {
		if r.Name == "mitre-attack" || r.Name == "mitre-ics-attack" || r.Name == "mitre-mobile-attack" {
			return r.ID
		}
	}
	return ""
}

func (o *actorObject) isActor() bool {
	switch o.Type {
	case "intrusion-set", "threat-actor":
		return true
	}
	return false
}

// ActorsOf reads the threat actors of a STIX bundle (intrusion-set and threat-actor), with the
// techniques that they are said to use, themselves or through their software and campaigns, and
// the indicators that are said to indicate them. A JSON object with groups, each with a name
// and techniques, is read too. Objects that are not as STIX has them are passed over.
func ActorsOf(data []byte) ([]attribution.ThreatActor, error) {
	var f struct {
		Objects []json.RawMessage `json:"objects"`
		Groups  []struct {
			ID         string   `json:"id"`
			Name       string   `json:"name"`
			Techniques []string `json:"techniques"`
		} `json:"groups"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("it is no STIX bundle: %w", err)
	}
	var out []attribution.ThreatActor
	for _, g := range f.Groups {
		a := attribution.ThreatActor{ID: g.ID, Techniques: attack.CurrentAll(g.Techniques)}
		if g.Name != "" {
			a.Aliases = []string{g.Name}
		}
		out = append(out, a)
	}
	out = append(out, actorsOf(f.Objects)...)
	out = slices.DeleteFunc(out, func(a attribution.ThreatActor) bool {
		return a.ID == "" || len(a.Techniques)+len(a.Infrastructure) == 0
	})
	if len(out) == 0 {
		return nil, errors.New("it names no threat actor with techniques or indicators; a STIX bundle such as that of " +
			"ATT&CK is expected")
	}
	return out, nil
}

// actorBundle is what is read of a bundle that says something of actors.
type actorBundle struct {
	objects   map[string]*actorObject
	order     []string
	targets   map[string][]string // of uses, and sources of attributed-to, by the other end
	indicated map[string][]string // indicators of what they indicate
}

func readBundle(raw []json.RawMessage) *actorBundle {
	b := &actorBundle{objects: map[string]*actorObject{}, targets: map[string][]string{}, indicated: map[string][]string{}}
	for _, data := range raw {
		var o actorObject
		if json.Unmarshal(data, &o) != nil || o.Revoked || o.Deprecated {
			continue
		}
		switch {
		case o.Type != "relationship":
			if b.objects[o.ID] == nil {
				b.order = append(b.order, o.ID)
			}
			b.objects[o.ID] = &o
		case o.Relationship == "uses":
			b.targets[o.Source] = append(b.targets[o.Source], o.Target)
		case o.Relationship == "attributed-to":
			b.targets[o.Target] = append(b.targets[o.Target], o.Source)
		case o.Relationship == "indicates":
			b.indicated[o.Target] = append(b.indicated[o.Target], o.Source)
		}
	}
	return b
}

func actorsOf(raw []json.RawMessage) []attribution.ThreatActor {
	b := readBundle(raw)
	var out []attribution.ThreatActor
	taken := map[string]bool{}
	for _, id := range b.order {
		if o := b.objects[id]; o.isActor() {
			a := o.actor(taken)
			b.gather(&a, id)
			out = append(out, a)
		}
	}
	return out
}

// actor is the object as an actor, under an id that none before it has.
func (o *actorObject) actor(taken map[string]bool) attribution.ThreatActor {
	a := attribution.ThreatActor{Goals: o.Goals}
	for _, id := range []string{o.mitreID(), o.Name, o.ID} {
		if a.ID = id; id != "" && !taken[id] {
			break
		}
	}
	taken[a.ID] = true
	for _, name := range append([]string{o.Name}, o.Aliases...) {
		if name != "" && name != a.ID && !slices.Contains(a.Aliases, name) {
			a.Aliases = append(a.Aliases, name)
		}
	}
	if o.Motivation != "" {
		a.Goals = append(a.Goals, o.Motivation)
	}
	return a
}

// maxHops bounds how far uses and attributed-to are followed from an actor: over a campaign to
// a software to its techniques. References may go around in circles.
const maxHops = 3

// gather collects an actor's techniques and indicators along relationships.
func (b *actorBundle) gather(a *attribution.ThreatActor, id string) {
	techniques, infrastructure := map[string]bool{}, map[string]bool{}
	seen := map[string]bool{id: true}
	level := []string{id}
	for hop := 0; len(level) > 0 && hop < maxHops; hop++ {
		var next []string
		for _, at := range level {
			for _, from := range b.indicated[at] {
				if o := b.objects[from]; o != nil && o.Type == "indicator" {
					addIndicators(infrastructure, o.Pattern)
				}
			}
			for _, to := range b.targets[at] {
				o := b.objects[to]
				if o == nil || seen[to] {
					continue
				}
				seen[to] = true
				if o.Type == "attack-pattern" {
					if t := o.mitreID(); t != "" {
						techniques[attack.Current(t)] = true
					}
				} else if !o.isActor() {
					next = append(next, to)
				}
			}
		}
		level = next
	}
	a.Techniques = slices.Sorted(maps.Keys(techniques))
	a.Infrastructure = slices.Sorted(maps.Keys(infrastructure))
}

func addIndicators(into map[string]bool, pattern string) {
	found, err := parsePattern(strings.TrimSpace(pattern))
	if err != nil {
		return
	}
	for _, c := range found {
		if v, err := indicator.Normalize(c.kind, c.value); err == nil {
			into[v] = true
		}
	}
}
