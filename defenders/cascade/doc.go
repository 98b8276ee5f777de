// Package cascade is the coagulation cascade and its reversal. Evidence against
// a zone adds up like clotting factors and leaks away with time; at the first
// threshold the zone is shaped and gets decoys, at the second it is cut off,
// never more than a budget of the estate at once. When an incident has been
// quiet for long enough, restoration (fibrinolysis) takes everything back and
// rebuilds the hosts involved.
//
// cascade.go decides when to amplify, restoration.go when to undo. What they
// decide is carried out by defenders/response, like a playbook's steps.
package cascade
