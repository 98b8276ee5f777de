package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"hemostat/defenders/plugin"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/event"
)

func pluginCommand() *cobra.Command {
	c := &cobra.Command{Use: "plugin", Short: "Try detectors from outside the program"}
	c.AddCommand(pluginCheckCommand())
	return c
}

func pluginCheckCommand() *cobra.Command {
	var asJSON bool
	var config plugin.Config
	c := &cobra.Command{
		Use:   "check COMMAND [ARGUMENT...]",
		Short: "Try whether a detector keeps to the plug-in protocol",
		Long: `Starts a detector from outside, or speaks to a server at an address, tells it trials
with events of a simulated attack and with values that break careless readers, and
says what it does against the protocol of docs/plugins.md. COMMAND may stand as one
word in quotes. Exit code 1 when a check fails.`,
		Example: `  hemostat plugin check python3 detector.py
  hemostat plugin check http://127.0.0.1:9000/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			config.Name = "checked"
			if strings.HasPrefix(args[0], "http://") || strings.HasPrefix(args[0], "https://") {
				config.URL = args[0]
			} else {
				config.Command = commandWords(args)
			}
			if len(config.Command) == 0 && config.URL == "" {
				return errors.New("the command is empty")
			}
			events, err := sampleEvents()
			if err != nil {
				return exit{exitInternal, err}
			}
			result := plugin.TryConformance(config, events)
			out := c.OutOrStdout()
			if asJSON {
				if err := printJSON(out, result); err != nil {
					return err
				}
			} else {
				t := newTable(out, "", "check", "")
				t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, WidthMax: 70, WidthMaxEnforcer: text.WrapSoft}})
				for _, check := range result.Checks {
					t.AppendRow(table.Row{map[bool]string{true: "ok", false: "FAILS"}[check.OK], check.Name, safe(check.Said)})
				}
				t.Render()
				if result.PerSecond > 0 {
					fmt.Fprintf(out, "%s %s: %d events, %s, %.0f events a second\n", safe(result.Ready.Name),
						safe(result.Ready.Version),
						result.Events, plural(result.Alerts, "alert", "alerts"), result.PerSecond)
				}
			}
			if !result.OK() {
				return exit{exitFaults, errors.New("the plug-in does not keep to the protocol")}
			}
			return nil
		},
	}
	f := c.Flags()
	f.SetInterspersed(false) // what follows the command is its own
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.DurationVar(&config.Start, "start", 0, "time within which it must be ready; 30s when absent")
	f.DurationVar(&config.Answer, "answer", 0, "time within which it must answer a batch; 10s when absent")
	return c
}

// commandWords splits a command that was given as one word.
func commandWords(args []string) []string {
	if len(args) > 1 {
		return args
	}
	if _, err := os.Stat(args[0]); err == nil {
		return args
	}
	return strings.Fields(args[0])
}

// sampleEvents are the events of a simulated attack.
func sampleEvents() ([]*event.Event, error) {
	v, err := defence.Load("noop", nil)
	if err != nil {
		return nil, err
	}
	s, err := scenarios.Load("lateral-movement-loud",
		[]scenarios.Setting{{Path: "background.rate", Value: "0.05"}, {Path: "horizon", Value: "2h"}})
	if err != nil {
		return nil, err
	}
	rows, err := trial.Run(s, v, 0, trial.Options{Seed: 1, KeepEvents: true}, nil)
	if err != nil {
		return nil, err
	}
	var events []*event.Event
	for _, e := range rows.Events {
		events = append(events, e.Event)
	}
	return events, nil
}
