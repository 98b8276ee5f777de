package analyst

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed prompts/*.txt
var promptFiles embed.FS

// Prompts are the texts that a model is instructed by.
type Prompts struct {
	Triage, Staged, Patterns, Narrative string
	// Version identifies them, with the forms of the answers.
	Version string
}

// formsVersion changes when the data or the forms of the answers do.
const formsVersion = "1"

// maxPrompt bounds a prompt of the user's own.
const maxPrompt = 64 << 10

// LoadPrompts reads the prompts of a folder; the program's own stand for those that it
// lacks. Without a folder all are the program's own.
func LoadPrompts(folder string) (*Prompts, error) {
	p := &Prompts{}
	h := sha256.New()
	fmt.Fprintln(h, formsVersion)
	found := 0
	for _, f := range []struct {
		name string
		to   *string
	}{{"triage", &p.Triage}, {"staged", &p.Staged}, {"patterns", &p.Patterns}, {"narrative", &p.Narrative}} {
		text, err := fs.ReadFile(promptFiles, "prompts/"+f.name+".txt")
		if err != nil {
			return nil, err
		}
		if folder != "" {
			own, err := os.ReadFile(filepath.Join(folder, f.name+".txt"))
			switch {
			case err == nil && (len(own) > maxPrompt || strings.TrimSpace(string(own)) == ""):
				return nil, fmt.Errorf("%s: a prompt has some words and at most %d bytes",
					filepath.Join(folder, f.name+".txt"), maxPrompt)
			case err == nil:
				text = own
				found++
			case !os.IsNotExist(err):
				return nil, err
			}
		}
		*f.to = strings.TrimSpace(string(text))
		fmt.Fprintln(h, len(*f.to), *f.to)
	}
	if folder != "" && found == 0 {
		return nil, fmt.Errorf("the folder %s has none of triage.txt, staged.txt, patterns.txt, narrative.txt", folder)
	}
	p.Version = hex.EncodeToString(h.Sum(nil))[:16]
	return p, nil
}

// object is a JSON Schema of an object of which every key is required and no other accepted,
// as servers with strict schemas want it.
func object(properties map[string]any, order ...string) map[string]any {
	return map[string]any{"type": "object", "properties": properties, "required": order, "additionalProperties": false}
}

func text(most int) map[string]any { return map[string]any{"type": "string", "maxLength": most} }

func oneOf(values ...string) map[string]any { return map[string]any{"type": "string", "enum": values} }

// share is a number from 0 to 1.
func share() map[string]any { return map[string]any{"type": "number", "minimum": 0, "maximum": 1} }

// cited is a list of texts, each with the labels that it rests on.
func cited(most int, labels []string) map[string]any {
	evidence := map[string]any{"type": "array", "items": oneOf(labels...), "minItems": 1, "maxItems": 6}
	item := object(map[string]any{"text": text(maxSentence), "evidence": evidence}, "text", "evidence")
	return map[string]any{"type": "array", "items": item, "minItems": 1, "maxItems": most}
}

const (
	maxSentence  = 300
	maxSentences = 6
	askedReasons = 3
)

// verdictSchema is the form of a verdict; staged adds the queries.
func verdictSchema(labels []string, staged bool) json.RawMessage {
	properties := map[string]any{
		"decision": oneOf(string(Confirm), string(Dismiss), string(Raise)), "confidence": share(),
		"technique": text(12), "reasons": cited(askedReasons, labels),
	}
	order := []string{"decision", "confidence", "technique", "reasons"}
	if staged {
		properties["action"], properties["query"], properties["of"] = oneOf("ask",
			"answer"), oneOf(append([]string{""}, queryNames...)...), text(200)
		order = append([]string{"action", "query", "of"}, order...)
	}
	return encode(object(properties, order...))
}

// patternSchema is the form of an answer about a window of events.
func patternSchema(labels []string) json.RawMessage {
	return encode(object(map[string]any{
		"hostile": map[string]any{"type": "boolean"}, "confidence": share(), "technique": text(12), "title": text(100),
		"reasons": cited(askedReasons, labels),
	}, "hostile", "confidence", "technique", "title", "reasons"))
}

// accountSchema is the form of the account of an incident.
func accountSchema(labels []string) json.RawMessage {
	return encode(object(map[string]any{"sentences": cited(maxSentences, labels)}, "sentences"))
}

func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic("analyst: " + err.Error()) // maps of texts and numbers can be encoded
	}
	return data
}

// block is data between marks that hang on its content, so that nothing in it can know them.
func block(data []byte) string {
	sum := sha256.Sum256(data)
	mark := "-----" + hex.EncodeToString(sum[:])[:12] + "-----"
	return mark + "\n" + string(data) + "\n" + mark
}
