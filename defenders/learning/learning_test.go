package learning

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

var processes = event.LogSource{Category: "process_creation", Product: "windows"}

func started(id int, host, image, line string) *event.Event {
	e := &event.Event{ID: uint64(id), Time: time.Duration(id) * time.Second, Host: host, Source: processes}
	e.SetName("Image", image)
	e.SetName("CommandLine", line)
	e.SetName("User", "corp\\kim")
	e.SetName("EventID", "1")
	return e
}

// estate makes ordinary days and incidents. Whoever attacks runs a tool from another folder each
// time; what else happens around is what happens everywhere.
func estate(incidents, wrong int) Material {
	ordinary := func(day, i int) *event.Event {
		switch i % 4 {
		case 0:
			return started(i, fmt.Sprintf("ws%d", i%9), `C:\Windows\System32\svchost.exe`, `svchost.exe -k netsvcs -p`)
		case 1:
			return started(i, fmt.Sprintf("ws%d", i%9), `C:\Program Files\Office\winword.exe`,
				fmt.Sprintf(`"winword.exe" /n report%d.docx`, day*100+i))
		case 2:
			return started(i, fmt.Sprintf("ws%d", i%9), `C:\Windows\System32\rundll32.exe`,
				fmt.Sprintf(`rundll32.exe shell32.dll,Control_RunDLL desk%d.cpl`, i))
		}
		return started(i, fmt.Sprintf("ws%d", i%9), `C:\Windows\System32\whoami.exe`, `whoami.exe`)
	}
	return Material{
		Days:     40,
		Entities: map[string]bool{"kim": true, "ws1": true},
		Incidents: func(f func(*Incident) error) error {
			for n := range incidents + wrong {
				in := &Incident{Name: fmt.Sprintf("day/%d#1", n)}
				for i := range 30 {
					in.Events = append(in.Events, Sighting{Event: ordinary(n, i)})
				}
				if n < incidents {
					evil := started(31, "ws1", fmt.Sprintf(`C:\Users\kim\AppData\Local\Temp\%08x\procdump64.exe`, uint32(n*2654435761)),
						fmt.Sprintf(`procdump64.exe -accepteula -ma lsass.exe C:\Temp\%d.dmp`, n*7919))
					known := started(32, "ws1", `C:\Windows\System32\mimikatz.exe`, `mimikatz.exe sekurlsa::logonpasswords`)
					in.Events = append(in.Events, Sighting{Event: evil, Technique: "T1003.001"}, Sighting{Event: known, Alerted: true})
				} else {
					in.Events = append(in.Events, Sighting{Event: started(31, "ws2", `C:\Windows\System32\schtasks.exe`,
						fmt.Sprintf("schtasks.exe /create /tn update%d", n))})
				}
				if err := f(in); err != nil {
					return err
				}
			}
			return nil
		},
		Ordinary: func(f func(*event.Event) error) error {
			for day := range 40 {
				for i := range 200 {
					if err := f(ordinary(day, i)); err != nil {
						return err
					}
				}
				mistaken := started(900, "ws3", `C:\Windows\System32\schtasks.exe`, fmt.Sprintf("schtasks.exe /create /tn update%d", day))
				if err := f(mistaken); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// compiled reads a rule as any engine would.
func compiled(t require.TestingT, s *Signature) *sigma.Engine {
	text, err := s.Rule(Measured{Level: "high", Description: "Measured."})
	require.NoError(t, err)
	rules, err := sigma.Parse("learned.yml", text)
	require.NoError(t, err, "%s", text)
	e, err := sigma.Compile(rules)
	require.NoError(t, err)
	return e
}

func fires(e *sigma.Engine, x *event.Event) bool {
	n := 0
	e.NewMatcher().Match(x, func(sigma.Match) { n++ })
	return n > 0
}

func TestWhatIncidentsShareIsLearned(t *testing.T) {
	m := estate(12, 0)
	found, err := Learn(context.Background(), m, Options{})
	require.NoError(t, err)
	require.Len(t, found, 1, "what a rule sees already is not learned again")
	s := found[0]
	assert.Len(t, s.Incidents, 12)
	assert.Equal(t, "T1003.001", s.Technique)
	assert.NotEmpty(t, s.Fires)
	text, err := s.Rule(Measured{Level: "high", Description: "Measured."})
	require.NoError(t, err)
	for _, entity := range []string{"kim", "ws1", "7919"} {
		assert.NotContains(t, strings.ToLower(string(text)), entity, "a rule depends on no host, account or number")
	}
	e := compiled(t, s)
	assert.True(t, fires(e, started(1, "srv7", `D:\x\procdump64.exe`, `procdump64.exe -accepteula -ma lsass.exe C:\Temp\1.dmp`)), "%s", text)
	require.NoError(t, m.Ordinary(func(x *event.Event) error {
		assert.False(t, fires(e, x), "%s", text)
		return nil
	}))
	again, err := Learn(context.Background(), estate(12, 0), Options{})
	require.NoError(t, err)
	assert.Equal(t, found, again)
}

// A fifth of the confirmations is wrong: nothing is learned from them that ordinary days have.
func TestWrongConfirmationsMakeNoRule(t *testing.T) {
	m := estate(12, 3)
	found, err := Learn(context.Background(), m, Options{})
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, s := range found {
		e := compiled(t, s)
		require.NoError(t, m.Ordinary(func(x *event.Event) error {
			assert.False(t, fires(e, x))
			return nil
		}))
	}
}

func TestNothingToLearnFromIsSaid(t *testing.T) {
	_, err := Learn(context.Background(), estate(0, 0), Options{})
	require.ErrorIs(t, err, errNothing)
	assert.ErrorContains(t, err, "no incident is confirmed")
	_, err = Learn(context.Background(), estate(2, 0), Options{})
	require.ErrorIs(t, err, errNothing)
	assert.ErrorContains(t, err, "2 confirmed incidents, and a signature takes 3")
}

// Whatever a feature is made from, the rule of it fires on the event that it was made from.
func TestARuleFiresOnWhatItWasMadeFrom(t *testing.T) {
	alphabet := rapid.StringOfN(rapid.SampledFrom([]rune(`abcxyz019 \/*?"'.-#%é|`)), 1, 60, -1)
	rapid.Check(t, func(t *rapid.T) {
		e := &event.Event{ID: 1, Host: "h", Source: processes}
		e.SetName("CommandLine", alphabet.Draw(t, "line"))
		e.SetName("Image", alphabet.Draw(t, "image"))
		features(e, nil, func(f feature) {
			s := &Signature{Source: processes, conditions: []feature{f}}
			if strings.ContainsRune(strings.ToLower(e.Value(event.FieldByName(f.field))), open) {
				return // what is in the value itself reads as left open, which fits more
			}
			if !fires(compiled(t, s), e) {
				text, _ := s.Rule(Measured{Level: "high"})
				t.Fatalf("%q does not fire on %q\n%s", f.text, e.AppendJSON(nil), text)
			}
		})
	})
}

func TestWhatIsLeftOpen(t *testing.T) {
	for value, want := range map[string]string{
		`report42.docx`: `report#.docx`, `python3`: `python3`, `a1b2c3d4e5f6`: `#`, `{3f2504e0-4f89-11d3-9a0c-0305e82c3301}`: `{#}`,
		`c:\users\kim\x`: `c:\users\#\x`, `deadbeef`: `deadbeef`, `deadbeef01`: `#`, `10.0.0.1`: `#.#.#.#`,
	} {
		assert.Equal(t, want, leaveOpen(value, map[string]bool{"kim": true}), value)
	}
}

func BenchmarkLearn(b *testing.B) {
	for b.Loop() {
		_, err := Learn(context.Background(), estate(1000, 100), Options{})
		require.NoError(b, err)
	}
}
