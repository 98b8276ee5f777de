package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/batch/distributed"
)

type workerOptions struct {
	engine   engineFlags
	name     string
	parallel int
	idle     time.Duration
	programs bool
	cassette string
}

// workerCommand takes trials from the distributed engine.
func workerCommand() *cobra.Command {
	var o workerOptions
	c := &cobra.Command{
		Use: "worker --engine URL", Short: "Take trials from the distributed engine and run them", Args: cobra.NoArgs,
		Long: `Runs trials that "hemostat run --engine URL" hands out, and stores what came of them at
the engine, from where the run takes it into its database. Start as many workers as there
are machines, at any time, and stop them at any time: what a worker has not finished goes
to another. Scenario, variant and rule files are read from the current folder by the names
that the run was given, and their digests, as the version of the program, must be those of
the run. Ctrl-C gives back what is under way.`,
		Example: `  hemostat worker --engine nats://10.0.0.5:4222
  hemostat worker --engine tls://engine:4222 --engine-ca ca.pem --engine-creds worker.creds --idle 10m`,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.ErrOrStderr()) },
	}
	f := c.Flags()
	o.engine.flags(f, "NATS JetStream at `URL`: nats://HOST:PORT or tls://HOST:PORT, several with commas for a cluster")
	f.StringVar(&o.name, "name", "", "tell this worker from others by `NAME`; host and a number when absent")
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "trials at once")
	f.DurationVar(&o.idle, "idle", 0, "end after so long without work; never when 0")
	f.BoolVar(&o.programs, "allow-plugins", false, "run the commands that variants name as plug-ins, too")
	f.StringVar(&o.cassette, "cassette", "analyst.cassette", "cassette `FILE` of recorded answers, for variants whose analyst is a model")
	if err := c.MarkFlagRequired("engine"); err != nil {
		panic(err) // the flag is defined above
	}
	return c
}

func (o *workerOptions) run(ctx context.Context, errOut io.Writer) error {
	switch err := o.engine.Check(); {
	case err != nil:
		return fmt.Errorf("--engine: %w", err)
	case o.engine.Embedded():
		return errors.New("--engine: the embedded server is the run's; a worker asks it by nats://HOST:PORT")
	case o.parallel < 1 || o.parallel > 1024:
		return fmt.Errorf("--parallel: 1 to 1024 is accepted, not %d", o.parallel)
	case o.idle < 0:
		return fmt.Errorf("--idle: a time that is not negative is expected, not %s", o.idle)
	}
	if o.name == "" {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		o.name = host + "." + nuid.Next()[:8]
	}
	note := func(text string) { fmt.Fprintln(errOut, safe(text)) }
	waiting, cancel := context.WithCancel(ctx)
	if o.idle > 0 {
		waiting, cancel = context.WithTimeout(ctx, o.idle)
	}
	nc, err := o.engine.Connect(waiting, "hemostat worker "+o.name, true, note)
	cancel()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s cannot be reached within %s", o.engine.URL, o.idle)
	case err != nil:
		return err
	}
	defer nc.Close()
	note(fmt.Sprintf("worker %s waits for work of %s", o.name, o.engine.URL))
	w := &distributed.Worker{Name: o.name, Program: program(), Parallel: o.parallel, Idle: o.idle, Note: note,
		Prepare: func(ctx context.Context, job distributed.Job) (distributed.Prepared, error) {
			return o.prepare(ctx, job, errOut)
		}}
	if err := w.Run(ctx, nc); err != nil {
		return err
	}
	note("worker " + o.name + " ends; what it had not finished goes to others")
	return nil
}

// prepare makes the trials of a job from the files that are here.
func (o *workerOptions) prepare(ctx context.Context, job distributed.Job, errOut io.Writer) (distributed.Prepared, error) {
	var wanted jobPlan
	if err := json.Unmarshal(job.Plan, &wanted); err != nil {
		return distributed.Prepared{}, fmt.Errorf("its plan cannot be read: %w", err)
	}
	if wanted.Plan == nil {
		return distributed.Prepared{}, errors.New("it has no plan")
	}
	matrix, err := wanted.Plan.Build()
	if err != nil {
		return distributed.Prepared{}, err
	}
	refuse := func(err error) (distributed.Prepared, error) {
		return distributed.Prepared{}, errors.Join(err, matrix.Close())
	}
	flags := analystFlags{string(defence.AnalystReplay), o.cassette}
	if wanted.OfflineAnalyst {
		flags.mode = string(defence.AnalystOffline)
	}
	judging, err := flags.open(ctx, matrix.Variants(), matrix.Replace, errOut)
	if err != nil {
		return refuse(err)
	}
	if err := otherDigests(matrix.Digests(), job.Digests); err != nil {
		judging.close(errOut)
		return refuse(err)
	}
	for _, v := range matrix.Variants() {
		if v.RunsPrograms() && !o.programs {
			judging.close(errOut)
			return refuse(fmt.Errorf("variant %s runs programs as plug-ins; --allow-plugins lets this worker do so", v.Name))
		}
	}
	return distributed.Prepared{
		Tasks: matrix.Tasks(trial.Options{KeepEvents: wanted.KeepEvents}),
		Close: func() error { judging.close(errOut); return matrix.Close() },
	}, nil
}
