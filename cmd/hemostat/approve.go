package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/user"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/defenders/live"
)

type approveOptions struct {
	url, dir, by string
	deny, json   bool
}

func approveCommand() *cobra.Command {
	var o approveOptions
	c := &cobra.Command{
		Use:   "approve [APPROVAL]",
		Short: "List the requests for approval of a live run, or answer one",
		Long: `Without a number, lists the requests that wait for an answer, the nearest deadline
first. With a number, approves that request; --deny denies it. The token of the run is
read from the folder of its state, or from the environment variable HEMOSTAT_TOKEN.`,
		Example: `  hemostat approve --state live
  hemostat approve 3 --by kim
  hemostat approve 4 --deny`,
		Args: cobra.MaximumNArgs(1),
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVar(&o.url, "url", "http://127.0.0.1:8088", "`URL` at which the run listens")
	f.StringVar(&o.dir, "state", "live", "folder of the run's state, for its token")
	f.StringVar(&o.by, "by", "", "`NAME` of who decides; the user's when absent")
	f.BoolVar(&o.deny, "deny", false, "deny the request")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *approveOptions) run(c *cobra.Command, args []string) error {
	run := &liveClient{o.url, o.dir, "--state"}
	if len(args) == 0 {
		return o.list(c, run)
	}
	if o.by == "" {
		u, err := user.Current()
		if err != nil {
			return errors.New("--by: the name of who decides is missing")
		}
		o.by = u.Username
	}
	body, err := json.Marshal(map[string]any{"approved": !o.deny, "by": o.by})
	if err != nil {
		return err
	}
	data, err := run.ask(c.Context(), http.MethodPost, "/api/v1/approvals/"+args[0], body)
	if errors.Is(err, errAnswered) {
		return exit{exitFaults, err}
	}
	if err != nil {
		return err
	}
	if o.json {
		_, err = c.OutOrStdout().Write(data)
		return err
	}
	verb := "approved"
	if o.deny {
		verb = "denied"
	}
	fmt.Fprintf(c.OutOrStdout(), "approval %s %s by %s\n", safe(args[0]), verb, safe(o.by))
	return nil
}

// list prints the requests that wait.
func (o *approveOptions) list(c *cobra.Command, run *liveClient) error {
	data, err := run.ask(c.Context(), http.MethodGet, "/api/v1/approvals", nil)
	if err != nil {
		return err
	}
	if o.json {
		_, err = c.OutOrStdout().Write(data)
		return err
	}
	var list struct {
		Approvals []live.Approval `json:"approvals"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("%s is no live run: %w", o.url, err)
	}
	if len(list.Approvals) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "nothing waits for approval")
		return nil
	}
	t := newTable(c.OutOrStdout(), "approval", "action", "target", "risk", "incident", "severity", "confidence",
		"disruption", "asks", "until")
	for _, a := range list.Approvals {
		t.AppendRow(table.Row{a.Approval, a.Kind, safe(strings.Join(a.Targets, ", ")), a.Risk, a.Incident, a.Severity,
			fmt.Sprintf("%.2f", a.Confidence), fmt.Sprintf("%.1f", a.Disruption), a.Role, a.Deadline.UTC().Format(time.RFC3339)})
	}
	t.Render()
	return nil
}
