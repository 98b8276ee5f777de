package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"hemostat/reports/render"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"
)

// safe is render.Terminal, for what is printed.
func safe(s string) string { return render.Terminal(s) }

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
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = out.Write(append(render.JSON(text), '\n'))
	return err
}

// printJSONLine writes a value as JSON in a line of its own.
func printJSONLine(out io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = out.Write(append(render.JSON(text), '\n'))
	return err
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
