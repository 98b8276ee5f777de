package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"hemostat/sim"
)

type inner struct {
	Pos  Pos     `yaml:"-"`
	Name string  `yaml:"name" required:"true"`
	Rate float64 `yaml:"rate" doc:"events a second"`
	Kind string  `yaml:"kind" enum:"red,blue"`
	Kids []inner `yaml:"kids"`
}

type either struct{ Names []string }

func (e *either) ReadYAML(d *Decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.MappingNode {
		d.Fault(n, path, "a name or names, please")
		return
	}
	d.ReadInto(n, &e.Names, path)
}

type sample struct {
	Title  string           `yaml:"title"`
	Wait   time.Duration    `yaml:"wait"`
	Pace   sim.Dist         `yaml:"pace"`
	Count  int              `yaml:"count"`
	On     bool             `yaml:"on"`
	Items  []inner          `yaml:"items"`
	Table  map[string]inner `yaml:"table"`
	Do     either           `yaml:"do"`
	Opt    *inner           `yaml:"opt"`
	Common inner            `yaml:",inline"`
}

func TestDecodeReadsEveryKind(t *testing.T) {
	s := sample{Count: 3}
	require.NoError(t, Decode("f.yaml", []byte(`
title: a
wait: 90s
pace: exponential(5m)
on: true
items: [{name: x, rate: 1.5, kind: red}]
table: {k: {name: y}}
do: one
opt: {name: z}
name: inlined
`), &s))
	require.Equal(t, 90*time.Second, s.Wait)
	require.Equal(t, sim.Exponential(5*time.Minute), s.Pace)
	require.Equal(t, 3, s.Count, "a default stays where the file is silent")
	require.Equal(t, "x", s.Items[0].Name)
	require.Equal(t, Pos{"f.yaml", 6, 9}, s.Items[0].Pos)
	require.Equal(t, []string{"one"}, s.Do.Names)
	require.Equal(t, "z", s.Opt.Name)
	require.Equal(t, "inlined", s.Common.Name)
}

func TestAllFaultsAreReportedAtOnceWithTheirPlace(t *testing.T) {
	var s sample
	err := Decode("f.yaml", []byte(`titel: a
wait: 5
pace: often
count: many
on: perhaps
items:
  - {rate: fast, kind: green}
do: {a: b}
name: x
name: y
`), &s)
	var faults Faults
	require.True(t, errors.As(err, &faults))
	want := []string{
		`f.yaml:1:1: titel: unknown key (did you mean "title"?); accepted: title, wait`,
		`f.yaml:2:7: wait: a duration with its unit is expected`,
		`f.yaml:3:7: pace: "often" is no distribution`,
		`f.yaml:4:8: count: a whole number is expected, not "many"`,
		`f.yaml:5:5: on: true or false is expected`,
		`f.yaml:7:5: items[0]: "name" is missing`,
		`f.yaml:7:12: items[0].rate: a number is expected`,
		`f.yaml:7:24: items[0].kind: "green" is not accepted; accepted: red, blue`,
		`f.yaml:8:5: do: a name or names, please`,
		`f.yaml:10:1: name: this key stands here twice`,
	}
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, len(want), err.Error())
	for i := range want {
		require.True(t, strings.HasPrefix(lines[i], want[i]), "%s\n%s", want[i], lines[i])
	}
}

func TestBrokenFilesAreExplained(t *testing.T) {
	cases := map[string]string{
		"":                 "the file is empty",
		"# only a comment": "the file is empty",
		"a: [1":            "not valid YAML",
		"- a\n- b":         "a mapping is expected, not a list",
		"title: a\n---\nx": "second",
		"\x00\x01\x02":     "not valid YAML",
	}
	for text, want := range cases {
		var s sample
		require.ErrorContains(t, Decode("f.yaml", []byte(text), &s), want, "%q", text)
	}
}

func TestNestedAliasesAreBounded(t *testing.T) {
	text := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i < 'k'; i++ {
		text += string(i) + ": &" + string(i) + " [" + strings.Repeat("*"+string(i-1)+",", 9) + "]\n"
	}
	var nine map[string][][][][][][][][][]string
	require.ErrorContains(t, Decode("f.yaml", []byte(text), &nine), "expands to more than")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("title: a\nitems: [{name: x}]\nwait: 5s"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sample
		_ = Decode("f.yaml", data, &s)
	})
}

func TestAFaultThatRepeatsAnother(t *testing.T) {
	bad := Fault{Path: "steps[0].pace", Message: "unknown distribution"}
	for path, want := range map[string]bool{"steps[0].pace": true, "steps[0].pace.median": true, "steps[0]": false, "steps[0].paces": false, "steps[1].pace": false, "": false} {
		require.Equal(t, want, Fault{Path: path}.Follows(bad), path)
	}
	missing := Fault{Path: "world", Message: `"name" is missing`}
	require.True(t, Fault{Path: "world.name"}.Follows(missing))
	require.False(t, Fault{Path: "world.hosts"}.Follows(missing))
	require.True(t, Fault{Path: "horizon"}.Follows(Fault{Message: `"horizon" is missing`}))
}
