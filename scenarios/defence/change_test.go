package defence

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/scenarios"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// loaded is a variant of a text.
func loaded(t *testing.T, text string, set ...scenarios.Setting) *Variant {
	t.Helper()
	file := filepath.Join(t.TempDir(), "v.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	v, err := Load(file, set)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v
}

// between is what differs between two variants that differ in rules and playbooks alone.
func between(t *testing.T, a, b *Variant) *Change {
	t.Helper()
	c, why, err := ChangeBetween(a, b)
	require.NoError(t, err)
	require.Empty(t, why)
	return c
}

func TestWhatDiffersBetweenVariants(t *testing.T) {
	all := loaded(t, "name: all\n")
	without := loaded(t, "name: without\ndescription: shorter\nwithout_rules: [Kerberoasting, SSH Brute Force From One Source]\n")
	for _, c := range []*Change{between(t, all, without), between(t, without, all)} {
		require.Equal(t, []string{"Kerberoasting", "SSH Brute Force From One Source"}, c.Rules)
		require.Empty(t, c.Playbooks)
	}
	quiet := between(t, all, loaded(t, "name: quiet\nplaybooks: none\n"))
	require.Empty(t, quiet.Rules)
	require.Contains(t, quiet.Playbooks, "web_shell_eviction")
	same := between(t, all, loaded(t, "name: another\n"))
	require.Empty(t, same.Rules)
	require.Empty(t, same.Playbooks)
	require.False(t, same.NewWatch().Touched())

	for text, want := range map[string]string{
		"name: x\nresponse: {approval: none}\n":   "more than rules and playbooks differ",
		"name: x\ndetectors: [sigma]\n":           "more than rules and playbooks differ",
		"name: x\nhotl: {tier1: 5}\n":             "more than rules and playbooks differ",
		"name: x\nrules_share: 0.5\n":             "more than rules and playbooks differ",
		"name: x\nrules: none\nplaybooks: none\n": "",
	} {
		_, why, err := ChangeBetween(all, loaded(t, text))
		require.NoError(t, err)
		require.Equal(t, want, why, text)
	}
	_, why, err := ChangeBetween(all, loaded(t, "name: x\n", scenarios.Setting{Path: "background.rate", Value: "0.1"}))
	require.NoError(t, err)
	require.Equal(t, "more than rules and playbooks differ", why)
}

func TestAChangedFilterTouchesEverything(t *testing.T) {
	dir := t.TempDir()
	rule := "title: R\nid: 8c2b5b0e-0000-4000-8000-000000000001\nlogsource: {category: process_creation, product: windows}\n" +
		"detection: {selection: {CommandLine|contains: whoami}, condition: selection}\nlevel: high\n"
	filter := "title: F\nid: 8c2b5b0e-0000-4000-8000-000000000002\nlogsource: {category: process_creation, product: windows}\n" +
		"filter: {rules: [8c2b5b0e-0000-4000-8000-000000000001], selection: {User: admin}, condition: not selection}\n"
	for name, texts := range map[string][]string{"plain": {rule}, "filtered": {rule, filter}} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		for i, text := range texts {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name, string(rune('a'+i))+".yml"), []byte(text), 0o600))
		}
	}
	_, why, err := ChangeBetween(loaded(t, "name: a\nrules: ["+filepath.Join(dir, "plain")+"]\n"),
		loaded(t, "name: b\nrules: ["+filepath.Join(dir, "filtered")+"]\n"))
	require.NoError(t, err)
	require.Equal(t, "filters of rules differ", why)
}

// whoami is a process that a rule of the test is about.
func whoami() *event.Event {
	e := &event.Event{ID: 1, Host: "WS001", Source: event.LogSource{Category: "process_creation", Product: "windows"}}
	e.SetName("CommandLine", "whoami /all")
	return e
}

func TestAChangeIsTouchedByOldAndNewFormsAndByWhatCorrelationsReferTo(t *testing.T) {
	dir := t.TempDir()
	base := func(text string) string {
		return "title: Base\nname: base\nid: 8c2b5b0e-0000-4000-8000-000000000003\nlogsource: {category: process_creation, product: windows}\n" +
			"detection: {selection: {CommandLine|contains: " + text + "}, condition: selection}\nlevel: low\n"
	}
	correlation := func(refers, times string) string {
		return "title: Often " + refers + "\nname: often_" + refers + "\ncorrelation: {type: event_count, rules: [" + refers + "], group-by: [Computer], timespan: 5m, condition: {gte: " + times + "}}\nlevel: high\n"
	}
	variant := func(name string, texts ...string) *Variant {
		folder := filepath.Join(dir, name)
		require.NoError(t, os.Mkdir(folder, 0o700))
		for i, text := range texts {
			require.NoError(t, os.WriteFile(filepath.Join(folder, string(rune('a'+i))+".yml"), []byte(text), 0o600))
		}
		return loaded(t, "name: "+name+"\nrules: ["+folder+"]\n")
	}
	touched := func(a, b *Variant) bool {
		w := between(t, a, b).NewWatch()
		w.Event(whoami())
		return w.Touched()
	}
	old := variant("old", base("whoami"), correlation("base", "3"))
	require.True(t, touched(old, variant("narrower", base("tasklist"), correlation("base", "3"))), "the old form matches")
	require.True(t, touched(variant("wider", base("tasklist"), correlation("base", "3")), old), "the new form matches")
	require.True(t, touched(old, variant("oftener", base("whoami"), correlation("base", "9"))), "a correlation acts by what it refers to")
	nested := variant("nested", base("whoami"), correlation("base", "3"), correlation("often_base", "3"))
	require.True(t, touched(old, nested), "over another correlation too")
	require.False(t, touched(variant("no", base("tasklist")), variant("neither", base("netstat"))))
}

func TestAPlaybookIsTouchedByItsTrigger(t *testing.T) {
	c := between(t, loaded(t, "name: a\n"), loaded(t, "name: b\nplaybooks: none\n"))
	w := c.NewWatch()
	w.Event(whoami())
	require.False(t, w.Touched())
	w.Alert(&alert.Alert{Severity: severity.Informational, Confidence: 0.1, Techniques: []string{"T9999"}})
	require.False(t, w.Touched())
	w.Alert(&alert.Alert{Severity: severity.Critical, Confidence: 1, Techniques: []string{"T1505.003"}})
	require.True(t, w.Touched())
}
