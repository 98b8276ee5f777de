package defence

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"hemostat/defenders/detect"
	"hemostat/defenders/reflex"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/ruledetector"
	"hemostat/sim/strictyaml"
)

// detectorFile is a detector that a variant asks for: its name, or a mapping with its
// options.
type detectorFile struct {
	Name    string
	Service *time.Duration // mean time for an event; the kind's own when nil
	Options any            // filled in; nil for the defaults
}

// ReadYAML reads a name, or a mapping of name, service and options.
func (f *detectorFile) ReadYAML(d *strictyaml.Decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode {
		f.Name = n.Value
		return
	}
	var m struct {
		Name    string         `yaml:"name" required:"true" doc:"kind of detector"`
		Service *time.Duration `yaml:"service" doc:"mean time that an event takes it"`
		Options yaml.Node      `yaml:"options" doc:"options of this kind"`
	}
	d.ReadInto(n, &m, path)
	f.Name, f.Service = m.Name, m.Service
	kind, err := sentinel.KindByName(m.Name)
	if err != nil || m.Options.Kind == 0 {
		return // an unknown name is reported with the others
	}
	if kind.Options == nil {
		d.Fault(&m.Options, path+".options", "the detector %s has no options", m.Name)
		return
	}
	f.Options = kind.Options()
	d.ReadInto(&m.Options, f.Options, path+".options")
}

// MarshalJSON writes the name alone where there is no more to say.
func (f detectorFile) MarshalJSON() ([]byte, error) {
	if f.Service == nil && f.Options == nil {
		return json.Marshal(f.Name)
	}
	return json.Marshal(struct {
		Name    string
		Service *time.Duration
		Options any
	}{f.Name, f.Service, f.Options})
}

// JSONSchema lists the kinds with their options.
func (detectorFile) JSONSchema() map[string]any {
	var names []string
	var forms []any
	for _, k := range sentinel.Kinds() {
		names = append(names, k.Name)
		properties := map[string]any{
			"name":    map[string]any{"const": k.Name, "description": k.Doc},
			"service": strictyaml.SchemaOf(time.Duration(0)),
		}
		if k.Options != nil {
			properties["options"] = strictyaml.SchemaOf(k.Options())
		}
		forms = append(
			forms,
			map[string]any{
				"type":                 "object",
				"additionalProperties": false,
				"required":             []string{"name"},
				"properties":           properties,
			},
		)
	}
	return map[string]any{"anyOf": append([]any{map[string]any{"type": "string", "enum": names}}, forms...)}
}

// chooseDetectors finds the kinds that the variant names.
func (v *Variant) chooseDetectors() error {
	v.detectors = sentinel.DefaultKinds()
	if len(v.file.Detectors) > 0 {
		v.detectors = nil
	}
	seen := map[string]bool{}
	for _, f := range v.file.Detectors {
		kind, err := sentinel.KindByName(f.Name)
		if err != nil {
			return err
		}
		if seen[f.Name] {
			return fmt.Errorf("the detector %s is named twice", f.Name)
		}
		seen[f.Name] = true
		if f.Service != nil {
			kind.Service.Mean = *f.Service
		}
		v.detectors = append(v.detectors, sentinel.Chosen{Kind: kind, Options: f.Options})
	}
	v.adjustDetectors()
	return nil
}

// adjustDetectors applies what a variant says of the rules' speed in services, and of
// the reflex in a key of its own.
func (v *Variant) adjustDetectors() {
	for i := range v.detectors {
		c := &v.detectors[i]
		switch c.Kind.Name {
		case ruledetector.Kind.Name:
			if mean := v.file.Services.Sentinel; mean != nil {
				c.Kind.Service.Mean = *mean
			}
			c.Kind.Service.Waiting = cmp.Or(max(v.file.Services.Queue, 0), c.Kind.Service.Waiting)
		case reflex.Kind.Name:
			if f := v.file.Reflex; c.Options == nil && f != (reflexFile{}) {
				c.Options = &reflex.Options{Failures: f.Failures, Window: f.Window, Limit: f.Limit}
			}
		}
	}
}

// DetectorNames lists the variant's detectors with its plug-ins.
func (v *Variant) DetectorNames() []string {
	var names []string
	for _, c := range v.detectors {
		names = append(names, c.Kind.Name)
	}
	return names
}

// Runs tells whether the variant has a detector of this kind.
func (v *Variant) Runs(detector string) bool { return slices.Contains(v.DetectorNames(), detector) }

// Without is the variant without one of its detectors.
func (v *Variant) Without(detector string) *Variant {
	changed := *v
	changed.detectors = slices.DeleteFunc(slices.Clone(v.detectors),
		func(c sentinel.Chosen) bool { return c.Kind.Name == detector })
	sum := sha256.Sum256([]byte(v.Digest + " without " + detector))
	changed.Digest = hex.EncodeToString(sum[:])
	changed.Name = NameWithout(v.Name, detector)
	return &changed
}

// NameWithout is the name of a variant without one of its detectors.
func NameWithout(variant, detector string) string { return variant + " without " + detector }

// Watching is the variant with its sensors alone: nothing is detected and nothing done.
func (v *Variant) Watching() *Variant {
	watching := *v
	watching.detectors, watching.playbooks, watching.pools, watching.baseline = nil, nil, nil, nil
	watching.analyst, watching.knowledge, watching.file.Guard = nil, nil, guardFile{}
	watching.file.Cascade.Off, watching.file.Restoration.Off = true, true
	watching.Name = v.Name + ", sensors alone"
	return &watching
}

func (v *Variant) unguarded(env detect.Env) ([]sentinel.Member, error) {
	return sentinel.Build(v.detectors, env)
}

// BuildDetectors makes the detectors of a trial, with what the baseline has of each.
func (v *Variant) BuildDetectors(env detect.Env) ([]sentinel.Member, error) {
	env.Rules = v.rules
	build := v.unguarded
	if !env.Learning && !v.file.Guard.options().IsEmpty() {
		build = v.guarded
	}
	members, err := build(env)
	if err != nil || v.baseline == nil {
		return members, err
	}
	if err := v.baseline.load(members); err != nil {
		return nil, errors.Join(err, sentinel.CloseAll(members, false))
	}
	return members, nil
}
