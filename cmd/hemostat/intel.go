package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/source"
	"hemostat/sim/boundedfile"
)

func intelCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "intel",
		Short: "Indicators of compromise: read, ask, write",
		Long: `Indicators of compromise from files: bundles of STIX 2, events of MISP, CSV, lists of
values, and hemostat's NDJSON; plain or compressed by gzip, one by one or by folders. They
are brought into one normal form (defanged values, capitals, punycode); what can never be
one, such as an address of a private range, is passed over and counted. A variant names
such files under intel.`,
	}
	c.AddCommand(intelImport(), intelList(), intelLookup(), intelExport())
	return c
}

// intelFlags say how files of indicators are read.
type intelFlags struct {
	format, source string
	confidence     float64
	allowed        []string
}

func (o *intelFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.format, "format", "auto", "auto, stix, misp, csv, list or ndjson")
	f.StringVar(&o.source, "source", "", "source of indicators that name none; the file's name when absent")
	f.Float64Var(&o.confidence, "confidence", 0.5, "confidence of indicators that state none, 0 to 1")
	f.StringArrayVar(&o.allowed, "allow", nil,
		"`VALUE` that is never taken, such as a domain of your own; may be repeated")
}

// read reads files; what was passed over is told on errOut. Files that could not be read to
// their end are the error, after what was read of them.
func (o *intelFlags) read(files []string, errOut io.Writer, f func(*indicator.IOC) error) error {
	format, err := source.ParseFormat(o.format)
	if err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	if !(o.confidence > 0 && o.confidence <= 1) {
		return fmt.Errorf("--confidence: a share above 0 and up to 1 is expected, not %g", o.confidence)
	}
	reports, err := source.Files(files,
		source.Options{Format: format, Source: o.source, Confidence: o.confidence, Allowed: o.allowed}, f)
	for _, r := range reports {
		for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
			fmt.Fprintf(errOut, "%s: passed over %d: %s, the first is %s\n", safe(r.File), r.Skipped[why], safe(why),
				safe(r.Examples[why]))
		}
	}
	return err
}

func intelImport() *cobra.Command {
	var o intelFlags
	var output, actors string
	c := &cobra.Command{
		Use: "import FILE...", Short: "Read indicators and write them as NDJSON, each once", Args: cobra.MinimumNArgs(1),
		Long: `Reads indicators and writes them as NDJSON, each once. With --actors it writes the threat
actors of STIX bundles, such as the groups of ATT&CK, with the techniques that they use,
themselves and through software and campaigns, and the indicators that are said to
indicate them; indicators are written too where -o names a file. A variant names the
file of actors under fusion.attribution.actors.`,
		Example: `  hemostat intel import bundle.json misp-feed/ -o intel.ndjson
  hemostat intel import enterprise-attack.json --actors groups.json
  hemostat intel import bad-domains.txt --source our-list --confidence 0.7 -o intel.ndjson`,
		RunE: func(c *cobra.Command, args []string) error {
			if actors != "" {
				if err := writeActors(c, args, actors); err != nil || output == "" {
					return err
				}
			}
			set := indicator.NewSet(0)
			var readErr error
			err := exportTo(c, output, func(to io.Writer) error {
				w, err := source.NewWriter(to, source.NDJSON, time.Now())
				if err != nil {
					return err
				}
				readErr = o.read(args, c.ErrOrStderr(), func(i *indicator.IOC) error {
					before := set.Replaced
					if err := set.Add(i); err != nil || set.Replaced > before {
						return err
					}
					return w.Write(i)
				})
				return w.Close()
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s, %s\n", plural(set.Len(), "indicator", "indicators"),
				plural(set.Replaced, "repetition", "repetitions"))
			return readErr
		},
	}
	o.flags(c)
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`; to standard output when absent")
	c.Flags().StringVar(&actors, "actors", "", "write the threat actors of the bundles to `FILE`")
	return c
}

// writeActors writes the threat actors of files as a list in JSON.
func writeActors(c *cobra.Command, files []string, output string) error {
	all := []attribution.ThreatActor{}
	taken := map[string]bool{}
	for _, file := range files {
		data, err := boundedfile.ReadLarge(file)
		if err != nil {
			return fmt.Errorf("--actors: %w", err)
		}
		list, err := source.ActorsOf(data)
		if err != nil {
			return fmt.Errorf("--actors: %s: %w", file, err)
		}
		for _, a := range list {
			if !taken[a.ID] {
				taken[a.ID] = true
				all = append(all, a)
			}
		}
	}
	if err := exportTo(c, output, indented(all)); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s into %s\n", plural(len(all), "threat actor", "threat actors"), safe(output))
	return nil
}

// intelGroup sums up the indicators of one source and kind.
type intelGroup struct {
	Source     string         `json:"source"`
	Kind       indicator.Kind `json:"ioc_type"`
	Count      int            `json:"count"`
	Confidence float64        `json:"mean_confidence"`
	Newest     *time.Time     `json:"newest"`
}

func intelList() *cobra.Command {
	var o intelFlags
	var asJSON bool
	c := &cobra.Command{
		Use: "list FILE...", Short: "Count indicators by source and kind", Args: cobra.MinimumNArgs(1),
		Example: "  hemostat intel list intel.ndjson",
		RunE: func(c *cobra.Command, args []string) error {
			groups := map[[2]string]*intelGroup{}
			err := o.read(args, c.ErrOrStderr(), func(i *indicator.IOC) error {
				key := [2]string{i.Source, string(i.Type)}
				g := groups[key]
				if g == nil {
					g = &intelGroup{Source: i.Source, Kind: i.Type}
					groups[key] = g
				}
				g.Count++
				g.Confidence += i.Confidence
				if last := i.LastSeen; !last.IsZero() && (g.Newest == nil || last.After(*g.Newest)) {
					g.Newest = &last
				}
				return nil
			})
			all := []*intelGroup{}
			for _, g := range groups {
				g.Confidence /= float64(g.Count)
				all = append(all, g)
			}
			slices.SortFunc(all, func(a, b *intelGroup) int {
				return strings.Compare(a.Source+"\x00"+string(a.Kind), b.Source+"\x00"+string(b.Kind))
			})
			if asJSON {
				return errors.Join(printJSON(c.OutOrStdout(), all), err)
			}
			t := newTable(c.OutOrStdout(), "source", "kind", "indicators", "mean confidence", "newest")
			for _, g := range all {
				newest := ""
				if g.Newest != nil {
					newest = g.Newest.Format(time.DateOnly)
				}
				t.AppendRow(table.Row{safe(g.Source), g.Kind, g.Count, two(g.Confidence), newest})
			}
			t.Render()
			return err
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// foundIndicator is an answer to a question.
type foundIndicator struct {
	Asked string `json:"asked"`
	indicator.IOC
	// Now is what is left of the confidence at its age.
	Now float64 `json:"confidence_now"`
}

// MarshalJSON writes the answer as one object.
func (f foundIndicator) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Asked     string        `json:"asked"`
		Indicator indicator.IOC `json:"indicator"`
		Now       float64       `json:"confidence_now"`
	}{f.Asked, f.IOC, f.Now})
}

func intelLookup() *cobra.Command {
	var o intelFlags
	var files []string
	var asJSON bool
	c := &cobra.Command{
		Use: "lookup VALUE...", Short: "Tell what is known of values", Args: cobra.MinimumNArgs(1),
		Long: `Looks values up in files of indicators: an address also in the networks that hold it, a
name also below the domains that hold it, a URL and a mail address by their host too.
The exit code is 1 when a value is not known.`,
		Example: "  hemostat intel lookup 203.0.113.7 www.evil.example --intel intel.ndjson",
		RunE: func(c *cobra.Command, args []string) error {
			if len(files) == 0 {
				return errors.New("--intel FILE: the indicators are missing")
			}
			set := indicator.NewSet(0)
			if err := o.read(files, c.ErrOrStderr(), set.Add); err != nil {
				return err
			}
			found, unknown := []foundIndicator{}, 0
			now := time.Now()
			for _, asked := range args {
				kind, value, err := indicator.Guess(asked)
				if err != nil {
					return fmt.Errorf("%q: %w", asked, err)
				}
				entries := set.Lookup(kind, value)
				if len(entries) == 0 {
					unknown++
				}
				for _, e := range entries {
					found = append(found, foundIndicator{asked, indicator.IOC{
						Value: e.Value, Type: e.Kind, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, Source: e.Source, Confidence: e.Confidence, Tags: e.Tags,
					}, indicator.Decayed(e.Kind, e.Confidence, e.LastSeen, now)})
				}
			}
			var err error
			if asJSON {
				err = printJSON(c.OutOrStdout(), found)
			} else {
				t := newTable(c.OutOrStdout(), "asked", "kind", "value", "source", "confidence", "now", "last seen",
					"tags")
				for _, f := range found {
					t.AppendRow(table.Row{safe(f.Asked), f.Type, safe(f.Value), safe(f.Source), two(f.Confidence),
						two(f.Now), dateOf(f.LastSeen), safe(strings.Join(f.Tags, " "))})
				}
				t.Render()
			}
			if err == nil && unknown > 0 {
				return exit{exitFaults, fmt.Errorf("%s not known", plural(unknown, "value is", "values are"))}
			}
			return err
		},
	}
	o.flags(c)
	c.Flags().StringArrayVar(&files, "intel", nil, "`FILE` or folder of indicators; may be repeated")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func intelExport() *cobra.Command {
	var o intelFlags
	var to, output string
	c := &cobra.Command{
		Use: "export FILE...", Short: "Write indicators in another format", Args: cobra.MinimumNArgs(1),
		Example: "  hemostat intel export intel.ndjson --to stix -o bundle.json",
		RunE: func(c *cobra.Command, args []string) error {
			var readErr error
			left := 0
			err := exportTo(c, output, func(out io.Writer) error {
				w, err := source.NewWriter(out, source.Format(to), time.Now())
				if err != nil {
					return fmt.Errorf("--to: %w", err)
				}
				readErr = o.read(args, c.ErrOrStderr(), w.Write)
				left = w.Left
				return w.Close()
			})
			if left > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "%s left out: %s has no form for them\n",
					plural(left, "indicator is", "indicators are"), to)
			}
			return errors.Join(err, readErr)
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&to, "to", "stix", "stix, csv, list or ndjson")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`; to standard output when absent")
	return c
}
