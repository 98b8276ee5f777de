package source

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/fusion/attribution"
)

const groupsBundle = `{"type":"bundle","objects":[
 {"type":"attack-pattern","id":"a1","external_references":[{"source_name":"other","external_id":"X"},{"source_name":"mitre-attack","external_id":"T1562.001"}]},
 {"type":"attack-pattern","id":"a2","external_references":[{"source_name":"mitre-attack","external_id":"T1486"}]},
 {"type":"attack-pattern","id":"a3","revoked":true,"external_references":[{"source_name":"mitre-attack","external_id":"T1059"}]},
 {"type":"malware","id":"m"}, {"type":"campaign","id":"c"}, {"type":7}, "rubbish",
 {"type":"intrusion-set","id":"g1","name":"Otter","aliases":["Otter","Lutra"],"external_references":[{"source_name":"mitre-attack","external_id":"G0001"}],"primary_motivation":"financial-gain"},
 {"type":"threat-actor","id":"g2","name":"Vole","goals":["secrets"]},
 {"type":"intrusion-set","id":"g3","name":"Nothing known"},
 {"type":"relationship","relationship_type":"uses","source_ref":"g1","target_ref":"a1"},
 {"type":"relationship","relationship_type":"uses","source_ref":"g1","target_ref":"a3"},
 {"type":"relationship","relationship_type":"attributed-to","source_ref":"c","target_ref":"g1"},
 {"type":"relationship","relationship_type":"uses","source_ref":"c","target_ref":"m"},
 {"type":"relationship","relationship_type":"uses","source_ref":"m","target_ref":"a2"},
 {"type":"relationship","relationship_type":"uses","source_ref":"m","target_ref":"c"},
 {"type":"relationship","relationship_type":"uses","source_ref":"m","target_ref":"gone"},
 {"type":"indicator","id":"i1","pattern":"[ipv4-addr:value = '203[.]0.113.7'] OR [domain-name:value = 'EVIL.example.net']"},
 {"type":"indicator","id":"i2","pattern":"[ipv4-addr:value = '10.0.0.1']"},
 {"type":"relationship","relationship_type":"indicates","source_ref":"i1","target_ref":"g2"},
 {"type":"relationship","relationship_type":"indicates","source_ref":"i2","target_ref":"m"}]}`

// Techniques come of the actor, of their campaigns and of the software of these, references in
// circles end, and what is revoked or broken is passed over.
func TestActorsOfABundle(t *testing.T) {
	got, err := ActorsOf([]byte(groupsBundle))
	require.NoError(t, err)
	assert.Equal(t, []attribution.ThreatActor{
		{ID: "G0001", Aliases: []string{"Otter", "Lutra"}, Techniques: []string{"T1486", "T1685"}, Goals: []string{"financial-gain"}},
		{ID: "Vole", Infrastructure: []string{"203.0.113.7", "evil.example.net"}, Goals: []string{"secrets"}},
	}, got)
}

func TestFilesOfActors(t *testing.T) {
	for text, actor := range map[string]string{
		groupsBundle:                             "G0001",
		`[{"id":"mine","techniques":["T1059"]}]`: "mine",
		`{"groups":[{"id":"G7","name":"Seven","techniques":["T1562.001"]}]}`:          "G7",
		`{"format":"hemostat.actors/v1","actors":[{"id":"own"}],"base":{},"from":""}`: "own",
	} {
		f, err := Actors([]byte(text), "file")
		require.NoError(t, err, text)
		assert.NotNil(t, f.Find(actor), text)
	}
	for text, want := range map[string]string{
		`{`:                              "it is no JSON",
		`[{"id":7}]`:                     "no list of threat actors",
		`[]`:                             "name no actor",
		`{"objects":[]}`:                 "names no threat actor",
		`{"format":"hemostat.other/v1"}`: "hemostat train attribution makes one",
	} {
		_, err := Actors([]byte(text), "file")
		assert.ErrorContains(t, err, want, text)
	}
}
