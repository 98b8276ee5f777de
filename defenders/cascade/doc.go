// Package cascade is the coagulation cascade and its reversal. Evidence against
// a zone adds up like clotting factors and leaks away with time. The zone's
// reaction follows a table of states and events:
//
//	        local          amplify          isolate
//	calm ──────────► local ───────► shaped ─────────► isolated
//	 ▲                 │               │ ▲                │
//	 │      ebb        │      ebb      │ └── refused ─────┤
//	 └─────────────────┴───────────────┴───── ebb ────────┘
//
// Local is a decoy beside the host. Amplification needs independent evidence,
// alerts of two rules at least: the zone is shaped, and decoys stand in it and
// where the next step is expected. Zones that react lower the thresholds of their
// neighbours (positive feedback); a budget of the estate's worth that may be cut
// off at once is the limiter that keeps the feedback from isolating the network.
//
// Restoration (fibrinolysis) takes back what was done for an incident, by a table
// of its own:
//
//	          quiet         approved          rebuilt             checked (last)
//	watching ──────► asking ────────► rebuilding ───────► releasing ───────► restored
//	   ▲               │ refused          │                ▲   │
//	   │               ▼                  │        checked └───┤
//	   └───────────────┴───── bleeding ───┴────────────────────┘
//
// Hosts of the intruder are rebuilt first. Then what is in force is released in
// stages, the least disruptive last needed first, with a time of observation
// after each; when the bleeding starts again, an alert in the same incident, what
// was released is put back in force and the waiting begins anew.
//
// cascade.go decides when to amplify, restoration.go when to undo. What they
// decide is carried out by defenders/response, like a playbook's steps.
package cascade
