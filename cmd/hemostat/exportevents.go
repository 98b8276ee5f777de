package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/reports/dataset"
	"hemostat/reports/store"
)

// eventColumns are those of exported events in formats other than NDJSON; the last two stand for
// what caused an event in truth.
var eventColumns = []store.DatasetColumn{
	{Name: "event_id", Kind: store.Unsigned, Doc: "id of the event within the trial"},
	{Name: "time", Kind: store.Integer, Unit: "ns", Doc: "when it happened"},
	{Name: "observed", Kind: store.Integer, Unit: "ns", Doc: "when the sensor delivered it"},
	{Name: "sensor", Kind: store.Text, Doc: "sensor"},
	{Name: "host", Kind: store.Text, Doc: "host"},
	{Name: "category", Kind: store.Text, Doc: "category of the log source, as in Sigma"},
	{Name: "product", Kind: store.Text, Doc: "product of the log source, as in Sigma"},
	{Name: "service", Kind: store.Text, Doc: "service of the log source, as in Sigma"},
	{Name: "fields", Kind: store.JSON, Doc: "fields with their values, as JSON"},
	{Name: "attack", Kind: store.Integer, Doc: "attack that caused it, in truth; 0 for none"},
	{Name: "step", Kind: store.Integer, Doc: "step of the attack, in truth"},
}

const truthColumns = 2

func exportEvents() *cobra.Command {
	var db, output, format string
	var truth bool
	c := &cobra.Command{
		Use: "events TRIAL", Short: "Write a trial's events as sensors delivered them", Args: cobra.ExactArgs(1),
		Long: `Writes the events of a trial that was run with --keep-events, in the order in which
sensors delivered them. As NDJSON, 'hemostat replay' reads them and raises the alerts
that the run raised; in the other formats the fields of an event are a column of JSON.
What was hostile is not in them, unless --truth asks for it.`,
		Example: `  hemostat run ransomware --trials 1 --keep-events
  hemostat export events ransomware/0 -o events.ndjson
  hemostat replay events.ndjson
  hemostat export events ransomware/0 --format parquet -o events.parquet`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format, dataset.Formats...); err != nil {
				return err
			}
			d, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer d.Close()
			trial, err := d.Trial(args[0])
			if err != nil {
				return err
			}
			n := 0
			err = exportTo(c, output, func(w io.Writer) error {
				write, end, err := eventWriter(w, format, truth)
				if err != nil {
					return err
				}
				return errors.Join(d.Events(trial.TrialID, func(e store.KeptEvent) error {
					n++
					return write(e)
				}), end())
			})
			if err == nil && n == 0 {
				return fmt.Errorf("no events of trial %s are in %s: run it with --keep-events", args[0], db)
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&format, "format", "ndjson", strings.Join(dataset.Formats, ", "))
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	f.BoolVar(&truth, "truth", false, "add which attack and step caused each event")
	return c
}

// eventWriter writes events one by one.
func eventWriter(w io.Writer, format string, truth bool) (write func(store.KeptEvent) error, end func() error, err error) {
	if format == "ndjson" {
		return func(e store.KeptEvent) error {
			line := e.JSON
			if truth {
				line = fmt.Sprintf(`%s,"attack":%d,"step":%d}`, strings.TrimSuffix(line, "}"), e.Attack, e.Step)
			}
			_, err := io.WriteString(w, line+"\n")
			return err
		}, func() error { return nil }, nil
	}
	d := &store.Dataset{Name: "events", Doc: "Events as sensors delivered them.", Columns: eventColumns}
	if !truth {
		d.Columns = eventColumns[:len(eventColumns)-truthColumns]
	}
	out, err := dataset.NewWriter(w, format, d)
	if err != nil {
		return nil, nil, err
	}
	return func(e store.KeptEvent) error {
		row, err := eventRow(e)
		if err != nil {
			return err
		}
		return out.Write(row[:len(d.Columns)])
	}, out.Close, nil
}

func eventRow(e store.KeptEvent) ([]any, error) {
	var x struct {
		ID        uint64                                      `json:"id"`
		Time      int64                                       `json:"time_ns"`
		Observed  int64                                       `json:"observed_ns"`
		Sensor    string                                      `json:"sensor"`
		Host      string                                      `json:"host"`
		LogSource struct{ Category, Product, Service string } `json:"logsource"`
		Fields    json.RawMessage                             `json:"fields"`
	}
	if err := json.Unmarshal([]byte(e.JSON), &x); err != nil {
		return nil, fmt.Errorf("a kept event: %w", err)
	}
	return []any{x.ID, x.Time, x.Observed, x.Sensor, x.Host, x.LogSource.Category, x.LogSource.Product, x.LogSource.Service,
		string(x.Fields), int64(e.Attack), int64(e.Step)}, nil
}
