package event

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fastjson"
	"pgregory.net/rapid"
)

func TestEventBehavesLikeAMap(t *testing.T) {
	names := []string{"Image", "CommandLine", "id.orig_h", "c-useragent", "my_own", "other", "EventID"}
	rapid.Check(t, func(t *rapid.T) {
		e := &Event{}
		want := map[string]string{}
		for range rapid.IntRange(0, 30).Draw(t, "sets") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			value := rapid.String().Draw(t, "value")
			e.SetName(name, value)
			want[name] = value
		}
		got := map[string]string{}
		e.Each(func(name, value string) bool { got[name] = value; return true })
		require.Equal(t, want, got)
		require.Equal(t, len(want), e.Len())
		for _, name := range names {
			value, ok := e.Lookup(name)
			expected, present := want[name]
			require.Equal(t, present, ok)
			require.Equal(t, expected, value)
		}
		e.Source, e.Time, e.Observed, e.ID = SysmonProcess.Source, 5*time.Second, 6*time.Second, 9
		back, err := decode(e.AppendJSON(nil))
		require.NoError(t, err)
		require.Equal(t, string(e.AppendJSON(nil)), string(back.AppendJSON(nil)))
	})
}

func TestFieldNamesAreUnique(t *testing.T) {
	require.Len(t, fieldByName, int(NumFields))
	for f := Field(0); f < NumFields; f++ {
		require.Equal(t, f, FieldByName(f.String()))
	}
	require.Equal(t, NoField, FieldByName("nothing of the kind"))
}

func TestArenaTextStaysAsItWas(t *testing.T) {
	var a Arena
	var got, want []string
	for i := range 20000 {
		got = append(got, a.Join("x", a.Uint(uint64(i)), "/", a.Hex(uint64(i))))
		want = append(want, "x"+a.Uint(uint64(i))+"/"+a.Hex(uint64(i)))
	}
	require.Equal(t, want, got)
	long := a.Text(4, func(b []byte) []byte { return append(b, "longer than asked for"...) })
	a.Join("overwrite?")
	require.Equal(t, "longer than asked for", long)
}

func TestArenaEventsDoNotShareValues(t *testing.T) {
	var a Arena
	one, two := a.New(2), a.New(2)
	one.Set(Image, "a")
	two.Set(Image, "b")
	one.Set(CommandLine, "c")
	one.Set(User, "beyond the room asked for")
	require.Equal(t, "b", two.Value(Image))
	require.Equal(t, "beyond the room asked for", one.Value(User))
}

func TestDecodeRefusesWhatIsNoEvent(t *testing.T) {
	for _, line := range []string{"", "[]", "{}", `{"fields":3}`, "\x00\x01", `{"fields":{},"id":-1}`,
		`{"fields":{},"time_ns":"now"}`, `{"fields":{},"host":3}`, `{"fields":{},"logsource":[]}`, `{"fields":{},"logsource":{"product":1}}`} {
		_, err := decode([]byte(line))
		require.Error(t, err, line)
	}
	e, err := decode([]byte(`{"fields":{"EventID":4624,"ok":true,"none":null}}`))
	require.NoError(t, err)
	require.Equal(t, "4624", e.Value(EventID))
	_, present := e.Lookup("none")
	require.False(t, present)
}

// Fields outside of the table come by name, whatever the order in which they were given
// and however many they are; of the same name the last counts.
func TestFieldsOutsideOfTheTable(t *testing.T) {
	for _, n := range []int{0, 1, 5, fewExtra - 1, fewExtra, fewExtra + 1, 200, maxExtra, maxExtra + 50} {
		e := &Event{}
		e.Set(Image, "x")
		for i := range n {
			e.SetName(fmt.Sprintf("own %05d", (i*7919)%n), "first")
		}
		for i := range n {
			e.SetName(fmt.Sprintf("own %05d", i), fmt.Sprint(i))
		}
		var names []string
		e.Each(func(name, value string) bool {
			if name != "Image" && n <= maxExtra {
				require.Equal(t, fmt.Sprintf("own %05d", len(names)), name)
				require.Equal(t, fmt.Sprint(len(names)), value)
			}
			if name != "Image" {
				names = append(names, name)
			}
			return true
		})
		require.Len(t, names, min(n, maxExtra))
		require.Equal(t, min(n, maxExtra)+1, e.Len())
		seen := map[string]bool{}
		for i := range e.Len() {
			seen[e.At(i)] = true
		}
		if n > 0 && n <= maxExtra {
			require.Len(t, seen, n+1)
			v, ok := e.Lookup("own 00000")
			require.True(t, ok)
			require.Equal(t, "0", v)
		}
		if n > maxExtra {
			require.Positive(t, e.Omitted())
		}
	}
}

func TestListsOfValues(t *testing.T) {
	e := &Event{}
	e.SetList("Image", []string{"a", "b"})
	e.SetList("own", []string{"c", "d"})
	e.SetList("single", []string{"s"})
	e.SetList("none", nil)
	require.True(t, e.HasLists())
	require.Equal(t, []string{"a", "b"}, e.Members(Image, "Image"))
	require.Equal(t, []string{"c", "d"}, e.Members(NoField, "own"))
	require.Nil(t, e.Members(NoField, "single"))
	require.Equal(t, "a,b", e.Value(Image))
	_, there := e.Lookup("none")
	require.False(t, there)
	text := string(e.AppendJSON(nil))
	require.Contains(t, text, `"Image":["a","b"]`)
	again, err := decode([]byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(again.AppendJSON(nil)))
	require.Equal(t, []string{"c", "d"}, again.Members(NoField, "own"))
}

// decode reads one object of the exchange format.
func decode(line []byte) (*Event, error) {
	v, err := fastjson.ParseBytes(line)
	if err != nil {
		return nil, err
	}
	o, err := v.Object()
	if err != nil {
		return nil, err
	}
	e := &Event{}
	text := func(b []byte) string { return string(b) }
	return e, e.Fill(o, func(b []byte) (string, Field) { return string(b), FieldByName(string(b)) }, text)
}
