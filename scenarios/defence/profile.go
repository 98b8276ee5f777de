package defence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel/profile"
	"hemostat/sim/boundedfile"
	"hemostat/sim/strictyaml"
)

// profileFile is what is inferred of attackers.
type profileFile struct {
	Pos       strictyaml.Pos `yaml:"-" json:"-"`
	Off       bool           `yaml:"off" json:",omitempty" doc:"infer nothing"`
	Knowledge string         `yaml:"knowledge" json:",omitempty" doc:"what is known beforehand, a file that hemostat train profile made, relative to this file; that of the program when absent"`
	Act       []string       `yaml:"act" json:",omitempty" doc:"what is done about it: decoys (where the next step is expected), isolation (sooner when the goal is destruction), watch (later while there is more to learn than to lose); nothing when absent"`
}

// The acts of a profile.
const (
	actDecoys    = "decoys"
	actIsolation = "isolation"
	actWatch     = "watch"
)

// prepareProfile reads the knowledge of attackers, and returns what it adds to the variant's
// identity.
func (v *Variant) prepareProfile(base string) (digest string, err error) {
	f := &v.file.Profile
	var faults strictyaml.Faults
	for i, act := range f.Act {
		if act != actDecoys && act != actIsolation && act != actWatch {
			faults = append(faults,
				f.Pos.Fault(fmt.Sprintf("profile.act[%d]", i), "%q is no act; accepted: %s, %s, %s", act, actDecoys,
					actIsolation, actWatch))
		}
	}
	if f.Off && (len(f.Act) > 0 || f.Knowledge != "") {
		faults = append(faults,
			f.Pos.Fault("profile.off", "where nothing is inferred, nothing can be known or done about it"))
	}
	if err := faults.Err(); err != nil || f.Off {
		return "", err
	}
	if f.Knowledge == "" {
		v.knowledge, err = profile.Embedded()
		return profile.EmbeddedDigest(), err
	}
	name := f.Knowledge
	if !filepath.IsAbs(name) {
		name = filepath.Join(base, name)
	}
	data, err := boundedfile.Read(name)
	if err == nil {
		v.knowledge, err = profile.Read(data)
	}
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%s does not exist; hemostat train profile makes one", name)
		}
		return "", f.Pos.Fault("profile.knowledge", "%s: %s", f.Knowledge, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Profiler infers what attackers of a trial are like; nil where the variant infers nothing.
func (v *Variant) Profiler(estate *inventory.Inventory) *profile.Profiler {
	if v.knowledge == nil {
		return nil
	}
	return profile.New(v.knowledge, estate)
}

// ProfileActs are what is done about what is inferred.
func (v *Variant) ProfileActs() profile.Acts {
	var acts profile.Acts
	for _, act := range v.file.Profile.Act {
		acts.Decoys = acts.Decoys || act == actDecoys
		acts.Isolation = acts.Isolation || act == actIsolation
		acts.Watch = acts.Watch || act == actWatch
	}
	return acts
}
