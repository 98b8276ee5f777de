package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hemostat/reports/render"
	"hemostat/reports/store"
	"hemostat/sim/record"
)

func exportCommand() *cobra.Command {
	c := &cobra.Command{Use: "export", Short: "Write trials or events of a database for other programs"}
	c.AddCommand(exportTrials(), exportEvents(), exportDetectors(), exportScores())
	return c
}

// exportTo opens the output: a file, or standard output for "".
func exportTo(c *cobra.Command, file string, write func(io.Writer) error) error {
	if file == "" {
		b := bufio.NewWriterSize(c.OutOrStdout(), 1<<16)
		return errors.Join(write(b), b.Flush())
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	b := bufio.NewWriterSize(f, 1<<16)
	return errors.Join(write(b), b.Flush(), f.Close())
}

func checkFormat(format string, accepted ...string) error {
	if !slices.Contains(accepted, format) {
		return fmt.Errorf("--format: %s is accepted, not %q", strings.Join(accepted, ", "), format)
	}
	return nil
}

// exportDetectors writes what each detector of a variant did.
func exportDetectors() *cobra.Command {
	var db, format, output, variant, run string
	c := &cobra.Command{
		Use: "detectors", Short: "Write what each detector of a variant did, a row each", Args: cobra.NoArgs,
		Long:    "Writes a row a detector: alerts, precision, what it found and found alone, false alarms a day, time to detect, cost; as json with curves and techniques.",
		Example: "  hemostat export detectors --variant all_detectors --format csv -o detectors.csv",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, "csv", "json"); err != nil {
				return err
			}
			result, err := analyseDetectors(c.Context(), db, store.Filter{Variant: variant, Run: run})
			if err != nil {
				return err
			}
			return exportTo(c, output, func(w io.Writer) error {
				if format == "csv" {
					return result.CSV(w)
				}
				text, err := result.JSON()
				return errors.Join(err, writeLine(w, text))
			})
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&format, "format", "csv", "csv or json")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	f.StringVar(&variant, "variant", "default", "whose detectors: `VARIANT`")
	f.StringVar(&run, "run", "", "only trials of this run `ID`")
	return c
}

// exportScores writes the scores of detectors, reported and not.
func exportScores() *cobra.Command {
	var db, output, variant, run string
	c := &cobra.Command{
		Use: "scores", Short: "Write the scores of detectors, reported and not", Args: cobra.NoArgs,
		Long: `Writes the highest score of each entity in each quarter of an hour as CSV. Of what no
attack caused and was not reported one in twenty is kept, with a weight of 20.`,
		Example: "  hemostat export scores --variant all_detectors -o scores.csv",
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer d.Close()
			return exportTo(c, output, func(w io.Writer) error {
				out := csv.NewWriter(w)
				head := []string{"scenario", "variant", "seed", "trial_index", "detector", "question", "entity", "time", "score",
					"reported", "weight", "attack", "step"}
				if err := out.Write(head); err != nil {
					return err
				}
				err := d.Whole(store.Filter{Variant: variant, Run: run}, func(o *store.Outcome) error {
					for i := range o.Scores {
						s := &o.Scores[i]
						err := out.Write([]string{
							render.CSVCell(o.Scenario), render.CSVCell(o.Variant), strconv.FormatUint(o.Seed, 10), strconv.Itoa(o.Index),
							render.CSVCell(s.Detector),
							s.Question, render.CSVCell(s.Entity), strconv.FormatInt(s.Time, 10),
							strconv.FormatFloat(s.Score, 'g', -1, 64),
							strconv.FormatBool(s.Reported), strconv.FormatFloat(s.Weight, 'g', -1, 64), strconv.Itoa(s.Attack),
							strconv.Itoa(s.Step),
						})
						if err != nil {
							return err
						}
					}
					return nil
				})
				out.Flush()
				return errors.Join(err, out.Error())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	f.StringVar(&variant, "variant", "", "only trials of this `VARIANT`")
	f.StringVar(&run, "run", "", "only trials of this run `ID`")
	return c
}

func exportTrials() *cobra.Command {
	var db, format, output, variant, scenario, run string
	c := &cobra.Command{
		Use: "trials", Short: "Write the trials, a row each", Args: cobra.NoArgs,
		Long:    "Writes the trials, a row each. Times are nanoseconds; what never happened is empty in CSV and null in JSON.",
		Example: "  hemostat export trials --format csv -o trials.csv",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, "csv", "ndjson", "json"); err != nil {
				return err
			}
			d, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer d.Close()
			return exportTo(c, output, func(w io.Writer) error {
				rows := newRowWriter(w, format)
				err := d.Trials(
					store.Filter{Variant: variant, Scenario: scenario, Run: run},
					func(t *record.Trial) error {
						return rows.write(t)
					},
				)
				return errors.Join(err, rows.end())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&format, "format", "csv", "csv, ndjson or json")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	f.StringVar(&variant, "variant", "", "only trials of this `VARIANT`")
	f.StringVar(&scenario, "scenario", "", "only trials of this `SCENARIO`")
	f.StringVar(&run, "run", "", "only trials of this run `ID`")
	return c
}

// trialColumns are the names of the columns of an exported trial.
var trialColumns = func() (names []string) {
	for _, c := range record.TrialColumns {
		names = append(names, c.Name)
	}
	return names
}()

// rowWriter writes trials in one of the formats.
type rowWriter struct {
	w      io.Writer
	format string
	csv    *csv.Writer
	n      int
}

func newRowWriter(w io.Writer, format string) *rowWriter {
	r := &rowWriter{w: w, format: format}
	if format == "csv" {
		r.csv = csv.NewWriter(w)
	}
	return r
}

func (r *rowWriter) write(t *record.Trial) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	defer func() { r.n++ }()
	if r.format == "csv" {
		if r.n == 0 {
			if err := r.csv.Write(trialColumns); err != nil {
				return err
			}
		}
		cells := make([]string, len(trialColumns))
		for i, name := range trialColumns {
			if cells[i], err = cell(all[name]); err != nil {
				return err
			}
		}
		return r.csv.Write(cells)
	}
	text := []byte("{")
	for i, name := range trialColumns {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(strconv.AppendQuote(text, name), ':')
		text = append(text, all[name]...)
	}
	text = append(text, '}')
	switch {
	case r.format == "ndjson":
		text = append(text, '\n')
	case r.n == 0:
		text = append([]byte("[\n"), text...)
	default:
		text = append([]byte(",\n"), text...)
	}
	_, err = r.w.Write(text)
	return err
}

// cell is a JSON value as CSV writes it.
func cell(raw json.RawMessage) (string, error) {
	switch s := string(raw); {
	case s == "null":
		return "", nil
	case strings.HasPrefix(s, `"`):
		var text string
		err := json.Unmarshal(raw, &text)
		return render.CSVCell(text), err
	default:
		return s, nil
	}
}

func (r *rowWriter) end() error {
	switch {
	case r.csv != nil:
		r.csv.Flush()
		return r.csv.Error()
	case r.format == "json" && r.n == 0:
		_, err := io.WriteString(r.w, "[]\n")
		return err
	case r.format == "json":
		_, err := io.WriteString(r.w, "\n]\n")
		return err
	}
	return nil
}

func exportEvents() *cobra.Command {
	var db, output string
	var truth bool
	c := &cobra.Command{
		Use: "events TRIAL", Short: "Write a trial's events as sensors delivered them", Args: cobra.ExactArgs(1),
		Long: `Writes the events of a trial that was run with --keep-events, one a line, in the
order in which sensors delivered them. 'hemostat replay' reads them and raises the
alerts that the run raised. What was hostile is not in them, unless --truth asks
for it.`,
		Example: "  hemostat run ransomware --trials 1 --keep-events\n  hemostat export events ransomware/0 -o events.ndjson\n  hemostat replay events.ndjson",
		RunE: func(c *cobra.Command, args []string) error {
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
				return d.Events(trial.TrialID, func(e store.KeptEvent) error {
					n++
					line := e.JSON
					if truth {
						line = fmt.Sprintf(`%s,"attack":%d,"step":%d}`, strings.TrimSuffix(line, "}"), e.Attack, e.Step)
					}
					_, err := io.WriteString(w, line+"\n")
					return err
				})
			})
			if err == nil && n == 0 {
				return fmt.Errorf("no events of trial %s are in %s: run it with --keep-events", args[0], db)
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	f.BoolVar(&truth, "truth", false, "add which attack and step caused each event")
	return c
}
