package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	_ "github.com/mattn/go-sqlite3" // writes the telemetry of tasks
	"github.com/spf13/cobra"

	"hemostat/reports/hunt"
	"hemostat/reports/stats"
	"hemostat/reports/store"
	"hemostat/scenarios/signatures"
	"hemostat/sim/boundedfile"
	"hemostat/sim/record"
)

func huntCommand() *cobra.Command {
	c := &cobra.Command{Use: "hunt", Short: "Make a hunting task of recorded trials, and score what hunters find"}
	c.AddCommand(huntExport(), huntScore())
	return c
}

// The parts of a task.
const (
	taskFolder = "task"        // what hunters get
	ledgerFile = "ledger.json" // what they do not
	sqliteTask = "telemetry.db"
)

type huntOptions struct {
	filter store.Filter
	output string
	format string
	most   int
}

func huntExport() *cobra.Command {
	var o huntOptions
	c := &cobra.Command{
		Use: "export DB -o FOLDER", Short: "Write the telemetry of trials as a hunting task", Args: cobra.ExactArgs(1),
		Long: `Writes what sensors delivered in each trial that was run with --keep-events, without any
truth, into FOLDER/task, with the questions and a form for the answers; and the truth into
FOLDER/ledger.json, which hunters do not get. Days have neutral names, and events are
numbered anew in the order of their delivery. As sqlite there is one database for SQL, as
parquet or ndjson a file a day.`,
		Example: `  hemostat run ransomware quiet-day --trials 3 --keep-events --db day.db
  hemostat hunt export day.db -o hunt
  hemostat hunt score hunt answers.csv`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(o.format, "sqlite", "parquet", "ndjson"); err != nil {
				return err
			}
			if o.most < 1 {
				return fmt.Errorf("--days: 1 or more is accepted, not %d", o.most)
			}
			if _, err := os.Stat(filepath.Join(o.output, ledgerFile)); err == nil {
				return fmt.Errorf("%s holds a task already; name another folder, or remove it", o.output)
			}
			return o.export(c, args[0])
		},
	}
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "hunt", "write into `FOLDER`, which is made")
	f.StringVar(&o.format, "format", "sqlite", "sqlite, parquet, ndjson")
	f.StringVar(&o.filter.Scenario, "scenario", "", "trials of this scenario only")
	f.StringVar(&o.filter.Variant, "variant", "", "trials of this variant only")
	f.IntVar(&o.most, "days", 100, "so many trials at most")
	return c
}

func (o *huntOptions) export(c *cobra.Command, file string) error {
	db, err := store.Open(c.Context(), file)
	if err != nil {
		return err
	}
	defer db.Close()
	days, err := daysOf(db, o.filter)
	if err == nil && len(days) == 0 {
		err = errors.New("there are no such trials in it")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	days = days[:min(len(days), o.most)]
	task := filepath.Join(o.output, taskFolder)
	if err := os.MkdirAll(task, 0o755); err != nil {
		return err
	}
	out, err := newTaskWriter(c.Context(), task, o.format)
	if err != nil {
		return err
	}
	bar := startBar(c.ErrOrStderr(), "days", len(days))
	ledger := &hunt.Ledger{Version: hunt.Version}
	for i, d := range days {
		day := hunt.NewDay(fmt.Sprintf("day-%03d", i+1), d.Trial)
		if err == nil {
			err = writeDay(c.Context(), out, d, day)
		}
		ledger.Days = append(ledger.Days, *day)
		bar.step()
	}
	err = errors.Join(err, out.close())
	bar.stop(err == nil)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	events := 0
	for _, d := range ledger.Days {
		events += d.Events
	}
	text, err := json.MarshalIndent(ledger, "", " ")
	if err != nil {
		return exit{exitInternal, err}
	}
	for name, content := range map[string][]byte{
		filepath.Join(o.output, ledgerFile): append(text, '\n'),
		filepath.Join(task, "README.md"):    []byte(taskText(o.format, ledger)),
		filepath.Join(task, "answers.csv"):  []byte("day,event_id,technique,minutes\n"),
	} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.OutOrStdout(), "%s with %d events in %s; keep %s from whoever hunts\n", plural(len(days), "day", "days"), events,
		safe(task), safe(filepath.Join(o.output, ledgerFile)))
	return nil
}

func writeDay(ctx context.Context, out taskWriter, d *signatures.Day, day *hunt.Day) error {
	write, end, err := out.day(day.Day)
	if err != nil {
		return err
	}
	err = d.Events(func(x *record.StoredEvent) error {
		own := *x.Event
		own.ID = uint64(day.Add(x.Attack, x.Step))
		return errors.Join(write(store.KeptEvent{JSON: string(own.AppendJSON(nil))}), ctx.Err())
	})
	return errors.Join(err, end())
}

// taskWriter writes the telemetry of a task.
type taskWriter interface {
	// day begins a day.
	day(name string) (write func(store.KeptEvent) error, end func() error, err error)
	close() error
}

func newTaskWriter(ctx context.Context, dir, format string) (taskWriter, error) {
	if format != "sqlite" {
		return &taskFiles{dir, format}, nil
	}
	name := filepath.Join(dir, sqliteTask)
	db, err := sql.Open("sqlite3", "file:"+name+"?_journal_mode=OFF&_synchronous=OFF")
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, `CREATE TABLE events (day TEXT NOT NULL, event_id INTEGER NOT NULL,
 time INTEGER NOT NULL, observed INTEGER NOT NULL, sensor TEXT, host TEXT, category TEXT, product TEXT, service TEXT, fields TEXT, PRIMARY KEY (day, event_id)) WITHOUT ROWID`)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), db.Close())
	}
	return &taskDatabase{ctx, db}, nil
}

// taskFiles writes a file a day.
type taskFiles struct{ dir, format string }

func (t *taskFiles) day(name string) (func(store.KeptEvent) error, func() error, error) {
	f, err := os.Create(filepath.Join(t.dir, name+"."+t.format))
	if err != nil {
		return nil, nil, err
	}
	b := bufio.NewWriterSize(f, 1<<16)
	write, end, err := eventWriter(b, t.format, false)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return write, func() error { return errors.Join(end(), b.Flush(), f.Close()) }, nil
}

func (t *taskFiles) close() error { return nil }

// taskDatabase writes all days into a database.
type taskDatabase struct {
	ctx context.Context
	db  *sql.DB
}

func (t *taskDatabase) day(name string) (func(store.KeptEvent) error, func() error, error) {
	tx, err := t.db.BeginTx(t.ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	insert, err := tx.Prepare("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?)")
	if err != nil {
		return nil, nil, errors.Join(err, tx.Rollback())
	}
	return func(e store.KeptEvent) error {
		row, err := eventRow(e)
		if err != nil {
			return err
		}
		args := []any{name}
		for _, v := range row[:len(eventColumns)-truthColumns] {
			if id, ok := v.(uint64); ok {
				v = int64(id)
			}
			args = append(args, v)
		}
		_, err = insert.Exec(args...)
		return err
	}, tx.Commit, nil
}

func (t *taskDatabase) close() error {
	_, err := t.db.ExecContext(t.ctx, "CREATE INDEX events_by_host ON events (host, day, time)")
	return errors.Join(err, t.db.Close())
}

// taskText is what hunters read first.
func taskText(format string, l *hunt.Ledger) string {
	var b strings.Builder
	b.WriteString(`# A hunting task

An enterprise was watched by its sensors on the days below. On some of them somebody who had no
business there was at work, on some perhaps nobody. What did they do?

`)
	switch format {
	case "sqlite":
		b.WriteString("`" + sqliteTask + "` is an SQLite database with the table `events`:\n\n")
	default:
		b.WriteString("Each day is a file, `DAY." + format + "`, of events in the order in which sensors delivered them:\n\n")
	}
	b.WriteString("| column | meaning |\n|---|---|\n")
	if format == "sqlite" {
		b.WriteString("| day | name of the day |\n")
	}
	for _, c := range eventColumns[:len(eventColumns)-truthColumns] {
		unit := ""
		if c.Unit != "" {
			unit = fmt.Sprintf(" (%s)", c.Unit)
		}
		name := c.Name
		if format == "ndjson" {
			name = map[string]string{"event_id": "id", "time": "time_ns", "observed": "observed_ns", "category": "logsource.category",
				"product": "logsource.product", "service": "logsource.service"}[name]
			if name == "" {
				name = c.Name
			}
		}
		fmt.Fprintf(&b, "| %s | %s%s |\n", name, c.Doc, unit)
	}
	b.WriteString(`
The fields have the names of Sysmon and the Windows security log, of Zeek, auditd, sshd, web servers
and cloud services, as Sigma rules use them. Times count from the beginning of the day.

## Questions

1. Which events are the intruders'? One event of each thing they did is enough.
2. By which technique of ATT&CK, if you can tell?

Write the answers into a table as ` + "`answers.csv`" + ` has it: day, event_id, and at will technique (such
as T1021.002) and minutes (since you began). What you flag wrongly counts against you.

## Days

| day | events | hours |
|---|---|---|
`)
	for _, d := range l.Days {
		fmt.Fprintf(&b, "| %s | %d | %.1f |\n", d.Day, d.Events, float64(d.Horizon)/3600e9)
	}
	return b.String()
}

func huntScore() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "score FOLDER ANSWERS.csv", Short: "Score the events that a hunter flagged against the ledger", Args: cobra.ExactArgs(2),
		Long: `Holds a table of flagged events (columns day and event_id, at will technique and minutes)
against FOLDER/ledger.json: recall by step and tactic, also of the steps that the recorded
defence raised no alert about, precision, techniques named rightly, and how soon. A step
counts as found when one of its events is flagged. Intervals are Wilson's.`,
		Example: "  hemostat hunt score hunt answers.csv",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := scoreHunt(args[0], args[1])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), s)
			}
			printHunt(c.OutOrStdout(), s)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func scoreHunt(folder, answers string) (*hunt.Score, error) {
	name := filepath.Join(folder, ledgerFile)
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w; hemostat hunt export writes it", err)
	}
	var l hunt.Ledger
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if l.Version != hunt.Version {
		return nil, fmt.Errorf("%s is of version %d of its form, and this program reads version %d", name, l.Version, hunt.Version)
	}
	data, err := boundedfile.Read(answers)
	if err != nil {
		return nil, err
	}
	flags, err := hunt.ReadFlags(answers, strings.NewReader(string(data)))
	if err != nil {
		return nil, err
	}
	s, err := l.Grade(flags)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", answers, err)
	}
	return s, nil
}

func printHunt(out io.Writer, s *hunt.Score) {
	t := newTable(out, "tactic", "steps", "found", "recall")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, WidthMax: 40}})
	share := func(i stats.Interval) string {
		return fmt.Sprintf("%.0f %% [%.0f, %.0f]", 100*i.Value, 100*i.Lo, 100*i.Hi)
	}
	for _, x := range s.Tactics {
		t.AppendRow(table.Row{x.Tactic, x.Steps, x.Found, share(x.Recall)})
	}
	t.AppendRow(table.Row{"all", s.Steps, s.Found, share(s.Recall)})
	t.Render()
	write := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	if s.Flags > 0 {
		write("precision: %d of %s are the intruders' (%s), %.1f false ones a day", s.True, plural(s.Flags, "flag", "flags"),
			share(s.Precision), s.FalsePerDay)
	}
	write("of %d steps that the recorded defence raised no alert about, %d are found", s.Undetected, s.FoundMissed)
	write("attacks: %d of %d have a step that is found", s.AttacksFound, s.Attacks)
	if s.Named > 0 {
		write("techniques: %d of %d that are named are right", s.Right, s.Named)
	}
	if s.FirstMinutes != nil {
		write("the first after %.1f minutes, half of what is found after %.1f", *s.FirstMinutes, *s.HalfMinutes)
	}
}
