// Package campaign is the language in which attackers are scripted: stages of
// techniques with alternatives, loops, pacing, conditions and reactions to being
// blocked, an infrastructure, a goal, and when to give up. It reads and checks
// the YAML; package attackers plays it.
package campaign
