package response

import "embed"

// Embedded holds the playbooks that come with the program, in the folder
// EmbeddedDir.
//
//go:embed playbooks/*.yaml
var Embedded embed.FS

// EmbeddedDir is the folder of Embedded.
const EmbeddedDir = "playbooks"
