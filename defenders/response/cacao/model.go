package cacao

import (
	"crypto/sha1" //nolint:gosec // RFC 4122 demands it for UUIDv5
	"encoding/json"
	"fmt"
)

// Playbook is a CACAO playbook (section 3.1).
type Playbook struct {
	Type         string                     `json:"type"`
	SpecVersion  string                     `json:"spec_version"`
	ID           string                     `json:"id"`
	Name         string                     `json:"name"`
	Description  string                     `json:"description,omitempty"`
	Types        []string                   `json:"playbook_types,omitempty"`
	Activities   []string                   `json:"playbook_activities,omitempty"`
	Summary      map[string]bool            `json:"playbook_processing_summary,omitempty"`
	CreatedBy    string                     `json:"created_by"`
	Created      string                     `json:"created"`
	Modified     string                     `json:"modified"`
	Priority     int                        `json:"priority,omitempty"`
	Severity     int                        `json:"severity,omitempty"`
	References   []Reference                `json:"external_references,omitempty"`
	Variables    map[string]Variable        `json:"playbook_variables,omitempty"`
	Start        string                     `json:"workflow_start"`
	Workflow     map[string]*Step           `json:"workflow"`
	Extensions   map[string]json.RawMessage `json:"playbook_extensions,omitempty"`
	Agents       map[string]Agent           `json:"agent_definitions,omitempty"`
	ExtensionDef map[string]Definition      `json:"extension_definitions,omitempty"`
}

// Reference points outside (section 10.8).
type Reference struct {
	Name       string `json:"name"`
	ExternalID string `json:"external_id,omitempty"`
	URL        string `json:"url,omitempty"`
}

// Variable is a variable (section 10.18).
type Variable struct {
	Type        string  `json:"type"`
	Description string  `json:"description,omitempty"`
	Value       *string `json:"value,omitempty"`
	External    bool    `json:"external,omitempty"`
}

// Step is a workflow step of any type (section 4). Timeout is in milliseconds.
type Step struct {
	Type         string                     `json:"type"`
	Name         string                     `json:"name,omitempty"`
	Description  string                     `json:"description,omitempty"`
	References   []Reference                `json:"external_references,omitempty"`
	Timeout      int64                      `json:"timeout,omitempty"`
	OnCompletion string                     `json:"on_completion,omitempty"`
	OnSuccess    string                     `json:"on_success,omitempty"`
	OnFailure    string                     `json:"on_failure,omitempty"`
	Commands     []Command                  `json:"commands,omitempty"`
	Agent        string                     `json:"agent,omitempty"`
	InArgs       []string                   `json:"in_args,omitempty"`
	OutArgs      []string                   `json:"out_args,omitempty"`
	Condition    string                     `json:"condition,omitempty"`
	OnTrue       string                     `json:"on_true,omitempty"`
	OnFalse      string                     `json:"on_false,omitempty"`
	NextSteps    []string                   `json:"next_steps,omitempty"`
	Extensions   map[string]json.RawMessage `json:"step_extensions,omitempty"`
}

// Command is a command of an action step (section 5).
type Command struct {
	Type     string              `json:"type"`
	Command  string              `json:"command,omitempty"`
	Content  string              `json:"content_b64,omitempty"`
	Headers  map[string][]string `json:"headers,omitempty"`
	Activity string              `json:"playbook_activity,omitempty"`
}

// Agent carries commands out (section 7).
type Agent struct {
	Type        string              `json:"type"`
	Name        string              `json:"name"`
	Description string              `json:"description,omitempty"`
	Address     map[string][]string `json:"address,omitempty"`
}

// Definition declares an extension (section 8).
type Definition struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	CreatedBy   string `json:"created_by"`
	Schema      string `json:"schema"`
	Version     string `json:"version"`
}

// namespace is that of section 10.10 for UUIDv5 of playbooks.
var namespace = [16]byte{0xaa, 0x7c, 0xaf, 0x3a, 0xd5, 0x5a, 0x4e, 0x9a, 0xb3, 0x4e, 0x05, 0x62, 0x15, 0xfb, 0xa5, 0x6a}

// uuid derives an id from a name. The specification wants version 5 for playbooks
// and version 4 for everything else; version 4 bits over a hash keep the second
// kind stable too.
func uuid(name string, version byte) string {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write([]byte(name))
	b := h.Sum(nil)[:16]
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// The objects that every export shares.
var (
	identity  = "identity--" + uuid("hemostat", 4)
	extension = "extension-definition--" + uuid("hemostat.playbook/v1", 4)
)

// epoch stands for the times of creation, which playbooks do not have.
const epoch = "2026-01-01T00:00:00.000Z"
