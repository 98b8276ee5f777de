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

	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/correlation"
	"hemostat/defenders/fusion/source"
	"hemostat/sim/boundedfile"
	"hemostat/sim/strictyaml"
)

// fusionFile is how incidents are explained.
type fusionFile struct {
	Pos         strictyaml.Pos  `yaml:"-" json:"-"`
	Correlation correlationFile `yaml:"correlation" json:"Correlation,omitzero" doc:"which incidents belong to one campaign"`
	Attribution attributionFile `yaml:"attribution" json:"Attribution,omitzero" doc:"who is behind a campaign"`
}

// attributionFile is what is known of threat actors.
type attributionFile struct {
	Off    bool   `yaml:"off" json:",omitempty" doc:"name nobody"`
	Actors string `yaml:"actors" json:",omitempty" doc:"facts about actors, relative to this file: a file that hemostat train attribution made, one of hemostat intel import --actors, or a STIX bundle such as that of ATT&CK; those of the program when absent"`
}

// correlationFile is how incidents are found to be one campaign.
type correlationFile struct {
	Weights   string   `yaml:"weights" json:",omitempty" doc:"file that hemostat train correlation made, relative to this file; that of the program when absent"`
	Threshold float64  `yaml:"threshold" json:",omitempty" doc:"score from which on two incidents are one campaign; that of the weights when absent"`
	Without   []string `yaml:"without" json:",omitempty" doc:"parts of the score that are left out: entities, indicators, methods, order, rarity, reality, goals, place"`
}

// prepareFusion reads what fusion is given; it returns what that adds to the variant's
// identity.
func (v *Variant) prepareFusion(base string) (digest string, err error) {
	f := &v.file.Fusion
	v.correlation = correlation.Options{Threshold: f.Correlation.Threshold, Without: f.Correlation.Without}
	var faults strictyaml.Faults
	for i, name := range f.Correlation.Without {
		if !slices.Contains(correlation.PartNames(), name) {
			faults = append(faults, f.Pos.Fault(fmt.Sprintf("fusion.correlation.without[%d]", i),
				"%q is no part of the score; accepted: %s", name, strings.Join(correlation.PartNames(), ", ")))
		}
	}
	if t := f.Correlation.Threshold; t < 0 || t >= 1 {
		faults = append(faults, f.Pos.Fault("fusion.correlation.threshold", "a number between 0 and 1 is expected, not %g", t))
	}
	if err := faults.Err(); err != nil {
		return "", err
	}
	weights, err := v.readCorrelation(base)
	if err != nil {
		return "", err
	}
	actors, err := v.readActors(base)
	return weights + actors, err
}

// readCorrelation reads the weights of the score.
func (v *Variant) readCorrelation(base string) (digest string, err error) {
	f := &v.file.Fusion
	if f.Correlation.Weights == "" {
		v.correlation.Weights, err = correlation.Embedded()
		return correlation.EmbeddedDigest(), err
	}
	data, err := readBeside(base, f.Correlation.Weights, "hemostat train correlation")
	if err == nil {
		v.correlation.Weights, err = correlation.ReadWeights(data)
	}
	if err != nil {
		return "", f.Pos.Fault("fusion.correlation.weights", "%s: %s", f.Correlation.Weights, err)
	}
	return digestOf(data), nil
}

// readActors reads the facts about threat actors.
func (v *Variant) readActors(base string) (digest string, err error) {
	f := &v.file.Fusion
	switch {
	case f.Attribution.Off && f.Attribution.Actors != "":
		return "", f.Pos.Fault("fusion.attribution.off", "where nobody is named, nothing can be known of actors")
	case f.Attribution.Off:
		return "", nil
	case f.Attribution.Actors == "":
		v.actors, err = attribution.Embedded()
		return attribution.EmbeddedDigest(), err
	}
	data, err := readBeside(base, f.Attribution.Actors, "hemostat train attribution")
	if err == nil {
		v.actors, err = source.Actors(data, f.Attribution.Actors)
	}
	if err != nil {
		return "", f.Pos.Fault("fusion.attribution.actors", "%s: %s", f.Attribution.Actors, err)
	}
	return digestOf(data), nil
}

// readBeside reads a file that is named relative to a folder; maker is the command that makes
// such files.
func readBeside(base, name, maker string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(base, name)
	}
	data, err := boundedfile.ReadLarge(name)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s does not exist; %s makes one", name, maker)
	}
	return data, err
}

// Actors are the facts about threat actors; nil where the variant names nobody.
func (v *Variant) Actors() *attribution.Facts { return v.actors }

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Correlation is how incidents are found to be one campaign.
func (v *Variant) Correlation() correlation.Options {
	o := v.correlation
	o.Knowledge = v.knowledge
	return o
}
