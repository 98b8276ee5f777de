package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"
)

// safe shows control characters and escape sequences escaped, since text that
// came from events or files must not steer a terminal. Line ends stay.
func safe(s string) string {
	clean := strings.IndexFunc(s, unsafeRune) < 0
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafeRune(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unsafeRune tells control characters, the invisible ones that reorder text, and
// broken encoding from what may be printed.
func unsafeRune(r rune) bool {
	return r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar)
}

// safeTable is a table that shows every text in it escaped.
type safeTable struct {
	table.Writer
	out io.Writer
}

// newTable is a plain table in the project's style.
func newTable(out io.Writer, header ...any) safeTable {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(header)
	return safeTable{t, out}
}

// AppendRow adds a row; its texts are escaped by safe.
func (t safeTable) AppendRow(row table.Row) {
	for i, cell := range row {
		if text, ok := cell.(string); ok {
			row[i] = safe(text)
		}
	}
	t.Writer.AppendRow(row)
}

// Render writes the table out.
func (t safeTable) Render() { fmt.Fprintln(t.out, t.Writer.Render()) }

// output remembers the first error of writing, so that a full disk behind a table or
// a help text does not go unnoticed.
type output struct {
	io.Writer
	err error
}

// Write writes on.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// printJSON writes a value as indented JSON.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// isTerminal tells whether a stream is a person's screen.
func isTerminal(w io.Writer) bool {
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
