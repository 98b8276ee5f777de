package stix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/inventory"
	"hemostat/sim/role"
	"hemostat/sim/severity"
)

// threat is an incident with everything that a bundle can hold.
func threat() *fusion.EnrichedThreat {
	v := inventory.New([]inventory.Host{{Name: "WS1", IP: "10.0.0.1", Zone: "users", Role: role.Workstation, Criticality: 1}},
		[]inventory.Account{{Name: "adm", Privilege: "domain_admin"}, {Name: "svc", Privilege: "service"}})
	at := func(id int, x alert.Entities, known ...indicator.IOC) attackgraph.Observation {
		return attackgraph.Observation{Known: known, Alert: &alert.Alert{ID: id, RuleID: "rule", Title: "A \"title\"",
			EventTime:  time.Duration(id) * time.Minute,
			Techniques: []string{"T1059.001"}, Severity: severity.High, Confidence: 0.8, Entities: x}}
	}
	t, _ := fusion.Explain(&fusion.Case{
		ID: "scenario/0/1", Incident: 1, Incidents: []int{1, 2}, Epoch: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), Inventory: v,
		Observations: []attackgraph.Observation{
			at(1, alert.Entities{Host: "WS1", User: "adm", SourceIP: "203.0.113.7"},
				indicator.IOC{Value: "203.0.113.7", Type: indicator.IPv4, Source: "feed", Confidence: 0.9, Tags: []string{"c2"}}),
			at(2, alert.Entities{Host: "WS1", User: "svc", Domain: "evil.example.net", Destination: "2001:470::7",
				FileHash: strings.Repeat("ab", 32)}),
			at(3, alert.Entities{Host: "WS1", User: "weird \u202e user", Domain: "it's\\odd.example.net"}),
			at(4, alert.Entities{Host: "WS1"}),
		},
		Confidence: 0.93, Missing: []string{"vendor"},
		Suspects: []attribution.Suspect{{Actor: "affiliate", Probability: 0.7}, {Actor: attribution.Unknown, Probability: 0.3}},
	})
	return &t
}

func bundleOf(t *testing.T) []byte {
	var b bytes.Buffer
	require.NoError(t, Write(&b, threat()))
	return b.Bytes()
}

var identity = regexp.MustCompile(`^[a-z][a-z0-9-]+--[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// Every object has an identity of its own, every reference leads to an object of the bundle,
// and the same incident gives the same bundle.
func TestTheBundleHoldsTogether(t *testing.T) {
	var bundle struct {
		Type    string
		Objects []map[string]any
	}
	require.NoError(t, json.Unmarshal(bundleOf(t), &bundle))
	ids, kinds := map[string]bool{}, map[string]int{}
	for _, o := range bundle.Objects {
		id := o["id"].(string)
		assert.Regexp(t, identity, id)
		assert.False(t, ids[id], id)
		ids[id] = true
		kinds[o["type"].(string)]++
	}
	var check func(v any)
	check = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, x := range v {
				if strings.HasSuffix(name, "_ref") {
					assert.True(t, ids[x.(string)], "%s leads nowhere", x)
				}
				if strings.HasSuffix(name, "_refs") {
					for _, r := range x.([]any) {
						assert.True(t, ids[r.(string)], "%s leads nowhere", r)
					}
				}
				check(x)
			}
		case []any:
			for _, x := range v {
				check(x)
			}
		}
	}
	for _, o := range bundle.Objects {
		check(o)
	}
	for _, kind := range []string{"incident", "indicator", "sighting", "observed-data", "attack-pattern",
		"intrusion-set", "relationship", "identity",
		"note", "ipv4-addr", "ipv6-addr", "domain-name", "file", "user-account"} {
		assert.Positive(t, kinds[kind], kind)
	}
	assert.Equal(t, bundleOf(t), bundleOf(t))
}

// validate reads a bundle with the reference library, and checks it against the published
// schemas of OASIS.
const validate = `
import json, sys, stix2
from stix2validator import validate_file, ValidationOptions
bundle = stix2.parse(open(sys.argv[1]).read(), allow_custom=False)
kinds = sorted({o.type for o in bundle.objects})
result = validate_file(sys.argv[1], ValidationOptions(version="2.1", strict_types=True))
print(json.dumps({"kinds": kinds, "valid": result.is_valid,
  "errors": [str(e) for r in result.object_results for e in (r.errors or [])]}))
`

// pythonWithSTIX is a Python that has the packages stix2 and stix2-validator, which are
// installed into the user's cache where that can be done.
func pythonWithSTIX(t *testing.T) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "hemostat-test", "stix2-3.0")
	python := filepath.Join(dir, "bin", "python3")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if exec.CommandContext(ctx, python, "-c", "import stix2, stix2validator").Run() == nil {
		return python
	}
	for _, args := range [][]string{{"python3", "-m", "venv", dir}, {python, "-m", "pip", "-q", "install",
		"stix2==3.0.2", "stix2-validator==3.2.0"}} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("the Python library stix2 cannot be installed here: %s: %s %s", strings.Join(args, " "), err, out)
		}
	}
	return python
}

func TestTheReferenceLibraryReadsTheBundle(t *testing.T) {
	python := pythonWithSTIX(t)
	file := filepath.Join(t.TempDir(), "bundle.json")
	require.NoError(t, os.WriteFile(file, bundleOf(t), 0o600))
	out, err := exec.Command(python, "-c", validate, file).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Fatalf("%s", failed.Stderr)
	}
	require.NoError(t, err)
	var result struct {
		Kinds  []string
		Valid  bool
		Errors []string
	}
	require.NoError(t, json.Unmarshal(out, &result), string(out))
	assert.True(t, result.Valid, result.Errors)
	assert.Contains(t, result.Kinds, "incident")
}
