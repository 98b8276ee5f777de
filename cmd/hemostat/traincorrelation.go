package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hemostat/defenders/fusion/correlation"
	"hemostat/scenarios/train"
)

type trainCorrelationOptions struct {
	threshold float64
	trainingFlags
}

func trainCorrelationCommand() *cobra.Command {
	var o trainCorrelationOptions
	c := &cobra.Command{
		Use:   "correlation [SCENARIO...]",
		Short: "Train the score by which incidents are found to be one campaign",
		Long: `Runs days of scenarios (every embedded one when none is named) against variants of the
defence, and learns from their truth which incidents have one attacker behind them. A
variant names the file under fusion.correlation.weights. The days are none that trials
run on. It says how good the score is on every second day when it learned from the
others, and how good without each of its parts.`,
		Example: "  hemostat train correlation --trials 4 -o correlation.json",
		RunE:    o.run,
	}
	c.Flags().Float64Var(&o.threshold, "threshold", 0.5, "score from which on two incidents are one campaign")
	o.flags(c, "correlation.json", 4, "default", "all_detectors")
	return c
}

func (o *trainCorrelationOptions) run(c *cobra.Command, args []string) error {
	if !(o.threshold > 0 && o.threshold < 1) {
		return fmt.Errorf("--threshold: a number between 0 and 1 is expected, not %g", o.threshold)
	}
	var r *train.CorrelationResult
	if err := o.learn(c, args, func() (err error) {
		r, err = train.Correlation(c.Context(), &o.Days, o.threshold)
		return err
	}); err != nil {
		return err
	}
	if err := exportTo(c, o.output, func(w io.Writer) error {
		data, err := r.Weights.Encode()
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}); err != nil {
		return err
	}
	out := c.OutOrStdout()
	if r.Without != nil {
		t := newTable(out, "parts of the score", "precision", "recall", "F1", "adjusted Rand index")
		row := func(name string, q correlation.Quality) {
			t.AppendRow([]any{name, fmt.Sprintf("%.3f", q.Precision), fmt.Sprintf("%.3f", q.Recall),
				fmt.Sprintf("%.3f", 2*q.Precision*q.Recall/max(1e-9, q.Precision+q.Recall)), fmt.Sprintf("%.3f", q.Rand)})
		}
		row("all", r.Held)
		for _, part := range correlation.PartNames() {
			row("without "+part, r.Without[part])
		}
		t.Render()
	}
	fmt.Fprintf(out, "learned from %d comparisons; into %s\n", r.Comparisons, safe(o.output))
	return nil
}
