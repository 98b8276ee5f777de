package attack

import "slices"

// tactics are ATT&CK's tactics (version 19) in the order in which an attack goes through them.
var tactics = []string{
	"reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
	"defense-evasion", "stealth", "defense-impairment", "credential-access", "discovery", "lateral-movement",
	"collection", "command-and-control", "exfiltration", "impact",
}

// TacticPlace is the place of a tactic in the order of an attack, from 0; -1 for one that is not
// known.
func TacticPlace(name string) int { return slices.Index(tactics, name) }
