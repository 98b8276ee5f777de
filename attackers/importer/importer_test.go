package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/attackers/technique"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const abilities = `- id: a1
  name: Who am I
  technique: {attack_id: T1033, name: x}
- id: a2
  name: Knock over the router
  technique: {attack_id: T1499, name: x}
- id: a3
  name: Look for a mailbox
  technique_id: T1114
`

func TestACalderaProfileBecomesACampaign(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "abilities/discovery/all.yml", abilities)
	p, err := Caldera(write(t, dir, "profile.yml", "id: p\nname: \"Nosy: \\\"one\\\"\"\natomic_ordering: [a1, a2, a3, gone]\n"))
	require.NoError(t, err)
	require.Len(t, p.Actions, 3)
	require.Equal(t, []string{`ability gone of profile "Nosy: \"one\"" was not found beside it`}, p.Missing)
	out, err := p.Scenario()
	require.NoError(t, err)
	require.Equal(t, "nosy-one", out.Name)
	require.Equal(t, []Mapping{{"Who am I", "T1033", "T1033", ""}}, out.Mapped)
	require.Equal(t, "T1114", out.Near[0].Technique)
	require.NotNil(t, technique.Find(out.Near[0].Becomes))
	require.Equal(t, "T1499", out.Unmapped[0].Technique)
	text := string(out.Scenario)
	for _, want := range []string{"left out: Knock over the router", "by a relative: Look for a mailbox", "missing: ability gone", "T1566.001 was put before it", "do: T1033"} {
		require.Contains(t, text, want)
	}
}

func TestAnAttackFlowFollowsItsArrows(t *testing.T) {
	dir := t.TempDir()
	afb := `{"schema":"attack_flow_v2","objects":[
 {"id":"flow","instance":"f","properties":[["name","Flow"],["author",[["name","Somebody"]]]]},
 {"id":"action","instance":"second","properties":[["name","Second"],["ttp",[["tactic","TA0007"],["technique","T1033"]]]],"anchors":{"0":"an2"}},
 {"id":"action","instance":"first","properties":[["name","First"],["technique_id","T1566.001"]],"anchors":{"0":"an1"}},
 {"id":"vertical_anchor","instance":"an1","latches":["l1"]},{"id":"vertical_anchor","instance":"an2","latches":["l2"]},
 {"id":"dynamic_line","instance":"x","source":"l1","target":"l2"}],
 "layout":{"first":[0,500],"second":[0,-500]}}`
	p, err := AttackFlow(write(t, dir, "a.afb", afb))
	require.NoError(t, err)
	require.Equal(t, "Flow", p.Name)
	require.Equal(t, []Action{{Name: "First", Technique: "T1566.001"}, {Name: "Second", Technique: "T1033"}}, p.Actions)

	stix := `{"type":"bundle","objects":[{"type":"attack-flow","id":"f","name":"S"},
 {"type":"attack-action","id":"b","name":"B","technique_id":"T1082"},
 {"type":"attack-condition","id":"c","on_true_refs":["b"]},
 {"type":"attack-action","id":"a","name":"A","technique_id":"T1190","effect_refs":["c"]}]}`
	p, err = AttackFlow(write(t, dir, "s.json", stix))
	require.NoError(t, err)
	require.Equal(t, []Action{{Name: "A", Technique: "T1190"}, {Name: "B", Technique: "T1082"}}, p.Actions)

	circle := `{"type":"bundle","objects":[{"type":"attack-action","id":"a","name":"A","technique_id":"T1190","effect_refs":["b"]},{"type":"attack-action","id":"b","name":"B","technique_id":"T1082","effect_refs":["a"]}]}`
	p, err = AttackFlow(write(t, dir, "c.json", circle))
	require.NoError(t, err)
	require.Len(t, p.Actions, 2, "a circle ends")
}

func TestAtomicTestsAreToldApart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "T1033.yaml", "attack_technique: T1033\ndisplay_name: Owner\natomic_tests:\n- {name: one, supported_platforms: [windows]}\n- {name: two, supported_platforms: [linux]}\n- {name: three, supported_platforms: [macos]}\n")
	write(t, dir, "T1499/T1499.yaml", "attack_technique: T1499\ndisplay_name: Flood\natomic_tests:\n- {name: flood, supported_platforms: [linux]}\n")
	p, err := Atomic(dir)
	require.NoError(t, err)
	require.Len(t, p.Actions, 2)
	require.Len(t, p.Missing, 2)
	out, err := p.Scenario()
	require.NoError(t, err)
	require.Len(t, out.Unmapped, 1)
}

func TestWhatIsNoPlanIsExplained(t *testing.T) {
	dir := t.TempDir()
	_, err := Caldera(write(t, dir, "x.yml", "name: only\n"))
	require.ErrorContains(t, err, "atomic_ordering are expected")
	_, err = Caldera(write(t, dir, "y.yml", "name: n\natomic_ordering: [q]\n"))
	require.ErrorContains(t, err, "put them into a folder abilities")
	_, err = Caldera(write(t, dir, "z.yml", "name: [\n"))
	require.ErrorContains(t, err, "z.yml")
	_, err = Atomic(write(t, dir, "a.yaml", "x: 1\n"))
	require.ErrorContains(t, err, "attack_technique and atomic_tests are expected")
	_, err = Atomic(t.TempDir())
	require.ErrorContains(t, err, "holds no file")
	_, err = AttackFlow(write(t, dir, "f.afb", "{}"))
	require.ErrorContains(t, err, "neither a file of the Attack Flow Builder nor a STIX bundle")
	_, err = AttackFlow(write(t, dir, "g.afb", `{"schema":"attack_flow_v2","objects":[]}`))
	require.ErrorContains(t, err, "holds no action")
	_, err = (&Plan{Name: "n", Actions: []Action{{"A", "T1499", ""}}}).Scenario()
	require.ErrorContains(t, err, "no action with a counterpart")
}

// Every published sample becomes a scenario in which no action is lost without a word.
func TestPublishedPlansAreImportedWhole(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(root); err != nil {
		t.Skip("real data is absent: caldera, atomic, attackflow")
	}
	for pattern, read := range map[string]func(string) (*Plan, error){"caldera/*.yml": Caldera, "atomic/*.yaml": Atomic, "attackflow/*.afb": AttackFlow} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, f := range files {
			p, err := read(f)
			require.NoError(t, err)
			out, err := p.Scenario()
			require.NoError(t, err, f)
			require.Equal(t, len(p.Actions), len(out.Mapped)+len(out.Near)+len(out.Unmapped), f)
			for _, m := range out.Unmapped {
				require.Contains(t, string(out.Scenario), m.Technique)
			}
			require.False(t, strings.Contains(string(out.Scenario), "\x1b"))
		}
	}
}
