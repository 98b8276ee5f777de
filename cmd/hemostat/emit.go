package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"hemostat/defenders/live/kafka"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/event"
)

type emitOptions struct {
	kafka     kafkaFlags
	topic     string
	variant   string
	seed      uint64
	index     int
	speed     float64
	inventory string
	set       []string
}

func emitCommand() *cobra.Command {
	var o emitOptions
	c := &cobra.Command{
		Use:   "emit SCENARIO",
		Short: "Play a simulated trial into Kafka",
		Long: `Plays the telemetry of a trial into a Kafka topic, so that a defence that runs for real,
this program's or another, can be tried with a whole estate: ordinary users, and the
attackers of the scenario. Nobody defends the simulated estate unless a variant is named.

Events come as they would from the sensors, in the program's own form as JSON, one a
message, at the pace of --speed. Their times keep their distances: with --speed 1 they are
those of the wall clock; with a higher speed they begin in the past, and the last is of now.
--inventory writes the hosts and accounts for hemostat live.`,
		Example: `  hemostat emit ransomware --topic logs --inventory estate.yaml --speed 60
  hemostat emit web-shell --brokers kafka:9092 --topic logs --seed 7 --trial 3`,
		Args: cobra.ExactArgs(1),
		RunE: o.run,
	}
	f := c.Flags()
	o.kafka.flags(f)
	f.StringVar(&o.topic, "topic", "hemostat.logs", "write to the topic `NAME`")
	f.StringVar(&o.variant, "variant", "noop", "who defends the simulated estate meanwhile")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the trial")
	f.IntVar(&o.index, "trial", 0, "number of the trial")
	f.Float64Var(&o.speed, "speed", 1, "how much faster than the wall clock; 0 for as fast as it goes")
	f.StringVar(&o.inventory, "inventory", "", "write the inventory of the estate to `FILE`")
	f.StringArrayVar(&o.set, "set", nil, "set a value of the scenario or variant, PATH=VALUE")
	return c
}

func (o *emitOptions) run(c *cobra.Command, args []string) error {
	if o.speed < 0 {
		return fmt.Errorf("--speed: a number of 0 or more is expected, not %g", o.speed)
	}
	if o.index < 0 {
		return fmt.Errorf("--trial: a number of 0 or more is expected, not %d", o.index)
	}
	var set []scenarios.Setting
	for _, s := range o.set {
		setting, err := scenarios.ParseSetting(s)
		if err != nil {
			return fmt.Errorf("--set: %w", err)
		}
		set = append(set, setting)
	}
	v, err := defence.LoadSimulated(o.variant, set)
	if err != nil {
		return err
	}
	defer func() { noteFault(c.ErrOrStderr(), v.Close()) }()
	s, err := scenarios.Load(args[0], v.Scenario)
	if err != nil {
		return err
	}
	connection, err := o.kafka.connection()
	if err != nil {
		return err
	}
	out, err := kafka.NewWriter(c.Context(), connection, o.topic)
	if err != nil {
		return err
	}
	defer out.Close()
	return o.play(c.Context(), s, v, out, c.ErrOrStderr())
}

// play runs the trial at the pace that was asked for.
func (o *emitOptions) play(
	ctx context.Context, s *scenarios.Scenario, v *defence.Variant, out *kafka.Writer, errOut io.Writer,
) error {
	began := time.Now()
	base := began // of the trial's time 0
	if o.speed != 1 {
		lasts := time.Duration(0)
		if o.speed > 0 {
			lasts = time.Duration(float64(s.Horizon) / o.speed)
		}
		base = base.Add(lasts - s.Horizon)
	}
	shift := time.Duration(base.UnixNano())
	n := 0
	t, err := trial.New(s, v, o.index, trial.Options{Seed: o.seed, Watch: func(e *event.Event) {
		moved := *e
		moved.Time, moved.Observed = e.Time+shift, e.Observed+shift
		out.Write(ctx, e.Host, moved.AppendJSON(nil))
		n++
	}})
	if err != nil {
		return err
	}
	if o.inventory != "" {
		f, err := os.Create(o.inventory)
		if err != nil {
			return fmt.Errorf("--inventory: %w", errors.Join(err, t.Close()))
		}
		if err := errors.Join(defence.WriteEstate(f, t.Inventory()), f.Close()); err != nil {
			return errors.Join(err, t.Close())
		}
	}
	progress := startBar(errOut, "steps of 5 s", int(t.Horizon()/emitStep))
	for t.Now() < t.Horizon() && err == nil {
		next := t.Now() + emitStep
		if o.speed > 0 {
			err = sleepUntil(ctx, began.Add(time.Duration(float64(next)/o.speed)))
		}
		if err == nil {
			err = errors.Join(t.RunUntil(next), ctx.Err(), out.Err())
		}
		progress.step()
	}
	progress.stop(err == nil)
	err = errors.Join(err, t.Close(), out.Flush(context.WithoutCancel(ctx)))
	if ctx.Err() != nil {
		return exit{exitInterrupted, fmt.Errorf("interrupted after %d events", n)}
	}
	if err == nil {
		fmt.Fprintf(errOut, "%s to the topic %s\n", plural(n, "event was written", "events were written"), o.topic)
	}
	return err
}

// emitStep is how much virtual time passes between two looks at the clock.
const emitStep = 5 * time.Second

// sleepUntil waits for a time, or for the end of the context.
func sleepUntil(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
