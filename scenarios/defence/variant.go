package defence

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hemostat/defenders"
	"hemostat/defenders/cascade"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/correlation"
	"hemostat/defenders/incident"
	"hemostat/defenders/plugin"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/profile"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/scenarios"
	"hemostat/sim"
	"hemostat/sim/analysts"
	"hemostat/sim/approval"
	"hemostat/sim/boundedfile"
	"hemostat/sim/intel"
	"hemostat/sim/strictyaml"
	"hemostat/sim/world"
)

// variantFile is a variant of the defence. What is absent is the default.
type variantFile struct {
	Pos         strictyaml.Pos `yaml:"-"`
	Name        string         `yaml:"name" required:"true" name:"true" doc:"name of the variant"`
	Description string         `yaml:"description" doc:"what is different"`
	Rules       []string       `yaml:"rules" doc:"folders or .tar.gz of Sigma rules, relative to this file; the word embedded stands for those of the program, none for no rules"`
	Skip        bool           `yaml:"skip_unsupported" json:"Skip,omitempty" doc:"leave out rules that cannot be used, and name them, instead of refusing the variant"`
	Without     []string       `yaml:"without_rules" doc:"ids or titles of rules to leave out"`
	Level       string         `yaml:"rules_level" json:"Level,omitempty" enum:"informational,low,medium,high,critical" doc:"only rules of this level and above"`
	Share       *float64       `yaml:"rules_share" json:"Share,omitempty" doc:"share of the rules that are in use, drawn anew for each trial as if each were another company; 1 when absent"`
	Pipelines   []string       `yaml:"pipelines" doc:"files that adapt the rules to the names and values of a site, relative to this file"`
	Playbooks   string         `yaml:"playbooks" doc:"folder of playbooks, relative to this file; embedded (the default) or none"`
	Over        string         `yaml:"playbooks_over" doc:"folder of playbooks, relative to this file, that take the place of those with the same id, or come beside them"`
	Detectors   []detectorFile `yaml:"detectors" doc:"which detectors run, by name or with their options; reflex and sigma when absent"`
	Plugins     []pluginFile   `yaml:"plugins" json:"Plugins,omitempty" doc:"detectors from outside the program, beside the others"`
	Agent       *agentFile     `yaml:"agent" json:"Agent,omitempty" doc:"program outside that decides for the defence, beside the playbooks"`
	Baseline    string         `yaml:"baseline" json:"Baseline,omitempty" doc:"what the detectors that learn have learned, a file that hemostat train made, relative to this file"`
	Guard       guardFile      `yaml:"guard" json:"Guard,omitzero" doc:"what guards the defence against attacks on its detectors, models, feeds and people; nothing when absent"`
	Analyst     analystFile    `yaml:"analyst" json:"Analyst,omitzero" doc:"automatic analyst that judges alerts before people and playbooks see them; none when absent"`
	Fusion      fusionFile     `yaml:"fusion" json:"Fusion,omitzero" doc:"how incidents are explained: which are one campaign, who is behind them"`
	Profile     profileFile    `yaml:"profile" json:"Profile,omitzero" doc:"what is inferred of attackers, and what is done about it"`
	HOTL        hotlFile       `yaml:"hotl" doc:"people on the loop"`
	Response    responseFile   `yaml:"response" doc:"policy of the response"`
	Cascade     cascadeFile    `yaml:"cascade" doc:"thresholds of the coagulation cascade"`
	Restoration restoreFile    `yaml:"restoration" doc:"when to take actions back"`
	Reflex      reflexFile     `yaml:"reflex" doc:"immediate reactions"`
	Intel       *[]intelFile   `yaml:"intel" doc:"threat-intelligence feeds; an empty list for none"`
	Sensors     []sensorChange `yaml:"sensors" doc:"changes to sensors of the world"`
	Services    servicesFile   `yaml:"services" doc:"speed of the pipeline's stages"`
}

// hotlFile is the staffing.
type hotlFile struct {
	Mode      string     `yaml:"mode" enum:"pool,oracle,always,never,scripted" doc:"who answers; pool when absent"`
	Tier1     *int       `yaml:"tier1" doc:"people on the first line; 2 when absent"`
	Tier2     *int       `yaml:"tier2" doc:"people on the second line; 1 when absent"`
	Commander *int       `yaml:"commander" doc:"incident commanders; 1 when absent"`
	Decision  *sim.Dist  `yaml:"decision" doc:"time of a decision; lognormal(median 2m, sigma 0.8) when absent"`
	Notice    *sim.Dist  `yaml:"notice" doc:"time until a question is seen; lognormal(median 20s, sigma 0.6) when absent"`
	OnCall    *sim.Dist  `yaml:"on_call" doc:"the same outside the shift"`
	Triage    *sim.Dist  `yaml:"triage" doc:"time that an alert keeps a first-line analyst busy"`
	Delay     *sim.Dist  `yaml:"delay" doc:"answer time of the modes other than pool"`
	DPrime    *float64   `yaml:"d_prime" doc:"discrimination of the people; 1.9 (83 % right) when absent"`
	Roster    []dutyFile `yaml:"roster" doc:"who is at the desks when; in place of shift, tier1, tier2 and commander"`
	Shift     []int      `yaml:"shift" doc:"hours of the day at which people are at their desks, such as [8, 18]; [7, 20] when absent, [0, 0] for around the clock"`
}

// dutyFile is people of one role at their desks.
type dutyFile struct {
	Role   approval.Role `yaml:"role" required:"true" doc:"who"`
	From   int           `yaml:"from" doc:"hour at which they come"`
	To     int           `yaml:"to" doc:"hour at which they go; equal to from for around the clock"`
	People int           `yaml:"people" required:"true" doc:"how many"`
}

// responseFile is the policy.
type responseFile struct {
	Approval string `yaml:"approval" enum:"low,medium,high,none" doc:"from which risk on people are asked; medium when absent, none for never"`
	DryRun   bool   `yaml:"dry_run" doc:"ask and audit, but do nothing"`
	MaxRuns  int    `yaml:"max_runs" doc:"playbooks that may run at once; what comes beyond waits, the most severe first; 500 when absent"`
	// MostTTL is absent from the identity of variants that do not set it.
	MostTTL time.Duration `yaml:"most_ttl" json:"MostTTL,omitempty" doc:"longest time that an action which can be undone stays in force, whatever its playbook says; no bound when absent"`
}

// cascadeFile sets the cascade.
type cascadeFile struct {
	Off      bool          `yaml:"off" doc:"no cascade"`
	Local    float64       `yaml:"local" doc:"evidence in log odds at which a decoy is set beside the host; 1.5 when absent"`
	Feedback float64       `yaml:"feedback" doc:"by how much each zone that reacts raises the weight of evidence elsewhere; 0.25 when absent, negative for none"`
	Shape    float64       `yaml:"shape" doc:"evidence in log odds at which a zone is shaped; 3 when absent"`
	Isolate  float64       `yaml:"isolate" doc:"evidence at which a zone is cut off; 7 when absent"`
	HalfLife time.Duration `yaml:"half_life" doc:"how fast evidence leaks away; 20m when absent"`
	Budget   float64       `yaml:"budget" doc:"greatest share of the estate's worth cut off at once; 0.5 when absent"`
}

// restoreFile sets restoration.
type restoreFile struct {
	Off        bool          `yaml:"off" doc:"actions end by their ttl only"`
	Quiet      time.Duration `yaml:"quiet" doc:"time without alerts; 45m when absent"`
	Check      time.Duration `yaml:"check" doc:"time for which each stage of the release is watched; 5m when absent"`
	NoRebuild  bool          `yaml:"no_rebuild" doc:"do not rebuild hosts"`
	NoApproval bool          `yaml:"no_approval" doc:"restore without asking anybody"`
}

// reflexFile sets the reflex.
type reflexFile struct {
	Failures int           `yaml:"failures" doc:"refused passwords from one source; 6 when absent"`
	Window   time.Duration `yaml:"window" doc:"within this time; 1m when absent"`
	Limit    float64       `yaml:"limit" doc:"attempts a second that are left; 0.2 when absent"`
}

// sensorChange changes a sensor of the world.
type sensorChange struct {
	Pos      strictyaml.Pos  `yaml:"-"`
	Name     string          `yaml:"name" required:"true" doc:"sensor of the world"`
	Coverage *float64        `yaml:"coverage" doc:"share of hosts that have it"`
	Delay    *sim.Dist       `yaml:"delay" doc:"time to delivery"`
	Loss     *float64        `yaml:"loss" doc:"share of events lost"`
	Skew     *sim.Dist       `yaml:"skew" doc:"how far a host's clock is off, drawn once a host"`
	Rotation *world.Rotation `yaml:"rotation" doc:"when logs are rotated and nothing is collected"`
	Off      bool            `yaml:"off" doc:"the sensor is missing"`
}

// servicesFile sets the mean service times of the stages.
type servicesFile struct {
	Ingest   *time.Duration `yaml:"ingest" doc:"mean time for an event"`
	Sentinel *time.Duration `yaml:"sentinel" doc:"mean time for an event"`
	Fusion   *time.Duration `yaml:"fusion" doc:"mean time for an alert"`
	Response *time.Duration `yaml:"response" doc:"mean time for an alert"`
	Queue    int            `yaml:"queue" doc:"events that may wait before ingest and sentinel"`
}

// Variant is a variant made ready: rules compiled, playbooks read. It may be
// shared between trials.
type Variant struct {
	Name   string
	Digest string
	JSON   []byte
	// Scenario holds settings that this variant makes in every scenario.
	Scenario []scenarios.Setting

	file      variantFile
	rules     *sigma.Engine
	leftOut   sigma.Errors
	playbooks []*response.Playbook
	hotl      analysts.Config
	feeds     []intel.Config
	fileFeeds []fileFeed
	servers   []intelFile // feeds that are servers
	// passedOver tells what of the files of feeds was not taken.
	passedOver []string
	services   defenders.Services
	detectors  []sentinel.Chosen
	baseline   *Baseline          // nil for none
	analyst    *AnalystConfig     // nil for none
	knowledge  *profile.Knowledge // of attackers; nil for none
	// correlation finds which incidents are one campaign.
	correlation correlation.Options
	actors      *attribution.Facts   // nil where nobody is named
	pools       []*plugin.Pool       // of its plug-ins, and of its agent
	agent       *plugin.Pool         // nil for none
	embedded    bool                 // the variant comes with the program
	own         []*response.Playbook // those that do not come with the program

	// What ChangeBetween holds against another variant: digests of pipelines and of filters, and
	// all that is neither rules nor playbooks.
	pipelines, filters, rest string
}

//go:embed variants
var variants embed.FS

// EmbeddedNames lists the variants that come with the program, beside default.
func EmbeddedNames() []string {
	entries, err := fs.ReadDir(variants, "variants")
	if err != nil {
		panic("scenarios: embedded variants are unreadable: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Description is what an embedded variant says of itself.
func Description(name string) (string, error) {
	data, _, err := Text(name)
	if err != nil {
		return "", err
	}
	var v variantFile
	if err := strictyaml.Decode(name, data, &v); err != nil {
		return "", err
	}
	return v.Description, nil
}

// Text returns the text of a variant, embedded or in a file.
func Text(nameOrFile string) (data []byte, inside bool, err error) {
	switch {
	case nameOrFile == "" || nameOrFile == "default":
		return []byte(defaultText), true, nil
	case slices.Contains(EmbeddedNames(), nameOrFile):
		data, err = variants.ReadFile("variants/" + nameOrFile + ".yaml")
		return data, true, err
	}
	if data, err = boundedfile.Read(nameOrFile); err != nil {
		err = fmt.Errorf("variant %s: %w; embedded: default, %s", nameOrFile, err, strings.Join(EmbeddedNames(), ", "))
	}
	return data, false, err
}

// defaultText is the text of the variant with nothing changed.
const defaultText = "name: default\n"

// variantKeys are the top-level keys that a setting for variants may begin with.
var variantKeys = []string{
	"rules",
	"skip_unsupported",
	"without_rules",
	"rules_level",
	"rules_share",
	"pipelines",
	"playbooks",
	"playbooks_over",
	"detectors",
	"plugins",
	"agent",
	"baseline",
	"guard",
	"analyst",
	"profile",
	"hotl",
	"response",
	"cascade",
	"restoration",
	"reflex",
	"intel",
	"fusion",
	"sensors",
	"services",
}

// Load reads a variant from a file, or the default for "" or "default".
// Settings whose path begins with a key of variants change it; the others are
// kept for the scenarios. A variant with settings is named after them.
func Load(file string, set []scenarios.Setting) (*Variant, error) {
	data, inside, err := Text(file)
	if err != nil {
		return nil, err
	}
	name := cmp.Or(file, "default")
	if inside {
		name += " variant"
	}
	var own, scenario []scenarios.Setting
	for _, s := range set {
		if slices.Contains(variantKeys, s.Root()) {
			own = append(own, s)
		} else {
			scenario = append(scenario, s)
		}
	}
	if data, err = scenarios.ApplySettings(name, data, own); err != nil {
		return nil, err
	}
	return parseVariant(name, data, inside, set, scenario)
}

// Sources lists the files and folders that a variant file reads, as they stand
// in it: rules, pipelines, playbooks.
func Sources(file string) ([]string, error) {
	data, inside, err := Text(file)
	if err != nil || inside {
		return nil, err
	}
	var v variantFile
	if err := strictyaml.Decode(file, data, &v); err != nil {
		return nil, err
	}
	all := slices.Concat(v.Rules, v.Pipelines, []string{v.Playbooks, v.Over, v.Baseline, v.Analyst.Weights,
		v.Profile.Knowledge, v.Fusion.Correlation.Weights,
		v.Fusion.Attribution.Actors}, v.intelSources(), v.pluginSources(filepath.Dir(file)))
	return slices.DeleteFunc(all, func(s string) bool { return s == "" || s == "embedded" || s == "none" }), nil
}

func parseVariant(file string, data []byte, inside bool, all, scenario []scenarios.Setting) (*Variant, error) {
	v := &Variant{Scenario: scenario, embedded: inside}
	if err := strictyaml.Decode(file, data, &v.file); err != nil {
		return nil, err
	}
	v.Name = v.file.Name
	if len(all) > 0 {
		var parts []string
		for _, s := range all {
			parts = append(parts, s.Path+"="+s.Value)
		}
		v.Name = strictyaml.CleanName(v.Name + "[" + strings.Join(parts, " ") + "]")
	}
	if err := v.prepare(file); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *Variant) prepare(file string) error {
	var faults strictyaml.Faults
	fault := func(path, format string, args ...any) {
		faults = append(faults, v.file.Pos.Fault(path, format, args...))
	}
	v.hotl = v.file.HOTL.config(fault)
	v.services = v.file.Services.config()
	v.file.Guard.check(fault)
	if v.file.Response.MostTTL < 0 {
		fault("response.most_ttl", "a time above 0 is expected, such as 1h, not %s", v.file.Response.MostTTL)
	}
	if err := v.chooseDetectors(); err != nil {
		fault("detectors", "%s", err)
	}
	if err := faults.Err(); err != nil {
		return err
	}
	base := filepath.Dir(file)
	v.filters, v.pipelines = sumOf(sha256.New()), sumOf(sha256.New())
	rules, ruleText, err := v.loadRules(base)
	if err != nil {
		return err
	}
	if v.rules, err = sigma.Compile(rules); err != nil {
		if len(v.file.Without) > 0 {
			return v.file.Pos.Fault(
				"without_rules",
				"a correlation needs one of the rules that are left out; leave the correlation out too: %s",
				err,
			)
		}
		return err
	}
	playbookText, err := v.loadPlaybooks(base)
	if err != nil {
		return err
	}
	pluginText, err := v.preparePlugins(base)
	if err != nil {
		return err
	}
	baselineText, err := v.prepareBaseline(base)
	if err != nil {
		return err
	}
	analystText, err := v.prepareAnalyst(base)
	if err != nil {
		return err
	}
	profileText, err := v.prepareProfile(base)
	if err != nil {
		return err
	}
	fusionText, err := v.prepareFusion(base)
	if err != nil {
		return err
	}
	intelText, err := v.prepareIntel(base)
	if err != nil {
		return err
	}
	return v.seal(digests{ruleText, playbookText, pluginText, baselineText, analystText, profileText, intelText, fusionText})
}

// LeftOut tells why rules that cannot be used were left out, one fault each.
func (v *Variant) LeftOut() []string {
	var out []string
	for i := range v.leftOut {
		out = append(out, v.leftOut[i].Error())
	}
	return append(out, v.passedOver...)
}

// loadRules returns the rules, and a digest of their files and of the pipelines.
func (v *Variant) loadRules(base string) ([]*sigma.Rule, string, error) {
	folders := v.file.Rules
	if len(folders) == 0 {
		folders = []string{"embedded"}
	}
	if len(folders) == 1 && folders[0] == "none" {
		return nil, "none", nil
	}
	from := func(names []string) []string {
		names = slices.Clone(names)
		for i, f := range names {
			if f != "embedded" && !filepath.IsAbs(f) {
				names[i] = filepath.Join(base, f)
			}
		}
		return names
	}
	pipelines, err := sentinel.LoadPipelines(from(v.file.Pipelines))
	if err != nil {
		return nil, "", err
	}
	var rules []*sigma.Rule
	if v.file.Skip {
		rules, v.leftOut, err = sentinel.LoadUsableRules(from(folders), pipelines...)
	} else {
		rules, err = sentinel.LoadRules(from(folders), pipelines...)
	}
	if err != nil {
		return nil, "", err
	}
	for _, out := range v.file.Without {
		before := len(rules)
		rules = slices.DeleteFunc(
			rules,
			func(r *sigma.Rule) bool { return r.ID == out || r.Title == out || r.Name == out },
		)
		if len(rules) == before {
			return nil, "", v.file.Pos.Fault("without_rules", "no rule has the id, name or title %q", out)
		}
	}
	if s := v.file.Share; s != nil && (*s < 0 || *s > 1) {
		return nil, "", v.file.Pos.Fault("rules_share", "a share from 0 to 1 is expected, not %g", *s)
	}
	rules = v.file.inUse(rules)
	h, filters, adapted := sha256.New(), sha256.New(), sha256.New()
	for _, r := range rules {
		h.Write(r.Digest[:])
		if r.Filter != nil {
			filters.Write(r.Digest[:])
		}
	}
	for _, p := range pipelines {
		h.Write(p.Digest[:])
		adapted.Write(p.Digest[:])
	}
	v.filters, v.pipelines = sumOf(filters), sumOf(adapted)
	return rules, hex.EncodeToString(h.Sum(nil)), nil
}

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// InUse tells of each rule whether it is in use in a trial, by the rule's key; nil when all
// are.
func (v *Variant) InUse(streams sim.Streams) func(rule string) bool {
	if v.file.Share == nil {
		return nil
	}
	used := map[string]bool{}
	return func(rule string) bool {
		in, known := used[rule]
		if !known {
			draw := streams.Stream("rules in use", rule)
			in = draw.Bool(*v.file.Share)
			used[rule] = in
		}
		return in
	}
}

// inUse leaves the rules of a level and above. Those that a correlation refers to stay with
// it.
func (f *variantFile) inUse(rules []*sigma.Rule) []*sigma.Rule {
	if f.Level == "" {
		return rules
	}
	wanted := func(r *sigma.Rule) bool { return sigma.LevelRank(r.Level) >= sigma.LevelRank(f.Level) }
	referred := map[string]bool{}
	kept := func(r *sigma.Rule) bool { return wanted(r) || referred[r.ID] || referred[r.Name] }
	for before := -1; before < len(referred); { // correlations refer to correlations
		before = len(referred)
		for _, r := range rules {
			if r.Correlation != nil && kept(r) {
				for _, name := range r.Correlation.Rules {
					referred[name] = true
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r *sigma.Rule) bool { return !kept(r) })
}

// loadPlaybooks reads the playbooks and returns a digest of their files.
func (v *Variant) loadPlaybooks(base string) (string, error) {
	digest := sha256.New()
	read := func(key, p string) ([]*response.Playbook, error) {
		books, own, err := v.readFolder(base, key, p)
		for _, b := range books {
			digest.Write([]byte(b.Digest))
		}
		if own {
			v.own = append(v.own, books...)
		}
		return books, err
	}
	var err error
	if v.file.Playbooks != "none" {
		if v.playbooks, err = read("playbooks", cmp.Or(v.file.Playbooks, "embedded")); err != nil {
			return "", err
		}
	}
	if v.file.Over != "" {
		over, err := read("playbooks_over", v.file.Over)
		if err != nil {
			return "", err
		}
		for _, b := range over {
			if at := slices.IndexFunc(v.playbooks,
				func(other *response.Playbook) bool { return other.ID == b.ID }); at >= 0 {
				v.playbooks[at] = b
			} else {
				v.playbooks = append(v.playbooks, b)
			}
		}
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// readFolder reads a folder of playbooks: the program's, one beside an embedded
// variant, or one on disk relative to the variant's file, which is the user's own.
func (v *Variant) readFolder(base, key, p string) (books []*response.Playbook, own bool, err error) {
	if p == "embedded" {
		books, err = response.Load(response.Embedded, response.EmbeddedDir, strictyaml.Decode)
		return books, false, err
	}
	if inside := path.Join("variants", p); v.embedded && fs.ValidPath(inside) {
		if info, err := fs.Stat(variants, inside); err == nil && info.IsDir() {
			books, err = response.Load(variants, inside, strictyaml.Decode)
			return books, false, err
		}
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(base, p)
	}
	if info, err := os.Stat(p); err != nil || !info.IsDir() {
		return nil, true, fmt.Errorf(
			"%s:%d: %s: the folder %s cannot be read",
			v.file.Pos.File,
			v.file.Pos.Line,
			key,
			p,
		)
	}
	books, err = response.LoadFolder(p, strictyaml.Decode)
	return books, true, err
}

// digests are those of what a variant's file names.
type digests struct {
	Rules, Playbooks string
	Plugins          string `json:",omitempty"`
	Baseline         string `json:",omitempty"`
	Analyst          string `json:",omitempty"`
	Knowledge        string `json:",omitempty"`
	Intel            string `json:",omitempty"`
	Fusion           string `json:",omitempty"`
}

// seal computes what the variant's identity is: its file with defaults, its
// rules, its playbooks and its plug-ins, and what it sets in scenarios; its
// description does not count.
func (v *Variant) seal(d digests) error {
	file := v.file
	file.Description = ""
	identity := variantIdentity{file, d, fmt.Sprintf("%+v", v.hotl), v.Scenario}
	text, err := json.Marshal(identity)
	if err != nil {
		return fmt.Errorf("variant %s: %w", v.Name, err)
	}
	sum := sha256.Sum256(text)
	v.JSON, v.Digest = text, hex.EncodeToString(sum[:])
	v.rest, err = identity.withoutRules()
	return err
}

// variantIdentity is what tells variants apart.
type variantIdentity struct {
	File variantFile
	digests
	HOTL     string
	Scenario []scenarios.Setting
}

func (h hotlFile) config(fault func(path, format string, args ...any)) analysts.Config {
	c := analysts.Default()
	if h.Mode != "" {
		c.Mode = h.Mode
	}
	for _, x := range []struct {
		name     string
		to, from *int
	}{{"tier1", &c.Tier1, h.Tier1}, {"tier2", &c.Tier2, h.Tier2}, {"commander", &c.Commander, h.Commander}} {
		if x.from == nil {
			continue
		}
		if *x.from < 0 || *x.from > 1000 {
			fault("hotl."+x.name, "a number of people from 0 to 1000 is expected, not %d", *x.from)
		}
		*x.to = *x.from
	}
	for _, x := range []struct{ to, from *sim.Dist }{{&c.Decision, h.Decision}, {&c.Notice, h.Notice},
		{&c.OnCall, h.OnCall}, {&c.Triage, h.Triage}, {&c.Delay, h.Delay}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if h.DPrime != nil {
		c.DPrime = *h.DPrime
	}
	for i, d := range h.Roster {
		if min(d.From, d.To) < 0 || max(d.From, d.To) > 24 || d.People < 0 || d.People > 1000 {
			fault(
				fmt.Sprintf("hotl.roster[%d]", i),
				"hours from 0 to 24 and 0 to 1000 people are expected, not from %d to %d with %d",
				d.From,
				d.To,
				d.People,
			)
		}
		c.Roster = append(
			c.Roster,
			analysts.ShiftSlot{Role: d.Role, From: d.From % 24, To: d.To % 24, People: d.People},
		)
	}
	if len(h.Roster) > 0 && (len(h.Shift) > 0 || h.Tier1 != nil || h.Tier2 != nil || h.Commander != nil) {
		fault("hotl.roster", "a roster stands in place of shift, tier1, tier2 and commander; give one or the other")
	}
	if len(h.Shift) > 0 {
		if len(h.Shift) != 2 || min(h.Shift[0], h.Shift[1]) < 0 || max(h.Shift[0], h.Shift[1]) > 24 {
			fault("hotl.shift", "two hours of the day are expected, such as [8, 18]")
		} else {
			c.ShiftFrom, c.ShiftTo = h.Shift[0], h.Shift[1]
		}
	}
	return c
}

func (s servicesFile) config() defenders.Services {
	c := defenders.DefaultServices()
	for _, x := range []struct{ to, from *time.Duration }{{&c.Ingest.Mean, s.Ingest}, {&c.Fusion.Mean, s.Fusion},
		{&c.Response.Mean, s.Response}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if s.Queue > 0 {
		c.Ingest.Waiting = s.Queue
	}
	return c
}

// Defaults of everything that is asked of a variant stand with the packages that use it.

// Feeds are the threat-intelligence feeds.
func (v *Variant) Feeds() []intel.Config { return v.feeds }

// Services are the queues of the pipeline's stages.
func (v *Variant) Services() defenders.Services { return v.services }

// Staffing is who answers approval requests.
func (v *Variant) Staffing() analysts.Config { return v.hotl }

// Policy is the policy of the response.
func (v *Variant) Policy() response.Policy {
	return response.Policy{
		Approval: v.file.Response.Approval,
		DryRun:   v.file.Response.DryRun,
		MaxRuns:  max(0, v.file.Response.MaxRuns),
		MostTTL:  max(0, v.file.Response.MostTTL),
	}
}

// Cascade are the thresholds of the cascade.
func (v *Variant) Cascade() cascade.Options {
	c := v.file.Cascade
	return cascade.Options{
		Off:      c.Off,
		Local:    c.Local,
		Feedback: c.Feedback,
		Shape:    c.Shape,
		Isolate:  c.Isolate,
		HalfLife: c.HalfLife,
		Budget:   c.Budget,
	}
}

// Restoration is when what was done is undone.
func (v *Variant) Restoration() incident.RestorationOptions {
	r := v.file.Restoration
	return incident.RestorationOptions{
		Off:        r.Off,
		Quiet:      r.Quiet,
		Check:      r.Check,
		NoRebuild:  r.NoRebuild,
		NoApproval: r.NoApproval,
	}
}

// WithPlaybook is the variant with a playbook in place of the one of the same id,
// or beside the others.
func (v *Variant) WithPlaybook(p *response.Playbook) *Variant {
	changed := *v
	changed.playbooks = slices.Clone(v.playbooks)
	if at := slices.IndexFunc(changed.playbooks,
		func(other *response.Playbook) bool { return other.ID == p.ID }); at >= 0 {
		changed.playbooks[at] = p
	} else {
		changed.playbooks = append(changed.playbooks, p)
	}
	sum := sha256.Sum256([]byte(v.Digest + p.Digest))
	changed.Digest = hex.EncodeToString(sum[:])
	changed.Name = v.Name + " with " + p.ID
	changed.own = append(slices.Clone(v.own), p)
	return &changed
}

// Fits reports playbooks of the user's own that take longer than a scenario lasts.
func (v *Variant) Fits(s *scenarios.Scenario) error {
	var faults []error
	for _, p := range v.own {
		faults = append(faults, p.Fits(s.Horizon)...)
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("scenario %s: %w", s.Name, errors.Join(faults...))
}

// Playbooks lists the variant's playbooks.
func (v *Variant) Playbooks() []*response.Playbook { return v.playbooks }

// Schema is the JSON Schema of variant files.
func Schema() []byte { return strictyaml.Schema("hemostat variant", variantFile{}) }

// ChangeSensors returns the world with the variant's changes to its sensors.
func (v *Variant) ChangeSensors(spec *world.Spec) (*world.Spec, error) {
	changes := v.file.Sensors
	if len(changes) == 0 {
		return spec, nil
	}
	changed := *spec
	changed.Sensors = nil
	found := map[string]bool{}
	for _, s := range spec.Sensors {
		keep := true
		for _, c := range changes {
			if c.Name != s.Name {
				continue
			}
			found[c.Name] = true
			keep = keep && !c.Off
			if c.Coverage != nil {
				s.Coverage = c.Coverage
			}
			if c.Delay != nil {
				s.Delay = *c.Delay
			}
			if c.Loss != nil {
				s.Loss = *c.Loss
			}
			if c.Skew != nil {
				s.Skew = *c.Skew
			}
			if c.Rotation != nil {
				s.Rotation = *c.Rotation
			}
		}
		if keep {
			changed.Sensors = append(changed.Sensors, s)
		}
	}
	for _, c := range changes {
		if !found[c.Name] {
			return nil, c.Pos.Fault("sensors", "world %s has no sensor %q", spec.Name, c.Name)
		}
	}
	return &changed, nil
}
