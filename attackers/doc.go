// Package attackers plays campaigns: an Agent holds what one attacker has and
// knows, takes the next step of the campaign at the attacker's pace, notices
// when the defence is in the way, and adapts: another address, another
// credential, another host, slower, or not at all. Every step goes into the
// trial's record with its outcome and the reason for it.
//
// agent.go takes the steps, planner.go chooses what of the campaign comes next, clock.go when,
// journal.go keeps what was done, adaptation.go answers to failures and blocks, goal.go tells
// what conditions and the goal have come to, infrastructure.go draws addresses and domains.
//
// Agents see the world only through what their techniques find out. They never
// import a defender.
package attackers
