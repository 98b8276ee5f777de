package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hemostat/reports/store"
	"hemostat/sim/record"
)

func incidentCommand() *cobra.Command {
	c := &cobra.Command{Use: "incident", Short: "Look at single incidents"}
	c.AddCommand(incidentShow())
	return c
}

// incidentAlert is an alert of an incident.
type incidentAlert struct {
	Alert     int    `json:"alert"`
	Time      int64  `json:"time"`
	Title     string `json:"title"`
	Technique string `json:"technique"`
	Severity  string `json:"severity"`
	Host      string `json:"host"`
	User      string `json:"user"`
	Verdict   string `json:"verdict,omitempty"`
}

// incidentReport is what is known of an incident.
type incidentReport struct {
	Scenario string                   `json:"scenario"`
	Variant  string                   `json:"variant"`
	Index    int                      `json:"trial_index"`
	Incident int                      `json:"incident"`
	Account  []record.AccountSentence `json:"account"`
	Alerts   []incidentAlert          `json:"alerts"`
}

func incidentShow() *cobra.Command {
	var db string
	var asJSON bool
	c := &cobra.Command{
		Use: "show TRIAL/N", Short: "Tell one incident: its account with the alerts behind each sentence", Args: cobra.ExactArgs(1),
		Long: `Prints the account of an incident, each sentence with the alerts that it rests on, and
the alerts. TRIAL is one as for trace, N the incident's number. Accounts are written
where the narrative is a duty of the variant's analyst.`,
		Example: "  hemostat incident show ransomware/0/1",
		RunE: func(c *cobra.Command, args []string) error {
			at := strings.LastIndexByte(args[0], '/')
			if at < 0 {
				return fmt.Errorf("%q: TRIAL/N is expected, such as ransomware/0/1", args[0])
			}
			n, err := strconv.Atoi(args[0][at+1:])
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no number of an incident", args[0][at+1:])
			}
			file, err := store.Open(c.Context(), db)
			if err != nil {
				return err
			}
			defer file.Close()
			t, err := file.Trial(args[0][:at])
			if err != nil {
				return err
			}
			r := incidentOf(t, n)
			if len(r.Alerts) == 0 {
				return fmt.Errorf("trial %s has no incident %d with alerts", args[0][:at], n)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			return r.print(c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&db, "db", "hemostat.db", "database `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func incidentOf(t *record.Trial, n int) incidentReport {
	r := incidentReport{Scenario: t.Scenario, Variant: t.Variant, Index: t.Index, Incident: n,
		Account: []record.AccountSentence{}}
	for _, s := range t.Accounts {
		if s.Incident == n {
			r.Account = append(r.Account, s)
		}
	}
	for i := range t.Alerts {
		if a := &t.Alerts[i]; a.Incident == n {
			r.Alerts = append(r.Alerts, incidentAlert{a.Alert, a.Time, a.Title, a.Technique, a.Severity, a.Host,
				a.User, a.Verdict})
		}
	}
	return r
}

func (r *incidentReport) print(out io.Writer) error {
	fmt.Fprintf(out, "incident %d of %s/%d under %s\n", r.Incident, safe(r.Scenario), r.Index, safe(r.Variant))
	if len(r.Account) == 0 {
		fmt.Fprintln(out, "no account was written: narrative was no duty of the analyst, or no alert was of severity high")
	} else {
		fmt.Fprintf(out, "\naccount, by %s\n", safe(r.Account[0].Author))
	}
	var faults []error
	for _, s := range r.Account {
		var ids []string
		for _, id := range s.Alerts {
			ids = append(ids, fmt.Sprint(id))
		}
		_, err := fmt.Fprintf(out, "  %s [alert %s]\n", safe(s.Text), strings.Join(ids, ", "))
		faults = append(faults, err)
	}
	fmt.Fprintln(out)
	t := newTable(out, "alert", "time", "severity", "technique", "host", "user", "title", "verdict")
	for _, a := range r.Alerts {
		t.AppendRow([]any{a.Alert, clock(time.Duration(a.Time)), a.Severity, safe(a.Technique), safe(a.Host),
			safe(a.User), safe(a.Title), a.Verdict})
	}
	t.Render()
	return errors.Join(faults...)
}
