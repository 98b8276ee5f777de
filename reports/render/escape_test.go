package render

import (
	"bytes"
	"encoding/json"
	"html/template"
	"os/exec"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// hostile draws texts that are likely to break out of a form.
func hostile(t *rapid.T) string {
	parts := rapid.SliceOf(rapid.OneOf(
		rapid.SampledFrom([]string{"`", "``", "\n", "\r", "\r\n", "# x", "## gate: pass", "|", "<script>", "[a](javascript:1)", "![x](http://h)", "@team", "https://e.example",
			"\x1b[31m", "\x07", "\u202e", "\u009b", "\u2028", "\x00", "=cmd|'/C calc'!A0", "+1", "-1", "&amp;", "<!--", "-->", "</details>", "\\", "'", `"`, "$(id)", "`id`", "*a*", "~~~", "1. ", "\xff"}),
		rapid.String())).Draw(t, "parts")
	return strings.Join(parts, "")
}

func hasUnsafe(s string, kept string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune(kept, r) && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) && r != '\u2060')
	})
}

func TestTextOfOthersStaysTextInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := hostile(t)
		require.False(t, hasUnsafe(Terminal(s), "\n"))
		require.False(t, hasUnsafe(Inline(s), ""))

		md := Markdown(s)
		require.False(t, hasUnsafe(md, ""))
		bare := strings.NewReplacer(`\\`, "", `\<`, "", "\\`", "", `\[`, "", `\|`, "", `\&`, "", `\#`, "", `\*`, "", `\_`, "", `\!`, "").Replace(md)
		require.NotContains(t, bare, "<")
		require.NotContains(t, bare, "`")
		require.NotContains(t, bare, "[")
		require.NotContains(t, bare, "|")
		require.NotContains(t, md, "://")
		require.NotRegexp(t, `@\w`, md)

		code := MarkdownCode(s)
		require.False(t, hasUnsafe(code, ""))
		fence := code[:len(code)-len(strings.TrimLeft(code, "`"))]
		require.NotEmpty(t, fence)
		inside := strings.TrimSuffix(strings.TrimPrefix(code, fence), fence)
		require.NotContains(t, inside, fence)

		cell := CSVCell(s)
		require.False(t, cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])))

		plain, err := json.Marshal(map[string]string{"v": s})
		require.NoError(t, err)
		safe := JSON(plain)
		require.False(t, hasUnsafe(string(safe), ""))
		var before, after map[string]string
		require.NoError(t, json.Unmarshal(plain, &before))
		require.NoError(t, json.Unmarshal(safe, &after))
		require.Equal(t, before, after)

		var page bytes.Buffer
		require.NoError(t, Page(&page, s, template.HTML("<p>"+template.HTMLEscapeString(s)+"</p>")))
		require.False(t, hasUnsafe(page.String(), "\n\t"))
		require.NotContains(t, page.String(), "<script>")
	})
}

func TestAShellReadsAWordAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Inline(hostile(t))
		out, err := exec.Command("sh", "-c", "printf %s "+ShellWord(s)).Output()
		require.NoError(t, err)
		require.Equal(t, s, string(out))
	})
}
