package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hemostat/reports/dataset"
	"hemostat/reports/store"
)

func exportCommand() *cobra.Command {
	c := &cobra.Command{Use: "export", Short: "Write tables of a database for programs that analyse"}
	c.AddCommand(exportEvents(), exportDetectors(), exportAll(), exportSchema(), exportNavigator(), exportSTIX())
	for _, d := range store.Datasets() {
		c.AddCommand(exportTable(&d))
	}
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
	return checkChoice("--format", format, accepted...)
}

// checkChoice refuses a value of a flag that is none of those accepted.
func checkChoice(flag, value string, accepted ...string) error {
	if !slices.Contains(accepted, value) {
		return fmt.Errorf("%s: %s is accepted, not %q", flag, strings.Join(accepted, ", "), value)
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

// exportTable writes a table of the database.
func exportTable(d *store.Dataset) *cobra.Command {
	var db, format, output string
	var filter store.Filter
	c := &cobra.Command{
		Use: d.Name, Short: "Write the table " + d.Name + ": " + lowerFirst(d.Doc), Args: cobra.NoArgs,
		Long: d.Doc + ` Times are nanoseconds; what never happened is empty in CSV and null elsewhere.
'hemostat export schema' tells what the columns mean and what they are counted in;
Parquet and Arrow files say it themselves.`,
		Example: "  hemostat export " + d.Name + " --format parquet -o " + d.Name + ".parquet",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, dataset.Formats...); err != nil {
				return err
			}
			x, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer x.Close()
			return exportTo(c, output, func(w io.Writer) error { return writeDataset(w, x, d, format, filter) })
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&format, "format", "csv", strings.Join(dataset.Formats, ", "))
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	filterFlags(f, &filter)
	return c
}

func filterFlags(f *pflag.FlagSet, filter *store.Filter) {
	f.StringVar(&filter.Variant, "variant", "", "only trials of this `VARIANT`")
	f.StringVar(&filter.Scenario, "scenario", "", "only trials of this `SCENARIO`")
	f.StringVar(&filter.Run, "run", "", "only trials of this run `ID`")
}

func lowerFirst(text string) string {
	return strings.ToLower(text[:1]) + strings.TrimSuffix(text[1:], ".")
}

func writeDataset(w io.Writer, db *store.DB, d *store.Dataset, format string, filter store.Filter) error {
	out, err := dataset.NewWriter(w, format, d)
	if err != nil {
		return err
	}
	return errors.Join(db.Rows(d, filter, out.Write), out.Close())
}

// exportAll writes every table into a folder.
func exportAll() *cobra.Command {
	var db, format, output string
	var filter store.Filter
	c := &cobra.Command{
		Use: "all -o DIR", Short: "Write every table into a folder, a file each", Args: cobra.NoArgs,
		Example: "  hemostat export all --format parquet -o tables",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format, dataset.Formats...); err != nil {
				return err
			}
			x, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer x.Close()
			if err := os.MkdirAll(output, 0o755); err != nil {
				return fmt.Errorf("-o: %w", err)
			}
			for _, d := range store.Datasets() {
				err := exportTo(c, filepath.Join(output, d.Name+"."+format), func(w io.Writer) error {
					return writeDataset(w, x, &d, format, filter)
				})
				if err != nil {
					return fmt.Errorf("%s: %w", d.Name, err)
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&format, "format", "parquet", strings.Join(dataset.Formats, ", "))
	f.StringVarP(&output, "output", "o", "", "write to `DIR`, which is made where it is missing")
	filterFlags(f, &filter)
	_ = c.MarkFlagRequired("output")
	return c
}

// exportSchema tells what the columns of tables mean.
func exportSchema() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "schema [TABLE…]", Short: "Tell what the columns of tables mean and what they are counted in",
		Example: "  hemostat export schema trials\n  hemostat export schema --json",
		RunE: func(c *cobra.Command, args []string) error {
			list := store.Datasets()
			if len(args) > 0 {
				list = nil
				for _, name := range args {
					d, err := dataset.Find(name)
					if err != nil {
						return err
					}
					list = append(list, *d)
				}
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), schemasOf(list))
			}
			t := newTable(c.OutOrStdout(), "table", "column", "type", "unit", "meaning")
			for _, d := range list {
				for _, x := range d.Columns {
					t.AppendRow(table.Row{d.Name, x.Name, x.Kind.String(), string(x.Unit), x.Doc})
				}
			}
			t.Render()
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

type columnSchema struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
	Unit     string `json:"unit,omitempty"`
	Doc      string `json:"doc"`
}

type tableSchema struct {
	Table   string         `json:"table"`
	Doc     string         `json:"doc"`
	Columns []columnSchema `json:"columns"`
}

func schemasOf(list []store.Dataset) []tableSchema {
	out := make([]tableSchema, len(list))
	for i, d := range list {
		out[i] = tableSchema{Table: d.Name, Doc: d.Doc}
		for _, x := range d.Columns {
			out[i].Columns = append(out[i].Columns, columnSchema{x.Name, x.Kind.String(), x.Nullable, string(x.Unit), x.Doc})
		}
	}
	return out
}
