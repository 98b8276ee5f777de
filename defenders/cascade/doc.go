// Package cascade is the coagulation cascade and its reversal, as tables of states and
// events without any effect of their own; defenders/incident drives them and has what
// they decide carried out.
//
// Evidence against a zone adds up and decays exponentially. The zone's reaction follows
// the first table (cascade.go):
//
//	          local           escalate            isolate
//	normal ──────────► local ──────────► throttled ─────────► isolated
//	  ▲                  │                 │  ▲                   │
//	  │      expire      │     expire      │  └───── refused ─────┤
//	  └──────────────────┴─────────────────┴─────── expire ───────┘
//
// Local is a decoy beside the host. Escalation needs independent evidence, alerts of
// two rules at least: the zone is throttled, and decoys stand in it and where the next
// step is expected. Zones that react weigh new evidence elsewhere up (positive
// feedback); a budget of the estate's worth that may be isolated at once keeps the
// feedback from isolating the network.
//
// Restoration (fibrinolysis) undoes what was done for an incident, by the second table
// (recovery.go):
//
//	          quiet         approved          rebuilt         observed (last)
//	watching ──────► asking ────────► rebuilding ───────► releasing ───────► restored
//	   ▲               │ refused          │               ▲   │
//	   │               ▼                  │      observed └───┤
//	   └───────────────┴───── recurred ───┴───────────────────┘
//
// Hosts of the intruder are rebuilt first. Then what is in force is released in stages,
// the least disruptive first, with a time of observation after each; when an alert of
// the same incident recurs, what was released is put in force again and the waiting
// begins anew.
package cascade
