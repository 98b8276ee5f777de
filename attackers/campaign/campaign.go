package campaign

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"hemostat/attackers/evasion"
	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/strictyaml"
)

// Attacker is one attacker of a scenario.
type Attacker struct {
	Pos            strictyaml.Pos `yaml:"-"`
	Name           string         `yaml:"name" required:"true" name:"true" doc:"name of the attacker, unique in the scenario"`
	Skill          Share          `yaml:"skill" doc:"0 a beginner to 1 an expert: speed, success, recognition of decoys; 0.5 when absent"`
	Stealth        Share          `yaml:"stealth" doc:"0 loud to 1 quiet: choice of tools and pace; 0.3 when absent"`
	Infrastructure Infrastructure `yaml:"infrastructure" doc:"what the attacker owns on the internet"`
	Start          Start          `yaml:"start" doc:"when the attack begins"`
	Goal           Goal           `yaml:"goal" required:"true" doc:"what the attacker is after; reaching it ends the attack"`
	GiveUp         GiveUp         `yaml:"give_up" doc:"when the price is too high"`
	Hours          Hours          `yaml:"hours" doc:"working hours of the attacker, on the victims' clock; any time when absent"`
	Evasion        []evasion.Spec `yaml:"evasion" doc:"how the attacker deceives a defence that learns (docs/adversarial.md)"`
	Campaign       []Stage        `yaml:"campaign" required:"true" doc:"what the attacker does, stage by stage"`

	// Library are the techniques with the scenario's footprints.
	Library *technique.Library `yaml:"-"`
}

// Share is a number from 0 to 1, or a range from which each trial draws.
type Share struct {
	Set       bool
	Low, High float64
}

// Draw takes the share of one trial.
func (v Share) Draw(s *sim.Stream, absent float64) float64 {
	u := s.Float64()
	if !v.Set {
		return absent
	}
	return v.Low + (v.High-v.Low)*u
}

// ReadYAML reads 0.7 or [0.4, 0.9].
func (v *Share) ReadYAML(d *strictyaml.Decoder, n *yaml.Node, path string) {
	v.Set = true
	if n.Kind == yaml.SequenceNode {
		var ends []float64
		d.ReadInto(n, &ends, path)
		if len(ends) != 2 || ends[0] > ends[1] {
			d.Fault(n, path, "a range is written [low, high]")
			return
		}
		v.Low, v.High = ends[0], ends[1]
	} else {
		d.ReadInto(n, &v.Low, path)
		v.High = v.Low
	}
	if v.Low < 0 || v.High > 1 {
		d.Fault(n, path, "a share from 0 to 1 is expected, or a range of it such as [0.4, 0.9]")
	}
}

// JSONSchema describes the two spellings.
func (Share) JSONSchema() map[string]any {
	number := map[string]any{"type": "number", "minimum": 0, "maximum": 1}
	return map[string]any{
		"anyOf": []any{number, map[string]any{"type": "array", "items": number, "minItems": 2, "maxItems": 2}},
	}
}

// Infrastructure is what the attacker owns on the internet.
type Infrastructure struct {
	Addresses int    `yaml:"addresses" doc:"source addresses; 1 when absent"`
	Domains   int    `yaml:"domains" doc:"command-and-control domains; 1 when absent"`
	TLSClient string `yaml:"tls_client" enum:"go,sliver,schannel,winhttp,cobalt_strike,browser,firefox,python,curl,java" doc:"TLS client of the tools; go when absent"`
	// Certificate is what the servers show.
	Certificate string `yaml:"certificate" enum:"self_signed,public" doc:"certificate of the attacker's servers: self_signed when absent, public for one of a public authority"`
}

// Start says when the attack begins.
type Start struct {
	After sim.Dist `yaml:"after" doc:"time from the scenario's start to the first step"`
}

// Goal is what the attacker is after; exactly one is given.
type Goal struct {
	Pos        strictyaml.Pos  `yaml:"-"`
	Control    *HostGoal       `yaml:"control" doc:"a foothold on hosts of a role"`
	Persist    *HostGoal       `yaml:"persist" doc:"a program that starts by itself on hosts of a role"`
	Exfiltrate *ExfiltrateGoal `yaml:"exfiltrate" doc:"data that has left"`
	Encrypt    *EncryptGoal    `yaml:"encrypt" doc:"hosts that are encrypted"`
	Destroy    *EncryptGoal    `yaml:"destroy" doc:"hosts whose data or disk is gone"`
	Mine       *HostGoal       `yaml:"mine" doc:"hosts that compute for the attacker"`
	Cloud      *CloudGoal      `yaml:"cloud" doc:"accounts of the cloud directory that are taken over"`
	Finish     *FinishGoal     `yaml:"finish" doc:"the plan itself: it is followed to its end, as in an exercise"`
}

// FinishGoal is a plan carried out.
type FinishGoal struct {
	Share float64 `yaml:"share" doc:"share of the stages that must have worked by the end of the plan; 1 when absent"`
}

// CloudGoal is a number of cloud accounts.
type CloudGoal struct {
	Accounts int `yaml:"accounts" doc:"how many; 1 when absent"`
}

// Hours are an attacker's working hours.
type Hours struct {
	From     int  `yaml:"from" doc:"hour of the day at which work begins, 0 to 23"`
	To       int  `yaml:"to" doc:"hour of the day at which it ends, up to 24; 0 for no working hours"`
	Weekends bool `yaml:"weekends" doc:"whether weekends are worked"`
}

// Next is the first moment from at on (calendar time) that lies in the working hours.
func (h Hours) Next(at time.Time) time.Time {
	if h.To == 0 {
		return at
	}
	for range 24 * 14 {
		weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday
		if at.Hour() >= h.From && at.Hour() < h.To && (h.Weekends || !weekend) {
			return at
		}
		at = at.Truncate(time.Hour).Add(time.Hour)
	}
	return at
}

// HostGoal is a number of hosts of a role.
type HostGoal struct {
	Role  role.Role `yaml:"role" doc:"role of the hosts; any when absent"`
	Count int       `yaml:"count" doc:"how many; 1 when absent"`
}

// ExfiltrateGoal is an amount of data.
type ExfiltrateGoal struct {
	Gigabytes float64 `yaml:"gigabytes" required:"true" doc:"how much must leave"`
}

// EncryptGoal is a number of hosts.
type EncryptGoal struct {
	Hosts int `yaml:"hosts" required:"true" doc:"how many hosts must be encrypted"`
}

// Kind is the goal's key.
func (g Goal) Kind() string {
	switch {
	case g.Control != nil:
		return "control"
	case g.Persist != nil:
		return "persist"
	case g.Exfiltrate != nil:
		return "exfiltrate"
	case g.Encrypt != nil:
		return "encrypt"
	case g.Destroy != nil:
		return "destroy"
	case g.Mine != nil:
		return "mine"
	case g.Cloud != nil:
		return "cloud"
	case g.Finish != nil:
		return "finish"
	}
	return ""
}

// The types of attacker, after what they are after and how they begin.
const (
	extortionist = "extortionist" // encrypts
	saboteur     = "saboteur"     // destroys
	insider      = "insider"      // begins with an account of their own
	opportunist  = "opportunist"  // takes what is open: mines, or begins by guessing and scanning
	spy          = "spy"          // everybody else: stays, reads, carries away
)

// Techniques are those of the campaign, each once, in the order of the stages.
func (a *Attacker) Techniques() []string {
	var out []string
	for i := range a.Campaign {
		for _, id := range a.Campaign[i].Techniques() {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// Type is the type of the attacker.
func (a *Attacker) Type() string {
	var first []string
	if len(a.Campaign) > 0 {
		first = a.Campaign[0].Techniques()
	}
	begins := func(prefix string) bool {
		return slices.ContainsFunc(first, func(id string) bool { return strings.HasPrefix(id, prefix) })
	}
	switch {
	case a.Goal.Encrypt != nil:
		return extortionist
	case a.Goal.Destroy != nil:
		return saboteur
	case begins("T1078.002"):
		return insider
	case a.Goal.Mine != nil, begins("T1110"), begins("T1595.001"):
		return opportunist
	}
	return spy
}

// Role is the role that the goal names, or "".
func (g Goal) Role() role.Role {
	switch {
	case g.Control != nil:
		return g.Control.Role
	case g.Persist != nil:
		return g.Persist.Role
	case g.Mine != nil:
		return g.Mine.Role
	}
	return ""
}

func (g Goal) keys() int {
	n := 0
	for _, given := range []bool{g.Control != nil, g.Persist != nil, g.Exfiltrate != nil, g.Encrypt != nil,
		g.Destroy != nil, g.Mine != nil, g.Cloud != nil, g.Finish != nil} {
		if given {
			n++
		}
	}
	return n
}

// GiveUp says when the attacker stops.
type GiveUp struct {
	After    time.Duration `yaml:"after" doc:"time after the first step; the horizon when absent"`
	Failures int           `yaml:"failures" doc:"failures in a row; 10 when absent"`
	Blocks   int           `yaml:"blocks" doc:"times that the defence blocked them; without limit when absent"`
}

// Stage is one stage of a campaign.
type Stage struct {
	Pos       strictyaml.Pos    `yaml:"-"`
	ID        string            `yaml:"id" doc:"name of the stage, for needs"`
	Needs     []string          `yaml:"needs" doc:"stages that must have succeeded, else this one is left out"`
	Do        Moves             `yaml:"do" doc:"a technique, a list to do in any order, or {any: [...]} to choose from"`
	Try       []Choice          `yaml:"try" doc:"weighted alternatives, one chosen at a time"`
	When      *Condition        `yaml:"when" doc:"do the stage only if this holds when its turn comes, such as what was found before"`
	Until     *Condition        `yaml:"until" doc:"repeat the stage until this holds"`
	Loop      *Loop             `yaml:"loop" doc:"repeat the stage a number of times"`
	Pace      sim.Dist          `yaml:"pace" doc:"pause after each technique, before stealth lengthens it"`
	From      string            `yaml:"from" enum:"internet,foothold" doc:"where the attacker acts from, for readers"`
	With      map[string]string `yaml:"with" doc:"options of the technique: tool, role"`
	OnBlocked []Reaction        `yaml:"on_blocked" doc:"what to do when the defence stops a technique; each next block takes the next reaction"`
	OnFailure string            `yaml:"on_failure" enum:"continue,stop" doc:"what to do when the stage has failed for good; continue when absent"`
	Retries   int               `yaml:"retries" doc:"how often a technique is tried again; 2 when absent"`
}

// Choice is a weighted alternative.
type Choice struct {
	Do     string  `yaml:"do" required:"true" doc:"technique"`
	Weight float64 `yaml:"weight" doc:"relative weight; 1 when absent"`
}

// Loop repeats a stage.
type Loop struct {
	Max   int       `yaml:"max" required:"true" doc:"most times"`
	Until Condition `yaml:"until" doc:"stop early when this holds"`
}

// Moves is what a stage does.
type Moves struct {
	All  []string // each, in any order
	Any  []string // one of these
	Tool string   // of the one technique of All, if it is named
}

// empty tells whether nothing is given.
func (m Moves) empty() bool { return len(m.All)+len(m.Any) == 0 }

// ReadYAML reads T1078, [T1018, T1087.002], {any: [T1021.002, T1021.001]} or
// {technique: T1003.001, tool: comsvcs}.
func (m *Moves) ReadYAML(d *strictyaml.Decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.MappingNode && hasKey(n, "technique") {
		var one struct {
			Technique string `yaml:"technique" required:"true"`
			Tool      string `yaml:"tool"`
		}
		d.ReadInto(n, &one, path)
		m.All, m.Tool = []string{one.Technique}, one.Tool
		return
	}
	if n.Kind == yaml.MappingNode {
		var choice struct {
			Any []string `yaml:"any" required:"true"`
		}
		d.ReadInto(n, &choice, path)
		m.Any = choice.Any
		return
	}
	d.ReadInto(n, &m.All, path)
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// JSONSchema describes the four spellings.
func (Moves) JSONSchema() map[string]any {
	one := map[string]any{"type": "string", "enum": techniqueIDs()}
	list := map[string]any{"type": "array", "items": one, "minItems": 1}
	return map[string]any{"anyOf": []any{one, list,
		map[string]any{
			"type":                 "object",
			"additionalProperties": false,
			"required":             []string{"any"},
			"properties":           map[string]any{"any": list},
		},
		map[string]any{
			"type":                 "object",
			"additionalProperties": false,
			"required":             []string{"technique"},
			"properties": map[string]any{"technique": map[string]any{"type": "string"},
				"tool": map[string]any{"type": "string"}},
		}}}
}

func techniqueIDs() []string {
	var ids []string
	for _, t := range technique.All() {
		ids = append(ids, t.ID)
	}
	return ids
}

// Condition holds or does not; the goal, or one of the others.
type Condition struct {
	Goal       bool
	Credential string // privilege
	Foothold   string // role
	Elevated   bool
	Cloud      bool // a session in the cloud that works
	KnownHosts int
	Staged     float64 // gigabytes
}

// ReadYAML reads goal, elevated, cloud, or a mapping.
func (c *Condition) ReadYAML(d *strictyaml.Decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode {
		switch n.Value {
		case "goal":
			c.Goal = true
		case "elevated":
			c.Elevated = true
		case "cloud":
			c.Cloud = true
		default:
			d.Fault(
				n,
				path,
				"unknown condition %q; accepted: goal, elevated, cloud, {credential: {privilege: …}}, {foothold: {role: …}}, {known_hosts: N}, {staged: {gigabytes: N}}",
				n.Value,
			)
		}
		return
	}
	var m struct {
		Credential *struct {
			Privilege string `yaml:"privilege" required:"true" enum:"user,service,server_admin,domain_admin,admin"`
		} `yaml:"credential"`
		Foothold *struct {
			Role string `yaml:"role" required:"true"`
		} `yaml:"foothold"`
		KnownHosts int `yaml:"known_hosts"`
		Staged     *struct {
			Gigabytes float64 `yaml:"gigabytes" required:"true"`
		} `yaml:"staged"`
	}
	d.ReadInto(n, &m, path)
	if m.Credential != nil {
		c.Credential = m.Credential.Privilege
	}
	if m.Foothold != nil {
		c.Foothold = m.Foothold.Role
	}
	c.KnownHosts = m.KnownHosts
	if m.Staged != nil {
		c.Staged = m.Staged.Gigabytes
	}
	if *c == (Condition{}) {
		d.Fault(n, path, "a condition is empty")
	}
}

// JSONSchema describes the spellings.
func (Condition) JSONSchema() map[string]any {
	object := func(key, typ string) map[string]any {
		return map[string]any{
			"type":                 "object",
			"additionalProperties": false,
			"properties":           map[string]any{key: map[string]any{"type": typ}},
		}
	}
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "enum": []string{"goal", "elevated", "cloud"}},
		map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
			"credential": object("privilege", "string"), "foothold": object("role", "string"),
			"known_hosts": map[string]any{"type": "integer"}, "staged": object("gigabytes", "number"),
		}},
	}}
}

// Reaction is what an attacker does when they are blocked.
type Reaction struct {
	Kind string
	Wait time.Duration
}

var reactionKinds = []string{
	"change_address",
	"change_credential",
	"change_host",
	"change_tool",
	"slow_down",
	"give_up",
}

// ReadYAML reads a name or {wait: 30m}.
func (r *Reaction) ReadYAML(d *strictyaml.Decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.MappingNode {
		var m struct {
			Wait time.Duration `yaml:"wait" required:"true"`
		}
		d.ReadInto(n, &m, path)
		r.Kind, r.Wait = "wait", m.Wait
		return
	}
	d.ReadInto(n, &r.Kind, path)
	if !slices.Contains(reactionKinds, r.Kind) {
		d.Fault(n, path, "unknown reaction %q; accepted: %s, {wait: 30m}", r.Kind, strings.Join(reactionKinds, ", "))
	}
}

// JSONSchema describes the spellings.
func (Reaction) JSONSchema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "enum": reactionKinds},
		map[string]any{
			"type":                 "object",
			"additionalProperties": false,
			"required":             []string{"wait"},
			"properties":           map[string]any{"wait": map[string]any{"type": "string"}},
		},
	}}
}

// Estate is what a campaign needs to know of the scenario's world.
type Estate struct {
	Roles     []role.Role
	Platforms []string
	HoleInWeb bool // a web server has a vulnerability
}

// lacks tells what the estate lacks for a technique, or "".
func (e Estate) lacks(t *technique.Technique) string {
	has := func(p string) bool { return slices.Contains(e.Platforms, p) || p == "network" || p == "identity" }
	switch {
	case !slices.ContainsFunc(t.Platforms, has):
		return "it needs a host with " + strings.Join(t.Platforms, " or ")
	case (t.ID == "T1190" || t.ID == "T1595.002") && !slices.Contains(e.Roles, role.WebServer):
		return "it needs a host with the role web_server"
	case t.ID == "T1190" && !e.HoleInWeb:
		return "it needs a web_server with a vulnerability"
	case (t.ID == "T1078" || t.ID == "T1133") && !slices.Contains(e.Roles, role.CloudGateway):
		return "it needs a host with the role cloud_gateway"
	}
	return ""
}

// Check reports what is wrong with a campaign beyond its form.
func (a *Attacker) Check(path string, estate Estate) strictyaml.Faults {
	c := check{path: path, roles: estate.Roles, estate: estate, attacker: a}
	c.goal()
	c.stages()
	c.needs()
	return append(c.faults, evasion.Check(a.Evasion, path)...)
}

type check struct {
	path     string
	roles    []role.Role
	estate   Estate
	attacker *Attacker
	faults   strictyaml.Faults
	achieves map[string]bool
}

func (c *check) fault(p strictyaml.Pos, path, format string, args ...any) {
	c.faults = append(c.faults, p.Fault(c.path+path, format, args...))
}

func (c *check) goal() {
	g := c.attacker.Goal
	if n := g.keys(); n != 1 {
		c.fault(
			g.Pos,
			".goal",
			"exactly one of control, persist, exfiltrate, encrypt, destroy, mine, cloud, finish is expected, %d are given",
			n,
		)
	}
	if wanted := g.Role(); wanted != "" && !slices.Contains(c.roles, wanted) {
		c.fault(g.Pos, ".goal", "no host of the world has the role %q; roles: %s", wanted, role.Join(c.roles))
	}
	if g.Exfiltrate != nil && !(g.Exfiltrate.Gigabytes > 0) {
		c.fault(g.Pos, ".goal.exfiltrate.gigabytes", "an amount above 0 is expected")
	}
	if g.Encrypt != nil && g.Encrypt.Hosts < 1 {
		c.fault(g.Pos, ".goal.encrypt.hosts", "1 or more is expected")
	}
	if g.Finish != nil && (g.Finish.Share < 0 || g.Finish.Share > 1) {
		c.fault(g.Pos, ".goal.finish.share", "a share from 0 to 1 is expected")
	}
	if g.Destroy != nil && g.Destroy.Hosts < 1 {
		c.fault(g.Pos, ".goal.destroy.hosts", "1 or more is expected")
	}
	if h := c.attacker.Hours; h.From < 0 || h.To > 24 || h.To < 0 || h.To != 0 && h.From >= h.To {
		c.fault(c.attacker.Pos, ".hours", "hours of the day are expected, from before to, such as {from: 8, to: 18}")
	}
	if i := c.attacker.Infrastructure; i.Addresses < 0 || i.Domains < 0 {
		c.fault(c.attacker.Pos, ".infrastructure", "numbers of 0 or more are expected")
	}
	if c.attacker.GiveUp.Failures < 0 {
		c.fault(c.attacker.Pos, ".give_up.failures", "a number of 0 or more is expected")
	}
}

func (c *check) stages() {
	c.achieves = map[string]bool{}
	if len(c.attacker.Campaign) == 0 {
		c.fault(c.attacker.Pos, ".campaign", "a campaign needs at least one stage")
		return
	}
	for i := range c.attacker.Campaign {
		c.stage(fmt.Sprintf(".campaign[%d]", i), &c.attacker.Campaign[i])
	}
	kind := c.attacker.Goal.Kind()
	reachable := kind == "" || kind == "finish" || c.achieves[kind] || kind == "control" && c.achieves["foothold"]
	if !reachable {
		c.fault(
			c.attacker.Goal.Pos,
			".goal",
			"no technique of the campaign can reach the goal %q; those that can: %s",
			kind,
			strings.Join(reaching(kind), ", "),
		)
	}
	first := c.attacker.Campaign[0]
	for _, id := range first.Techniques() {
		if t := c.attacker.Library.Find(id); t != nil && t.Tactic != "reconnaissance" && t.Tactic != "initial-access" &&
			!fromOutside(t) {
			c.fault(
				first.Pos,
				".campaign[0]",
				"the first stage starts with nothing, but %s needs %s; begin with reconnaissance or initial access",
				id,
				t.Needs,
			)
		}
	}
}

// fromOutside tells whether a technique can begin a campaign although its tactic is
// none of those that begin one.
func fromOutside(t *technique.Technique) bool {
	return t.ID == "T1110.001" || t.ID == "T1110.003" || t.ID == "T1621" || t.ID == "T1528"
}

func reaching(kind string) []string {
	var ids []string
	for _, t := range technique.All() {
		if t.Achieves == kind {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

func (c *check) stage(path string, s *Stage) {
	kinds := 0
	if !s.Do.empty() {
		kinds++
	}
	if len(s.Try) > 0 {
		kinds++
	}
	if kinds != 1 {
		c.fault(s.Pos, path, "a stage has either do or try")
	}
	for _, id := range s.Techniques() {
		t := c.attacker.Library.Find(id)
		if t == nil {
			c.fault(s.Pos, path, "unknown technique %q%s", id, closest(id))
			continue
		}
		if lack := c.estate.lacks(t); lack != "" {
			c.fault(s.Pos, path, "%s can never be done in this world: %s", id, lack)
		}
		c.achieves[t.Achieves] = true
		if t.Tactic == "initial-access" {
			c.achieves["foothold"] = true
		}
		if tool := cmp.Or(s.With["tool"], s.Do.Tool); tool != "" && !slices.Contains(t.Tools, tool) {
			c.fault(s.Pos, path+".with.tool", "%s has no tool %q; tools: %s", id, tool, strings.Join(t.Tools, ", "))
		}
	}
	for key := range s.With {
		if key != "tool" && key != "role" {
			c.fault(s.Pos, path+".with", "unknown option %q; accepted: tool, role", key)
		}
	}
	if s.Loop != nil && s.Loop.Max < 1 {
		c.fault(s.Pos, path+".loop.max", "1 or more is expected, not %d", s.Loop.Max)
	}
	if s.Loop != nil && s.Until != nil {
		c.fault(s.Pos, path, "loop and until contradict each other: put the condition into loop.until")
	}
	for _, choice := range s.Try {
		if choice.Weight < 0 {
			c.fault(s.Pos, path+".try", "a weight of 0 or more is expected")
		}
	}
	if s.Retries < 0 {
		c.fault(s.Pos, path+".retries", "0 or more is expected")
	}
}

func closest(id string) string {
	var same []string
	root, _, _ := strings.Cut(id, ".")
	for _, t := range technique.All() {
		if strings.HasPrefix(t.ID, root) {
			same = append(same, t.ID)
		}
	}
	if len(same) > 0 {
		return "; the library has " + strings.Join(same, ", ")
	}
	return "; see 'hemostat scenario schema' for the library"
}

// needs reports references to nowhere and cycles.
func (c *check) needs() {
	index := map[string]int{}
	for i, s := range c.attacker.Campaign {
		if s.ID == "" {
			continue
		}
		if _, twice := index[s.ID]; twice {
			c.fault(s.Pos, fmt.Sprintf(".campaign[%d].id", i), "stage id %q is used twice", s.ID)
		}
		index[s.ID] = i
	}
	state := make([]int, len(c.attacker.Campaign)) // 1 on the path, 2 done
	var visit func(i int, trail []string)
	visit = func(i int, trail []string) {
		s := &c.attacker.Campaign[i]
		trail = append(trail, s.ID)
		if state[i] == 1 {
			c.fault(
				s.Pos,
				fmt.Sprintf(".campaign[%d].needs", i),
				"stages need each other in a cycle: %s",
				strings.Join(trail, " → "),
			)
			return
		}
		if state[i] == 2 {
			return
		}
		state[i] = 1
		for _, need := range s.Needs {
			if j, ok := index[need]; ok {
				visit(j, trail)
			} else {
				c.fault(s.Pos, fmt.Sprintf(".campaign[%d].needs", i), "no stage has the id %q", need)
			}
		}
		state[i] = 2
	}
	for i := range c.attacker.Campaign {
		visit(i, nil)
	}
}

// Techniques lists every technique that a stage may use.
func (s *Stage) Techniques() []string {
	ids := append(slices.Clone(s.Do.All), s.Do.Any...)
	for _, c := range s.Try {
		ids = append(ids, c.Do)
	}
	return ids
}
