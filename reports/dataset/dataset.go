// Package dataset writes tables of the database in the formats that programs for analysis read:
// CSV, NDJSON, JSON, Apache Parquet and Apache Arrow.
package dataset

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hemostat/reports/render"
	"hemostat/reports/store"
)

// Formats are the names of the formats.
var Formats = []string{"csv", "ndjson", "json", "parquet", "arrow"}

// Writer writes the rows of a table.
type Writer interface {
	// Write writes a row with a value for each column: string, int64, uint64, float64, bool, or nil
	// for none.
	Write(row []any) error
	// Close writes what is left. It does not close the stream.
	Close() error
}

// NewWriter writes a table to a stream in one of the formats.
func NewWriter(w io.Writer, format string, d *store.Dataset) (Writer, error) {
	switch format {
	case "csv":
		return newCSVWriter(w, d)
	case "ndjson", "json":
		return &jsonWriter{w: w, columns: d.Columns, isArray: format == "json"}, nil
	case "parquet":
		return newParquetWriter(w, d)
	case "arrow":
		return newArrowWriter(w, d)
	}
	return nil, fmt.Errorf("%s is accepted, not %q", strings.Join(Formats, ", "), format)
}

// csvWriter writes a line with the names of the columns first. What is absent is empty.
type csvWriter struct {
	csv   *csv.Writer
	cells []string
}

func newCSVWriter(w io.Writer, d *store.Dataset) (*csvWriter, error) {
	c := &csvWriter{csv: csv.NewWriter(w), cells: make([]string, len(d.Columns))}
	for i := range d.Columns {
		c.cells[i] = d.Columns[i].Name
	}
	return c, c.csv.Write(c.cells)
}

func (c *csvWriter) Write(row []any) error {
	for i, v := range row {
		switch x := v.(type) {
		case nil:
			c.cells[i] = ""
		case string:
			c.cells[i] = render.CSVCell(x)
		default:
			text, err := json.Marshal(x)
			if err != nil {
				return err
			}
			c.cells[i] = string(text)
		}
	}
	return c.csv.Write(c.cells)
}

func (c *csvWriter) Close() error {
	c.csv.Flush()
	return c.csv.Error()
}

// jsonWriter writes an object for each row, one a line or as the members of an array.
type jsonWriter struct {
	w       io.Writer
	columns []store.DatasetColumn
	isArray bool
	rows    int
	line    []byte
}

func (j *jsonWriter) Write(row []any) error {
	j.line = j.line[:0]
	switch {
	case j.isArray && j.rows == 0:
		j.line = append(j.line, "[\n"...)
	case j.isArray:
		j.line = append(j.line, ",\n"...)
	}
	j.line = append(j.line, '{')
	for i, v := range row {
		if i > 0 {
			j.line = append(j.line, ',')
		}
		j.line = append(strconv.AppendQuote(j.line, j.columns[i].Name), ':')
		if text, ok := v.(string); ok && j.columns[i].Kind == store.JSON && json.Valid([]byte(text)) {
			j.line = append(j.line, text...)
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		j.line = append(j.line, text...)
	}
	j.line = append(j.line, '}')
	if !j.isArray {
		j.line = append(j.line, '\n')
	}
	j.rows++
	_, err := j.w.Write(j.line)
	return err
}

func (j *jsonWriter) Close() error {
	end := ""
	switch {
	case j.isArray && j.rows == 0:
		end = "[]\n"
	case j.isArray:
		end = "\n]\n"
	}
	_, err := io.WriteString(j.w, end)
	return err
}

// Find is a table by its name.
func Find(name string) (*store.Dataset, error) {
	all := store.Datasets()
	names := make([]string, len(all))
	for i := range all {
		if names[i] = all[i].Name; names[i] == name {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("there is no table %q; there are %s", name, strings.Join(names, ", "))
}
