// Command hemostat simulates attacks on an enterprise against a whole defensive
// pipeline, records every trial, and compares variants of the defence. Each
// command has a file of its own here; they parse, call and print.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"hemostat/reports/store"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes.
const (
	exitDone        = 0
	exitFaults      = 1
	exitUsage       = 2
	exitUndecided   = 3
	exitInterrupted = 4
	exitInternal    = 5
)

// exit is an error with an exit code of its own.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string { return e.err.Error() }
func (e exit) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the program at once
		time.Sleep(interruptGrace)
		fmt.Fprintln(os.Stderr, "hemostat: interrupted")
		os.Exit(exitInterrupted)
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// interruptGrace is how long a command has to end by itself after a signal.
const interruptGrace = 10 * time.Second

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(errOut, "hemostat: internal error: %v\n%s", p, debug.Stack())
			code = exitInternal
		}
	}()
	debug.SetGCPercent(
		800,
	) // trials are short-lived and allocate in blocks: fewer collections for about half a gigabyte of memory
	root := rootCommand()
	root.SetArgs(args)
	checked := &output{Writer: out}
	root.SetOut(checked)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil && checked.err != nil {
		err = fmt.Errorf("the output cannot be written: %w", checked.err)
	}
	if err == nil {
		return exitDone
	}
	var e exit
	switch {
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled):
		e = exit{exitInterrupted, errors.New("interrupted")}
	case errors.Is(err, store.ErrUnavailable):
		e = exit{exitInterrupted, err}
	default:
		e = exit{exitUsage, err}
	}
	if e.err != nil && e.err.Error() != "" {
		fmt.Fprintf(errOut, "hemostat: %s\n", safe(e.err.Error()))
	}
	return e.code
}

// refuseEmptyFlags refuses flags that were given without a value, such as an unset
// shell variable: they would stand for "not given", which is another question.
func refuseEmptyFlags(flags *pflag.FlagSet) error {
	var faults []error
	flags.Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if slices.ContainsFunc(values, func(v string) bool { return strings.TrimSpace(v) == "" }) {
			faults = append(faults, fmt.Errorf("--%s: the value is empty", f.Name))
		}
	})
	return errors.Join(faults...)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "hemostat",
		Short: "Red-versus-blue simulation of a whole defensive pipeline",
		Long: `hemostat simulates attacks on an enterprise against a whole defensive pipeline,
many times, records every trial in SQLite and compares variants of the defence.

Exit codes: 0 done, or the gate passed; 1 a check found faults, or the gate a
regression; 2 wrong usage or bad input; 3 the gate could not decide;
4 interrupted, and resumable; 5 an internal error.`,
		Example: `  hemostat run
  hemostat run ransomware --trials 100 --variant night.yaml
  hemostat compare --baseline default --candidate night
  hemostat gate --candidate night.yaml
  hemostat trace ransomware/3
  hemostat replay /var/log/auth.log.1.gz`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return refuseEmptyFlags(c.Flags()) },
	}
	root.AddCommand(
		runCommand(),
		workerCommand(),
		learnCommand(),
		huntCommand(), envCommand(),
		compareCommand(),
		dashboardsCommand(),
		reportCommand(), serveCommand(),
		gateCommand(),
		powerCommand(),
		traceCommand(),
		replayCommand(), liveCommand(), emitCommand(), approveCommand(), formatsCommand(), fingerprintCommand(),
		scenarioCommand(),
		techniqueCommand(), fidelityCommand(),
		playbookCommand(),
		rulesCommand(),
		variantCommand(),
		pluginCommand(),
		trainCommand(), cassetteCommand(), incidentCommand(), intelCommand(),
		auditCommand(),
		dbCommand(),
		exportCommand(),
		manCommand(), mergeCommand(), versionCommand(),
	)
	return root
}
