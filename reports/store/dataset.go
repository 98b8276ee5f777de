package store

import (
	"fmt"
	"slices"
	"strings"

	"hemostat/sim/record"
)

// Dataset is a table of the database as it is handed to programs that analyse. Its columns keep
// their names, their types and their order; new ones come at the end.
type Dataset struct {
	Name, Doc string
	Columns   []DatasetColumn
	from      string // FROM of SQL
	order     string // ORDER BY
	rows      rowScope
}

// rowScope says what the rows of a dataset belong to.
type rowScope int

const (
	ofDatabase rowScope = iota // a filter of trials leaves them
	areTrials
	belowTrials // read trial after trial
)

// DatasetColumn is a column of a dataset.
type DatasetColumn struct {
	Name     string
	Kind     Kind
	Nullable bool
	Unit     record.Unit
	Doc      string
	source   string // expression of SQL
}

// Kind is the type of the values of a column.
type Kind int

// The kinds, with the Go type of their values.
const (
	Text     Kind = iota // string
	JSON                 // string
	Integer              // int64
	Unsigned             // uint64
	Real                 // float64
	Boolean              // bool
)

var kindNames = map[Kind]string{Text: "text", JSON: "json", Integer: "int64", Unsigned: "uint64", Real: "float64", Boolean: "bool"}

func (k Kind) String() string { return kindNames[k] }

// ofTrial are the columns by which rows below a trial are told apart.
var ofTrial = []DatasetColumn{
	{"scenario", Text, false, "", "name of the scenario", "t.scenario"},
	{"variant", Text, false, "", "name of the variant", "t.variant"},
	{"seed", Unsigned, false, "", "seed of the run", "t.seed"},
	{"trial_index", Integer, false, "", "which simulated day of the seed", "t.trial_index"},
	{"trial_id", Text, false, "", "trial that the row belongs to", "t.trial_id"},
}

// Datasets are all of them, in the order of their names.
func Datasets() []Dataset {
	all := []Dataset{
		{Name: "trials", Doc: "Outcome of each trial.", from: "trials t", rows: areTrials, order: "t.scenario, t.variant, t.trial_index, t.trial_id",
			Columns: append(columnsFrom("t", record.TrialColumns),
				DatasetColumn{"seed", Unsigned, false, "", "seed of the run", "t.seed"},
				DatasetColumn{"scenario_digest", Text, false, "", "SHA-256 of the scenario", "t.scenario_digest"},
				DatasetColumn{"variant_digest", Text, false, "", "SHA-256 of the variant", "t.variant_digest"})},
		// Apart from the trials, which are the same whichever run recorded them.
		{Name: "trial_runs", Doc: "Which run recorded each trial.", from: "trials t", rows: areTrials,
			order: "t.scenario, t.variant, t.trial_index, t.trial_id", Columns: []DatasetColumn{
				{"trial_id", Text, false, "", "trial", "t.trial_id"},
				{"run_id", Text, false, "", "run that recorded it first", "t.run_id"}}},
		plainDataset("runs", "Runs that recorded trials.", "created_at, run_id", []DatasetColumn{
			{Name: "run_id", Doc: "id of the run"},
			{Name: "created_at", Doc: "wall-clock time, RFC 3339"},
			{Name: "tool_version", Doc: "version of the program"},
			{Name: "git_commit", Doc: "commit that the program was built from"},
			{Name: "architecture", Doc: "processor architecture"},
			{Name: "seed", Kind: Unsigned, Doc: "seed"},
			{Name: "plan_digest", Doc: "SHA-256 of the plan"},
			{Name: "analyst", Doc: "who answered for models"},
			{Name: "status", Doc: "running, done, interrupted or failed"},
		}),
		plainDataset("scenarios", "Scenarios as they were run.", "scenario, digest", []DatasetColumn{
			{Name: "scenario", Doc: "name"}, {Name: "digest", Doc: "SHA-256"}, {Name: "yaml", Doc: "the whole scenario as YAML"},
		}),
		plainDataset("variants", "Variants as they were run.", "variant, digest", []DatasetColumn{
			{Name: "variant", Doc: "name"}, {Name: "digest", Doc: "SHA-256"}, {Name: "json", Kind: JSON, Doc: "the whole variant as JSON"},
		}),
	}
	for _, t := range append(slices.Clone(detailTables), costTable, scoreTable) {
		all = append(all, Dataset{Name: t.title(), Doc: datasetDocs[t.title()], from: t.title() + " d", order: t.order(), rows: belowTrials,
			Columns: append(slices.Clone(ofTrial), columnsFrom("d", t.columns())...)})
	}
	slices.SortFunc(all, func(a, b Dataset) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// datasetDocs say what a row of a table below trials is.
var datasetDocs = map[string]string{
	"attacks":      "Fate of each attacker.",
	"steps":        "What attackers tried.",
	"alerts":       "Alerts of the detectors.",
	"approvals":    "Questions to people.",
	"actions":      "Actions of the defence.",
	"audit":        "Lines of the response's audit log.",
	"verdicts":     "Answers of the automatic analyst.",
	"accounts":     "Sentences of the accounts of incidents.",
	"predictions":  "What was predicted after each alert.",
	"incidents":    "Incidents, with what is said of their campaigns.",
	"sightings":    "Indicators that sources of intelligence know.",
	"entities":     "Hosts and accounts that alerts are about.",
	"attributions": "Who was held to be behind each attack.",
	"stages":       "When stages of the pipeline worked on incidents.",
	"cost":         "Wall-clock time, which no digest holds.",
	"scores":       "Scores of detectors, reported and not.",
}

func columnsFrom(table string, list []record.Column) (out []DatasetColumn) {
	for _, c := range list {
		kind := map[string]Kind{"TEXT": Text, "INTEGER": Integer, "REAL": Real}[c.Type]
		switch {
		case c.IsBoolean():
			kind = Boolean
		case c.IsJSON():
			kind = JSON
		}
		out = append(out, DatasetColumn{c.Name, kind, c.Nullable, c.Unit, c.Doc, table + "." + c.Name})
	}
	return out
}

func plainDataset(name, doc, order string, columns []DatasetColumn) Dataset {
	for i := range columns {
		columns[i].source = columns[i].Name
	}
	return Dataset{Name: name, Doc: doc, from: name, order: order, Columns: columns}
}

// Rows calls f with each row of a dataset: a value for each column, nil where there is none. Rows
// below trials come in the order of their trials. The row is valid until f returns.
func (db *DB) Rows(d *Dataset, filter Filter, f func(row []any) error) error {
	sources := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		sources[i] = c.source
	}
	query := "SELECT " + strings.Join(sources, ", ") + " FROM " + d.from
	where, args := filter.where()
	switch d.rows {
	case ofDatabase:
		return db.eachRow(d, query+" ORDER BY "+d.order, nil, f)
	case areTrials:
		return db.eachRow(d, query+" WHERE "+where+" ORDER BY "+d.order, args, f)
	}
	ids, err := db.trialIDs(where, args)
	if err != nil {
		return err
	}
	query += " JOIN trials t ON t.trial_id = d.trial_id WHERE d.trial_id = ? ORDER BY " + qualified("d", d.order)
	for _, id := range ids {
		if err := db.eachRow(d, query, []any{id}, f); err != nil {
			return err
		}
	}
	return nil
}

// qualified puts a table before each column of an ORDER BY.
func qualified(table, order string) string {
	columns := strings.Split(order, ", ")
	for i := range columns {
		columns[i] = table + "." + columns[i]
	}
	return strings.Join(columns, ", ")
}

func (db *DB) trialIDs(where string, args []any) (ids []string, err error) {
	rows, err := db.sql.QueryContext(db.ctx,
		"SELECT trial_id FROM trials WHERE "+where+" ORDER BY scenario, variant, trial_index, trial_id", args...)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, db.explain(err)
		}
		ids = append(ids, id)
	}
	return ids, db.explain(rows.Err())
}

func (db *DB) eachRow(d *Dataset, query string, args []any, f func(row []any) error) error {
	rows, err := db.sql.QueryContext(db.ctx, query, args...)
	if err != nil {
		return db.explain(fmt.Errorf("%s: %w", d.Name, err))
	}
	defer rows.Close()
	row, into := make([]any, len(d.Columns)), make([]any, len(d.Columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return db.explain(fmt.Errorf("%s: %w", d.Name, err))
		}
		for i := range row {
			if row[i], err = d.Columns[i].value(row[i]); err != nil {
				return fmt.Errorf("%s.%s: %w", d.Name, d.Columns[i].Name, err)
			}
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return db.explain(rows.Err())
}

// value is a value of the database as the kind of the column has it.
func (c *DatasetColumn) value(v any) (any, error) {
	if v == nil && c.Nullable {
		return nil, nil
	}
	switch x := v.(type) {
	case string:
		if c.Kind == Text || c.Kind == JSON {
			return x, nil
		}
	case []byte:
		if c.Kind == Text || c.Kind == JSON {
			return string(x), nil
		}
	case int64:
		switch c.Kind {
		case Integer:
			return x, nil
		case Unsigned:
			return uint64(x), nil
		case Boolean:
			return x != 0, nil
		case Real:
			return float64(x), nil
		}
	case float64:
		if c.Kind == Real {
			return x, nil
		}
	}
	return nil, fmt.Errorf("%v of the database is no %s", v, c.Kind)
}
