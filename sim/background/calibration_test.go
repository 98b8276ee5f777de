package background

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// observed is what the quantiles of docs/calibration.md are taken from: a working day
// from 9 to 17 with complete sensors.
type observed struct {
	events                 map[string]int // by host
	processes, dns, tls    map[string]int // by workstation
	places                 map[string]map[string]bool
	guesses                map[string]int // refused passwords by SSH server
	good, bad              map[string]int // logons by user at a desk
	nxdomain, answered     int
	workstations           int
	polls                  map[string][]time.Duration // times of one poller's calls
	hours, machines, users int
}

func observe(t testing.TB) *observed {
	t.Helper()
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	for i := range spec.Sensors {
		all := 1.0
		spec.Sensors[i].Coverage, spec.Sensors[i].Loss = &all, 0
	}
	w := world.Build(spec, sim.NewStreams(11, 1), truth.NewLedger(), tuesday)
	o := &observed{events: map[string]int{}, processes: map[string]int{}, dns: map[string]int{}, tls: map[string]int{}, places: map[string]map[string]bool{},
		guesses: map[string]int{}, good: map[string]int{}, bad: map[string]int{}, polls: map[string][]time.Duration{}, hours: 8, machines: len(w.Hosts), users: len(w.Accounts)}
	poller := map[string]bool{}
	for _, name := range pollerNames {
		poller[name] = true
	}
	for _, h := range w.WithRole("workstation") {
		o.workstations++
		o.places[h.Name] = map[string]bool{}
	}
	w.Deliver = func(e *event.Event) {
		o.events[e.Host]++
		_, desk := o.places[e.Host]
		name := e.Value(event.ServerName)
		switch {
		case desk && e.Source == event.SysmonProcess.Source:
			o.processes[e.Host]++
		case desk && e.Source == event.ZeekDNS.Source:
			o.dns[e.Host]++
		case desk && e.Source == event.ZeekSSL.Source:
			o.tls[e.Host]++
			o.places[e.Host][name] = true
			if poller[name] {
				o.polls[e.Host+" "+name] = append(o.polls[e.Host+" "+name], e.Time)
			}
		case e.Source == event.SSHD.Source && e.Value(event.Action) == "failed_password":
			o.guesses[e.Host]++
		case desk && e.Value(event.EventID) == "4624" && e.Value(event.LogonType) == world.LogonInteractive:
			o.good[e.Value(event.TargetUserName)]++
		case desk && e.Value(event.EventID) == "4625" && e.Value(event.LogonType) == world.LogonInteractive:
			o.bad[e.Value(event.TargetUserName)]++
		}
		if e.Source == event.ZeekDNS.Source {
			o.answered++
			if e.Value(event.RcodeName) == "NXDOMAIN" {
				o.nxdomain++
			}
		}
	}
	var engine sim.Engine
	Start(&engine, w, Config{Rate: 1})
	engine.Run(time.Duration(o.hours) * time.Hour)
	return o
}

// perHour are the quantiles of a count an hour, over workstations.
func (o *observed) perHour(counts map[string]int, q float64) float64 {
	var all []int
	for host := range o.places {
		all = append(all, counts[host])
	}
	slices.Sort(all)
	return float64(all[int(q*float64(len(all)-1))]) / float64(o.hours)
}

// The ranges are those that docs/calibration.md cites; where the generated data is
// known to lie beside them, the table says so and nothing is asserted.
func TestGeneratedQuantilesLieInThePublishedRanges(t *testing.T) {
	o := observe(t)
	require.GreaterOrEqual(t, o.perHour(o.tls, 0.5), 30.0, "TLS connections an active workstation and hour: 30 to 200")
	require.LessOrEqual(t, o.perHour(o.tls, 0.95), 200.0)
	require.LessOrEqual(t, o.perHour(o.processes, 0.95), 150.0, "process starts: up to 150")
	require.GreaterOrEqual(t, o.perHour(o.processes, 0.75), 12.0)

	total := 0
	for _, n := range o.events {
		total += n
	}
	require.InDelta(t, 1600, 3*float64(total)/float64(o.machines)/2, 1600, "events a computer and day, LANL 2015: about 1,600 from five sources; a working day is about two thirds of a day's events")

	for _, host := range slices.Sorted(maps.Keys(o.guesses)) {
		if n := float64(o.guesses[host]) / float64(60*o.hours); n > 1 {
			require.InDelta(t, 5, n, 1.2, "guesses a minute at %s, Abdou et al. 2015: about 5", host)
		}
	}
}

func TestFailedLogonsHaveAHeavyTailOverUsers(t *testing.T) {
	o := observe(t)
	good, bad, heavy, users := 0, 0, 0, 0
	for user, n := range o.good {
		users++
		good += n
		bad += o.bad[user]
		if o.bad[user] > 0 && float64(o.bad[user])/float64(n+o.bad[user]) > 1.0/3 {
			heavy++
		}
	}
	share := float64(bad) / float64(good+bad)
	require.InDelta(t, 0.05, share, 0.03, "share of failed logons at one's own desk: 3 to 5 percent on average, with a heavy tail (Javed and Paxson 2013 for the form)")
	require.InDelta(t, 0.05, float64(heavy)/float64(users), 0.06, "users who fail more than a third of the time: the worst 5 %% (University of Tulsa)")
}

func TestPollersBelongToEveryDay(t *testing.T) {
	o := observe(t)
	pollers, jittered := 0, 0
	for key, times := range o.polls {
		if len(times) < 12 {
			continue
		}
		pollers++
		var gaps []float64
		for i := 1; i < len(times); i++ {
			gaps = append(gaps, (times[i] - times[i-1]).Minutes())
		}
		slices.Sort(gaps)
		median := gaps[len(gaps)/2]
		if spread := gaps[len(gaps)*3/4] - gaps[len(gaps)/4]; spread/median > 0.11 { // two pollers of one host may ask the same place
			jittered++
		}
		require.Greater(t, median, 1.0, key)
	}
	require.Greater(t, pollers, o.workstations/2, "most workstations have a poller that a beacon detector must tell apart")
	require.Less(t, float64(jittered), 0.35*float64(pollers), "jitter of 0 to 5 %%")
	share := 0.0
	for _, names := range o.places {
		n := 0
		for _, name := range pollerNames {
			if names[name] {
				n++
			}
		}
		share += float64(n) / float64(max(len(names), 1)) / float64(len(o.places))
	}
	require.InDelta(t, 0.07, share, 0.05, "share of a host's destinations that are pollers: about 7 %%")
}
