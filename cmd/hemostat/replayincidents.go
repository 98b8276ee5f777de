package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hemostat/defenders"
	"hemostat/scenarios/defence"
)

// replayEpoch is the time at which virtual times of recorded logs count from 0.
var replayEpoch = time.Unix(0, 0).UTC()

// useFusion gives the pipeline the feeds, servers and facts of a variant.
func useFusion(c *cobra.Command, v *defence.Variant, config *defenders.Config) error {
	asker, err := v.OpenServers(c.Context(), func(note string) { fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", safe(note)) })
	if err != nil {
		return err
	}
	config.Intel, config.Asker = v.FileFeeds(replayEpoch), asker
	config.Correlation, config.Actors = v.Correlation(), v.Actors()
	return nil
}

// printIncident explains an incident, as a line of JSON or in short.
func (o *replayOptions) printIncident(out io.Writer, p *defenders.Pipeline, id int) error {
	t := p.Explain(id, replayEpoch)
	if o.json {
		return printJSONLine(out, map[string]any{"threat": t})
	}
	fmt.Fprintf(out, "incident %d, severity %s, %s to %s\n", t.Incident, t.Severity, t.FirstSeen.Format(time.RFC3339),
		t.LastSeen.Format(time.RFC3339))
	for _, s := range t.Narrative {
		if _, err := fmt.Fprintf(out, "  %s [alert %s]\n", safe(s.Text), numbersOf(s.Alerts)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "  missing sources: %s\n\n", safe(cmp.Or(strings.Join(t.MissingSources, ", "), "none")))
	return err
}
