package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"hemostat/sim/attack"
	"hemostat/sim/boundedfile"
)

// ReadGroups reads from a file of ATT&CK which techniques each group uses: a STIX 2 bundle as
// MITRE publishes it (intrusion-set, uses, attack-pattern), or a JSON object whose groups
// have lists of technique ids.
func ReadGroups(file string) ([][]string, error) {
	data, err := boundedfile.Read(file)
	if err != nil {
		return nil, err
	}
	var f struct {
		Objects []stixObject `json:"objects"`
		Groups  []struct {
			ID         string   `json:"id"`
			Techniques []string `json:"techniques"`
		} `json:"groups"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var groups [][]string
	for _, g := range f.Groups {
		groups = append(groups, attack.CurrentAll(g.Techniques))
	}
	groups = append(groups, stixGroups(f.Objects)...)
	groups = slices.DeleteFunc(groups, func(g []string) bool { return len(g) == 0 })
	if len(groups) == 0 {
		return nil, fmt.Errorf("%s: %w", file,
			errors.New("it names no group with techniques; a STIX bundle of ATT&CK is expected"))
	}
	return groups, nil
}

// stixObject is what is read of an object of STIX.
type stixObject struct {
	Type         string `json:"type"`
	ID           string `json:"id"`
	Relationship string `json:"relationship_type"`
	Source       string `json:"source_ref"`
	Target       string `json:"target_ref"`
	Revoked      bool   `json:"revoked"`
	References   []struct {
		Name string `json:"source_name"`
		ID   string `json:"external_id"`
	} `json:"external_references"`
}

func stixGroups(objects []stixObject) [][]string {
	techniques, place := map[string]string{}, map[string]int{}
	for _, o := range objects {
		switch {
		case o.Type == "attack-pattern":
			for _, r := range o.References {
				if r.Name == "mitre-attack" {
					techniques[o.ID] = r.ID
				}
			}
		case o.Type == "intrusion-set" && !o.Revoked:
			place[o.ID] = len(place)
		}
	}
	groups := make([][]string, len(place))
	for _, o := range objects {
		at, known := place[o.Source]
		if id := techniques[o.Target]; o.Type == "relationship" && o.Relationship == "uses" && known && id != "" {
			groups[at] = append(groups[at], attack.Current(id))
		}
	}
	return groups
}
