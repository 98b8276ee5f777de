package dataset

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/reports/store"
)

// TestSchemasStay holds the names, types and order of columns against those that programs rely on.
// New columns at the end are no fault; HEMOSTAT_UPDATE=1 writes them down.
func TestSchemasStay(t *testing.T) {
	const name = "testdata/schemas.txt"
	var now strings.Builder
	for _, d := range store.Datasets() {
		assert.NotEmpty(t, d.Doc, d.Name)
		fmt.Fprintf(&now, "%s:", d.Name)
		for _, c := range d.Columns {
			assert.NotEmpty(t, c.Doc, "%s.%s", d.Name, c.Name)
			null := ""
			if c.Nullable {
				null = "?"
			}
			fmt.Fprintf(&now, " %s=%s%s", c.Name, c.Kind, null)
		}
		now.WriteByte('\n')
	}
	if os.Getenv("HEMOSTAT_UPDATE") != "" {
		require.NoError(t, os.WriteFile(name, []byte(now.String()), 0o644))
	}
	before, err := os.ReadFile(name)
	require.NoError(t, err)
	for line := range strings.Lines(string(before)) {
		assert.Contains(t, now.String(), strings.TrimSuffix(line, "\n"), "the columns of a table changed, and are not only longer at the end")
	}
}

// table has a column of each kind.
var table = store.Dataset{Name: "things", Doc: "Things.", Columns: []store.DatasetColumn{
	{Name: "name", Kind: store.Text, Doc: "a name"},
	{Name: "list", Kind: store.JSON, Doc: "a list"},
	{Name: "at", Kind: store.Integer, Nullable: true, Unit: "ns", Doc: "when"},
	{Name: "seed", Kind: store.Unsigned, Doc: "seed"},
	{Name: "share", Kind: store.Real, Unit: "share", Doc: "part"},
	{Name: "yes", Kind: store.Boolean, Doc: "whether"},
}}

func row(i int) []any {
	r := []any{fmt.Sprint("=name\n", i%7), fmt.Sprintf("[%d]", i), any(int64(i)), uint64(1)<<63 + uint64(i), float64(i) / 3, i%2 == 0}
	if i%3 == 0 {
		r[2] = nil
	}
	return r
}

func written(t *testing.T, format string, rows int) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b, format, &table)
	require.NoError(t, err)
	for i := range rows {
		require.NoError(t, w.Write(row(i)))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestCSV(t *testing.T) {
	lines, err := csv.NewReader(bytes.NewReader(written(t, "csv", 2))).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, [][]string{{"name", "list", "at", "seed", "share", "yes"}, {"'=name\n0", "[0]", "", "9223372036854775808", "0", "true"},
		{"'=name\n1", "[1]", "1", "9223372036854775809", "0.3333333333333333", "false"}}, lines)
}

func TestJSON(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		var list []map[string]any
		require.NoError(t, json.Unmarshal(written(t, "json", n), &list))
		assert.Len(t, list, n)
		assert.Equal(t, n, strings.Count(string(written(t, "ndjson", n)), "}\n"))
	}
	assert.Equal(t, `{"name":"=name\n1","list":[1],"at":1,"seed":9223372036854775809,"share":0.3333333333333333,"yes":false}`,
		strings.Split(string(written(t, "ndjson", 2)), "\n")[1])
}

// check compares what was read with what was written.
func check(t *testing.T, batches []arrow.RecordBatch, rows int) {
	n := 0
	for _, b := range batches {
		for i := range int(b.NumRows()) {
			want := row(n)
			assert.Equal(t, want[0], b.Column(0).(*array.String).Value(i))
			assert.Equal(t, want[1], b.Column(1).(*array.String).Value(i))
			if want[2] == nil {
				assert.True(t, b.Column(2).IsNull(i))
			} else {
				assert.Equal(t, want[2], b.Column(2).(*array.Int64).Value(i))
			}
			assert.Equal(t, want[3], b.Column(3).(*array.Uint64).Value(i))
			assert.Equal(t, want[4], b.Column(4).(*array.Float64).Value(i))
			assert.Equal(t, want[5], b.Column(5).(*array.Boolean).Value(i))
			n++
		}
	}
	assert.Equal(t, rows, n)
}

func TestParquetAndArrow(t *testing.T) {
	for _, rows := range []int{0, 1, batchRows, 2*batchRows + 5} {
		p, err := file.NewParquetReader(bytes.NewReader(written(t, "parquet", rows)))
		require.NoError(t, err)
		r, err := pqarrow.NewFileReader(p, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
		require.NoError(t, err)
		whole, err := r.ReadTable(t.Context())
		require.NoError(t, err)
		unit, _ := whole.Schema().Field(2).Metadata.GetValue("unit")
		assert.Equal(t, "ns", unit)
		var batches []arrow.RecordBatch
		for reader := array.NewTableReader(whole, 0); reader.Next(); {
			b := reader.RecordBatch()
			b.Retain()
			batches = append(batches, b)
		}
		check(t, batches, rows)

		a, err := ipc.NewFileReader(bytes.NewReader(written(t, "arrow", rows)))
		require.NoError(t, err)
		version, _ := a.Schema().Metadata().GetValue("hemostat.schema")
		assert.Equal(t, "1", version)
		batches = nil
		for i := range a.NumRecords() {
			b, err := a.RecordBatchAt(i)
			require.NoError(t, err)
			batches = append(batches, b)
		}
		check(t, batches, rows)
	}
}

func TestUnknown(t *testing.T) {
	_, err := NewWriter(&bytes.Buffer{}, "xlsx", &table)
	assert.EqualError(t, err, `csv, ndjson, json, parquet, arrow is accepted, not "xlsx"`)
	_, err = Find("trails")
	assert.ErrorContains(t, err, `there is no table "trails"; there are accounts, actions, alerts`)
}
