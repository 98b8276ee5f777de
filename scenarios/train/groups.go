package train

import (
	"fmt"

	"hemostat/defenders/fusion/source"
	"hemostat/sim/boundedfile"
)

// ReadGroups reads from a file of ATT&CK which techniques each group uses: a STIX 2 bundle as
// MITRE publishes it, or a JSON object whose groups have lists of technique ids.
func ReadGroups(file string) ([][]string, error) {
	data, err := boundedfile.ReadLarge(file)
	if err != nil {
		return nil, err
	}
	actors, err := source.ActorsOf(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var groups [][]string
	for _, a := range actors {
		if len(a.Techniques) > 0 {
			groups = append(groups, a.Techniques)
		}
	}
	return groups, nil
}
