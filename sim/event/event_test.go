package event

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
		back, err := Decode(e.AppendJSON(nil))
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
	for _, line := range []string{"", "[]", "{}", `{"fields":3}`, "\x00\x01"} {
		_, err := Decode([]byte(line))
		require.Error(t, err, line)
	}
	e, err := Decode([]byte(`{"fields":{"EventID":4624,"ok":true,"none":null}}`))
	require.NoError(t, err)
	require.Equal(t, "4624", e.Value(EventID))
	_, present := e.Lookup("none")
	require.False(t, present)
}
