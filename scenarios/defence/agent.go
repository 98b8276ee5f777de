package defence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"hemostat/sim/strictyaml"
)

// Agent is a program outside that decides in trials.
type Agent struct {
	Name, Version string
	Sides         string        // blue, red or both
	Step          time.Duration // of virtual time between two decisions for the defence
}

// WithAgent is the variant together with a program outside. It bears the program's name where that
// decides for the defence, and else "VARIANT vs NAME". The program's version is part of its
// identity, as what it decides follows from it. Detectors and playbooks are shared with the
// variant, which is the one to close.
func (v *Variant) WithAgent(a Agent) (*Variant, error) {
	if err := strictyaml.CheckName(a.Name); err != nil {
		return nil, fmt.Errorf("the name of the agent: %w", err)
	}
	if a.Name == "default" || slices.Contains(EmbeddedNames(), a.Name) {
		return nil, fmt.Errorf("the name of the agent: %s is a variant of the program already", a.Name)
	}
	if len(a.Version) > 100 {
		return nil, fmt.Errorf("the version of the agent has %d characters; 100 are accepted", len(a.Version))
	}
	text, err := json.Marshal(struct {
		Agent   Agent
		Variant json.RawMessage
	}{a, v.JSON})
	if err != nil {
		return nil, fmt.Errorf("variant %s with the agent %s: %w", v.Name, a.Name, err)
	}
	with := *v
	with.Name = a.Name
	if a.Sides == "red" {
		with.Name = strictyaml.CleanName(v.Name + " vs " + a.Name)
	}
	sum := sha256.Sum256(text)
	with.JSON, with.Digest = text, hex.EncodeToString(sum[:])
	return &with, nil
}
