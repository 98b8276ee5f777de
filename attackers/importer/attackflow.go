package importer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"hemostat/sim/boundedfile"
)

// AttackFlow reads a MITRE Attack Flow: a file of the Attack Flow Builder (.afb, schema
// attack_flow_v2), or a STIX 2.1 bundle with attack-action objects.
func AttackFlow(file string) (*Plan, error) {
	data, err := boundedfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("attack flow %s: %w", file, err)
	}
	var kind struct {
		Type   string `json:"type"`
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, fmt.Errorf("attack flow %s: %w", file, err)
	}
	var p *Plan
	switch {
	case kind.Type == "bundle":
		p, err = stixFlow(data)
	case kind.Schema != "":
		p, err = builderFlow(data)
	default:
		err = errors.New("neither a file of the Attack Flow Builder nor a STIX bundle")
	}
	if err != nil {
		return nil, fmt.Errorf("attack flow %s: %w", file, err)
	}
	if p.Name == "" {
		p.Name = stem(file)
	}
	if len(p.Actions) == 0 {
		return nil, fmt.Errorf("attack flow %s holds no action", file)
	}
	return p, nil
}

// node is an object of a flow, and what follows it.
type node struct {
	id     string
	action *Action
	next   []string
	place  [2]float64 // where the builder draws it: x, y
}

// inOrder lists the actions along the arrows, from those that nothing leads to; where
// arrows leave a choice, or go in a circle, from top to bottom.
func inOrder(nodes []node) []Action {
	index := map[string]int{}
	for i := range nodes {
		index[nodes[i].id] = i
	}
	incoming := make([]int, len(nodes))
	for i := range nodes {
		for _, n := range nodes[i].next {
			if j, ok := index[n]; ok {
				incoming[j]++
			}
		}
	}
	done := make([]bool, len(nodes))
	var out []Action
	for range nodes {
		best := -1
		for i := range nodes {
			if done[i] {
				continue
			}
			if best < 0 ||
				cmp.Or(
					cmp.Compare(max(incoming[i], 0), max(incoming[best], 0)),
					cmp.Compare(nodes[i].place[1], nodes[best].place[1]),
					cmp.Compare(nodes[i].place[0], nodes[best].place[0]),
					cmp.Compare(i, best),
				) < 0 {
				best = i
			}
		}
		done[best] = true
		if a := nodes[best].action; a != nil {
			out = append(out, *a)
		}
		for _, n := range nodes[best].next {
			if j, ok := index[n]; ok {
				incoming[j]--
			}
		}
	}
	return out
}

// builderFlow reads the builder's own format: objects whose anchors hold latches, and
// lines between latches.
func builderFlow(data []byte) (*Plan, error) {
	var doc struct {
		Objects []struct {
			ID         string            `json:"id"`
			Instance   string            `json:"instance"`
			Properties []json.RawMessage `json:"properties"`
			Anchors    map[string]string `json:"anchors"`
			Latches    []string          `json:"latches"`
			Source     string            `json:"source"`
			Target     string            `json:"target"`
		} `json:"objects"`
		Layout map[string][2]float64 `json:"layout"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	p := &Plan{}
	var nodes []node
	ownerOfAnchor, anchorOfLatch := map[string]string{}, map[string]string{}
	for _, o := range doc.Objects {
		for _, anchor := range o.Anchors {
			ownerOfAnchor[anchor] = o.Instance
		}
		for _, latch := range o.Latches {
			anchorOfLatch[latch] = o.Instance
		}
	}
	edges := map[string][]string{}
	for _, o := range doc.Objects {
		if o.Source != "" && o.Target != "" {
			from, to := ownerOfAnchor[anchorOfLatch[o.Source]], ownerOfAnchor[anchorOfLatch[o.Target]]
			if from != "" && to != "" {
				edges[from] = append(edges[from], to)
			}
		}
	}
	for _, o := range doc.Objects {
		properties := pairs(o.Properties)
		switch o.ID {
		case "flow":
			p.Name, p.Description = properties["name"], properties["description"]
		case "action":
			a := Action{
				Name:      properties["name"],
				Technique: cmp.Or(properties["technique_id"], properties["technique"]),
			}
			nodes = append(
				nodes,
				node{id: o.Instance, action: &a, next: edges[o.Instance], place: doc.Layout[o.Instance]},
			)
		default:
			if len(edges[o.Instance]) > 0 {
				nodes = append(nodes, node{id: o.Instance, next: edges[o.Instance], place: doc.Layout[o.Instance]})
			}
		}
	}
	p.Actions = inOrder(nodes)
	return p, nil
}

// pairs reads the builder's properties: a list of names and values, of which only texts
// are kept; values of inner lists come under their own names.
func pairs(list []json.RawMessage) map[string]string {
	out := map[string]string{}
	for _, raw := range list {
		var pair []json.RawMessage
		if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 {
			continue
		}
		var name, value string
		if json.Unmarshal(pair[0], &name) != nil {
			continue
		}
		if json.Unmarshal(pair[1], &value) == nil {
			if _, known := out[name]; !known {
				out[name] = value
			}
			continue
		}
		var inner []json.RawMessage
		if json.Unmarshal(pair[1], &inner) == nil {
			for k, v := range pairs(inner) {
				if _, known := out[k]; !known {
					out[k] = v
				}
			}
		}
	}
	return out
}

// stixFlow reads a STIX bundle (Attack Flow extension, version 2).
func stixFlow(data []byte) (*Plan, error) {
	var doc struct {
		Objects []struct {
			Type        string   `json:"type"`
			ID          string   `json:"id"`
			Name        string   `json:"name"`
			Description string   `json:"description"`
			TechniqueID string   `json:"technique_id"`
			StartRefs   []string `json:"start_refs"`
			EffectRefs  []string `json:"effect_refs"`
			OnTrue      []string `json:"on_true_refs"`
			OnFalse     []string `json:"on_false_refs"`
		} `json:"objects"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	p := &Plan{}
	var nodes []node
	for _, o := range doc.Objects {
		switch o.Type {
		case "attack-flow":
			p.Name, p.Description = o.Name, o.Description
		case "attack-action":
			nodes = append(
				nodes,
				node{id: o.ID, action: &Action{Name: o.Name, Technique: o.TechniqueID}, next: o.EffectRefs},
			)
		case "attack-condition", "attack-operator":
			nodes = append(nodes, node{id: o.ID, next: slices.Concat(o.EffectRefs, o.OnTrue, o.OnFalse)})
		}
	}
	p.Actions = inOrder(nodes)
	return p, nil
}
