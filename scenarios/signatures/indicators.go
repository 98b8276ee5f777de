package signatures

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/fusion/indicator"
	"hemostat/sim/event"
	"hemostat/sim/record"
)

// Indicator is something that events around confirmed incidents name and ordinary ones do not.
type Indicator struct {
	Kind  indicator.Kind
	Value string
	// Campaigns are the confirmed campaigns in which it was seen.
	Campaigns []string
	// True and False count, on days that were not learned from, the hosts about which events named
	// it that an attack caused, and others.
	True, False int
}

// confidence is what is believed of it: half after one campaign, more with each further one and with
// what it came to on other days, never more than 0.9.
func (i *Indicator) confidence() float64 {
	seen := float64(len(i.Campaigns) + i.True)
	return min(0.9, seen/(seen+float64(i.False)+1))
}

// IOC is the indicator in the form in which it is exchanged. Source names the database, on is the
// day of learning; it lasts for a time, or where that is 0, as long as one of its kind.
func (i *Indicator) IOC(source string, on time.Time, lasts time.Duration) indicator.IOC {
	until := on.Add(cmp.Or(lasts, indicator.Lifetime(i.Kind)))
	return indicator.IOC{
		Value: i.Value, Type: i.Kind, FirstSeen: on, LastSeen: on, Source: source, Confidence: i.confidence(), Tags: []string{"learned"},
		Context: map[string]string{indicator.ValidUntil: until.Format(time.RFC3339), "campaigns": strings.Join(i.Campaigns, " ")},
	}
}

type indicatorKey struct {
	kind  indicator.Kind
	value string
}

// indicatorFields are the fields of events that name what is shared as indicators.
var indicatorFields = []struct {
	kind  indicator.Kind
	field event.Field
}{
	{indicator.Domain, event.QueryName}, {indicator.Domain, event.DNSQuery}, {indicator.Domain, event.ServerName},
	{indicator.Domain, event.DestinationHostname}, {indicator.Domain, event.ClientServerHost},
	{indicator.IPv4, event.IDRespHost}, {indicator.IPv4, event.IDOrigHost}, {indicator.IPv4, event.DestinationIp},
	{indicator.IPv4, event.SourceIp}, {indicator.IPv4, event.IpAddress}, {indicator.IPv4, event.DstIP},
	{indicator.JA4, event.JA4},
}

// hashField holds hashes in Sysmon's form.
var hashField = event.FieldByName("Hashes")

// indicatorsOf calls f with what an event names, in the normal form. What lies inside an estate,
// and names of one part, are none.
func indicatorsOf(e *event.Event, f func(indicatorKey)) {
	for _, x := range indicatorFields {
		text := e.Value(x.field)
		if text == "" || text == "-" {
			continue
		}
		kind := x.kind
		if address, err := netip.ParseAddr(text); err == nil {
			address = address.Unmap()
			if kind == indicator.JA4 || address.IsPrivate() || !address.IsGlobalUnicast() {
				continue
			}
			if kind = indicator.IPv4; address.Is6() {
				kind = indicator.IPv6
			}
		} else if kind == indicator.IPv4 || kind == indicator.Domain && !strings.Contains(text, ".") {
			continue
		}
		if value, err := indicator.Normalize(kind, text); err == nil {
			f(indicatorKey{kind, value})
		}
	}
	if company := e.Value(event.Company); company != "" && company != "-" {
		return // what a vendor ships is no sign of an attack, however it is used
	}
	for part := range strings.SplitSeq(e.Value(hashField), ",") {
		if sum, ok := strings.CutPrefix(part, "SHA256="); ok {
			if value, err := indicator.Normalize(indicator.SHA256, sum); err == nil {
				f(indicatorKey{indicator.SHA256, value})
			}
		}
	}
}

// Indicators are what events that alerts are about name around confirmed incidents, and no ordinary
// event does, measured on the days that were held out. The truth is read of these alone.
func Indicators(ctx context.Context, days, held []*Day, o Options) ([]*Indicator, error) {
	o.Score = cmp.Or(o.Score, DefaultScore)
	o.Before, o.After = cmp.Or(o.Before, before), cmp.Or(o.After, after)
	found := map[indicatorKey]*Indicator{}
	ordinary := map[indicatorKey]bool{}
	inside := map[string]bool{}
	for _, d := range slices.Concat(days, held) {
		for _, e := range d.Trial.Entities {
			short, _, _ := strings.Cut(strings.ToLower(e.Name), ".")
			inside[short] = true
		}
	}
	for _, d := range days {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x := learned{d, scopesOf(d, &o)}
		if err := d.Events(func(s *record.StoredEvent) error {
			x.indicators(s.Event, found, ordinary)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for key := range found {
		short, _, _ := strings.Cut(key.value, ".")
		if ordinary[key] || key.kind == indicator.Domain && inside[short] {
			delete(found, key)
		}
	}
	for _, d := range held {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := measureIndicators(d, found); err != nil {
			return nil, err
		}
	}
	var out []*Indicator
	for _, i := range found {
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b *Indicator) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value)) })
	return out, nil
}

// indicators notes what an event of the day names: around a confirmed incident where an alert is
// about it, or in ordinary life. What an unconfirmed incident may be about is neither.
func (d *learned) indicators(e *event.Event, found map[indicatorKey]*Indicator, ordinary map[indicatorKey]bool) {
	var of *scope
	for _, s := range d.scopes {
		if s.holds(e) {
			if of = s; s.confirmed && s.isAlerted(e) {
				break
			}
		}
	}
	indicatorsOf(e, func(key indicatorKey) {
		switch {
		case of == nil:
			ordinary[key] = true
		case of.confirmed && of.isAlerted(e):
			i := found[key]
			if i == nil {
				i = &Indicator{Kind: key.kind, Value: key.value}
				found[key] = i
			}
			if name := d.nameOf(of); !slices.Contains(i.Campaigns, name) {
				i.Campaigns = append(i.Campaigns, name)
			}
		}
	})
}

// measureIndicators counts of a day about which hosts events name each indicator.
func measureIndicators(d *Day, found map[indicatorKey]*Indicator) error {
	type hit struct {
		key  indicatorKey
		host string
	}
	hostile := map[hit]bool{}
	if err := d.Events(func(s *record.StoredEvent) error {
		indicatorsOf(s.Event, func(key indicatorKey) {
			if found[key] != nil {
				h := hit{key, s.Event.Host}
				hostile[h] = hostile[h] || s.Attack != 0
			}
		})
		return nil
	}); err != nil {
		return err
	}
	for h, real := range hostile {
		if real {
			found[h.key].True++
		} else {
			found[h.key].False++
		}
	}
	return nil
}
