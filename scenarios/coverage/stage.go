package coverage

import (
	"fmt"
	"time"

	"hemostat/attackers/technique"
	"hemostat/scenarios"
	"hemostat/sim"
	"hemostat/sim/background"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// stageHosts is the size of the estate: large enough for every technique, and quickly built.
const stageHosts = 90

// Stage is where techniques are rehearsed: the estate "midsize", smaller, with complete
// sensors.
type Stage struct {
	spec  *world.Spec
	epoch time.Time
}

// NewStage prepares a stage.
func NewStage() (*Stage, error) {
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	if err != nil {
		return nil, err
	}
	if spec, err = spec.Scaled(stageHosts); err != nil {
		return nil, err
	}
	for i := range spec.Sensors {
		all := 1.0
		spec.Sensors[i].Coverage, spec.Sensors[i].Loss = &all, 0
	}
	spec.Sensors = append(spec.Sensors, world.SensorSpec{Name: "whole audit", Channels: event.AuditNames()})
	epoch, err := scenarios.WeekTime("")
	return &Stage{spec, epoch}, err
}

// Rehearse runs a technique with one of its tools, on each platform on which it works in
// a fresh estate. Before each run audience is told the estate and says who receives the
// events.
func (s *Stage) Rehearse(
	t *technique.Technique,
	tool string,
	audience func(*world.World) (func(*event.Event), error),
) error {
	for _, platform := range t.Stages() {
		w := world.Build(s.spec, sim.NewStreams(3, 1), truth.NewLedger(), s.epoch)
		actor := w.NewActor("attacker")
		actor.Label.Attack = 1
		state := technique.NewState(w, actor, &world.AttackerAssets{})
		state.Skill, state.Addresses = 1, []string{"203.0.113.1", "203.0.113.2"}
		state.Domains = []technique.Domain{{Name: "cdn-sync7.example", Address: "203.0.113.9"}}
		technique.Stage(state, t, platform)
		deliver, err := audience(w)
		if err != nil {
			return err
		}
		w.Deliver = deliver
		if _, err := technique.Rehearse(state, t, tool); err != nil {
			return fmt.Errorf("rehearsal: %w", err)
		}
	}
	return nil
}

// WholeDay plays the beginning of a day without attackers in an estate with the whole audit.
func WholeDay(s *scenarios.Scenario, length time.Duration, deliver func(*event.Event)) error {
	stage, err := NewStage()
	if err != nil {
		return err
	}
	whole := *s
	whole.Spec, whole.Horizon = stage.spec, length
	Day(&whole, 1, deliver)
	return nil
}

// Day plays a day of a scenario's estate on which nobody attacks.
func Day(s *scenarios.Scenario, seed uint64, deliver func(*event.Event)) {
	var engine sim.Engine
	streams := sim.NewStreams(seed, 0)
	w := world.Build(s.Spec, streams, truth.NewLedger(), s.Epoch)
	w.UseStreams(streams)
	w.Deliver = deliver
	background.Start(&engine, w, background.Config{Rate: 1, Day: s.Background.Day, Recorded: s.RecordedDay})
	engine.Run(s.Horizon)
}
