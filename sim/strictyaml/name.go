package strictyaml

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Names of scenarios, variants, playbooks and the like stand in tables, file names,
// pull requests and shell lines, so one rule limits them all. Fields tagged
// `name:"true"` are held to it.
const (
	namePattern = `^[A-Za-z0-9][\w .,=@+:()\[\]-]{0,99}$`
	nameRule    = "a name of 1 to 100 letters, digits, blanks and . , = @ + : ( ) [ ] _ - that begins with a letter or digit"
)

var (
	nameForm     = regexp.MustCompile(namePattern)
	nameExcluded = regexp.MustCompile(`[^\w .,=@+:()\[\]-]+`)
)

// CheckName tells what is wrong with a name, or returns nil.
func CheckName(name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s is expected, not %s", nameRule, quoteShort(name))
}

// CleanName makes a name of any text: what is not accepted becomes _, and what is too
// long is cut, with a digest that keeps it distinct.
func CleanName(text string) string {
	name := strings.TrimLeft(nameExcluded.ReplaceAllString(text, "_"), " .,=@+:()[]_-")
	if name == "" {
		name = "unnamed"
	}
	if len(name) > 100 {
		sum := sha256.Sum256([]byte(text))
		name = name[:87] + "+" + hex.EncodeToString(sum[:6])
	}
	return name
}
