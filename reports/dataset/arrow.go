package dataset

import (
	"errors"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"hemostat/reports/store"
)

// schemaVersion stands in the metadata of files. It changes when a column changes its meaning or
// its type; columns that are added at the end leave it.
const schemaVersion = 1

var arrowTypes = map[store.Kind]arrow.DataType{
	store.Text: arrow.BinaryTypes.String, store.JSON: arrow.BinaryTypes.String,
	store.Integer: arrow.PrimitiveTypes.Int64, store.Unsigned: arrow.PrimitiveTypes.Uint64,
	store.Real: arrow.PrimitiveTypes.Float64, store.Boolean: arrow.FixedWidthTypes.Boolean,
}

// schemaOf is the schema of a table; units and meanings stand in the metadata of the fields.
func schemaOf(d *store.Dataset) *arrow.Schema {
	fields := make([]arrow.Field, len(d.Columns))
	for i, c := range d.Columns {
		about := map[string]string{"doc": c.Doc}
		if c.Unit != "" {
			about["unit"] = string(c.Unit)
		}
		if c.Kind == store.JSON {
			about["encoding"] = "json"
		}
		fields[i] = arrow.Field{Name: c.Name, Type: arrowTypes[c.Kind], Nullable: c.Nullable, Metadata: arrow.MetadataFrom(about)}
	}
	about := arrow.NewMetadata([]string{"hemostat.table", "hemostat.schema", "hemostat.doc"},
		[]string{d.Name, strconv.Itoa(schemaVersion), d.Doc})
	return arrow.NewSchema(fields, &about)
}

// batchRows is how many rows are written together.
const batchRows = 16_384

// batches collects rows to record batches.
type batches struct {
	builder *array.RecordBuilder
	rows    int
	write   func(arrow.RecordBatch) error
	end     func() error
}

func newBatches(schema *arrow.Schema, write func(arrow.RecordBatch) error, end func() error) *batches {
	return &batches{builder: array.NewRecordBuilder(memory.NewGoAllocator(), schema), write: write, end: end}
}

func (b *batches) Write(row []any) error {
	for i, v := range row {
		f := b.builder.Field(i)
		switch x := v.(type) {
		case nil:
			f.AppendNull()
		case string:
			f.(*array.StringBuilder).Append(x)
		case int64:
			f.(*array.Int64Builder).Append(x)
		case uint64:
			f.(*array.Uint64Builder).Append(x)
		case float64:
			f.(*array.Float64Builder).Append(x)
		case bool:
			f.(*array.BooleanBuilder).Append(x)
		}
	}
	if b.rows++; b.rows < batchRows {
		return nil
	}
	return b.flush()
}

func (b *batches) flush() error {
	if b.rows == 0 {
		return nil
	}
	b.rows = 0
	record := b.builder.NewRecordBatch()
	defer record.Release()
	return b.write(record)
}

func (b *batches) Close() error {
	defer b.builder.Release()
	return errors.Join(b.flush(), b.end())
}

// newArrowWriter writes an Arrow IPC file, also known as Feather.
func newArrowWriter(w io.Writer, d *store.Dataset) (Writer, error) {
	schema := schemaOf(d)
	f, err := ipc.NewFileWriter(w, ipc.WithSchema(schema), ipc.WithZstd())
	if err != nil {
		return nil, err
	}
	return newBatches(schema, f.Write, f.Close), nil
}

// newParquetWriter writes a Parquet file with zstd. The schema of Arrow is kept in it, with what
// it says of the columns.
func newParquetWriter(w io.Writer, d *store.Dataset) (Writer, error) {
	schema := schemaOf(d)
	f, err := pqarrow.NewFileWriter(schema, keptOpen{w},
		parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCreatedBy("hemostat")),
		pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return nil, err
	}
	return newBatches(schema, f.WriteBuffered, f.Close), nil
}

// keptOpen is a stream that is not closed with what is written to it.
type keptOpen struct{ io.Writer }
