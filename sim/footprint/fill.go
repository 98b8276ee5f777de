package footprint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hemostat/sim/event"
)

// Cast is who and what of a simulated estate takes the parts of a footprint.
type Cast struct {
	Hosts map[string]Part // by the footprint's names
	// User is the n-th account of the recording, from 1.
	User func(n int) Account
	// Number gives the n-th identifier of a kind: the same for the same n while one
	// footprint is played, and another one the next time.
	Number func(kind string, n int) uint64

	NetBIOS, Domain, DomainSID string
	C2, C2IP                   string // the attackers' server
	Epoch                      time.Time
}

// Part is a host of the estate.
type Part struct{ Name, FQDN, IP string }

// Account is an account of the estate.
type Account struct{ Name, SID string }

var variable = regexp.MustCompile(`\{(c2ip|c2|[a-z]+)([0-9]*)(?:\.([a-z]+))?(?::([^{}]*))?\}`)

// Fill gives an event the fields of a footprint's event.
func (c *Cast) Fill(out *event.Event, e *Event, now time.Duration) {
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		value := c.Expand(e.Fields[name], now)
		if f := event.FieldByName(name); f == event.LogChannel && out.Value(f) != "" {
			out.SetList(name, []string{out.Value(f), value}) // event 104 names the log that was cleared
			continue
		}
		out.SetName(name, value)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Lists)) {
		members := make([]string, len(e.Lists[name]))
		for i, m := range e.Lists[name] {
			members[i] = c.Expand(m, now)
		}
		out.SetList(name, members)
	}
}

// Expand replaces the variables in a text.
func (c *Cast) Expand(text string, now time.Duration) string {
	if strings.IndexByte(text, '{') < 0 {
		return text
	}
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		m := variable.FindStringSubmatch(found)
		value, ok := c.value(m[1], m[2], m[3], m[4], now)
		if !ok {
			return found
		}
		return value
	})
}

func (c *Cast) value(kind, digits, part, argument string, now time.Duration) (string, bool) {
	n, _ := strconv.Atoi(argument)
	switch kind {
	case "lit":
		return "{" + argument + "}", true
	case "here", "there":
		host, ok := c.Hosts[kind+digits]
		switch part {
		case "fqdn":
			return host.FQDN, ok
		case "ip":
			return host.IP, ok
		}
		return host.Name, ok
	case "user", "sid":
		which := 1
		if digits != "" {
			which, _ = strconv.Atoi(digits)
		}
		if kind == "sid" {
			return c.User(which).SID, true
		}
		return c.User(which).Name, true
	case "netbios":
		return c.NetBIOS, true
	case "domain":
		return c.Domain, true
	case "domainsid":
		return c.DomainSID, true
	case "c2":
		return c.C2, true
	}
	return c.identifier(kind, n, argument, now)
}

func (c *Cast) identifier(kind string, n int, argument string, now time.Duration) (string, bool) {
	switch kind {
	case "c2ip":
		return c.C2IP, true
	case "guid", "id":
		a, b := c.Number("guid", n), c.Number("guid", n+1<<20)
		text := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", uint32(a>>32), uint16(a>>16), uint16(a), uint16(b>>48),
			b&0xffffffffffff)
		if kind == "guid" {
			text = "{" + text + "}"
		}
		return text, true
	case "logon":
		return fmt.Sprintf("0x%x", 0x30000+c.Number(kind, n)>>36), true
	case "pid":
		return fmt.Sprint(c.PID(n)), true
	case "xpid":
		return fmt.Sprintf("0x%x", c.PID(n)), true
	case "port":
		return fmt.Sprint(49152 + c.Number(kind, n)%16000), true
	case "ip":
		return fmt.Sprintf("10.20.3.%d", 10+c.Number(kind, n)%200), true
	case "utc", "time":
		offset, err := time.ParseDuration(argument)
		if err != nil {
			return "", false
		}
		at := c.Epoch.Add(now + offset).UTC()
		if kind == "utc" {
			return at.Format(winUTC), true
		}
		return at.Format("2006-01-02T15:04:05.0000000Z"), true
	}
	return "", false
}

// Started is the variable of the process that an event starts, for PID; false when it starts
// none.
func (e *Event) Started() (n int, ok bool) {
	value := ""
	switch {
	case e.ID == "1" && strings.Contains(e.Log, "Sysmon"):
		value = e.Fields["ProcessId"]
	case e.ID == "4688":
		value = e.Fields["NewProcessId"]
	}
	m := variable.FindStringSubmatch(value)
	if m == nil || m[1] != "pid" && m[1] != "xpid" {
		return 0, false
	}
	n, err := strconv.Atoi(m[4])
	return n, err == nil
}

// PID is the number of the n-th process.
func (c *Cast) PID(n int) uint32 { return uint32(2000+c.Number("pid", n)%28000) &^ 3 }
