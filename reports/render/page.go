package render

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var style string

// Style is the style sheet of all pages.
func Style() string { return style }

var page = template.Must(template.New("page").Parse(pageText))

// Page writes a self-contained HTML page: one file, no script, nothing fetched.
// Characters that steer a terminal or reorder text are shown escaped.
func Page(w io.Writer, title string, body template.HTML) error {
	var text strings.Builder
	err := page.Execute(&text, struct {
		Title string
		Style template.CSS
		Body  template.HTML
	}{title, template.CSS(style), body}) //nolint:gosec // a file of the program
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, Terminal(text.String()))
	return err
}
