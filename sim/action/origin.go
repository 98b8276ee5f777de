package action

// Origin is why something is done. What the program does of its own accord is told apart
// by it, never by the name under which it is recorded.
type Origin uint8

// The origins.
const (
	FromTrigger     Origin = iota // an alert fits a playbook's trigger
	FromReflex                    // a detector asked for it at once
	FromCascade                   // a zone's evidence reached a threshold
	FromRestoration               // an incident is quiet
	FromRebuild                   // hosts of an incident are rebuilt
	FromRollback                  // what restoration released is put in force again
	FromAgent                     // a program outside that decides for the defence asked for it
)

// IsSingleAction tells whether it is one action without a playbook of its own.
func (o Origin) IsSingleAction() bool { return o == FromReflex || o == FromRollback }
