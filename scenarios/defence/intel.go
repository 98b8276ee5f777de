package defence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/source"
	"hemostat/sim"
	"hemostat/sim/intel"
	"hemostat/sim/strictyaml"
)

// intelFile is one feed: one whose quality is stated and that is made from the truth of each
// trial, or files of indicators.
type intelFile struct {
	Pos        strictyaml.Pos `yaml:"-" json:"-"`
	Name       string         `yaml:"name" required:"true" name:"true" doc:"name of the feed"`
	Coverage   float64        `yaml:"coverage" doc:"share of hostile indicators it will ever know"`
	Delay      *sim.Dist      `yaml:"delay" doc:"how late it knows them"`
	Errors     int            `yaml:"errors" doc:"innocent indicators that it lists"`
	Expiry     *sim.Dist      `yaml:"expiry" json:",omitempty" doc:"how long it keeps an indicator before it drops it; for ever when absent"`
	Outage     outageFile     `yaml:"outage" json:"Outage,omitzero" doc:"when it does not answer; never when absent"`
	Confidence float64        `yaml:"confidence" doc:"what it says of its entries; 0.5 when absent, from 0.9 on the reflex acts on it at once"`
	Files      []string       `yaml:"files" json:",omitempty" doc:"files or folders of indicators (STIX, MISP, CSV, lists, NDJSON), relative to this file, in place of coverage, delay and errors"`
	Server     serverFile     `yaml:"server" json:"Server,omitzero" doc:"a server that is asked, in a replay or live only, in place of files or coverage"`
	Allowed    []string       `yaml:"allowed" json:",omitempty" doc:"values that are never taken from the files"`
}

// serverFile is a server that is asked.
type serverFile struct {
	Kind       string        `yaml:"kind" enum:"misp,taxii,json" json:",omitempty" doc:"misp (search for attributes), taxii (a collection of TAXII 2.1, fetched every so often), json (an address that answers a question)"`
	URL        string        `yaml:"url" json:",omitempty" doc:"address of the server; the API root of taxii; of json with {kind} and {value}"`
	Collection string        `yaml:"collection" json:",omitempty" doc:"id of the collection of taxii"`
	KeyEnv     string        `yaml:"key_env" json:",omitempty" doc:"name of the environment variable with the key: of the API of misp, the bearer token of taxii and json, or USER:PASSWORD of taxii"`
	PerSecond  float64       `yaml:"per_second" json:",omitempty" doc:"questions a second; 10 when absent"`
	Every      time.Duration `yaml:"every" json:",omitempty" doc:"how often a collection is fetched; 15m when absent"`
}

// outageFile is a time in which a feed does not answer.
type outageFile struct {
	After time.Duration `yaml:"after" json:",omitempty" doc:"from when on, from the start of the day"`
	For   time.Duration `yaml:"for" json:",omitempty" doc:"for how long"`
}

// fileFeed is a feed that was read from files.
type fileFeed struct {
	name string
	set  *indicator.Set
}

// prepareIntel reads the feeds; digest covers the files. What was passed over is kept for
// LeftOut.
func (v *Variant) prepareIntel(base string) (digest string, err error) {
	v.feeds = intel.Default()
	if v.file.Intel == nil {
		return "", nil
	}
	v.feeds = nil
	h := sha256.New()
	read := false
	var faults []error
	for i := range *v.file.Intel {
		f := &(*v.file.Intel)[i]
		fault := func(format string, args ...any) {
			faults = append(faults, f.Pos.Fault(fmt.Sprintf("intel[%d]", i), format, args...))
		}
		switch {
		case f.Server != (serverFile{}):
			f.checkServer(fault)
			v.servers = append(v.servers, *f)
		case len(f.Files) > 0 && f.isSimulated():
			fault("%s has files; coverage, delay, errors, expiry and outage are for feeds that are made from the truth",
				f.Name)
		case len(f.Files) > 0:
			read = true
			if err := v.readFeed(base, f, h.Write); err != nil {
				fault("%s: %s", f.Name, err)
			}
		default:
			v.feeds = append(v.feeds, f.simulated(fault))
		}
	}
	if err := errors.Join(faults...); err != nil || !read {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// isSimulated tells whether the feed has settings of one that is made from the truth.
func (f *intelFile) isSimulated() bool {
	return f.Coverage != 0 || f.Delay != nil || f.Errors != 0 || f.Expiry != nil || f.Outage != (outageFile{})
}

// simulated is the feed as one that is made from the truth.
func (f *intelFile) simulated(fault func(format string, args ...any)) intel.Config {
	c := intel.Config{Name: f.Name, Coverage: f.Coverage, Errors: f.Errors, Confidence: f.Confidence,
		Outage: intel.Outage(f.Outage)}
	if f.Delay != nil {
		c.Delay = *f.Delay
	}
	if f.Expiry != nil {
		c.Expiry = *f.Expiry
	}
	if f.Outage.After < 0 || f.Outage.For < 0 {
		fault("outage of %s: times are not negative", f.Name)
	}
	if c.Confidence == 0 {
		c.Confidence = 0.5
	}
	if f.Coverage < 0 || f.Coverage > 1 || c.Confidence < 0 || c.Confidence > 1 {
		fault("coverage and confidence of %s are shares from 0 to 1", f.Name)
	}
	return c
}

// readFeed reads the files of a feed.
func (v *Variant) readFeed(base string, f *intelFile, hash func([]byte) (int, error)) error {
	var paths []string
	for _, name := range f.Files {
		if !filepath.IsAbs(name) {
			name = filepath.Join(base, name)
		}
		if _, err := os.Stat(name); err != nil {
			return err
		}
		paths = append(paths, name)
	}
	set := indicator.NewSet(0)
	o := source.Options{Source: f.Name, Confidence: f.Confidence, Allowed: f.Allowed}
	reports, err := source.Files(paths, o, func(i *indicator.IOC) error {
		line := fmt.Sprintf("%s\x00%s\x00%s\x00%g\x00%s\n", i.Type, i.Value, i.Source, i.Confidence,
			i.LastSeen.Format(time.RFC3339))
		if _, err := hash([]byte(line)); err != nil {
			return err
		}
		return set.Add(i)
	})
	if err != nil {
		return err
	}
	for _, r := range reports {
		for _, why := range sortedNames(r.Skipped) {
			v.passedOver = append(v.passedOver,
				fmt.Sprintf("%s: %d entries are passed over: %s (%s)", r.File, r.Skipped[why], why, r.Examples[why]))
		}
	}
	if set.Len() == 0 {
		return errors.New("the files hold no indicator")
	}
	v.fileFeeds = append(v.fileFeeds, fileFeed{f.Name, set})
	return nil
}

func sortedNames(m map[string]int) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// FileFeeds are the feeds that were read from files, as sources. The epoch is the time at
// which virtual times count from 0.
func (v *Variant) FileFeeds(epoch time.Time) []fusion.Source {
	var out []fusion.Source
	for _, f := range v.fileFeeds {
		out = append(out, fusion.NewFileSource(f.name, f.set, epoch))
	}
	return out
}

// intelSources lists the files of the feeds, for Sources.
func (f *variantFile) intelSources() []string {
	if f.Intel == nil {
		return nil
	}
	var out []string
	for _, x := range *f.Intel {
		out = append(out, x.Files...)
	}
	return slices.DeleteFunc(out, func(s string) bool { return strings.TrimSpace(s) == "" })
}
