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
	rate      int
	lasting   time.Duration
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

With --rate trials are played one after another, so many events a second, for as long as
--for says: a load of ordinary days and attacks for a trial of endurance. An event's time is
then the one at which it is written.
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
	f.IntVar(&o.rate, "rate", 0, "write so many events a second, trial after trial, in place of the pace of --speed")
	f.DurationVar(&o.lasting, "for", time.Minute, "with --rate: how long")
	f.StringVar(&o.inventory, "inventory", "", "write the inventory of the estate to `FILE`")
	f.StringArrayVar(&o.set, "set", nil, "set a value of the scenario or variant, PATH=VALUE")
	return c
}

// check refuses flags that cannot be.
func (o *emitOptions) check(changed func(flag string) bool) error {
	switch {
	case o.speed < 0:
		return fmt.Errorf("--speed: a number of 0 or more is expected, not %g", o.speed)
	case o.index < 0:
		return fmt.Errorf("--trial: a number of 0 or more is expected, not %d", o.index)
	case o.rate < 0:
		return fmt.Errorf("--rate: a number of events above 0 is expected, not %d", o.rate)
	case o.rate > 0 && changed("speed") || o.rate == 0 && changed("for"):
		return errors.New("--for goes with --rate, and --speed without it")
	}
	return nil
}

func (o *emitOptions) run(c *cobra.Command, args []string) error {
	if err := o.check(c.Flags().Changed); err != nil {
		return err
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
	e := &emission{emitOptions: o, scenario: s, variant: v, out: out, errOut: c.ErrOrStderr(), began: time.Now()}
	if o.rate > 0 {
		err = e.load(c.Context())
	} else {
		err = e.play(c.Context())
	}
	err = errors.Join(err, out.Flush(context.WithoutCancel(c.Context())))
	if c.Context().Err() != nil {
		return exit{exitInterrupted, fmt.Errorf("interrupted after %d events", e.events)}
	}
	if err == nil {
		fmt.Fprintf(e.errOut, "%s to the topic %s, %.0f a second\n",
			plural(e.events, "event was written", "events were written"), o.topic,
			float64(e.events)/time.Since(e.began).Seconds())
	}
	return err
}

// emission is trials on their way into a topic.
type emission struct {
	*emitOptions
	scenario *scenarios.Scenario
	variant  *defence.Variant
	out      *kafka.Writer
	errOut   io.Writer
	began    time.Time
	events   int
}

// trial builds a trial whose events are written when place has set their times, and writes the
// inventory of the first.
func (e *emission) trial(ctx context.Context, index int, place func(*event.Event)) (*trial.Trial, error) {
	t, err := trial.New(e.scenario, e.variant, index, trial.Options{Seed: e.seed, Watch: func(x *event.Event) {
		moved := *x
		place(&moved)
		e.out.Write(ctx, x.Host, moved.AppendJSON(nil))
		e.events++
	}})
	if err != nil || e.inventory == "" || index != e.index {
		return t, err
	}
	f, err := os.Create(e.inventory)
	if err != nil {
		return nil, fmt.Errorf("--inventory: %w", errors.Join(err, t.Close()))
	}
	if err := errors.Join(defence.WriteEstate(f, t.Inventory()), f.Close()); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// play runs one trial at the pace of its virtual time.
func (e *emission) play(ctx context.Context) error {
	base := e.began // of the trial's time 0
	if e.speed != 1 {
		lasts := time.Duration(0)
		if e.speed > 0 {
			lasts = time.Duration(float64(e.scenario.Horizon) / e.speed)
		}
		base = base.Add(lasts - e.scenario.Horizon)
	}
	shift := time.Duration(base.UnixNano())
	t, err := e.trial(ctx, e.index, func(x *event.Event) { x.Time, x.Observed = x.Time+shift, x.Observed+shift })
	if err != nil {
		return err
	}
	progress := startBar(e.errOut, "steps of 5 s", int(t.Horizon()/emitStep))
	for t.Now() < t.Horizon() && err == nil {
		next := t.Now() + emitStep
		if e.speed > 0 {
			err = sleepUntil(ctx, e.began.Add(time.Duration(float64(next)/e.speed)))
		}
		if err == nil {
			err = errors.Join(t.RunUntil(next), ctx.Err(), e.out.Err())
		}
		progress.step()
	}
	progress.stop(err == nil)
	return errors.Join(err, t.Close())
}

// pacedEvents is how many events are written between two looks at the clock.
const pacedEvents = 100

// load plays trial after trial at so many events a second.
func (e *emission) load(ctx context.Context) error {
	end := e.began.Add(e.lasting)
	place := func(x *event.Event) {
		at := e.began.Add(time.Duration(float64(e.events) / float64(e.rate) * float64(time.Second)))
		if e.events%pacedEvents == 0 {
			_ = sleepUntil(ctx, at) // the context is looked at below
		}
		x.Time = time.Duration(at.UnixNano())
		x.Observed = x.Time
	}
	progress := startBar(e.errOut, "seconds", int(e.lasting/time.Second))
	shown := 0
	var err error
	for index := e.index; err == nil && time.Now().Before(end); index++ {
		var t *trial.Trial
		if t, err = e.trial(ctx, index, place); err != nil {
			break
		}
		for t.Now() < t.Horizon() && err == nil && time.Now().Before(end) {
			err = errors.Join(t.RunUntil(t.Now()+emitStep), ctx.Err(), e.out.Err())
			for ; shown < int(time.Since(e.began)/time.Second); shown++ {
				progress.step()
			}
		}
		err = errors.Join(err, t.Close())
	}
	progress.stop(err == nil)
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
