package defence

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel"
	"hemostat/sim/boundedfile"
	"hemostat/sim/event"
)

// Baseline is what the detectors that learn have learned of ordinary days.
type Baseline struct {
	Format string `json:"format"`
	// From says what it was made of, in words.
	From   string `json:"from"`
	Events int    `json:"events"`
	// Until is the day (RFC 3339) from which on it is too old to tell what is ordinary; "" for never.
	Until string `json:"until,omitempty"`
	// Detectors holds the state of each by its name.
	Detectors map[string]LearnedState `json:"detectors"`
}

// LearnedState is the state of one detector.
type LearnedState struct {
	Version string          `json:"version"`
	State   json.RawMessage `json:"state"`
}

// baselineFormat names the form of the file.
const baselineFormat = "hemostat.baseline/v1"

// maxBaseline bounds a baseline in memory.
const maxBaseline = 1 << 30

// Learned takes what detectors have learned; it is an error when none of them learns.
func Learned(members []sentinel.Member, from string, events int) (*Baseline, error) {
	b := &Baseline{Format: baselineFormat, From: from, Events: events, Detectors: map[string]LearnedState{}}
	for _, m := range members {
		learns, ok := m.Detector.(detect.Stateful)
		if !ok {
			continue
		}
		var state bytes.Buffer
		if err := learns.Save(&state); err != nil {
			return nil, fmt.Errorf("detector %s: %w", m.Name, err)
		}
		b.Detectors[m.Name] = LearnedState{m.Version, bytes.TrimSpace(state.Bytes())}
	}
	if len(b.Detectors) == 0 {
		return nil, errors.New("none of the variant's detectors learns; behavior and encrypted do")
	}
	return b, nil
}

// Write writes a baseline, compressed.
func (b *Baseline) Write(w io.Writer) error {
	z := gzip.NewWriter(w)
	return errors.Join(json.NewEncoder(z).Encode(b), z.Close())
}

// readBaseline reads a baseline.
func readBaseline(data []byte) (*Baseline, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("it is no baseline, which is compressed by gzip: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxBaseline+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBaseline:
		return nil, fmt.Errorf("it is larger than %d bytes", maxBaseline)
	}
	var b Baseline
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("it is no baseline: %w", err)
	}
	if b.Format != baselineFormat {
		return nil, fmt.Errorf("its format is %q, not %s; hemostat train makes one", b.Format, baselineFormat)
	}
	return &b, nil
}

// load gives detectors what they have learned.
func (b *Baseline) load(members []sentinel.Member) error {
	for _, m := range members {
		state, trained := b.Detectors[m.Name]
		learns, ok := m.Detector.(detect.Stateful)
		if !trained || !ok {
			continue
		}
		if state.Version != m.Version {
			return fmt.Errorf("the baseline was made by version %s of the detector %s, which is %s now; make it anew with hemostat train",
				state.Version, m.Name, m.Version)
		}
		if err := learns.Load(bytes.NewReader(state.State)); err != nil {
			return fmt.Errorf("detector %s: %w", m.Name, err)
		}
	}
	return nil
}

// prepareBaseline reads the baseline that the variant names, and returns what it adds to
// the variant's identity.
func (v *Variant) prepareBaseline(base string) (digest string, err error) {
	if v.file.Baseline == "" {
		return "", nil
	}
	name := v.file.Baseline
	if !filepath.IsAbs(name) {
		name = filepath.Join(base, name)
	}
	data, err := boundedfile.Read(name)
	if err == nil {
		v.baseline, err = readBaseline(data)
	}
	if err == nil {
		err = v.fitsDetectors()
	}
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%s does not exist; hemostat train makes one", name)
		}
		return "", v.file.Pos.Fault("baseline", "%s: %s", cmp.Or(name, "baseline"), err)
	}
	if until, err := time.Parse(time.DateOnly, v.baseline.Until); err == nil && time.Now().After(until) {
		v.passedOver = append(v.passedOver,
			fmt.Sprintf("%s was made to hold until %s; what was ordinary then need not be so now: hemostat train makes a new one", name, v.baseline.Until))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// fitsDetectors tells a baseline that no detector of the variant would use.
func (v *Variant) fitsDetectors() error {
	for _, c := range v.detectors {
		if _, ok := v.baseline.Detectors[c.Kind.Name]; ok {
			return nil
		}
	}
	return fmt.Errorf("it is for %v, and the variant names none of these under detectors",
		slices.Sorted(maps.Keys(v.baseline.Detectors)))
}

// HasBaseline tells whether detectors of the variant begin with what they have learned before.
func (v *Variant) HasBaseline() bool { return v.baseline != nil }

// Taught is the variant whose detectors have learned, beside what its baseline holds, from the
// events of some days. Its name and digest are the variant's.
func (v *Variant) Taught(env detect.Env, days [][]*event.Event) (*Variant, error) {
	env.Learning, env.Scores = true, nil
	members, err := v.BuildDetectors(env)
	if err != nil {
		return nil, err
	}
	direct := sentinel.Direct{Members: members, Report: func(detect.Finding) {}}
	shown := 0
	for day, events := range days {
		for _, e := range events {
			shifted := *e
			shifted.Time += time.Duration(day) * 24 * time.Hour
			if err := direct.Event(&shifted); err != nil {
				return nil, errors.Join(err, direct.End(false))
			}
		}
		shown += len(events)
	}
	if err := direct.End(true); err != nil {
		return nil, err
	}
	taught := *v
	taught.baseline, err = Learned(members, v.baseline.From, v.baseline.Events+shown)
	return &taught, err
}
