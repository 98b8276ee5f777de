package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// namedPlace is `path/file.go:Name` or `path/file.go:Type.Method` in a document.
var namedPlace = regexp.MustCompile("`([a-z/_]+\\.go):([A-Za-z.]+)`")

// TestDocumentsNameWhatExists holds that every file and function that a document names is
// there, so that a reader who follows the path of an event arrives.
func TestDocumentsNameWhatExists(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	places := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range namedPlace.FindAllStringSubmatch(string(text), -1) {
			source, err := os.ReadFile(filepath.Join("../..", m[1]))
			require.NoError(t, err, "%s names a file that is not there", document)
			require.Regexp(t, declaration(m[2]), string(source), "%s names %s, which %s does not have", document, m[2], m[1])
			places++
		}
	}
	require.Greater(t, places, 20)
}

// declaration is how a name is declared: a method, or a function or type.
func declaration(name string) string {
	if owner, method, ok := strings.Cut(name, "."); ok {
		return fmt.Sprintf(`(?m)^func \([a-z]+ \*?%s(\[.*\])?\) %s\(`, owner, method)
	}
	return fmt.Sprintf(`(?m)^(func|type) %s\b`, name)
}
