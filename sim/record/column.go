package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Unit is what the values of a column are counted in.
type Unit string

// The units.
const (
	NoUnit      Unit = ""
	Nanoseconds Unit = "ns" // virtual time
	Seconds     Unit = "s"
	Count       Unit = "count"
	Share       Unit = "share" // 0 to 1
	Hours       Unit = "h"     // of one person's work
	Bytes       Unit = "bytes"
	Points      Unit = "points" // 0 to 100
	Money       Unit = "money"  // in the currency of the variant's prices
)

var units = []Unit{NoUnit, Nanoseconds, Seconds, Count, Share, Hours, Bytes, Points, Money}

// Column is one column of a table of the database. All that writers, readers,
// comparisons and documents know of a column stands in the tags of its field:
//
//	json    name; "-" with a tag sql for what is no part of the digest
//	sql     name in the database where it differs from json's, "-" for no column; a list of
//	        structs with it is a column of JSON text, without it another table
//	unit    what is counted
//	doc     what the value means
//	better  more or less: the column is a metric that variants are compared by
//	optional  a metric that comparisons leave out where it is 0 everywhere
//	bound   greatest value of one trial that a gate counts; the horizon when absent
//
// A field with a wrong tag stops the program at its start.
type Column struct {
	Name     string
	Type     string // TEXT, INTEGER or REAL
	Nullable bool
	Unit     Unit
	Doc      string
	Better   int // 1 more, -1 less, 0 for no metric
	Bound    float64
	Optional bool

	field     int
	asJSON    bool // the value is encoded as JSON text
	isBoolean bool // and not a number
}

// IsJSON tells whether values are lists or structs as JSON text.
func (c Column) IsJSON() bool { return c.asJSON }

// IsBoolean tells whether values are yes (1) or no (0).
func (c Column) IsBoolean() bool { return c.isBoolean }

// TrialColumns are the columns of the table trials that come from Trial, in order.
var TrialColumns = ColumnsOf[Trial]()

// ColumnsOf reads the columns of a row's type from the tags of its fields. Fields
// without a name, and lists of other rows, are none.
func ColumnsOf[T any]() []Column {
	t := reflect.TypeFor[T]()
	var columns []Column
	for i := range t.NumField() {
		f := t.Field(i)
		c, ok, err := columnOf(f)
		if err != nil {
			panic(fmt.Sprintf("record: field %s.%s: %v", t.Name(), f.Name, err))
		}
		if ok {
			c.field = i
			columns = append(columns, c)
		}
	}
	return columns
}

func columnOf(f reflect.StructField) (Column, bool, error) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	own, named := f.Tag.Lookup("sql")
	if named {
		name = own
	}
	if name == "" || name == "-" {
		return Column{}, false, nil
	}
	c := Column{Name: name, Unit: Unit(f.Tag.Get("unit")), Doc: f.Tag.Get("doc"),
		Optional: f.Tag.Get("optional") == "true"}
	switch t := f.Type; {
	case t == reflect.TypeFor[Time]():
		c.Type, c.Nullable = "INTEGER", true
	case t.Kind() == reflect.String:
		c.Type = "TEXT"
	case t.Kind() == reflect.Bool:
		c.Type, c.isBoolean = "INTEGER", true
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		c.Type = "INTEGER"
	case t.Kind() == reflect.Float64:
		c.Type = "REAL"
	case t == reflect.TypeFor[[]uint64](), t == reflect.TypeFor[[]string]():
		c.Type, c.asJSON = "TEXT", true
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && !named:
		return Column{}, false, nil // rows of another table
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		c.Type, c.asJSON = "TEXT", true
	default:
		return Column{}, false, fmt.Errorf("values of %s have no form in the database", t)
	}
	if !slices.Contains(units, c.Unit) {
		return Column{}, false, fmt.Errorf("unknown unit %q", c.Unit)
	}
	switch better := f.Tag.Get("better"); better {
	case "":
	case "more":
		c.Better = 1
	case "less":
		c.Better = -1
	default:
		return Column{}, false, fmt.Errorf("better is more or less, not %q", better)
	}
	if text := f.Tag.Get("bound"); text != "" {
		bound, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return Column{}, false, fmt.Errorf("bound: %w", err)
		}
		c.Bound = bound
	}
	switch {
	case c.Better != 0 && c.Doc == "":
		return Column{}, false, fmt.Errorf("a metric needs a doc")
	case c.Better != 0 && c.Type == "TEXT":
		return Column{}, false, fmt.Errorf("a metric is a number, a time or a yes or no")
	case c.Better != 0 && c.Bound == 0 && !c.Nullable:
		return Column{}, false, fmt.Errorf("a metric other than a time needs a bound")
	}
	return c, true, nil
}

// Definition is the column as a CREATE TABLE or ALTER TABLE statement has it.
func (c Column) Definition() string {
	switch {
	case c.Nullable:
		return c.Name + " " + c.Type
	case c.Type == "TEXT":
		return c.Name + " TEXT NOT NULL DEFAULT ''"
	}
	return c.Name + " " + c.Type + " NOT NULL DEFAULT 0"
}

// Value is what the database stores of a row; row points to the struct.
func (c Column) Value(row any) (any, error) {
	v := reflect.ValueOf(row).Elem().Field(c.field).Interface()
	if !c.asJSON {
		return v, nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}

// Target is where a value of the database is scanned to; row points to the struct.
func (c Column) Target(row any) any {
	p := reflect.ValueOf(row).Elem().Field(c.field).Addr().Interface()
	if c.asJSON {
		return &jsonTarget{p}
	}
	return p
}

// Number is a metric's value in a trial: a yes is 1, and an absent one is not there.
func (c Column) Number(t *Trial) (value float64, there bool) {
	switch v := reflect.ValueOf(t).Elem().Field(c.field); v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return 1, true
		}
		return 0, true
	case reflect.Int, reflect.Int64:
		return float64(v.Int()), true
	case reflect.Float64:
		return v.Float(), true
	case reflect.Pointer:
		if v.IsNil() {
			return 0, false
		}
		return float64(v.Elem().Int()), true
	}
	return 0, false
}

// jsonTarget scans JSON text.
type jsonTarget struct{ into any }

// Scan implements sql.Scanner.
func (j *jsonTarget) Scan(src any) error {
	switch text := src.(type) {
	case string:
		if text == "" { // of a row from before the column was there
			return nil
		}
		return json.Unmarshal([]byte(text), j.into)
	case []byte:
		return json.Unmarshal(text, j.into)
	}
	return fmt.Errorf("JSON text is expected, not %T", src)
}
