package encrypted

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"hemostat/defenders/sentinel/sketch"
)

// saved is what a baseline holds of the detector.
type saved struct {
	Domains  []string       `json:"domains"`  // registered domains that were called
	Programs map[string]int `json:"programs"` // hosts by program
	Issuers  map[string]int `json:"issuers"`  // places by issuer of their certificates
	Clients  map[string]int `json:"clients"`  // hosts by JA4
	Hosts    []savedHost    `json:"hosts"`
	All      sketch.Level   `json:"all"`
}

type savedHost struct {
	Host  string       `json:"host"`
	Usual sketch.Level `json:"usual"`
}

// Save implements detect.Stateful. Places are known by their domains, as addresses change.
func (d *detector) Save(w io.Writer) error {
	s := saved{Clients: map[string]int{}, All: d.volumes.all}
	d.places.domains.Each(func(_ uint64, x *domain) {
		if x.callers.n > 0 || x.Known {
			s.Domains = append(s.Domains, x.Name)
		}
	})
	d.places.clients.Each(func(_ uint64, x *clientUse) { s.Clients[x.JA4] = max(x.users.n, x.Known) })
	s.Programs, s.Issuers = map[string]int{}, map[string]int{}
	d.places.issuers.Each(func(_ uint64, x *issuerUse) { s.Issuers[x.Name] = max(x.places.n, x.Known) })
	d.places.programs.Each(func(_ uint64, x *programUse) { s.Programs[x.Name] = max(x.users.n, x.Known) })
	d.volumes.hosts.Each(func(_ uint64, x *sending) { s.Hosts = append(s.Hosts, savedHost{x.Host, x.Usual}) })
	return json.NewEncoder(w).Encode(s)
}

// Load implements detect.Stateful.
func (d *detector) Load(r io.Reader) error {
	var s saved
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("baseline of encrypted: %w", err)
	}
	for _, name := range s.Domains {
		if x := d.places.domain(name); x != nil {
			x.Known = true
			d.places.trainedDomains++
		}
	}
	for _, ja4 := range slices.Sorted(maps.Keys(s.Clients)) {
		d.places.clients.Put(sketch.Hash(ja4), &clientUse{JA4: ja4, Known: s.Clients[ja4]})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Programs)) {
		d.places.programs.Put(sketch.Hash(name), &programUse{Name: name, Known: s.Programs[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Issuers)) {
		d.places.issuers.Put(sketch.Hash(name), &issuerUse{Name: name, Known: s.Issuers[name]})
	}
	for _, h := range s.Hosts {
		d.volumes.hosts.Put(sketch.Hash(h.Host), &sending{Host: h.Host, Usual: h.Usual})
	}
	d.volumes.all = s.All
	return nil
}
