package render

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// Page writes a self-contained HTML page: one file, no script, nothing fetched.
func Page(w io.Writer, title string, body template.HTML) error {
	return page.Execute(w, struct {
		Title string
		Body  template.HTML
	}{title, body})
}
