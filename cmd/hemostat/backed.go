package main

import (
	"fmt"
	"slices"
	"strings"

	"hemostat/attackers/technique"
)

// unbacked says which of the techniques that a verdict rests on no recording ever backed;
// empty when all are.
func unbacked(ids []string) string {
	var none []string
	var library *technique.Library
	for _, id := range ids {
		if technique.Find(id) != nil && !library.IsBacked(id) && !slices.Contains(none, id) {
			none = append(none, id)
		}
	}
	if len(none) == 0 {
		return ""
	}
	slices.Sort(none)
	return fmt.Sprintf("no recording has backed the telemetry of %s; what is said of them rests on the simulation alone (hemostat fidelity)", strings.Join(none, ", "))
}
