package encrypted

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/detect"
	"hemostat/sim/event"
)

const (
	schannelJA4 = "t12d190800_d83cc789557e_7af1ed941c26"
	goJA4       = "t13d131100_f57a46bbacb6_ab7e3b40a677"
	browserJA4  = "t13d1516h2_8daaf6152771_e5627efa2ab1"
)

// traffic makes events and shows them in the order of time.
type traffic struct {
	events []*event.Event
	random *rand.Rand
}

func newTraffic(seed uint64) *traffic { return &traffic{random: rand.New(rand.NewPCG(seed, 1))} }

func (t *traffic) add(at time.Duration, service string, fields ...string) *event.Event {
	e := &event.Event{Time: at, Source: event.LogSource{Product: "zeek", Service: service}}
	for i := 0; i+1 < len(fields); i += 2 {
		e.SetName(fields[i], fields[i+1])
	}
	t.events = append(t.events, e)
	return e
}

// call is a connection with its TLS handshake.
func (t *traffic) call(at time.Duration, from, to, name, ja4 string, sent int, more ...string) {
	port := strconv.Itoa(20000 + t.random.IntN(40000))
	t.add(at, "conn", "id.orig_h", from, "id.orig_p", port, "id.resp_h", to, "orig_bytes", strconv.Itoa(sent),
		"conn_state", "SF")
	t.add(at, "ssl", append([]string{"id.orig_h", from, "id.orig_p", port, "id.resp_h", to, "server_name", name, "ja4",
		ja4}, more...)...)
}

// show shows everything to a detector and returns the findings with their times.
func (t *traffic) show(d *detector) (found []detect.Finding) {
	slices.SortStableFunc(t.events, func(a, b *event.Event) int { return int(a.Time - b.Time) })
	for i, e := range t.events {
		e.ID = uint64(i + 1)
		if err := d.Inspect(e.Time, e, func(f detect.Finding) { f.EventTime = e.Time; found = append(found, f) }); err != nil {
			panic(err)
		}
	}
	return found
}

func must(d *detector, err error) *detector {
	if err != nil {
		panic(err)
	}
	return d
}

func host(i int) string { return fmt.Sprintf("10.0.%d.%d", i/200, 1+i%200) }

// ordinary is a day of so many hosts: people who browse, pollers of common services at even
// intervals, and agents of services that hardly another host has.
func (t *traffic) ordinary(hosts int, length time.Duration) {
	r := t.random
	for i := range hosts {
		set := rand.New(rand.NewPCG(uint64(i), 9)) // what is installed does not change from day to day
		for range int(length.Hours() * 20) {       // browsing
			site := r.IntN(60)
			t.call(time.Duration(r.Float64()*float64(length)), host(i), fmt.Sprintf("192.0.2.%d", site),
				fmt.Sprintf("www.site%d.com", site),
				browserJA4, 300+int(r.ExpFloat64()*4000))
		}
		for range 2 {
			t.poll(host(i), set.IntN(8), []time.Duration{5, 10, 15, 30, 60}[set.IntN(5)]*time.Minute, 0.05, length, schannelJA4)
		}
		if set.Float64() < 0.15 {
			t.poll(host(i), 20+set.IntN(40), []time.Duration{1, 2, 5, 10}[set.IntN(4)]*time.Minute, 0.1, length, schannelJA4)
		}
	}
}

// poll calls a service at an interval that varies by a share either way.
func (t *traffic) poll(from string, service int, every time.Duration, jitter float64, length time.Duration, ja4 string) {
	at := time.Duration(t.random.Float64() * float64(every))
	for ; at < length; at += time.Duration(float64(every) * (1 + jitter*(2*t.random.Float64()-1))) {
		t.call(at, from, fmt.Sprintf("198.18.0.%d", service), fmt.Sprintf("api.service%d.com", service), ja4,
			700+t.random.IntN(60))
	}
}

// beacon calls an attacker's server; jitter shortens intervals. It returns the times.
func (t *traffic) beacon(from string, every time.Duration, jitter float64, calls int, begin time.Duration,
	ja4 string, more ...string) (at []time.Duration) {
	for range calls {
		t.call(begin, from, "203.0.113.77", "cdn-sync.evil.net", ja4, 600+t.random.IntN(80), more...)
		at = append(at, begin)
		begin += time.Duration(float64(every) * (1 - jitter*t.random.Float64()))
	}
	return at
}

// TestABeaconAmongOrdinaryHosts is the target: 60 s with 30 % jitter among 200 hosts with
// their pollers is found within 25 intervals, with at most one false beacon a day.
func TestABeaconAmongOrdinaryHosts(t *testing.T) {
	for seed := range uint64(3) {
		x := newTraffic(100 + seed)
		x.ordinary(200, 24*time.Hour)
		calls := x.beacon(host(17), time.Minute, 0.3, 60, 9*time.Hour, goJA4, "validation_status", "self signed certificate")
		var when []time.Duration
		false_ := 0
		for _, f := range x.show(must(newDetector(options{}, detect.Env{}))) {
			if f.RuleID != "encrypted/beacon" {
				continue
			}
			if f.EventTime >= calls[0] && slices.Contains(calls, f.EventTime) {
				when = append(when, f.EventTime)
			} else {
				false_++
			}
		}
		require.Len(t, when, 1, "seed %d", seed)
		require.LessOrEqual(t, slices.Index(calls, when[0]), 25)
		require.LessOrEqual(t, false_, 1, "seed %d", seed)
	}
}

// TestWhatABaselineAdds: a beacon with a browser's client and a bought certificate is told
// from agents only when it is known which places are called on ordinary days.
func TestWhatABaselineAdds(t *testing.T) {
	ordinary := newTraffic(1)
	ordinary.ordinary(100, 48*time.Hour)
	trained := must(newDetector(options{}, detect.Env{Learning: true}))
	ordinary.show(trained)
	var state bytes.Buffer
	require.NoError(t, trained.Save(&state))

	day := func() *traffic {
		x := newTraffic(2)
		x.ordinary(100, 12*time.Hour)
		x.beacon(host(3), time.Minute, 0.3, 60, 5*time.Hour, browserJA4)
		return x
	}
	count := func(found []detect.Finding) (n int) {
		for _, f := range found {
			if f.RuleID == "encrypted/beacon" {
				n++
			}
		}
		return n
	}
	require.Zero(t, count(day().show(must(newDetector(options{}, detect.Env{})))))
	d := must(newDetector(options{}, detect.Env{}))
	require.NoError(t, d.Load(bytes.NewReader(state.Bytes())))
	require.Equal(t, 1, count(day().show(d)))

	var again bytes.Buffer
	d = must(newDetector(options{}, detect.Env{}))
	require.NoError(t, d.Load(bytes.NewReader(state.Bytes())))
	require.NoError(t, d.Save(&again))
	require.JSONEq(t, state.String(), again.String(), "what is saved, loaded and saved is the same")
	require.Error(t, d.Load(bytes.NewReader([]byte("no"))))
}

// TestJitterAndSharedPlaces measures what docs/detectors.md says of what is lost.
func TestJitterAndSharedPlaces(t *testing.T) {
	found := func(every time.Duration, jitter float64, shared bool) (n int) {
		for seed := range uint64(10) {
			x := newTraffic(500 + seed)
			x.ordinary(40, 4*time.Hour)
			x.beacon(host(3), every, jitter, 200, time.Hour, goJA4, "validation_status", "self signed certificate")
			if shared {
				for i := range 40 {
					for range 10 {
						x.call(time.Duration(x.random.Float64()*float64(4*time.Hour)), host(i), "203.0.113.77", "www.site1.com",
							browserJA4, 4000)
					}
				}
			}
			for _, f := range x.show(must(newDetector(options{}, detect.Env{}))) {
				if f.RuleID == "encrypted/beacon" {
					n++
					break
				}
			}
		}
		return n
	}
	require.Equal(t, 10, found(time.Minute, 0, false))
	require.Equal(t, 10, found(time.Minute, 0.5, false))
	wide := found(time.Minute, 0.9, false)
	t.Logf("at 90 %% jitter %d of 10 are found", wide)
	require.Zero(t, found(time.Minute, 0.3, true), "a place that everybody calls is never a beacon's")
}

func TestUploadsAgainstTheHostsOwnHistory(t *testing.T) {
	x := newTraffic(3)
	for hour := range 72 {
		for _, from := range []string{"10.0.0.1", "10.0.0.2"} {
			sent := 20e6
			if from == "10.0.0.2" {
				sent = 900e6 // it always sends much
			}
			x.call(time.Duration(hour)*time.Hour+time.Minute, from, "192.0.2.1", "www.site.com", browserJA4,
				int(sent*(0.8+0.4*x.random.Float64())))
		}
	}
	x.call(72*time.Hour+2*time.Minute, "10.0.0.1", "203.0.113.5", "drop.evil.net", goJA4, 2e9)
	x.call(72*time.Hour+2*time.Minute, "10.0.0.2", "192.0.2.1", "www.site.com", browserJA4, 950e6)
	found := x.show(must(newDetector(options{}, detect.Env{})))
	require.Len(t, found, 1)
	require.Equal(t, "encrypted/volume", found[0].RuleID)
	require.Contains(t, found[0].Reasons[0].Value, "2.0 GB")
	require.Contains(t, found[0].Reasons[0].Test, "usually 2")
}

func TestNamesThatCarryData(t *testing.T) {
	x := newTraffic(4)
	hex := func(n int) string {
		s := ""
		for range n {
			s += string("0123456789abcdef"[x.random.IntN(16)])
		}
		return s
	}
	for i := range 40 {
		at := time.Duration(i) * 30 * time.Second
		x.add(at, "dns", "id.orig_h", "10.0.0.1", "query", hex(40)+".t.evil.net", "qtype_name", "TXT")
		x.add(at, "dns", "id.orig_h", "10.0.0.2", "query", fmt.Sprintf("edge-%d.cdn.site.com", i), "qtype_name", "A")
		x.add(at, "dns", "id.orig_h", "10.0.0.3", "query", fmt.Sprintf("%d.0.0.10.in-addr.arpa", i), "qtype_name", "PTR")
		x.add(at, "dns", "id.orig_h", "10.0.0.4", "query", "www.evil.net", "qtype_name", "A")
	}
	found := x.show(must(newDetector(options{}, detect.Env{})))
	require.Len(t, found, 1)
	require.Equal(t, "encrypted/tunnel", found[0].RuleID)
	require.Contains(t, found[0].Reasons[0].Value, "below evil.net")
}

func TestAClientThatIsNotTheProgrammes(t *testing.T) {
	x := newTraffic(5)
	for i, c := range []struct{ image, ja4 string }{
		{`C:\Windows\System32\rundll32.exe`, goJA4}, {`C:\Program Files\Edge\msedge.exe`, browserJA4},
		{`C:\Windows\System32\svchost.exe`, schannelJA4}, {`C:\Tools\agent.exe`, goJA4}, {`C:\Windows\System32\notepad.exe`, browserJA4},
	} {
		port := strconv.Itoa(40000 + i)
		at := time.Duration(i) * time.Minute
		e := x.add(at, "sysmon", "Image", c.image, "SourceIp", "10.0.0.1", "SourcePort", port, "DestinationIp",
			"203.0.113.5", "Initiated", "true")
		e.Source.Category = "network_connection"
		x.add(at+time.Millisecond, "ssl", "id.orig_h", "10.0.0.1", "id.orig_p", port, "id.resp_h", "203.0.113.5",
			"server_name", "a.evil.net", "ja4", c.ja4)
	}
	found := x.show(must(newDetector(options{}, detect.Env{})))
	require.Len(t, found, 2)
	require.Contains(t, found[0].Reasons[0].Value, "rundll32.exe")
	require.Contains(t, found[1].Reasons[0].Value, "notepad.exe")
}

func TestTheEstateIsWhatIsSaid(t *testing.T) {
	x := newTraffic(9)
	x.beacon("10.0.0.1", time.Minute, 0.1, 40, time.Hour, goJA4)
	for _, e := range x.events {
		e.SetName("id.resp_h", "192.168.0.4") // a laboratory's outside
	}
	require.Empty(t, x.show(must(newDetector(options{}, detect.Env{}))))
	require.Len(t, x.show(must(newDetector(options{Inside: []string{"10.0.0.0/8"}}, detect.Env{}))), 1)
	_, err := newDetector(options{Inside: []string{"ten"}}, detect.Env{})
	require.ErrorContains(t, err, `a network such as 10.0.0.0/8 is expected, not "ten"`)
}

// TestAClockAmongOtherCalls: calls at full minutes, some left out and others between them,
// keep a clock's time although their intervals do not.
func TestAClockAmongOtherCalls(t *testing.T) {
	p := &pair{}
	x := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		if x.Float64() < 0.25 {
			continue
		}
		p.add(time.Duration(i)*time.Minute, 600)
		if i%6 == 0 {
			p.add(time.Duration(i)*time.Minute+time.Duration(5+x.IntN(50))*time.Second, 600)
		}
	}
	require.Equal(t, kept, p.n)
	require.Greater(t, p.steady(), 0.7)
	people := &pair{}
	at := time.Duration(0)
	for range 60 {
		at += time.Duration(x.ExpFloat64() * float64(time.Minute))
		people.add(at, 600)
	}
	require.Less(t, people.steady(), 0.6)
}

func TestWhatAPlaceShows(t *testing.T) {
	require.True(t, isRandom("xk3vq9zrt7bpl2.") && isRandom("qwrtzpsdfgkl"))
	for _, name := range []string{"microsoftonline", "cdn-static-update", "example", "googleusercontent"} {
		require.False(t, isRandom(name), name)
	}
	sizes, gaps := "", ""
	for i := range 40 {
		if i > 0 {
			sizes, gaps = sizes+",", gaps+","
		}
		sizes += []string{"60", "-90"}[i%2]
		gaps += []string{"400000", "30000"}[i%2]
	}
	require.True(t, isConversation(sizes, gaps), "somebody types")
	require.False(t, isConversation(strings.ReplaceAll(sizes, "-90", "-1400"), gaps), "a download")
	require.False(t, isConversation("x", "y"))
	require.False(t, isConversation("", ""))
}

func TestHostileInputIsBounded(t *testing.T) {
	x := newTraffic(6)
	d := must(newDetector(options{Pairs: 1000}, detect.Env{}))
	for i := range 50_000 { // a scanner that touches everything, back and forth in time
		at := time.Duration(i%7)*time.Hour - time.Duration(i)*time.Second
		x.add(at, "conn", "id.orig_h", "10.0.0.1", "id.resp_h", fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255),
			"orig_bytes", "NaN", "conn_state", "SF")
	}
	for _, bytes := range []string{"NaN", "-1", "1e400", "x", ""} {
		x.add(0, "conn", "id.orig_h", "10.0.0.1", "id.resp_h", "203.0.113.9", "orig_bytes", bytes)
	}
	x.add(31*24*time.Hour, "conn", "id.orig_h", "10.0.0.1", "id.resp_h", "203.0.113.9", "orig_bytes", "5")
	x.add(0, "conn", "id.orig_h", "not an address", "id.resp_h", "")
	x.add(0, "dns", "query", ".", "id.orig_h", "10.0.0.1")
	x.add(0, "ssl", "id.orig_h", "10.0.0.1", "id.resp_h", "203.0.113.9", "ja4", "_")
	require.Empty(t, x.show(d))
	require.LessOrEqual(t, d.beacons.pairs.Len(), 1000)
	require.Positive(t, d.beacons.pairs.Forgotten)
}

func TestInspectAllocatesNothingForKnownPairs(t *testing.T) {
	x := newTraffic(7)
	x.ordinary(20, time.Hour)
	d := must(newDetector(options{}, detect.Env{}))
	x.show(d)
	none := func(detect.Finding) {}
	for _, e := range x.events[len(x.events)-20:] {
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = d.Inspect(e.Time, e, none) }), e.Source)
	}
}

// BenchmarkFlows is connections with their handshakes, 10,000 hosts.
func BenchmarkFlows(b *testing.B) {
	x := newTraffic(8)
	x.ordinary(10_000, time.Hour)
	slices.SortStableFunc(x.events, func(a, b *event.Event) int { return int(a.Time - b.Time) })
	d := must(newDetector(options{}, detect.Env{}))
	none := func(detect.Finding) {}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e := x.events[n%len(x.events)]
		_ = d.Inspect(e.Time, e, none)
		n++
	}
	b.ReportMetric(float64(b.N)/2/b.Elapsed().Seconds(), "flows/s")
}
