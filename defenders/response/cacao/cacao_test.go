package cacao

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"hemostat/defenders/response"
	"hemostat/sim/action"
)

// decode stands in for the project's strict reader, which defenders do not import.
func decode(_ string, data []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	return d.Decode(into)
}

// essentials restates what the schemas of oasis-open/cacao-json-schemas demand of
// the objects that are written here: properties, ids and vocabularies.
const essentials = `{
 "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
 "required": ["type", "spec_version", "id", "name", "created_by", "created", "modified", "workflow_start", "workflow"], "additionalProperties": false,
 "properties": {
  "type": {"const": "playbook"}, "spec_version": {"const": "cacao-2.0"}, "id": {"$ref": "#/$defs/id"}, "name": {"type": "string"}, "description": {"type": "string"},
  "playbook_types": {"type": "array", "items": {"enum": ["attack", "detection", "engagement", "investigation", "mitigation", "notification", "prevention", "remediation"]}},
  "playbook_activities": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/activity"}},
  "playbook_processing_summary": {"type": "object", "additionalProperties": false, "properties": {"parallel_processing": {"type": "boolean"}, "if_logic": {"type": "boolean"}, "temporal_logic": {"type": "boolean"}, "extensions": {"type": "boolean"}}},
  "created_by": {"$ref": "#/$defs/id"}, "created": {"$ref": "#/$defs/time"}, "modified": {"$ref": "#/$defs/time"},
  "priority": {"type": "integer", "minimum": 0, "maximum": 100}, "severity": {"type": "integer", "minimum": 0, "maximum": 100},
  "external_references": {"$ref": "#/$defs/references"},
  "playbook_variables": {"type": "object", "additionalProperties": false, "patternProperties": {"^__[a-zA-Z_][a-zA-Z0-9_-]{0,199}__$": {"type": "object", "required": ["type"], "additionalProperties": false,
    "properties": {"type": {"type": "string"}, "description": {"type": "string"}, "value": {"type": ["string", "null"]}, "constant": {"type": "boolean"}, "external": {"type": "boolean"}}}}},
  "workflow_start": {"$ref": "#/$defs/id"},
  "workflow": {"type": "object", "additionalProperties": false, "patternProperties": {
    "^action--UUID$": {"$ref": "#/$defs/action"}, "^end--UUID$": {"type": "object", "required": ["type"], "additionalProperties": false, "properties": {"type": {"const": "end"}, "name": {"type": "string"}}},
    "^if-condition--UUID$": {"$ref": "#/$defs/if"}, "^parallel--UUID$": {"$ref": "#/$defs/parallel"},
    "^start--UUID$": {"type": "object", "required": ["type", "on_completion"], "additionalProperties": false, "properties": {"type": {"const": "start"}, "on_completion": {"$ref": "#/$defs/id"}}}}},
  "playbook_extensions": {"$ref": "#/$defs/extensions"},
  "agent_definitions": {"type": "object", "minProperties": 1, "additionalProperties": false, "patternProperties": {
    "^http-api--UUID$": {"type": "object", "required": ["type", "name", "address"], "properties": {"type": {"const": "http-api"}, "address": {"type": "object", "additionalProperties": false, "properties": {"dname": {"type": "array", "items": {"type": "string"}}}}}},
    "^individual--UUID$": {"type": "object", "required": ["type", "name"], "properties": {"type": {"const": "individual"}}}}},
  "extension_definitions": {"type": "object", "additionalProperties": false, "patternProperties": {"^extension-definition--UUID$": {"type": "object", "required": ["type", "name", "created_by", "schema", "version"], "additionalProperties": false,
    "properties": {"type": {"const": "extension-definition"}, "name": {"type": "string"}, "description": {"type": "string"}, "created_by": {"$ref": "#/$defs/id"}, "schema": {"type": "string"}, "version": {"type": "string"}}}}}
 },
 "$defs": {
  "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]+[a-z0-9]--UUID$"},
  "time": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$"},
  "references": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {"name": {"type": "string"}, "external_id": {"type": "string"}, "url": {"type": "string"}}}},
  "extensions": {"type": "object", "minProperties": 1, "additionalProperties": false, "patternProperties": {"^extension-definition--UUID$": {"type": "object", "propertyNames": {"pattern": "^[a-z0-9_]{3,250}$"}}}},
  "activity": {"enum": ["deliver-content", "analyze-collected-data", "restrict-access", "disconnect-system", "eliminate-risk", "restore-data", "prepare-engagement"]},
  "next": {"anyOf": [{"required": ["on_completion"], "not": {"anyOf": [{"required": ["on_success"]}, {"required": ["on_failure"]}]}}, {"required": ["on_success"], "not": {"required": ["on_completion"]}}]},
  "base": {"type": "object", "properties": {"name": {"type": "string"}, "description": {"type": "string"}, "timeout": {"type": "integer", "minimum": 0}, "external_references": {"$ref": "#/$defs/references"},
    "on_completion": {"$ref": "#/$defs/id"}, "on_success": {"$ref": "#/$defs/id"}, "on_failure": {"$ref": "#/$defs/id"}, "step_extensions": {"$ref": "#/$defs/extensions"}}},
  "action": {"allOf": [{"$ref": "#/$defs/base"}, {"$ref": "#/$defs/next"}], "required": ["type", "commands", "agent"], "unevaluatedProperties": false, "properties": {"type": {"const": "action"}, "agent": {"$ref": "#/$defs/id"},
    "in_args": {"type": "array", "minItems": 1}, "out_args": {"type": "array", "minItems": 1},
    "commands": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["type"], "oneOf": [
      {"additionalProperties": false, "properties": {"type": {"const": "manual"}, "command": {"type": "string"}}},
      {"required": ["command", "content_b64"], "additionalProperties": false, "properties": {"type": {"const": "openc2-http"}, "command": {"type": "string", "pattern": "^POST "}, "content_b64": {"type": "string"}, "headers": {"type": "object", "additionalProperties": {"type": "array"}}, "playbook_activity": {"$ref": "#/$defs/activity"}}}]}}}},
  "if": {"allOf": [{"$ref": "#/$defs/base"}, {"$ref": "#/$defs/next"}], "required": ["type", "condition", "on_true"], "unevaluatedProperties": false, "properties": {"type": {"const": "if-condition"}, "condition": {"type": "string"}, "on_true": {"$ref": "#/$defs/id"}, "on_false": {"$ref": "#/$defs/id"}}},
  "parallel": {"allOf": [{"$ref": "#/$defs/base"}, {"$ref": "#/$defs/next"}], "required": ["type", "next_steps"], "unevaluatedProperties": false, "properties": {"type": {"const": "parallel"}, "next_steps": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/id"}}}}
 }}`

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text := strings.ReplaceAll(essentials, "UUID", "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("cacao.json", doc))
	s, err := c.Compile("cacao.json")
	require.NoError(t, err)
	return s
}

func TestEveryEmbeddedPlaybookIsExportedValidlyAndComesBack(t *testing.T) {
	s := schema(t)
	books, err := response.Load(response.Embedded, response.EmbeddedDir, decode)
	require.NoError(t, err)
	for _, p := range books {
		text, err := fs.ReadFile(response.Embedded, p.File)
		require.NoError(t, err)
		x, err := Export(p, text)
		require.NoError(t, err)
		data, err := json.Marshal(x)
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		require.NoError(t, err)
		require.NoError(t, s.Validate(value), p.ID)
		follow(t, x)

		again, err := Export(p, text)
		require.NoError(t, err)
		require.Equal(t, x, again, "ids are stable")

		back, err := Import(data)
		require.NoError(t, err)
		require.Equal(t, string(text), string(back.YAML))
		require.Equal(t, p.ID, back.ID)
	}
}

// follow checks that every reference leads to a step and every step is reached,
// and that each end ends one branch only.
func follow(t *testing.T, p *Playbook) {
	t.Helper()
	reached := map[string]int{p.Start: 1}
	for id, s := range p.Workflow {
		for _, next := range append([]string{s.OnCompletion, s.OnSuccess, s.OnFailure, s.OnTrue, s.OnFalse}, s.NextSteps...) {
			if next != "" {
				require.Contains(t, p.Workflow, next, "%s of %s", id, p.Name)
				reached[next]++
			}
		}
		if s.Agent != "" {
			require.Contains(t, p.Agents, s.Agent)
		}
		for _, v := range append(s.InArgs, s.OutArgs...) {
			require.Contains(t, p.Variables, v)
		}
	}
	for id, s := range p.Workflow {
		require.Positive(t, reached[id], "%s %s of %s is never reached", s.Type, s.Name, p.Name)
	}
}

const foreign = `{"type":"playbook","spec_version":"cacao-2.0","id":"playbook--61a6c41e-6efc-4516-a242-dfbc5c89d562","name":"Block it","created_by":"identity--5abe695c-7bd5-4c31-8824-2528696cdbf1",
"created":"2023-01-01T00:00:00.000Z","modified":"2023-01-01T00:00:00.000Z","workflow_start":"start--1","playbook_variables":{"__source_ip__":{"type":"ipv4-addr","external":true}},
"workflow":{"start--1":{"type":"start","on_completion":"if-condition--1"},
"if-condition--1":{"type":"if-condition","condition":"__severity__:value = 'high'","on_true":"parallel--1","on_completion":"end--9"},
"parallel--1":{"type":"parallel","name":"both","next_steps":["action--1","action--2"],"on_completion":"end--3"},
"action--1":{"type":"action","name":"block","commands":[{"type":"openc2-http","command":"POST / HTTP/1.1","content_b64":"eyJhY3Rpb24iOiJkZW55IiwidGFyZ2V0Ijp7ImlwdjRfbmV0IjoiX19zb3VyY2VfaXBfXzp2YWx1ZSJ9fQ=="}],"agent":"x","on_completion":"end--1"},
"action--2":{"type":"action","name":"isolate","commands":[{"type":"manual","command":"isolate_host now"}],"agent":"x","in_args":["__host__"],"on_completion":"end--2"},
"end--1":{"type":"end"},"end--2":{"type":"end"},"end--3":{"type":"end"},"end--9":{"type":"end"}}}`

func TestAForeignPlaybookIsReadAsFarAsItMaps(t *testing.T) {
	x, err := Import([]byte(foreign))
	require.NoError(t, err)
	p, err := response.Parse("x.yaml", x.YAML, decode)
	require.NoError(t, err, string(x.YAML))
	require.Equal(t, "block_it", p.ID)
	require.Equal(t, `alert.severity == "high"`, p.Steps[0].If)
	require.EqualValues(t, "block_ip", p.Steps[0].Parallel.Steps[0].Action)
	require.Equal(t, "${source_ip}", p.Steps[0].Parallel.Steps[0].With["source_ip"])
	require.EqualValues(t, "isolate_host", p.Steps[0].Parallel.Steps[1].Action)
	require.True(t, p.Steps[0].Parallel.Steps[1].HOTL.Required)
	require.Contains(t, strings.Join(x.Notes, "\n"), "isolate_host is of high risk, so an approval was added")
}

// golden compares with a file of testdata; SCRIPTTEST_UPDATE=1 writes it anew.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("SCRIPTTEST_UPDATE") != "" {
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// Every object of an export, and every line of an import, is as it was.
func TestExportAndImportStayAsTheyAre(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "rich.yaml"))
	require.NoError(t, err)
	p, err := response.Parse("rich.yaml", text, decode)
	require.NoError(t, err)
	x, err := Export(p, text)
	require.NoError(t, err)
	data, err := json.MarshalIndent(x, "", " ")
	require.NoError(t, err)
	golden(t, "rich.json", append(data, '\n'))
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, schema(t).Validate(value))
	follow(t, x)

	for name, playbook := range map[string]string{"foreign.yaml": foreign, "second.yaml": second} {
		back, err := Import([]byte(playbook))
		require.NoError(t, err)
		_, err = response.Parse(name, back.YAML, decode)
		require.NoError(t, err)
		golden(t, name, []byte(string(back.YAML)+"# "+strings.Join(back.Notes, "\n# ")+"\n"))
	}
}

// second is a stranger's playbook with a description, techniques, a timeout, two commands
// in a step and steps that fail to an end or to what follows.
const second = `{"type":"playbook","spec_version":"cacao-2.0","id":"playbook--61a6c41e-6efc-4516-a242-dfbc5c89d563","name":"Second One!","description":"does two things","created_by":"identity--5abe695c-7bd5-4c31-8824-2528696cdbf1",
"created":"2023-01-01T00:00:00.000Z","modified":"2023-01-01T00:00:00.000Z","workflow_start":"start--1",
"external_references":[{"name":"ATT&CK","external_id":"T1110"},{"name":"other","external_id":"CVE-1"},{"name":"ATT&CK","external_id":"T1021.001"}],
"playbook_variables":{"__source_ip__":{"type":"ipv4-addr","external":true},"__ticket__":{"type":"string","value":"none"}},
"workflow":{"start--1":{"type":"start","on_completion":"action--1"},
"action--1":{"type":"action","name":"both at once","timeout":90000,"commands":[{"type":"manual","command":"block_ip"},{"type":"manual","command":"please alert_soc!"}],"agent":"x","in_args":["__source_ip__"],"on_success":"if-condition--1","on_failure":"end--2"},
"if-condition--1":{"type":"if-condition","condition":"__technique__:value = 'T1110'","on_true":"action--2","on_false":"end--3","on_completion":"end--1"},
"action--2":{"type":"action","name":"tell","commands":[{"type":"http-api","command":"POST /alert_soc HTTP/1.1"}],"agent":"x","on_completion":"end--4"},
"end--1":{"type":"end"},"end--2":{"type":"end"},"end--3":{"type":"end"},"end--4":{"type":"end"}}}`

func TestWhatHasNoCounterpartIsNamed(t *testing.T) {
	for change, want := range map[string]string{
		`"type":"manual","command":"isolate_host now"|"type":"bash","command":"rm"`:      "action--2: commands of type bash have no counterpart",
		`"type":"manual","command":"isolate_host now"|"type":"manual","command":"dance"`: `action--2: the manual command "dance" names no action`,
		`"type":"parallel"|"type":"while-condition"`:                                     "parallel--1: steps of type while-condition have no counterpart",
		`"type":"parallel"|"type":"playbook-action"`:                                     "parallel--1: steps of type playbook-action have no counterpart",
		`__severity__:value = 'high'|[ipv4-addr:value = 'x']`:                            "has no counterpart; one comparison such as",
		`"in_args":["__host__"]|"in_args":["__thing__"]`:                                 "isolate_host needs the parameter host",
		`"on_completion":"end--2"|"on_completion":"end--7"`:                              `leads to "end--7", which is no step`,
		`"on_completion":"end--2"|"on_completion":"action--2"`:                           "reached twice",
		`cacao-2.0|cacao-1.1`: "not a CACAO 2.0 playbook",
		`"end--1":{"type":"end"}|"end--1":{"type":"end"},"action--8":{"type":"action"}`: "action--8: no path leads to it",
	} {
		from, to, _ := strings.Cut(change, "|")
		require.Contains(t, foreign, from)
		_, err := Import([]byte(strings.Replace(foreign, from, to, 1)))
		require.ErrorContains(t, err, want, change)
	}
	_, err := Import([]byte("no json"))
	require.ErrorContains(t, err, "not a CACAO playbook")
}

func TestEveryActionHasAnOpenC2Command(t *testing.T) {
	for _, kind := range action.Kinds() {
		c := OpenC2(&response.Step{ID: "s", Action: kind, With: map[string]any{action.Must(kind).Params[0].Name: "${item}"}, TTL: 90e9})
		require.NotEmpty(t, c.Action, kind)
		require.Len(t, c.Target, 1, kind)
		require.EqualValues(t, 90_000, c.Args["duration"])
	}
}

// Whatever a file holds, reading it ends in a playbook or an error.
func FuzzImport(f *testing.F) {
	f.Add([]byte(foreign))
	f.Add([]byte(`{"type":"playbook","spec_version":"cacao-2.0","workflow_start":"a","workflow":{"a":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := Import(data)
		if err == nil && x == nil {
			t.Fatal("neither a playbook nor an error")
		}
	})
}
