package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/defenders/sentinel/analyst/cassette"
	"hemostat/reports/stats"
)

func cassetteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cassette",
		Short: "Look after the recorded answers of a model analyst",
		Long: `A cassette is a file with the answers of a model to the questions of trials, as
--analyst record made it. With --analyst replay trials meet the same answers after the
same times, and nothing is asked. An answer is found by the content of its question:
the model, the version of the prompts, and every word.`,
	}
	c.AddCommand(cassetteList(), cassetteExport(), cassettePrune())
	return c
}

// cassetteArg is the cassette that a command is about.
func cassetteArg(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return "analyst.cassette"
}

// cassetteGroup sums up the answers of one model to one version of the prompts.
type cassetteGroup struct {
	Model   string  `json:"model"`
	Prompt  string  `json:"prompt"`
	Answers int     `json:"answers"`
	Failed  int     `json:"failed"`
	Damaged int     `json:"damaged"`
	Input   int     `json:"tokens_input"`
	Output  int     `json:"tokens_output"`
	Median  float64 `json:"latency_median_ns"`
	P95     float64 `json:"latency_p95_ns"`
	Newest  string  `json:"newest"`

	latencies []float64
}

func cassetteList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list [FILE]", Short: "Sum up the answers by model and version of the prompts", Args: cobra.MaximumNArgs(1),
		Example: "  hemostat cassette list analyst.cassette",
		RunE: func(c *cobra.Command, args []string) (err error) {
			tape, err := cassette.Open(c.Context(), cassetteArg(args))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, tape.Close()) }()
			groups := []*cassetteGroup{}
			err = tape.Each(c.Context(), func(e cassette.Entry, damaged error) error {
				at := slices.IndexFunc(groups,
					func(g *cassetteGroup) bool { return g.Model == e.Model && g.Prompt == e.Prompt })
				if at < 0 {
					groups = append(groups, &cassetteGroup{Model: e.Model, Prompt: e.Prompt})
					at = len(groups) - 1
				}
				groups[at].add(&e, damaged)
				return nil
			})
			if err != nil {
				return err
			}
			for _, g := range groups {
				slices.Sort(g.latencies)
				g.Median, g.P95 = stats.Quantile(g.latencies, 0.5), stats.Quantile(g.latencies, 0.95)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), groups)
			}
			t := newTable(c.OutOrStdout(), "model", "prompts", "answers", "failed", "damaged", "tokens asked",
				"answered", "median time", "95 %", "newest")
			for _, g := range groups {
				t.AppendRow(table.Row{safe(g.Model), safe(g.Prompt), g.Answers, g.Failed, g.Damaged, g.Input, g.Output,
					clock(time.Duration(g.Median)), clock(time.Duration(g.P95)), safe(g.Newest)})
			}
			t.Render()
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (g *cassetteGroup) add(e *cassette.Entry, damaged error) {
	if damaged != nil {
		g.Damaged++
		return
	}
	g.Answers++
	if e.Failed != "" {
		g.Failed++
	}
	g.Input += e.Input
	g.Output += e.Output
	g.latencies = append(g.latencies, float64(e.Latency))
	g.Newest = max(g.Newest, e.RecordedAt)
}

func cassetteExport() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "export [FILE]", Short: "Write questions and answers, a JSON object a line", Args: cobra.MaximumNArgs(1),
		Example: "  hemostat cassette export analyst.cassette -o answers.ndjson",
		RunE: func(c *cobra.Command, args []string) (err error) {
			tape, err := cassette.Open(c.Context(), cassetteArg(args))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, tape.Close()) }()
			return exportTo(c, output, func(to io.Writer) error {
				encoder := json.NewEncoder(to)
				return tape.Each(c.Context(), func(e cassette.Entry, damaged error) error {
					if damaged != nil {
						fmt.Fprintf(c.ErrOrStderr(), "left out: %s\n", safe(damaged.Error()))
						return nil
					}
					return encoder.Encode(e)
				})
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`; to standard output when absent")
	return c
}

func cassettePrune() *cobra.Command {
	var model, keepPrompt string
	var failed, damaged, dryRun bool
	var olderThan time.Duration
	c := &cobra.Command{
		Use: "prune [FILE]", Short: "Take answers out", Args: cobra.MaximumNArgs(1),
		Long: `Takes out the answers that meet every condition given; at least one is needed.`,
		Example: `  hemostat cassette prune analyst.cassette --failed
  hemostat cassette prune analyst.cassette --model gemma3 --older-than 720h`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if model == "" && keepPrompt == "" && !failed && !damaged && olderThan == 0 {
				return errors.New("say which answers: --model, --other-prompts-than, --failed, --damaged or --older-than")
			}
			file := cassetteArg(args)
			if err := checkCassette(c, file); err != nil {
				return err
			}
			tape, err := cassette.Create(c.Context(), file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, tape.Close()) }()
			var keys []string
			all := 0
			err = tape.Each(c.Context(), func(e cassette.Entry, fault error) error {
				all++
				recorded, parseErr := time.Parse(time.RFC3339, e.RecordedAt)
				switch {
				case model != "" && e.Model != model, keepPrompt != "" && e.Prompt == keepPrompt,
					failed && e.Failed == "", damaged && fault == nil,
					olderThan > 0 && (parseErr != nil || time.Since(recorded) < olderThan):
					return nil
				}
				keys = append(keys, e.Key)
				return nil
			})
			if err != nil {
				return err
			}
			if !dryRun {
				if err := tape.Remove(c.Context(), keys); err != nil {
					return err
				}
			}
			verb := "taken out"
			if dryRun {
				verb = "would be taken out"
			}
			fmt.Fprintf(c.OutOrStdout(), "%s of %d %s\n", plural(len(keys), "answer", "answers"), all, verb)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&model, "model", "", "answers of this `MODEL`")
	f.StringVar(&keepPrompt, "other-prompts-than", "", "answers to another `VERSION` of the prompts, as list shows it")
	f.BoolVar(&failed, "failed", false, "recorded failures")
	f.BoolVar(&damaged, "damaged", false, "entries whose checksum does not fit")
	f.DurationVar(&olderThan, "older-than", 0, "answers recorded longer ago than this `TIME`")
	f.BoolVar(&dryRun, "dry-run", false, "only say how many")
	return c
}

// checkCassette tells whether a cassette is there, so that none is made by mistake.
func checkCassette(c *cobra.Command, file string) error {
	tape, err := cassette.Open(c.Context(), file)
	if err != nil {
		return err
	}
	return tape.Close()
}
