// Package technique is the attackers' library: each technique with its ATT&CK
// id, what it needs, how long it takes, what it does to the world and what
// telemetry this leaves, in variants of tool and command line.
//
// technique.go says what a technique is, state.go what an attacker has and
// knows; the other files hold the techniques, one file a tactic. A technique
// acts through sim/world only, as honest users do.
package technique
