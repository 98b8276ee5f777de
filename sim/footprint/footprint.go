// Package footprint keeps what a recorded attack, or a recorded day, left in the logs, with
// everything that belongs to the place of recording made variable: hosts, accounts, SIDs,
// addresses, domains, identifiers, times. Attackers use footprints of attacks as tools of
// techniques; recorded background is a footprint of a day.
//
// footprint.go is the file, choose.go takes from a recording what belongs to the attack,
// vary.go turns values into variables, and fill.go turns them back on a simulated estate.
package footprint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
	"hemostat/sim/strictyaml"
)

// Footprint is a file.
type Footprint struct {
	Pos         strictyaml.Pos `yaml:"-"`
	Name        string         `yaml:"footprint" required:"true" name:"true" doc:"name of the tool that campaigns use"`
	Technique   string         `yaml:"technique" required:"true" doc:"ATT&CK id of the technique that was recorded"`
	Description string         `yaml:"description" doc:"what was recorded, for readers"`
	Needs       string         `yaml:"needs" enum:"nothing,foothold,windows,linux,elevated" doc:"what attackers must have before; what the library's technique needs when absent"`
	Effect      string         `yaml:"effect" doc:"what is the case afterwards, for techniques that the library lacks"`
	Recorded    Recorded       `yaml:"recorded" doc:"where it comes from"`
	Hosts       []Host         `yaml:"hosts" required:"true" doc:"hosts that the events happen on; the first is the foothold"`
	Events      []Event        `yaml:"events" required:"true" doc:"the events in order"`
}

// Recorded tells where a footprint comes from.
type Recorded struct {
	Files  []string `yaml:"files" doc:"names of the recordings"`
	At     string   `yaml:"at" doc:"time of the first event"`
	Events int      `yaml:"events" doc:"events of the recordings"`
}

// Host is a host of the recording.
type Host struct {
	Name string `yaml:"name" required:"true" name:"true" doc:"name by which events refer to it"`
	Is   string `yaml:"is" required:"true" enum:"foothold,domain_controller,server,workstation,linux" doc:"which host of the estate stands in for it"`
}

// Event is one event.
type Event struct {
	At       time.Duration       `yaml:"at" doc:"time since the first event"`
	On       string              `yaml:"on" doc:"host that it happens on; the first one when absent"`
	Log      string              `yaml:"log" doc:"channel of an event of a Windows log"`
	ID       string              `yaml:"id" doc:"its event id"`
	Provider string              `yaml:"provider" doc:"its provider"`
	Source   event.LogSource     `yaml:"source" doc:"log source of any other event, in the parts of Sigma"`
	Fields   map[string]string   `yaml:"fields" doc:"fields; names in braces are variables"`
	Lists    map[string][]string `yaml:"lists" doc:"fields that hold several values"`
}

// MostValues bounds the values of a footprint, which is some thousand events: more is a day
// and no technique, and more than a YAML document may hold.
const MostValues = 90_000

// Values counts the fields of all events.
func (f *Footprint) Values() int {
	n := 0
	for i := range f.Events {
		n += len(f.Events[i].Fields) + 6
		for _, members := range f.Events[i].Lists {
			n += len(members) + 1
		}
	}
	return n
}

// Platform is where the footprint works.
func (f *Footprint) Platform() string {
	switch f.Hosts[0].Is {
	case "linux":
		return "linux"
	}
	return "windows"
}

var techniqueID = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)

// Parse reads and checks a footprint; the error names every fault with its place.
func Parse(file string, data []byte) (*Footprint, error) {
	f := &Footprint{}
	if err := strictyaml.Decode(file, data, f); err != nil {
		return nil, err
	}
	var faults strictyaml.Faults
	fault := func(path, format string, args ...any) {
		faults = append(faults, f.Pos.Fault(path, format, args...))
	}
	if !techniqueID.MatchString(f.Technique) {
		fault("technique", "an ATT&CK id is expected, such as T1003.001, not %q", f.Technique)
	}
	if len(f.Hosts) == 0 || len(f.Events) == 0 {
		fault("events", "a footprint has at least one host and one event")
		return nil, faults.Err()
	}
	if first := f.Hosts[0].Is; first != "foothold" && first != "linux" {
		fault("hosts[0].is", "the first host is where attackers act: foothold or linux is expected, not %q", first)
	}
	var names []string
	for i, h := range f.Hosts {
		names = append(names, h.Name)
		if h.Name != hostName(i) {
			fault(fmt.Sprintf("hosts[%d].name", i), "hosts are named here, there1, there2 and so on, as variables name them; "+
				"this one is %s, not %q", hostName(i), h.Name)
		}
	}
	for i := range f.Events {
		e := &f.Events[i]
		path := fmt.Sprintf("events[%d]", i)
		switch {
		case e.On != "" && !slices.Contains(names, e.On):
			fault(path+".on", "unknown host %q; declared: %s", e.On, strings.Join(names, ", "))
		case e.Log == "" && e.Source == (event.LogSource{}):
			fault(path, "an event has a log and an id, or a source")
		case e.Log != "" && e.ID == "":
			fault(path+".id", "the event id is missing")
		case i > 0 && e.At < f.Events[i-1].At:
			fault(path+".at", "events stand in the order of time; this one is before the one above it")
		}
	}
	return f, faults.Err()
}

// Marshal writes a footprint as YAML.
func (f *Footprint) Marshal() ([]byte, error) {
	type plain struct {
		Name        string      `yaml:"footprint"`
		Technique   string      `yaml:"technique"`
		Description string      `yaml:"description,omitempty"`
		Needs       string      `yaml:"needs,omitempty"`
		Effect      string      `yaml:"effect,omitempty"`
		Recorded    Recorded    `yaml:"recorded"`
		Hosts       []Host      `yaml:"hosts"`
		Events      []yaml.Node `yaml:"events"`
	}
	out := plain{Name: f.Name, Technique: f.Technique, Description: f.Description, Needs: f.Needs, Effect: f.Effect,
		Recorded: f.Recorded, Hosts: f.Hosts}
	for i := range f.Events {
		n, err := f.Events[i].node()
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, *n)
	}
	return yaml.Marshal(out)
}

// node writes an event without what is absent.
func (e *Event) node() (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value any) error {
		var k, v yaml.Node
		if err := k.Encode(key); err != nil {
			return err
		}
		if err := v.Encode(value); err != nil {
			return err
		}
		quote(&v)
		n.Content = append(n.Content, &k, &v)
		return nil
	}
	parts := []struct {
		key   string
		value any
		empty bool
	}{
		{"at", e.At.String(), false}, {"on", e.On, e.On == ""}, {"log", e.Log, e.Log == ""}, {"id", e.ID, e.ID == ""},
		{"provider", e.Provider, e.Provider == ""}, {"source", sourceMap(e.Source), e.Log != ""}, {"fields", e.Fields,
			len(e.Fields) == 0},
		{"lists", e.Lists, len(e.Lists) == 0},
	}
	for _, p := range parts {
		if !p.empty {
			if err := add(p.key, p.value); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// quote writes texts of several lines between quotes: the library's own form for them loses
// lines that begin with a tab.
func quote(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.ContainsAny(n.Value, "\n\t\r") {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		quote(child)
	}
}

func sourceMap(s event.LogSource) map[string]string {
	out := map[string]string{}
	for key, value := range map[string]string{"product": s.Product, "category": s.Category, "service": s.Service} {
		if value != "" {
			out[key] = value
		}
	}
	return out
}

// Schema is the JSON Schema of a footprint file.
func Schema() []byte { return strictyaml.Schema("hemostat footprint", Footprint{}) }
