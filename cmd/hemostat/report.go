package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hemostat/attackers/technique"
	"hemostat/reports/compare"
	"hemostat/reports/overview"
	"hemostat/reports/store"
)

type reportOptions struct {
	output, navigator, baseline, run string
}

func reportCommand() *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "report [DB]",
		Short: "Write one page about all trials of a database",
		Long: `Writes a page of HTML that needs nothing else: what came of the trials by scenario
and variant, how soon attacks were detected, answered and contained, which techniques
were seen, how long the stages took, and each variant held against the baseline, with the
figures behind each picture. --navigator also writes layers of ATT&CK Navigator.`,
		Example: `  hemostat report hemostat.db -o report.html
  hemostat report hemostat.db -o report.html --navigator seen`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			db := "hemostat.db"
			if len(args) == 1 {
				db = args[0]
			}
			return o.write(c, db)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write to `FILE` in place of standard output")
	f.StringVar(&o.navigator, "navigator", "", "write the layer of each variant to `PREFIX`-VARIANT.json")
	f.StringVar(&o.baseline, "baseline", "", "`VARIANT` that the others are held against; default where there is one")
	f.StringVar(&o.run, "run", "", "only trials of this run `ID`")
	return c
}

// mostReported is how many trials techniques and stages are told from, so that a large database
// is reported within seconds.
const mostReported = 20_000

func (o *reportOptions) write(c *cobra.Command, file string) error {
	all, page, err := o.gather(c.Context(), file)
	if err != nil {
		return err
	}
	if page.Comparisons, page.Warnings, err = o.comparisons(c.Context(), file, all.Variants(), page.Warnings); err != nil {
		return err
	}
	if err := o.layers(c, all); err != nil {
		return err
	}
	return exportTo(c, o.output, func(w io.Writer) error { return all.HTML(w, page) })
}

// gather reads what a page about a database says, without comparisons.
func (o *reportOptions) gather(ctx context.Context, file string) (*overview.Overview, overview.Page, error) {
	page := overview.Page{Title: "Trials of " + file, Known: techniqueNames()}
	db, err := store.Open(ctx, file)
	if err != nil {
		return nil, page, err
	}
	defer db.Close()
	filter := store.Filter{Run: o.run}
	all := overview.New()
	trials := 0
	if err := db.Outcomes(filter, func(x *store.Outcome) error {
		trials++
		all.Add(&x.Trial)
		return nil
	}); err != nil {
		return nil, page, err
	}
	if trials == 0 {
		return nil, page, fmt.Errorf("%s holds no trials to report; hemostat run makes some", file)
	}
	every := 1 + trials/mostReported
	page.Summary = fmt.Sprintf("%s of %s, written %s.", plural(trials, "trial", "trials"),
		plural(len(all.Variants()), "variant", "variants"), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	if every > 1 {
		page.Warnings = append(page.Warnings,
			fmt.Sprintf("techniques and stages are told from every %d. index, since there are so many trials", every))
	}
	for _, v := range all.Variants() {
		f := filter
		f.Variant = v
		if err := errors.Join(
			db.TechniqueTallies(f, every, func(t store.Tally) {
				if t.All > 0 {
					all.AddTechnique(v, t.Name, t.Hits > 0)
				}
			}),
			db.StageTimes(f, every, func(stage string, took time.Duration) { all.AddStage(v, stage, took) }),
		); err != nil {
			return nil, page, err
		}
	}
	return all, page, nil
}

// comparisons hold each variant against the baseline. Variants that share no days with it are
// a warning.
func (o *reportOptions) comparisons(ctx context.Context, file string, variants, warnings []string) (
	list []overview.Comparison, _ []string, err error,
) {
	baseline := o.baseline
	if baseline != "" && !slices.Contains(variants, baseline) {
		return nil, nil, fmt.Errorf("--baseline: there are no trials of the variant %q; there are: %s",
			baseline, strings.Join(variants, ", "))
	}
	if baseline == "" { // a variant with settings is called NAME[PATH=VALUE]
		at := slices.IndexFunc(variants, func(v string) bool { return v == "default" || strings.HasPrefix(v, "default[") })
		baseline = variants[max(0, at)]
	}
	for _, v := range variants {
		if v == baseline {
			continue
		}
		result, err := compareDatabases(ctx, side{file, store.Filter{Variant: baseline, Run: o.run}},
			side{file, store.Filter{Variant: v, Run: o.run}}, compare.Options{})
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s is not held against %s: %s", v, baseline, err))
			continue
		}
		body, err := result.Section()
		if err != nil {
			return nil, nil, err
		}
		list = append(list, overview.Comparison{Title: v + " against " + baseline, Body: body})
	}
	return list, warnings, nil
}

// unusual are characters of a variant's name that are none for a file's.
var unusual = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// layers writes the layers of ATT&CK Navigator.
func (o *reportOptions) layers(c *cobra.Command, all *overview.Overview) error {
	if o.navigator == "" {
		return nil
	}
	for _, v := range all.Variants() {
		data, err := all.Navigator(v)
		if err != nil {
			return err
		}
		if err := exportTo(c, o.navigator+"-"+unusual.ReplaceAllString(v, "_")+".json", func(w io.Writer) error {
			_, err := w.Write(append(data, '\n'))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// exportNavigator writes the layer of one variant.
func exportNavigator() *cobra.Command {
	var db, output, variant string
	var o reportOptions
	c := &cobra.Command{
		Use: "navigator", Short: "Write which techniques a variant saw as a layer of ATT&CK Navigator", Args: cobra.NoArgs,
		Example: "  hemostat export navigator --variant default -o layer.json",
		RunE: func(c *cobra.Command, _ []string) error {
			all, _, err := o.gather(c.Context(), db)
			if err != nil {
				return err
			}
			known := all.Variants()
			if variant == "" && len(known) == 1 {
				variant = known[0]
			}
			if !slices.Contains(known, variant) {
				return fmt.Errorf("--variant: there are no trials of the variant %q in %s; there are: %s", variant, db,
					strings.Join(known, ", "))
			}
			data, err := all.Navigator(variant)
			if err != nil {
				return err
			}
			return exportTo(c, output, func(w io.Writer) error { return writeLine(w, data) })
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	f.StringVar(&variant, "variant", "", "`VARIANT`; needed where there are several")
	f.StringVar(&o.run, "run", "", "only trials of this run `ID`")
	return c
}

// techniqueNames are the names and tactics of the techniques that attackers have.
func techniqueNames() overview.Known {
	known := overview.Known{}
	for _, t := range technique.All() {
		known[t.ID] = struct{ Name, Tactic string }{t.Name, t.Tactic}
	}
	return known
}
