package attackers

import (
	"cmp"
	"fmt"

	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/world"
)

// tlsClient is the TLS client of the attackers' tools.
func tlsClient(name string) *world.TLSClient {
	return cmp.Or(world.TLSClientByName(name), world.GoTLS)
}

var domainWords = []string{"cdn", "static", "update", "sync", "metrics", "assets", "edge", "portal", "status", "mail"}

// allocateInfrastructure draws the attacker's addresses and domains.
func (a *Agent) allocateInfrastructure(s *sim.Stream) {
	for range max(a.spec.Infrastructure.Addresses, 1) {
		address := fmt.Sprintf("%d.%d.%d.%d", 185+s.IntN(8), s.IntN(255), s.IntN(255), 1+s.IntN(254))
		a.state.Addresses = append(a.state.Addresses, address)
		a.state.Hostile.MarkAddress(address)
	}
	for range max(a.spec.Infrastructure.Domains, 1) {
		d := technique.Domain{
			Name:    fmt.Sprintf("%s-%s%d.example", sim.Pick(s, domainWords), sim.Pick(s, domainWords), s.IntN(1000)),
			Address: fmt.Sprintf("%d.%d.%d.%d", 91+s.IntN(4), s.IntN(255), s.IntN(255), 1+s.IntN(254)),
		}
		a.state.Domains = append(a.state.Domains, d)
		a.state.Hostile.MarkAddress(d.Name)
		a.state.Hostile.MarkAddress(d.Address)
	}
}

// Indicators lists the attacker's addresses and domains, for feeds.
func (a *Agent) Indicators() (addresses, domains []string) {
	addresses = append(addresses, a.state.Addresses...)
	for _, d := range a.state.Domains {
		addresses = append(addresses, d.Address)
		domains = append(domains, d.Name)
	}
	return addresses, domains
}
