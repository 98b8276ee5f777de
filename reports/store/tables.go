package store

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"hemostat/sim/record"
)

// identityColumns stand in trials before those of record.Trial: what a trial's id is
// made from, and the run that recorded it.
var identityColumns = []string{"run_id", "seed", "scenario_digest", "variant_digest"}

// table is a table with rows below a trial. Columns are named wherever they are
// written or read, so their order in the file does not matter.
type table interface {
	title() string
	columns() []record.Column
	count(t *record.Trial) int
	// values appends the values of the i-th row, the trial's id first.
	values(args []any, t *record.Trial, i int) ([]any, error)
	// read scans a row, without the trial's id, and appends it to the trial.
	read(rows *sql.Rows, t *record.Trial) error
	order() string
}

// rowsOf is a table of one type of row.
type rowsOf[T any] struct {
	name    string
	list    func(*record.Trial) *[]T
	sorting string // ORDER BY
	ordinal string // column that holds a row's place among the trial's, or ""
	fields  []record.Column
}

func tableOf[T any](name, sorting, ordinal string, list func(*record.Trial) *[]T) *rowsOf[T] {
	return &rowsOf[T]{name: name, list: list, sorting: sorting, ordinal: ordinal, fields: record.ColumnsOf[T]()}
}

// detailTables are the tables below trials that belong to a trial's story. Cost and
// events are written beside them and read by themselves.
var detailTables = []table{
	tableOf("attacks", "attack", "", func(t *record.Trial) *[]record.Attack { return &t.Attacks }),
	tableOf("steps", "started, attack, step", "", func(t *record.Trial) *[]record.Step { return &t.Steps }),
	tableOf("alerts", "alert", "", func(t *record.Trial) *[]record.Alert { return &t.Alerts }),
	tableOf("approvals", "approval", "", func(t *record.Trial) *[]record.Approval { return &t.Approvals }),
	tableOf("actions", "action", "", func(t *record.Trial) *[]record.Action { return &t.Actions }),
	tableOf("audit", "line", "line", func(t *record.Trial) *[]record.AuditEntry { return &t.Audit }),
	tableOf("verdicts", "asked, alert", "", func(t *record.Trial) *[]record.Verdict { return &t.Verdicts }),
	tableOf("accounts", "incident, sentence", "",
		func(t *record.Trial) *[]record.AccountSentence { return &t.Accounts }),
	tableOf("predictions", "time, alert", "", func(t *record.Trial) *[]record.Prediction { return &t.Predictions }),
	tableOf("incidents", "incident", "", func(t *record.Trial) *[]record.Incident { return &t.Incidents }),
	tableOf("sightings", "rowid", "", func(t *record.Trial) *[]record.Sighting { return &t.Sightings }),
	tableOf("entities", "kind, name", "", func(t *record.Trial) *[]record.Entity { return &t.Entities }),
	tableOf("attributions", "attack", "", func(t *record.Trial) *[]record.Attribution { return &t.Attributions }),
	tableOf("stages", "rowid", "", func(t *record.Trial) *[]record.Stage { return &t.Stages }),
}

var costTable = tableOf("cost", "rowid", "", func(t *record.Trial) *[]record.Cost { return &t.Cost })

var scoreTable = tableOf("scores", "rowid", "", func(t *record.Trial) *[]record.Score { return &t.Scores })

func (r *rowsOf[T]) title() string             { return r.name }
func (r *rowsOf[T]) columns() []record.Column  { return r.fields }
func (r *rowsOf[T]) count(t *record.Trial) int { return len(*r.list(t)) }
func (r *rowsOf[T]) order() string             { return r.sorting }

func (r *rowsOf[T]) values(args []any, t *record.Trial, i int) ([]any, error) {
	args = append(args, t.TrialID)
	if r.ordinal != "" {
		args = append(args, i)
	}
	row := &(*r.list(t))[i]
	for _, c := range r.fields {
		v, err := c.Value(row)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", r.name, c.Name, err)
		}
		args = append(args, v)
	}
	return args, nil
}

func (r *rowsOf[T]) read(rows *sql.Rows, t *record.Trial) error {
	var row T
	if err := rows.Scan(targets(r.fields, &row)...); err != nil {
		return err
	}
	list := r.list(t)
	*list = append(*list, row)
	return nil
}

// insertInto begins an INSERT of a table's rows.
func insertInto(t table) (prefix string, columns int) {
	names := []string{"trial_id"}
	if o, ok := t.(interface{ ordinalColumn() string }); ok && o.ordinalColumn() != "" {
		names = append(names, o.ordinalColumn())
	}
	for _, c := range t.columns() {
		names = append(names, c.Name)
	}
	return "INSERT INTO " + t.title() + " (" + strings.Join(names, ",") + ") VALUES ", len(names)
}

func (r *rowsOf[T]) ordinalColumn() string { return r.ordinal }

func targets(columns []record.Column, row any) []any {
	out := make([]any, len(columns))
	for i, c := range columns {
		out[i] = c.Target(row)
	}
	return out
}

func columnNames(columns []record.Column) string {
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// described is a table of the file and the columns that this program expects in it.
type described struct {
	table   string
	columns []record.Column
}

func expected() []described {
	all := []described{{"trials", record.TrialColumns}, {costTable.title(), costTable.columns()},
		{scoreTable.title(), scoreTable.columns()}}
	for _, t := range detailTables {
		all = append(all, described{t.title(), t.columns()})
	}
	return all
}

// lackingColumns lists the columns, as table.column, that the file's tables lack. A
// column of another type than expected is an error.
func (db *DB) lackingColumns() ([]string, error) {
	var lacking []string
	err := db.eachLacking(func(table string, c record.Column) error {
		lacking = append(lacking, table+"."+c.Name)
		return nil
	})
	return lacking, err
}

// addColumns adds the columns that the file's tables lack: a column of record.Trial
// needs no migration of its own.
func (db *DB) addColumns() error {
	return db.eachLacking(func(table string, c record.Column) error {
		_, err := db.sql.ExecContext(db.ctx, "ALTER TABLE "+table+" ADD COLUMN "+c.Definition())
		return db.explain(err)
	})
}

func (db *DB) eachLacking(f func(table string, c record.Column) error) error {
	for _, d := range expected() {
		types, err := db.columnTypes(d.table)
		if err != nil {
			return err
		}
		for _, c := range d.columns {
			kind, there := types[c.Name]
			switch {
			case !there:
				if err := f(d.table, c); err != nil {
					return err
				}
			case kind != c.Type:
				return fmt.Errorf(
					"database %s: column %s.%s has the type %s, and %s is expected; it was not made by this version of hemostat",
					db.path,
					d.table,
					c.Name,
					kind,
					c.Type,
				)
			}
		}
	}
	return nil
}

// columnTypes are the declared types of a table's columns by name.
func (db *DB) columnTypes(table string) (map[string]string, error) {
	rows, err := db.sql.QueryContext(db.ctx, "SELECT name, type FROM pragma_table_info(?)", table)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	types := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, db.explain(err)
		}
		types[name] = kind
	}
	return types, db.explain(rows.Err())
}

// trialInsert is the statement that records a trial's own row.
var trialInsert = func() string {
	names := slices.Clone(identityColumns)
	for _, c := range record.TrialColumns {
		names = append(names, c.Name)
	}
	return "INSERT OR IGNORE INTO trials (" + strings.Join(names, ",") + ") VALUES (" + marks(len(names)) + ")"
}()
