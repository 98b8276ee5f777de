package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hemostat/defenders/sentinel/analyst"
	"hemostat/scenarios/train"
)

type trainAnalystOptions struct{ trainingFlags }

func trainAnalystCommand() *cobra.Command {
	var o trainAnalystOptions
	c := &cobra.Command{
		Use:   "analyst [SCENARIO...]",
		Short: "Train the offline analyst on simulated days",
		Long: `Runs days of scenarios (every embedded one when none is named) against variants of the
defence and learns from their alerts, of which the simulation knows which are true, how
to tell true from false ones. A variant names the file under analyst.weights. The days
are none that trials run on. The bar below which alerts are dismissed is the highest at
which, on scenarios that were left out while learning, at most one attack in a hundred
would have lost all of its alerts.`,
		Example: `  hemostat train analyst --trials 4 -o weights.json
  hemostat train analyst quiet-day ransomware --variant mine.yaml -o weights.json`,
		RunE: o.run,
	}
	o.flags(c, "weights.json", 4, "default", "all_detectors")
	return c
}

func (o *trainAnalystOptions) run(c *cobra.Command, args []string) error {
	var w *analyst.Weights
	var alerts int
	if err := o.learn(c, args, func() (err error) {
		w, alerts, err = train.Analyst(c.Context(), &o.Days)
		return err
	}); err != nil {
		return err
	}
	if err := exportTo(c, o.output, indented(w)); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "learned from %d alerts; alerts of a probability below %g are dismissed; into %s\n",
		alerts, w.Dismiss, safe(o.output))
	return nil
}

// indented writes a value as JSON that people can read.
func indented(v any) func(to io.Writer) error {
	return func(to io.Writer) error {
		encoder := json.NewEncoder(to)
		encoder.SetIndent("", " ")
		return encoder.Encode(v)
	}
}
