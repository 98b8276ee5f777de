package scenarios

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hemostat/attackers/campaign"
	"hemostat/sim/boundedfile"
	"hemostat/sim/footprint"
	"hemostat/sim/role"
	"hemostat/sim/strictyaml"
	"hemostat/sim/world"
)

// Scenario is a scenario file.
type Scenario struct {
	Pos         strictyaml.Pos      `yaml:"-"`
	Name        string              `yaml:"name" required:"true" name:"true" doc:"name of the scenario"`
	Description string              `yaml:"description" doc:"what happens, in one sentence"`
	World       WorldRef            `yaml:"world" required:"true" doc:"the estate"`
	Horizon     time.Duration       `yaml:"horizon" required:"true" doc:"how long a trial lasts"`
	Background  Background          `yaml:"background" doc:"ordinary users, services and machines"`
	Attackers   []campaign.Attacker `yaml:"attackers" doc:"the attackers; none for a day without attack"`
	Footprints  []string            `yaml:"footprints" doc:"folders or files of recorded techniques (hemostat technique import), relative to the scenario's; attackers use them as tools"`
	Cost        CostWeights         `yaml:"cost" doc:"what harm, disruption and operations are worth"`

	File  string      `yaml:"-"`
	Text  []byte      `yaml:"-"`
	Spec  *world.Spec `yaml:"-"` // the world, scaled
	Epoch time.Time   `yaml:"-"` // calendar time of the start

	// RecordedDay are the recordings of Background, ready to be played; nil for none.
	RecordedDay *footprint.Footprint `yaml:"-"`

	prints [][]byte // texts of the footprints, and the digest of the recorded day
}

// WorldRef names the estate.
type WorldRef struct {
	Pos           strictyaml.Pos `yaml:"-"`
	Name          string         `yaml:"name" doc:"embedded world; midsize when absent"`
	File          string         `yaml:"file" doc:"world file, relative to the scenario's"`
	Hosts         int            `yaml:"hosts" doc:"scale the world to about so many hosts"`
	SeedFromTrial *bool          `yaml:"seed_from_trial" doc:"whether each trial draws its own estate; true when absent"`
}

// Background sets the honest actors.
type Background struct {
	Pos  strictyaml.Pos `yaml:"-"`
	Rate *float64       `yaml:"rate" doc:"1 is an ordinary company, 0 silence; 1 when absent"`
	Day  string         `yaml:"day" enum:"ordinary,patch,audit" doc:"kind of day: ordinary when absent, patch for updates everywhere, audit for people who look into everything"`
	// Recorded are attack-free logs that are played in.
	Recorded []string `yaml:"recorded" doc:"attack-free recordings, relative to the scenario's file, whose events are played in from the scenario's start; with rate: 0 they are all the background"`
	Start    string   `yaml:"start" doc:"weekday and time at which the trial begins, such as Tue 08:30"`
}

//go:embed embedded/*.yaml
var embedded embed.FS

// EmbeddedNames lists the scenarios that come with the program.
func EmbeddedNames() []string {
	entries, err := fs.ReadDir(embedded, "embedded")
	if err != nil {
		panic("scenarios: embedded scenarios are unreadable: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Text returns the text of a scenario, embedded or in a file, and the name by
// which errors refer to it.
func Text(nameOrFile string) (data []byte, file string, err error) {
	if data, err := embedded.ReadFile("embedded/" + nameOrFile + ".yaml"); err == nil {
		return data, nameOrFile + ".yaml", nil
	}
	if filepath.Ext(nameOrFile) == "" && !strings.ContainsAny(nameOrFile, `/\`) {
		return nil, "", fmt.Errorf(
			"no scenario is called %q; embedded: %s; for a file of your own, give its path",
			nameOrFile,
			strings.Join(EmbeddedNames(), ", "),
		)
	}
	data, err = boundedfile.Read(nameOrFile)
	if err != nil {
		return nil, "", fmt.Errorf("scenario %s: %w", nameOrFile, err)
	}
	return data, nameOrFile, nil
}

// Load reads a scenario, embedded or from a file, with parameters set.
func Load(nameOrFile string, set []Setting) (*Scenario, error) {
	data, file, err := Text(nameOrFile)
	if err != nil {
		return nil, err
	}
	if data, err = ApplySettings(file, data, set); err != nil {
		return nil, err
	}
	return Parse(file, data)
}

// Parse reads and checks a scenario; the error is a strictyaml.Faults with
// everything that is wrong with it.
func Parse(file string, data []byte) (*Scenario, error) {
	s := &Scenario{File: file, Text: data}
	var faults strictyaml.Faults
	err := strictyaml.Decode(file, data, s)
	if err != nil && !errors.As(err, &faults) {
		return nil, err
	}
	if s.Pos.Line == 0 && err != nil { // what is no mapping at all has no sense to check
		return nil, faults.Err()
	}
	for _, f := range append(s.check(), s.Cost.check()...) {
		if !slices.ContainsFunc(faults, f.Follows) {
			faults = append(faults, f)
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

const (
	maxHorizon  = 90 * 24 * time.Hour
	maxAttacker = 20
)

func (s *Scenario) check() strictyaml.Faults {
	var faults strictyaml.Faults
	add := func(p strictyaml.Pos, path, format string, args ...any) {
		faults = append(faults, p.Fault(path, format, args...))
	}
	if s.Horizon < time.Minute || s.Horizon > maxHorizon {
		add(s.Pos, "horizon", "a horizon from 1m to %s is expected, not %s", maxHorizon, s.Horizon)
	}
	if r := s.Background.Rate; r != nil && (*r < 0 || *r > 100) {
		add(s.Background.Pos, "background.rate", "a rate from 0 to 100 is expected, not %g", *r)
	}
	if err := s.readRecorded(); err != nil {
		add(s.Background.Pos, "background.recorded", "%s", err)
	}
	epoch, err := WeekTime(s.Background.Start)
	if err != nil {
		add(s.Background.Pos, "background.start", "%s", err)
	}
	s.Epoch = epoch
	spec, err := s.world()
	if err != nil {
		var inner strictyaml.Faults
		if errors.As(err, &inner) {
			return append(faults, inner...)
		}
		add(s.World.Pos, "world", "%s", err)
		return faults
	}
	s.Spec = spec
	estate := estateOf(spec)
	if len(s.Attackers) > maxAttacker {
		add(s.Pos, "attackers", "at most %d attackers are accepted", maxAttacker)
	}
	names := map[string]bool{}
	library, err := s.library()
	if err != nil {
		var inner strictyaml.Faults
		if errors.As(err, &inner) {
			return append(faults, inner...)
		}
		add(s.Pos, "footprints", "%s", err)
		return faults
	}
	for i := range s.Attackers {
		a := &s.Attackers[i]
		a.Library = library
		path := fmt.Sprintf("attackers[%d]", i)
		if names[a.Name] {
			add(a.Pos, path+".name", "attacker %q is there twice", a.Name)
		}
		names[a.Name] = true
		faults = append(faults, a.Check(path, estate)...)
		if first := a.Hours.Next(epoch); first.Sub(epoch) > s.Horizon {
			add(
				a.Pos,
				path+".hours",
				"the scenario is over after %s, before the attacker's working hours begin",
				s.Horizon,
			)
		}
	}
	return faults
}

// estateOf is what campaigns are checked against.
func estateOf(spec *world.Spec) campaign.Estate {
	e := campaign.Estate{}
	for _, g := range spec.Hosts {
		if !slices.Contains(e.Roles, g.Role) {
			e.Roles = append(e.Roles, g.Role)
		}
		if !slices.Contains(e.Platforms, g.OS) {
			e.Platforms = append(e.Platforms, g.OS)
		}
		if g.Role == role.WebServer && len(g.Vulnerabilities) > 0 {
			e.HoleInWeb = true
		}
	}
	return e
}

func (s *Scenario) world() (*world.Spec, error) {
	name := s.World.Name
	var file string
	var data []byte
	switch {
	case s.World.File != "":
		if name != "" {
			return nil, errors.New("either name or file is expected, not both")
		}
		file = s.World.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(s.File), file)
		}
		var err error
		if data, err = boundedfile.Read(file); err != nil {
			return nil, err
		}
	default:
		if name == "" {
			name = "midsize"
		}
		var ok bool
		if data, ok = world.Embedded(name); !ok {
			return nil, fmt.Errorf(
				"no embedded world is called %q; there are: %s",
				name,
				strings.Join(world.EmbeddedNames(), ", "),
			)
		}
		file = name + ".yaml"
	}
	spec, err := world.ParseSpec(file, data)
	if err != nil {
		return nil, err
	}
	if s.World.Hosts < 0 {
		return nil, fmt.Errorf("hosts: a number above 0 is expected, not %d", s.World.Hosts)
	}
	if s.World.Hosts > 0 {
		return spec.Scaled(s.World.Hosts)
	}
	return spec, nil
}

// weekStart is the Monday in whose week every scenario begins.
var weekStart = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// WeekTime reads a weekday and a time; empty is Tuesday 08:30.
func WeekTime(text string) (time.Time, error) {
	if text == "" {
		text = "Tue 08:30"
	}
	day, clock, _ := strings.Cut(text, " ")
	index := slices.Index([]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, day)
	at, err := time.Parse("15:04", clock)
	if index < 0 || err != nil {
		return weekStart, fmt.Errorf("a weekday and a time are expected, such as Tue 08:30, not %q", text)
	}
	return weekStart.AddDate(0, 0, index).
			Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute),
		nil
}

// Digest is the SHA-256 of the scenario's text, its world and its footprints.
func (s *Scenario) Digest() string {
	h := sha256.New()
	h.Write(s.Text)
	spec, err := json.Marshal(s.Spec)
	if err != nil {
		panic("scenarios: a world that was read must marshal: " + err.Error())
	}
	h.Write(spec)
	for _, text := range s.prints {
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Schema is the JSON Schema of scenario files.
func Schema() []byte { return strictyaml.Schema("hemostat scenario", Scenario{}) }
