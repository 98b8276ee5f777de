package defence

import (
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/guard"
)

// guardFile switches the defences of the defence on.
type guardFile struct {
	Delay     time.Duration `yaml:"delay" json:",omitempty" doc:"how long something new stays unlearned by detectors that learn while they detect; what an entity did is not learned when it was reported within this time; at once when absent"`
	Influence float64       `yaml:"influence" json:",omitempty" doc:"by how many mean deviations one value may move what is usual; 4 when absent"`
	Drift     float64       `yaml:"drift" json:",omitempty" doc:"share by which the bar of a kind of entity may rise until that is an alert, such as 0.2; never when absent"`
	Vary      float64       `yaml:"vary" json:",omitempty" doc:"share by which the bars of detectors differ from host to host, 0 to 0.5; 0 when absent"`
	Canaries  time.Duration `yaml:"canaries" json:",omitempty" doc:"how often it is tried whether the detectors that learn still see known attacks; never when absent"`
	Agreement float64       `yaml:"agreement" json:",omitempty" doc:"share of their bars, 0 to 1, from which on detectors that agree about a host raise an alert together; never when absent"`
	Feeds     int           `yaml:"feeds" json:",omitempty" doc:"from how many hosts on a place counts as in ordinary use, so that no feed can make it hostile, and feeds that say so lose their reputation; never when absent"`
	AlertRate int           `yaml:"alert_rate" json:",omitempty" doc:"alerts an hour of one rule about one host that are passed on; all when absent"`
	Injection bool          `yaml:"injection" json:",omitempty" doc:"no automatic analyst may dismiss an alert whose evidence, or whose host's newest events, hold a text that looks like an order to a model"`
}

func (f *guardFile) options() guard.Options {
	return guard.Options{
		Caution: detect.Caution{Delay: f.Delay, Influence: f.Influence, Drift: f.Drift},
		Vary:    f.Vary, Canaries: f.Canaries, Agreement: f.Agreement, Feeds: f.Feeds, AlertRate: f.AlertRate,
	}
}

// check reports what is wrong with the numbers.
func (f *guardFile) check(fault func(path, format string, args ...any)) {
	for _, x := range []struct {
		key       string
		value     float64
		low, high float64
	}{
		{"delay", f.Delay.Hours(), 0, 90 * 24}, {"influence", f.Influence, 0, 100}, {"drift", f.Drift, 0, 10}, {"vary", f.Vary, 0, 0.5},
		{"agreement", f.Agreement, 0, 1}, {"feeds", float64(f.Feeds), 0, 64}, {"alert_rate", float64(f.AlertRate), 0, 1e6},
	} {
		if !(x.value >= x.low && x.value <= x.high) {
			fault("guard."+x.key, "a value from %g to %g is expected, not %g", x.low, x.high, x.value)
		}
	}
	if f.Canaries != 0 && f.Canaries < 10*time.Minute {
		fault("guard.canaries", "10m or more is expected, not %s", f.Canaries)
	}
}

// guarded builds the detectors with what guards them.
func (v *Variant) guarded(env detect.Env) ([]sentinel.Member, error) {
	g := guard.New(v.file.Guard.options(), &env)
	members, err := sentinel.Build(v.detectors, env)
	if err != nil {
		return nil, err
	}
	untold := env
	untold.Scores, untold.Score = nil, nil
	g.Watch(members, func(name string) (detect.Detector, error) {
		for _, c := range v.detectors {
			if c.Kind.Name != name {
				continue
			}
			built, err := sentinel.Build([]sentinel.Chosen{c}, untold)
			if err != nil {
				return nil, err
			}
			return built[0].Detector, nil
		}
		return nil, nil
	})
	return append(members, g.Member()), nil
}
