package behavior

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/sim/event"
	"hemostat/sim/role"
)

// office is an estate whose people and machines do the same from day to day.
type office struct {
	random *rand.Rand
	d      *detector
	found  []detect.Finding
	now    time.Duration
	id     uint64
}

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func estateOf(hosts int) *inventory.Inventory {
	var list []inventory.Host
	var people []inventory.Account
	for i := range hosts {
		list = append(list, inventory.Host{Name: fmt.Sprintf("WS%03d", i), IP: fmt.Sprintf("10.0.%d.%d", i/200, i%200),
			Role: role.Workstation})
		people = append(people, inventory.Account{Name: fmt.Sprintf("user%03d", i), Privilege: "user"})
	}
	return inventory.New(list, people)
}

func newOffice(t testing.TB, o options, learning bool) *office {
	d, err := newDetector(o, detect.Env{Inventory: estateOf(60), Epoch: monday, Learning: learning})
	require.NoError(t, err)
	return &office{random: rand.New(rand.NewPCG(1, 2)), d: d}
}

func (x *office) show(at time.Duration, source event.LogSource, host string, fields ...string) {
	x.id++
	e := &event.Event{ID: x.id, Time: at, Host: host, Source: source}
	for i := 0; i+1 < len(fields); i += 2 {
		e.SetName(fields[i], fields[i+1])
	}
	if err := x.d.Inspect(at, e, func(f detect.Finding) { x.found = append(x.found, f) }); err != nil {
		panic(err)
	}
}

var sysmon = event.LogSource{Category: "process_creation", Product: "windows", Service: "sysmon"}

func (x *office) process(at time.Duration, who int, image, parent, line string) {
	x.show(at, sysmon, fmt.Sprintf("WS%03d", who), "Image", image, "ParentImage", parent, "CommandLine", line, "User", fmt.Sprintf(`CORP\user%03d`, who))
}

func (x *office) logon(at time.Duration, who, to int) {
	x.show(at, event.LogSource{Product: "windows", Service: "security"}, fmt.Sprintf("WS%03d", to), "EventID", "4624",
		"LogonType", "3",
		"TargetUserName", fmt.Sprintf("user%03d", who), "Computer", fmt.Sprintf("WS%03d.corp.example",
			to), "IpAddress", fmt.Sprintf("10.0.0.%d", who))
}

var programs = []string{`C:\Program Files\Office\winword.exe`, `C:\Program Files\Office\excel.exe`, `C:\Program Files\Edge\msedge.exe`, `C:\Windows\System32\notepad.exe`}

// days lets people work for so many days.
func (x *office) days(n int) {
	for range n {
		for hour := 8; hour < 18; hour++ {
			for who := range 60 {
				at := x.now + time.Duration(hour)*time.Hour + time.Duration(who)*time.Minute
				program := programs[x.random.IntN(len(programs))]
				x.process(at, who, program, `C:\Windows\explorer.exe`, `"`+program+`" /n`)
				x.logon(at, who, (who+1)%4)
			}
		}
		x.now += 24 * time.Hour
	}
}

func TestWhatIsUnlikeItselfAndItsPeersIsFoundAndExplained(t *testing.T) {
	x := newOffice(t, options{}, false)
	x.days(10)
	before := len(x.found)
	require.LessOrEqual(t, before, 3, "600 ordinary entity days")
	at := x.now + 11*time.Hour
	x.process(at, 7, `C:\Users\user007\AppData\Local\Temp\upd8.exe`, `C:\Program Files\Office\winword.exe`, "upd8.exe -k")
	x.process(at+time.Minute, 7, `C:\Windows\System32\whoami.exe`, `C:\Users\user007\AppData\Local\Temp\upd8.exe`, "whoami /all")
	x.logon(at+2*time.Minute, 7, 40)
	require.Greater(t, len(x.found), before)
	f := x.found[len(x.found)-1]
	require.Contains(t, f.RuleID, "behavior/")
	require.NotEmpty(t, f.Evidence)
	require.Contains(t, []string{"WS007", "WS040"}, f.Entities.Host)
	text := ""
	for _, r := range f.Reasons {
		text += r.String() + "\n"
	}
	require.Contains(t, text, "bits")
	require.Contains(t, text, "of its peers")
	require.Contains(t, text, "reaches this with probability")
}

// TestTheLastWindowsAreJudgedAtTheEnd: what only counts is judged when its window is over,
// also where no event follows.
func TestTheLastWindowsAreJudgedAtTheEnd(t *testing.T) {
	x := newOffice(t, options{}, false)
	x.days(10)
	for i := range 400 { // a storm of refused logons by one account, and then nothing
		x.show(x.now+9*time.Hour+time.Duration(i)*time.Second, event.LogSource{Product: "windows", Service: "security"},
			"WS003", "EventID", "4625", "TargetUserName", "user003")
	}
	told := len(x.found)
	require.NoError(t, x.d.End(x.now+10*time.Hour, func(f detect.Finding) { x.found = append(x.found, f) }))
	require.Greater(t, len(x.found), told)
	require.Contains(t, x.found[len(x.found)-1].Reasons[0].Field, "refused logons")
}

func TestWhatSpreadsIsNoSurpriseForLong(t *testing.T) {
	x := newOffice(t, options{}, false)
	x.days(10)
	before := 0
	for who := range 60 { // an update on every host within the hour
		if who == 30 {
			before = len(x.found)
		}
		x.process(x.now+9*time.Hour+time.Duration(who)*time.Minute, who, `C:\Windows\System32\wusa.exe`, `C:\Windows\System32\svchost.exe`, "wusa.exe /quiet")
	}
	require.Equal(t, before, len(x.found), "on the second half of the hosts it surprises no more")
}

func TestAnEntityThatIsAlwaysNewSurprisesNobody(t *testing.T) {
	x := newOffice(t, options{}, false)
	x.days(10)
	scan := func(day int) {
		for i := range 400 {
			x.show(x.now+9*time.Hour+time.Duration(i)*time.Second, event.LogSource{Product: "zeek", Service: "conn"},
				"10.0.0.50",
				"id.orig_h", "10.0.0.50", "id.resp_h", fmt.Sprintf("10.9.%d.%d", day, i%250), "id.resp_p", "443")
		}
		x.days(1)
	}
	for day := range 10 {
		scan(day)
	}
	before := len(x.found)
	scan(11)
	require.Equal(t, before, len(x.found), "a scanner scans")
}

func TestNothingIsSaidBeforeTheWarmUpAndWhileLearning(t *testing.T) {
	x := newOffice(t, options{}, false)
	x.process(time.Hour, 1, `C:\a.exe`, `C:\b.exe`, "a")
	require.Empty(t, x.found)
	x = newOffice(t, options{WarmUp: 1000}, false)
	x.days(1)
	require.Contains(t, strings.Join(x.d.Notes(), "\n"), "of the 1000 quarters of an hour")
	x.days(5)
	require.Empty(t, x.d.Notes())
	x = newOffice(t, options{}, true)
	x.days(10)
	x.process(x.now+time.Hour, 1, `C:\a.exe`, `C:\b.exe`, "a -x")
	require.Empty(t, x.found)
}

func TestStateIsSavedAndRestored(t *testing.T) {
	x := newOffice(t, options{}, true)
	x.days(10)
	var state bytes.Buffer
	require.NoError(t, x.d.Save(&state))

	y := newOffice(t, options{}, false)
	require.NoError(t, y.d.Load(bytes.NewReader(state.Bytes())))
	y.days(1)
	require.LessOrEqual(t, len(y.found), 1)
	at := y.now + 11*time.Hour
	y.process(at, 7, `C:\Users\user007\AppData\Local\Temp\upd8.exe`, `C:\Program Files\Office\winword.exe`, "upd8.exe -k")
	y.process(at+time.Minute, 7, `C:\Windows\System32\whoami.exe`, `C:\Users\user007\AppData\Local\Temp\upd8.exe`, "whoami /all")
	require.NotEmpty(t, y.found)

	var once, twice bytes.Buffer
	z := newOffice(t, options{}, true)
	require.NoError(t, z.d.Load(bytes.NewReader(state.Bytes())))
	require.NoError(t, z.d.Save(&once))
	z = newOffice(t, options{}, true)
	require.NoError(t, z.d.Load(bytes.NewReader(once.Bytes())))
	require.NoError(t, z.d.Save(&twice))
	require.Equal(t, once.String(), twice.String())

	for _, bad := range []string{"", "{}", `{"class":[{},{},{},{},{}],"forest":{"trees":[]}}`, strings.Replace(state.String(), `"seen":"`, `"seen":"AAAA`, 1)} {
		require.Error(t, newOffice(t, options{}, false).d.Load(strings.NewReader(bad)))
	}
}

func TestHostileInputIsBounded(t *testing.T) {
	x := newOffice(t, options{Memory: 5000}, false)
	for i := range 60_000 { // a million names, a clock that runs to and fro, a month's gap
		at := time.Duration(i)*time.Second - time.Duration(i%5)*time.Hour
		if i > 50_000 {
			at += 31 * 24 * time.Hour
		}
		x.show(at, sysmon, fmt.Sprintf("H%d", i), "Image", fmt.Sprintf(`C:\%d\%x.exe`, i, i*7), "CommandLine", strings.Repeat(`"`, i%5), "User", fmt.Sprintf("u%d", i))
	}
	require.LessOrEqual(t, x.d.novelty.seen.Len(), 5000)
	require.LessOrEqual(t, len(x.d.windows.open), maxOpen)
	require.Contains(t, strings.Join(x.d.Notes(), "\n"), "observations to stay within the bound")
	x.show(0, sysmon, "", "Image", "")
	x.show(0, event.LogSource{}, "h")
	_, err := newDetector(options{FalseAlarms: -1}, detect.Env{})
	require.ErrorContains(t, err, "false_alarms")
}

func TestFormsLeaveOutWhatDoesNotMatter(t *testing.T) {
	same := func(f form, a, b string) bool { return f.hash(hashStart, a) == f.hash(hashStart, b) }
	require.True(t, same(path, `C:\Users\kim\AppData\Teams_1.2.30\x.exe`, `C:\USERS\lee\AppData\Teams_1.4.5\x.exe`))
	require.False(t, same(path, `C:\Users\kim\a.exe`, `C:\Users\kim\b.exe`))
	require.True(t, same(flags, `"C:\Windows\cmd.exe" /c dir`, `cmd.exe /c type file.txt`))
	require.False(t, same(flags, `cmd.exe /c dir`, `cmd.exe /k dir`))
	require.True(t, same(base, `C:\a\x.exe`, `D:\b\X.EXE`))
}

func TestTheTailFollowsWhatWasSeen(t *testing.T) {
	var x tail
	random := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		x.add(random.ExpFloat64() * 5)
	}
	require.InEpsilon(t, 0.0183, x.exceeded(20), 0.15) // exp(-4)
	require.InEpsilon(t, 4.5e-5, x.exceeded(50), 1)    // exp(-10), by the few largest
	require.Less(t, x.exceeded(90), 1e-5)
	require.Greater(t, x.exceeded(60), x.exceeded(70))
}

// month is a month's events of 10,000 entities, endlessly.
func month(hosts int) func(i int) *event.Event {
	random := rand.New(rand.NewPCG(5, 6))
	const kinds = 20_000
	events := make([]*event.Event, kinds)
	for i := range events {
		who := random.IntN(hosts)
		e := &event.Event{ID: uint64(i + 1), Host: fmt.Sprintf("WS%05d", who), Source: sysmon}
		program := fmt.Sprintf(`C:\Program Files\p%d\app.exe`, random.IntN(300))
		e.SetName("Image", program)
		e.SetName("ParentImage", `C:\Windows\explorer.exe`)
		e.SetName("CommandLine", program+" /n")
		e.SetName("User", fmt.Sprintf(`CORP\user%05d`, who))
		if i%3 == 0 {
			e.Source = event.LogSource{Product: "zeek", Service: "conn"}
			e.SetName("id.orig_h", fmt.Sprintf("10.%d.%d.%d", who>>16, who>>8&255, who&255))
			e.SetName("id.resp_h", fmt.Sprintf("10.200.0.%d", random.IntN(50)))
			e.SetName("id.resp_p", "445")
		}
		events[i] = e
	}
	return func(i int) *event.Event {
		e := events[i%kinds]
		e.Time = time.Duration(i) * 30 * time.Millisecond
		return e
	}
}

func TestMemoryDoesNotGrowOverAMonth(t *testing.T) {
	if testing.Short() {
		t.Skip("many events")
	}
	d, err := newDetector(options{}, detect.Env{Epoch: monday})
	require.NoError(t, err)
	next := month(5000)
	none := func(detect.Finding) {}
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	half := uint64(0)
	const all = 300_000
	for i := range all {
		e := next(i)
		e.Time = time.Duration(i) * 30 * 24 * time.Hour / all
		require.NoError(t, d.Inspect(e.Time, e, none))
		if i == all/2 {
			half = used()
		}
	}
	require.Less(t, float64(used()), 1.1*float64(half)+5e6)
	require.Less(t, used(), uint64(200e6))
	runtime.KeepAlive(d)
}

// BenchmarkEvents is events of 10,000 entities.
func BenchmarkEvents(b *testing.B) {
	d, err := newDetector(options{}, detect.Env{Epoch: monday})
	require.NoError(b, err)
	next := month(5000)
	none := func(detect.Finding) {}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e := next(n)
		_ = d.Inspect(e.Time, e, none)
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB")
}

// intrusion lets somebody do the same odd things on a host.
func (x *office) intrusion(at time.Duration, who int) {
	x.process(at, who, `C:\Users\Public\upd8.exe`, `C:\Program Files\Office\winword.exe`, "upd8.exe -k")
	x.process(at+time.Minute, who, `C:\Windows\System32\whoami.exe`, `C:\Users\Public\upd8.exe`, "whoami /all")
	x.process(at+2*time.Minute, who, `C:\Windows\System32\nltest.exe`, `C:\Users\Public\upd8.exe`, "nltest /domain_trusts")
	x.logon(at+3*time.Minute, who, 40)
}

// TestWhatIsLearnedWithDelay holds that what an intruder does one by one is not ordinary before the
// delay is over, and that what was reported is never learned.
func TestWhatIsLearnedWithDelay(t *testing.T) {
	found := func(delay time.Duration, again time.Duration) int {
		x := newOffice(t, options{}, false)
		x.d.caution.Delay, x.d.novelty.delay = delay, delay
		x.days(10)
		at := x.now + 9*time.Hour
		for i, program := range []string{"upd8.exe", "whoami.exe", "nltest.exe"} { // tastes, each in a window of its own
			folder := `C:\Windows\System32\`
			if i == 0 {
				folder = `C:\Users\Public\`
			}
			x.process(at+time.Duration(i)*20*time.Minute, 7, folder+program, `C:\Users\Public\upd8.exe`, program)
		}
		before := len(x.found)
		x.intrusion(at+again, 7)
		return len(x.found) - before
	}
	atOnce, late := found(0, 3*time.Hour), found(24*time.Hour, 3*time.Hour)
	require.Greater(t, late, 0)
	require.Greater(t, late, atOnce, "after tastes that were learned at once the intrusion is less odd")

	x := newOffice(t, options{}, false)
	x.d.caution.Delay, x.d.novelty.delay = 24*time.Hour, 24*time.Hour
	x.days(10)
	x.intrusion(x.now+9*time.Hour, 7)
	require.NotEmpty(t, x.found)
	last := len(x.found)
	x.days(3)
	x.intrusion(x.now+9*time.Hour, 7)
	require.Greater(t, len(x.found), last, "what was reported is odd three days later still")
}

// TestABarThatRisesIsReported holds that a detector which is taught that much is ordinary says so.
func TestABarThatRisesIsReported(t *testing.T) {
	x := newOffice(t, options{}, false)
	x.d.caution.Drift = 0.2
	x.days(10)
	x.d.learning = false
	isDrift := func() bool {
		for _, f := range x.found {
			if f.RuleID == "behavior/drift" {
				return true
			}
		}
		return false
	}
	require.False(t, isDrift())
	for day := range 6 {
		for who := range 60 {
			for i := range 6 {
				at := x.now + time.Duration(8+i)*time.Hour + time.Duration(who)*time.Second
				name := fmt.Sprintf(`C:\Users\Public\%d-%d-%d`, day, who, i)
				x.process(at, who, name+"a.exe", name+"b.exe", "a -"+name)
				x.process(at+time.Minute, who, name+"c.exe", name+"d.exe", "c -"+name)
			}
		}
		x.days(1)
	}
	require.True(t, isDrift())
}
