package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"hemostat/sim/boundedfile"
	"hemostat/sim/strictyaml"
)

// calderaProfile is an adversary profile (mitre/caldera, data/adversaries).
type calderaProfile struct {
	ID          string              `yaml:"id"`
	Name        string              `yaml:"name"`
	Description string              `yaml:"description"`
	Ordering    []string            `yaml:"atomic_ordering"`
	Phases      map[string][]string `yaml:"phases"` // the older form
}

// calderaAbility is one ability (data/abilities); a file holds a list of them.
type calderaAbility struct {
	ID        string `yaml:"id"`
	Name      string `yaml:"name"`
	Technique struct {
		AttackID string `yaml:"attack_id"`
		ID       string `yaml:"id"`
	} `yaml:"technique"`
	TechniqueID string `yaml:"technique_id"` // the newer form
}

// Caldera reads an adversary profile. Its abilities are looked for in the folders
// beside it: abilities, ../abilities, and the profile's own.
func Caldera(file string) (*Plan, error) {
	data, err := boundedfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("caldera profile %s: %w", file, err)
	}
	var profile calderaProfile
	if err := strictyaml.Unmarshal(file, data, &profile); err != nil {
		return nil, fmt.Errorf("caldera profile %s: %w", file, err)
	}
	order := profile.Ordering
	for phase := 1; len(profile.Ordering) == 0 && phase <= len(profile.Phases); phase++ {
		order = append(order, profile.Phases[fmt.Sprint(phase)]...)
	}
	if profile.Name == "" || len(order) == 0 {
		return nil, fmt.Errorf(
			"%s is no adversary profile of Caldera: a name and an atomic_ordering are expected",
			file,
		)
	}
	dir := filepath.Dir(file)
	places := []string{filepath.Join(dir, "abilities")}
	for above := dir; len(places) <= calderaLevels; { // adversaries/packs has them two folders above
		above = filepath.Join(above, "..")
		places = append(places, filepath.Join(above, "abilities"))
	}
	abilities, err := calderaAbilities(append(places, dir)...)
	if err != nil {
		return nil, err
	}
	p := &Plan{Name: profile.Name, Description: profile.Description}
	for _, id := range order {
		a, ok := abilities[id]
		if !ok {
			p.Missing = append(
				p.Missing,
				fmt.Sprintf("ability %s of profile %q was not found beside it", id, profile.Name),
			)
			continue
		}
		technique := a.Technique.AttackID
		if technique == "" {
			technique = a.TechniqueID
		}
		p.Actions = append(p.Actions, Action{Name: a.Name, Technique: strings.TrimSpace(technique), Source: id})
	}
	if len(p.Actions) == 0 {
		return nil, fmt.Errorf(
			"caldera profile %s: none of its %d abilities was found beside it; put them into a folder abilities",
			file,
			len(order),
		)
	}
	return p, nil
}

// calderaLevels is how many folders above a profile its abilities are looked for.
const calderaLevels = 3

// calderaAbilities reads every ability below the folders that exist.
func calderaAbilities(dirs ...string) (map[string]calderaAbility, error) {
	out := map[string]calderaAbility{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				return err
			}
			if ext := filepath.Ext(path); d.IsDir() || ext != ".yml" && ext != ".yaml" {
				return nil
			}
			data, err := boundedfile.Read(path)
			if err != nil {
				return err
			}
			var list []calderaAbility
			if strictyaml.Unmarshal(path, data, &list) != nil {
				return nil // a profile, or something else
			}
			for _, a := range list {
				if _, known := out[a.ID]; !known && a.ID != "" {
					out[a.ID] = a
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("caldera abilities: %w", err)
		}
	}
	return out, nil
}
