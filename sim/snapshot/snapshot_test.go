package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type rule struct {
	name  string
	parts []part
}

type part struct{ text string }

type shape interface{ area() float64 }

type square struct{ side float64 }

func (s *square) area() float64 { return s.side * s.side }

type node struct {
	value int
	next  *node
	rule  *rule
	part  *part
	list  []*node
}

type machine struct {
	config   *rule  `snapshot:"-"`
	callback func() `snapshot:"-"`

	count   int
	ratio   float64
	names   map[string]*node
	byPair  map[[2]int]string
	list    []*node
	values  []point
	mixed   map[string]any
	shape   shape
	at      time.Time
	pointed *int
	ring    *node
	empty   []int
	absent  map[string]int
	inner   inner
	members []member
}

type point struct{ x, y int32 }

type inner struct{ words []string }

type member struct {
	do    func() int `snapshot:"-"`
	state int
}

func fresh(r *rule) *machine {
	return &machine{config: r, callback: func() {}, shape: &square{}, members: []member{{do: func() int { return 1 }},
		{do: func() int { return 2 }}}}
}

func saved(t require.TestingT, root any, fixed ...any) []byte {
	var b bytes.Buffer
	require.NoError(t, Save(&b, root, fixed...))
	return b.Bytes()
}

func TestAStateComesBackWhole(t *testing.T) {
	rules := []*rule{{"one", []part{{"a"}, {"b"}}}, {"two", nil}}
	m := fresh(rules[0])
	a := &node{value: 1, rule: rules[1], part: &rules[0].parts[1]}
	b := &node{value: 2, next: a}
	a.next = b // a cycle
	a.list = []*node{}
	seven := 7
	m.count, m.ratio = -5, 0.25
	m.names = map[string]*node{"a": a, "b": b, "none": nil}
	m.byPair = map[[2]int]string{{1, 2}: "x", {0, 9}: "y"}
	m.list, m.ring = []*node{a, b, a}, a
	m.values = []point{{1, 2}, {3, 4}}
	m.mixed = map[string]any{"n": 1, "s": "text", "l": []any{1.5, nil, true}}
	m.shape.(*square).side = 3
	m.at = time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	m.pointed, m.empty, m.inner.words = &seven, []int{}, []string{"x", ""}
	m.members[1].state = 4
	data := saved(t, m, rules)

	again := []*rule{{"one", []part{{"a"}, {"b"}}}, {"two", nil}}
	n := fresh(again[0])
	require.NoError(t, Load(bytes.NewReader(data), n, again))
	assert.Same(t, again[0], n.config, "what is no state stays")
	assert.NotNil(t, n.callback)
	assert.Same(t, n.names["a"], n.list[0])
	assert.Same(t, n.list[0], n.list[2], "what is shared stays shared")
	assert.Same(t, n.ring, n.ring.next.next, "cycles stay")
	assert.Same(t, again[1], n.ring.rule, "a pointer to what is fixed leads to the new one")
	assert.Same(t, &again[0].parts[1], n.ring.part, "also into its middle")
	assert.Equal(t, 9.0, n.shape.area())
	assert.Equal(t, 2, n.members[1].do())
	assert.Equal(t, 4, n.members[1].state)
	assert.Equal(t, data, saved(t, n, again), "the state of the restored one is the same, byte for byte")
	assert.Nil(t, n.absent)
	assert.NotNil(t, n.empty)
	assert.NotNil(t, n.names["a"].list, "an empty list is not none")
	assert.Equal(t, m.mixed, n.mixed)
	assert.Equal(t, m.at, n.at)
}

func TestWhatIsNoStateIsAnError(t *testing.T) {
	type closure struct{ todo []func() }
	err := Save(io.Discard, &closure{[]func(){func() {}}})
	assert.ErrorContains(t, err, `todo[]: a func() is no state; give the field the tag snapshot:"-"`)
	assert.NoError(t, Save(io.Discard, &closure{}), "none is none")

	type shared struct {
		list []point
		into *point
	}
	x := &shared{list: make([]point, 3)}
	x.into = &x.list[1]
	assert.ErrorContains(t, Save(io.Discard, x), "list and into share memory")
	y := &struct{ a, b []point }{}
	y.a = make([]point, 3)
	y.b = y.a[:2]
	assert.NoError(t, Save(io.Discard, y), "slices may share what is not changed")
	assert.ErrorContains(t, Save(io.Discard, *y), "not a pointer")
	assert.ErrorContains(t, Save(io.Discard, y, 5), "a fixed value is a int")
}

func TestOtherVersionsAreTold(t *testing.T) {
	type one struct{ A map[string]int }
	type other struct{ A []string }
	data := saved(t, &one{map[string]int{"x": 1}})
	var o other
	assert.Error(t, Load(bytes.NewReader(data), &o))
	assert.ErrorIs(t, Load(bytes.NewReader(data), &one{}, []*rule{{name: "new"}}), ErrOtherVersion)
	err := Load(bytes.NewReader([]byte("something else")), &one{})
	assert.ErrorIs(t, err, ErrOtherVersion)
	for i := range data {
		broken := bytes.Clone(data)
		broken[i] ^= 0x10
		assert.Error(t, Load(bytes.NewReader(broken), &one{}), "byte %d", i)
		assert.Error(t, Load(bytes.NewReader(data[:i]), &one{}), "cut at %d", i)
	}
}

// lost is a state with an object that only the old part had what is no state for.
func TestWhatWasNotBuiltAnewIsTold(t *testing.T) {
	type holder struct{ members map[string]*member }
	data := saved(t, &holder{map[string]*member{"a": {state: 1}}})
	err := Load(bytes.NewReader(data), &holder{})
	assert.ErrorContains(t, err, "holds what is no state and was not built anew")
	h := &holder{map[string]*member{"a": {do: func() int { return 3 }}}}
	require.NoError(t, Load(bytes.NewReader(data), h))
	assert.Equal(t, 1, h.members["a"].state)
	assert.Equal(t, 3, h.members["a"].do())
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestWriteErrorsAreReturned(t *testing.T) {
	x := &struct{ words []string }{}
	for i := range 30_000 {
		x.words = append(x.words, fmt.Sprint(i))
	}
	size := len(saved(t, x))
	for _, n := range []int{0, 10, size / 2, size - 1} {
		assert.ErrorContains(t, Save(&failing{n}, x), "no space left")
	}
}

// Whatever graph it is, it comes back as the same graph.
func TestGraphs(t *testing.T) {
	type vertex struct {
		name  string
		edges map[string]*vertex
		list  []*vertex
		any   any
	}
	type graph struct{ all []*vertex }
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "n")
		g := &graph{}
		for i := range n {
			g.all = append(g.all, &vertex{name: fmt.Sprint("v", i)})
		}
		pick := rapid.IntRange(0, max(0, n-1))
		for _, v := range g.all {
			for range rapid.IntRange(0, 4).Draw(t, "edges") {
				if v.edges == nil {
					v.edges = map[string]*vertex{}
				}
				to := g.all[pick.Draw(t, "to")]
				v.edges[to.name] = to
				v.list = append(v.list, to)
				v.any = to
			}
		}
		data := saved(t, g)
		var again graph
		if err := Load(bytes.NewReader(data), &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, saved(t, &again)) {
			t.Fatal("another graph came back")
		}
		for i, v := range again.all {
			for _, to := range v.edges {
				if to != again.all[indexOf(to.name)] {
					t.Fatalf("the edge of %d leads to a copy", i)
				}
			}
		}
	})
}

func indexOf(name string) int {
	i, err := strconv.Atoi(strings.TrimPrefix(name, "v"))
	if err != nil {
		panic(err)
	}
	return i
}

func BenchmarkSave(b *testing.B) {
	type table struct{ rows map[string]*node }
	x := &table{rows: map[string]*node{}}
	for i := range 100_000 {
		x.rows[fmt.Sprint("row ", i)] = &node{value: i}
	}
	for b.Loop() {
		require.NoError(b, Save(io.Discard, x))
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "objects/s")
}
