package defenders

import (
	"io"

	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel/analyst"
	"hemostat/defenders/sentinel/profile"
	"hemostat/sim/snapshot"
)

// state is what a snapshot holds.
type state struct {
	Pipeline *Pipeline
	Analyst  *analyst.Stage
	Profiler *profile.Profiler
	With     []any
}

// Save writes the whole state of the pipeline: what detectors, analyst, fusion, incidents and
// response remember, what is queued, and what is due. With are pointers to what a listener
// keeps of what it was handed (such as records of open actions), which is written along, so
// that both still share it afterwards. It is called between inputs, not by a listener.
func (p *Pipeline) Save(w io.Writer, with ...any) error {
	return snapshot.Save(w, p.state(with), p.fixed()...)
}

// Load puts a state that Save wrote into a new pipeline of the same configuration, and into
// what with leads to. After an error the pipeline is of no use.
func (p *Pipeline) Load(r io.Reader, with ...any) error {
	return snapshot.Load(r, p.state(with), p.fixed()...)
}

func (p *Pipeline) state(with []any) *state {
	return &state{p, p.config.Analyst, p.config.Profiler, with}
}

// fixed are the parts of the configuration that the state refers to.
func (p *Pipeline) fixed() []any {
	list := []any{p.config.Playbooks, p.config.Inventory}
	for _, m := range p.config.Detectors {
		if d, ok := m.Detector.(detect.Referring); ok {
			list = append(list, d.Fixed()...)
		}
	}
	if p.config.Profiler != nil {
		list = append(list, p.config.Profiler.Fixed()...)
	}
	return list
}
