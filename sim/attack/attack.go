// Package attack knows MITRE ATT&CK's technique ids: which ones a later version revoked
// and what stands for them now. Rules, plans and databases of any age name techniques,
// and a technique is one whatever version its id is of.
package attack

import (
	_ "embed" // the ids
	"fmt"
	"slices"
	"strings"
	"sync"
)

// replacedBy gives the techniques that stand for revoked ones (ATT&CK 19, April 2026,
// relationships "revoked-by").
var replacedBy = map[string]string{
	"T1070.001": "T1685.005",
	"T1070.002": "T1685.006",
	"T1562":     "T1685",
	"T1562.001": "T1685",
	"T1562.002": "T1685.001",
	"T1562.003": "T1690",
	"T1562.004": "T1686",
	"T1562.006": "T1685",
	"T1562.007": "T1686.001",
	"T1562.008": "T1685.002",
	"T1562.009": "T1688",
	"T1562.010": "T1689",
	"T1562.011": "T1685.003",
	"T1562.012": "T1685.004",
	"T1562.013": "T1686.002",
	"T1574.002": "T1574.001",
	"T1656":     "T1684.001",
	"T1672":     "T1684.002",
}

// Current is a technique's id in the current version. An id that was never revoked stays
// as it is, also one that is unknown.
func Current(id string) string {
	if now, ok := replacedBy[id]; ok {
		return now
	}
	return id
}

// CurrentAll gives the current ids of several techniques, each once, in their order.
func CurrentAll(ids []string) []string {
	var out []string
	for _, id := range ids {
		if now := Current(id); !slices.Contains(out, now) {
			out = append(out, now)
		}
	}
	return out
}

// Successors are the techniques that together stand for one and its sub-techniques: a
// revoked technique may have been divided.
func Successors(id string) []string {
	out := []string{Current(id)}
	for old, now := range replacedBy {
		if strings.HasPrefix(old, id+".") && !slices.Contains(out, now) {
			out = append(out, now)
		}
	}
	slices.Sort(out[1:])
	return out
}

// idList has a line for each technique of ATT&CK 19 with the numbers of its sub-techniques.
//
//go:embed ids.txt
var idList string

var known = sync.OnceValue(func() map[string]bool {
	ids := map[string]bool{}
	for line := range strings.Lines(idList) {
		root, subs, _ := strings.Cut(strings.TrimSpace(line), " ")
		ids[root] = true
		for part := range strings.SplitSeq(subs, ",") {
			var from, to int
			switch n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n {
			case 0:
				continue
			case 1:
				to = from
			}
			for i := from; i <= to; i++ {
				ids[fmt.Sprintf("%s.%03d", root, i)] = true
			}
		}
	}
	return ids
})

// IsKnown tells whether ATT&CK has a technique of this id now, or had one that was revoked
// and replaced.
func IsKnown(id string) bool { return known()[id] || replacedBy[id] != "" }
