package defence

import (
	"hemostat/defenders/inventory"
	"hemostat/sim/world"
)

// InventoryOf is what the defence may know of the estate.
func InventoryOf(w *world.World) *inventory.Inventory {
	hosts := make([]inventory.Host, 0, len(w.Hosts))
	for _, h := range w.Hosts {
		x := inventory.Host{
			Name:        h.Name,
			IP:          h.IP,
			Zone:        h.Zone.Name,
			Role:        h.Role,
			OS:          h.OS,
			Criticality: h.Criticality,
		}
		if h.Owner != nil {
			x.Owner = h.Owner.Name
		}
		hosts = append(hosts, x)
	}
	accounts := make([]inventory.Account, 0, len(w.Accounts))
	for _, a := range w.Accounts {
		accounts = append(accounts, inventory.Account{Name: a.Name, Privilege: a.Privilege.String()})
	}
	return inventory.New(hosts, accounts)
}
