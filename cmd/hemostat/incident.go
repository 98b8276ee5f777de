package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/stix"
	"hemostat/reports/store"
	"hemostat/scenarios"
	"hemostat/scenarios/explain"
	"hemostat/sim/record"
)

func incidentCommand() *cobra.Command {
	c := &cobra.Command{Use: "incident", Short: "Look at single incidents"}
	c.AddCommand(incidentShow(), incidentExport())
	return c
}

// loadedIncident is an incident of a database.
type loadedIncident struct {
	*explain.Incident
	trial *record.Trial
}

// loadIncident reads TRIAL/N from a database.
func loadIncident(c *cobra.Command, file, name string) (*loadedIncident, error) {
	at := strings.LastIndexByte(name, '/')
	if at < 0 {
		return nil, fmt.Errorf("%q: TRIAL/N is expected, such as ransomware/0/1", name)
	}
	n, err := strconv.Atoi(name[at+1:])
	if err != nil || n < 1 {
		return nil, fmt.Errorf("%q is no number of an incident", name[at+1:])
	}
	db, err := store.Open(c.Context(), file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	t, err := db.Trial(name[:at])
	if err != nil {
		return nil, err
	}
	x, err := explainIncident(db, t, n)
	if err != nil {
		return nil, fmt.Errorf("trial %s: %w", name[:at], err)
	}
	return &loadedIncident{x, t}, nil
}

// explainIncident explains an incident of a recorded trial.
func explainIncident(db *store.DB, t *record.Trial, n int) (*explain.Incident, error) {
	s, _, err := scenarioOf(db, t)
	if err != nil {
		return nil, err
	}
	facts, err := attribution.Embedded()
	if err != nil {
		return nil, err
	}
	return explain.Of(t, n, s.Epoch, facts)
}

// scenarioOf is the scenario of a trial as it was run, and the seed.
func scenarioOf(db *store.DB, t *record.Trial) (*scenarios.Scenario, uint64, error) {
	text, seed, err := db.ScenarioOfTrial(t.TrialID)
	if err != nil {
		return nil, 0, err
	}
	s, err := scenarios.Parse(t.Scenario+".yaml", []byte(text))
	if err != nil {
		return nil, 0, fmt.Errorf("scenario %s as it was run: %w", t.Scenario, err)
	}
	return s, seed, nil
}

func incidentShow() *cobra.Command {
	var db string
	var asJSON bool
	c := &cobra.Command{
		Use: "show TRIAL/N", Short: "Explain one incident: its account, its indicators, who may be behind it, its alerts",
		Args: cobra.ExactArgs(1),
		Long: `Prints what fusion made of an incident and of the campaign that it belongs to: the account,
each sentence with the alerts that it rests on, written by the model where the variant's
analyst has one; root cause, critical path, what is held and in reach, the smallest cut
that would stop the attacker, likely next hosts; indicators with the sources that know
them, and sources whose answers were missing; who may be behind it; and the alerts.
TRIAL is one as for trace, N the incident's number.`,
		Example: "  hemostat incident show ransomware/0/1",
		RunE: func(c *cobra.Command, args []string) error {
			x, err := loadIncident(c, db, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), &x.Threat)
			}
			return x.print(c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// print tells the incident.
func (x *loadedIncident) print(out io.Writer) error {
	t := &x.Threat
	fmt.Fprintf(out, "incident %d of %s/%d under %s: severity %s, %.0f %% sure that it is real\n", t.Incident, safe(x.trial.Scenario),
		x.trial.Index, safe(x.trial.Variant), t.Severity, min(99, 100*t.Confidence))
	if len(t.Incidents) > 1 {
		fmt.Fprintf(out, "one campaign with incidents %s", numbersOf(t.Incidents))
		if t.LinkedTo != 0 {
			fmt.Fprintf(out, "; linked to %d with a score of %.2f", t.LinkedTo, t.CorrelationScore)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "\naccount, by %s\n", safe(t.Author))
	var faults []error
	for _, s := range t.Narrative {
		_, err := fmt.Fprintf(out, "  %s [alert %s]\n", safe(s.Text), numbersOf(s.Alerts))
		faults = append(faults, err)
	}
	x.printGraph(out)
	x.printIntelligence(out)
	fmt.Fprintln(out)
	table := newTable(out, "alert", "incident", "time", "severity", "technique", "host", "user", "title", "verdict")
	for _, a := range t.Alerts {
		table.AppendRow([]any{a.Alert, a.Incident, clock(time.Duration(a.TimeNs)), a.Severity, safe(a.Technique), safe(a.Host),
			safe(a.User), safe(a.Title), a.Verdict})
	}
	table.Render()
	return errors.Join(faults...)
}

func (x *loadedIncident) printGraph(out io.Writer) {
	g := &x.Threat.AttackGraph
	fmt.Fprintf(out, "\nattack graph: %d nodes, %d relationships (hemostat incident export --format svg draws it)\n",
		len(g.Nodes), len(g.Relationships))
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %-14s %s\n", what, safe(text))
		}
	}
	line("root cause", g.RootCause)
	line("critical path", strings.Join(g.CriticalPath, " > "))
	r := &g.BlastRadius
	line("held", fmt.Sprintf("%d hosts, %.1f %% of the estate's worth; %d further hosts in reach, %.1f %%", len(r.Hosts),
		100*r.Share, r.InReach, 100*r.ReachShare))
	line("smallest cut", strings.Join(g.Cut.Nodes, ", "))
	var next []string
	for _, n := range g.Next {
		next = append(next, fmt.Sprintf("%s %.0f %%", n.Host, 100*n.Probability))
	}
	line("likely next", strings.Join(next, ", "))
}

func (x *loadedIncident) printIntelligence(out io.Writer) {
	t := &x.Threat
	if len(t.IOCs) > 0 {
		fmt.Fprintln(out, "\nindicators")
		table := newTable(out, "type", "value", "confidence", "known by", "alerts")
		for _, i := range t.IOCs {
			table.AppendRow([]any{i.Type, safe(i.Value), fmt.Sprintf("%.2f", i.Confidence),
				safe(cmp.Or(i.Context["known_by"], "-")), i.Context["alerts"]})
		}
		table.Render()
	}
	if len(t.MissingSources) > 0 {
		fmt.Fprintf(out, "\nmissing: the answers of %s\n", safe(strings.Join(t.MissingSources, ", ")))
	}
	if len(t.Actors) == 0 {
		return
	}
	var who []string
	for _, s := range t.Actors {
		who = append(who, fmt.Sprintf("%s %.0f %%", s.Actor, 100*s.Probability))
	}
	fmt.Fprintf(out, "\nwho may be behind it: %s\n", safe(strings.Join(who, ", ")))
}

func numbersOf(ids []int) string {
	var out []string
	for _, id := range ids {
		out = append(out, strconv.Itoa(id))
	}
	return strings.Join(out, ", ")
}

func incidentExport() *cobra.Command {
	var db, format, output string
	formats := []string{"stix", "json", "dot", "svg"}
	c := &cobra.Command{
		Use: "export TRIAL/N", Short: "Write one incident as STIX 2.1, JSON, DOT or SVG", Args: cobra.ExactArgs(1),
		Long: `Writes the campaign that an incident belongs to: as a bundle of STIX 2.1 (incident,
indicators, sightings, observed data, attack patterns, intrusion sets, relationships),
as JSON with its attack graph (nodes, iocs, relationships), or the graph for Graphviz
or as a drawing.`,
		Example: `  hemostat incident export ransomware/0/1 --format stix -o incident.json
  hemostat incident export ransomware/0/1 -o incident.svg`,
		RunE: func(c *cobra.Command, args []string) error {
			if format == "" {
				if format = strings.TrimPrefix(filepath.Ext(output), "."); !slices.Contains(formats[2:], format) {
					format = "stix"
				}
			}
			if err := checkFormat(format, formats...); err != nil {
				return err
			}
			x, err := loadIncident(c, db, args[0])
			if err != nil {
				return err
			}
			return exportTo(c, output, func(to io.Writer) error {
				switch format {
				case "json":
					return indented(&x.Threat)(to)
				case "dot":
					return x.Graph.WriteDOT(to)
				case "svg":
					return x.Graph.WriteSVG(to)
				}
				return stix.Write(to, &x.Threat)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&format, "format", "", "`FORMAT`: "+strings.Join(formats, ", ")+"; by the ending of -o when absent, or stix")
	f.StringVarP(&output, "output", "o", "", "write to `FILE` in place of standard output")
	return c
}

// exportSTIX writes an incident, as incident export does.
func exportSTIX() *cobra.Command {
	var db, output string
	c := &cobra.Command{
		Use: "stix TRIAL/N", Short: "Write an incident as a bundle of STIX 2.1", Args: cobra.ExactArgs(1),
		Example: "  hemostat export stix ransomware/0/1 -o incident.json",
		RunE: func(c *cobra.Command, args []string) error {
			x, err := loadIncident(c, db, args[0])
			if err != nil {
				return err
			}
			return exportTo(c, output, func(w io.Writer) error { return stix.Write(w, &x.Threat) })
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	return c
}
