package defence

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/plugin"
	"hemostat/sim/strictyaml"
)

// agentFile is a program outside that decides for the defence.
type agentFile struct {
	Pos         strictyaml.Pos `yaml:"-" json:"-"`
	programFile `yaml:",inline"`
	Step        time.Duration `yaml:"step" json:",omitempty" doc:"virtual time between two decisions; 1m when absent"`
}

// step is the time between two decisions.
func (f *agentFile) step() time.Duration { return cmp.Or(f.Step, time.Minute) }

// prepareAgent checks the agent and makes its pool; its files are added to a digest.
func (v *Variant) prepareAgent(digest io.Writer, base string) error {
	f := v.file.Agent
	if f == nil {
		return nil
	}
	err := f.check()
	if err == nil && f.Step < 0 {
		err = errors.New("times are not negative")
	}
	if err == nil {
		err = f.hash(digest, base)
	}
	if err != nil {
		return f.Pos.Fault("agent", "%s: %s", f.Name, err)
	}
	c := f.config(base)
	c.Step = f.step()
	v.agent = plugin.NewPool(c)
	v.pools = append(v.pools, v.agent)
	return nil
}

// AgentName is the name of the program that decides for the defence; "" for none.
func (v *Variant) AgentName() string {
	if v.file.Agent == nil {
		return ""
	}
	return v.file.Agent.Name
}

// NewAgent lets the variant's agent take its place in a trial of a horizon, and says how much
// virtual time passes between two of its decisions. It is only called where AgentName is one.
func (v *Variant) NewAgent(env detect.Env, horizon time.Duration) (*plugin.Agent, time.Duration, error) {
	a, err := v.agent.NewAgent(env, horizon)
	return a, v.file.Agent.step(), err
}

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
	if v.agent != nil && a.Sides != "red" {
		return nil, fmt.Errorf("the variant %s has an agent already, %s", v.Name, v.AgentName())
	}
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
