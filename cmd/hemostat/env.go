package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hemostat/reports/store"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/environment"
	"hemostat/sim/record"
)

type envOptions struct {
	side     string
	attacker string
	variant  string
	seed     uint64
	step     time.Duration
	reward   string
	harm     string // reward of the attacker
	blind    bool
	thinking string
	db       string
	listen   string
	token    string
	sessions int
	patience time.Duration
	set      []string
}

func envCommand() *cobra.Command {
	var o envOptions
	c := &cobra.Command{
		Use:   "env [SCENARIO...]",
		Short: "Let a program outside decide in trials, step by step",
		Long: `Plays trials with an agent from outside: a trained policy, a language model with tools, a
script. It reads one JSON object a line from standard input and answers each with one on
standard output; virtual time stands still until the agent has decided. With --listen several
agents play at once over HTTP.

A blue agent sees what a defence sees (alerts, incidents, actions, approval requests, the
estate; never the truth) and acts through the same actions as playbooks, with the same approval
requests, delays, failures and prices. Beside it the variant works: its detectors, and its
playbooks where it has any. The reward is by how much the step has lowered the trial's score,
or what --reward says; --blind gives none.

A red agent sees what an attacker knows (footholds, hosts, credentials, how their own steps
ended) and chooses technique, tool and target from the library; the variant defends. With
--side both one program decides for blue and red, at the same times.

With --db each trial that comes to its end is recorded under the agent's name, so that compare,
gate, trace and serve work on agents as on any variant.`,
		Example: `  hemostat env web-shell
  hemostat env ransomware lateral-movement --variant detect.yaml --step 30s --db agents.db
  hemostat env lateral-movement --side red --variant typical
  hemostat env web-shell --listen 127.0.0.1:8090 --sessions 8`,
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVar(&o.side, "side", "blue", "for whom the agent decides: blue, red, both")
	f.StringVar(&o.attacker, "attacker", "", "`NAME` of the attacker for whom red decides; the scenario's first when absent")
	f.StringVar(&o.variant, "variant", "",
		"the defence that the agent belongs to, a variant's `FILE` or name; when absent the shipped one, for blue without its playbooks")
	f.Uint64Var(&o.seed, "seed", 1, "seed of trials whose reset names none")
	f.DurationVar(&o.step, "step", time.Minute, "virtual time between two decisions")
	f.StringVar(&o.reward, "reward", environment.ScoreReward, "what a step is worth, an `EXPRESSION` over harm, disruption, "+
		"operations, stake, hours, alerts, actions, objectives, done")
	f.StringVar(&o.harm, "attacker-reward", environment.HarmReward, "what a step is worth to red, an `EXPRESSION` over the same")
	f.BoolVar(&o.blind, "blind", false, "tell the agent no reward and no result")
	f.StringVar(&o.thinking, "thinking", "stops",
		"virtual time while the agent thinks: stops, or counts (results then differ from run to run)")
	f.StringVar(&o.db, "db", "", "record trials that come to their end in the database `FILE`")
	f.StringVar(&o.listen, "listen", "", "serve several agents at once over HTTP at `ADDRESS`, in place of standard streams")
	f.StringVar(&o.token, "token-file", "", "with --listen: ask for the token in `FILE`, which is made where it is missing")
	f.IntVar(&o.sessions, "sessions", 16, "with --listen: so many sessions at once at most")
	f.DurationVar(&o.patience, "patience", 10*time.Minute, "with --listen: end a session that says nothing for so long")
	f.StringArrayVar(&o.set, "set", nil, "set a value of the scenario or variant, PATH=VALUE")
	return c
}

// withoutPlaybooks is the variant of the environment where none is named.
const withoutPlaybooks = "playbooks=none"

func (o *envOptions) check(changed func(flag string) bool) error {
	if err := errors.Join(checkChoice("--thinking", o.thinking, "stops", "counts"),
		checkChoice("--side", o.side, "blue", "red", "both")); err != nil {
		return err
	}
	switch {
	case o.side == "blue" && (changed("attacker") || changed("attacker-reward")):
		return errors.New("--attacker and --attacker-reward go with --side red or both")
	case o.side == "red" && changed("reward"):
		return errors.New("--reward is blue's: --attacker-reward says what a step is worth to red")
	case o.step < time.Millisecond:
		return fmt.Errorf("--step: 1ms or more is expected, not %s", o.step)
	case o.sessions < 1:
		return fmt.Errorf("--sessions: 1 or more is expected, not %d", o.sessions)
	case o.patience <= 0:
		return fmt.Errorf("--patience: a time above 0 is expected, not %s", o.patience)
	case o.listen == "" && (changed("token-file") || changed("sessions") || changed("patience")):
		return errors.New("--token-file, --sessions and --patience go with --listen")
	case o.blind && (changed("reward") || changed("attacker-reward")):
		return errors.New("--blind gives no reward: leave --reward and --attacker-reward out")
	}
	return nil
}

func (o *envOptions) run(c *cobra.Command, args []string) error {
	if err := o.check(c.Flags().Changed); err != nil {
		return err
	}
	e, v, err := o.environment(args)
	if err != nil {
		return err
	}
	defer func() { noteFault(c.ErrOrStderr(), v.Close()) }()
	e.Interrupted = func() bool { return c.Context().Err() != nil }
	if o.db != "" {
		r, err := newAgentRecorder(c.Context(), o.db, &e)
		if err != nil {
			return err
		}
		defer func() { noteFault(c.ErrOrStderr(), r.close()) }()
		e.Finished = r.put
	}
	if o.listen != "" {
		return o.serve(c, e)
	}
	return playOverStreams(c.Context(), c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr(), e)
}

// environment loads what the agents play.
func (o *envOptions) environment(names []string) (environment.Options, *defence.Variant, error) {
	e := environment.Options{Side: environment.Side(o.side), Attacker: o.attacker, Seed: o.seed, Step: o.step,
		ThinkingCounts: o.thinking == "counts", Version: version}
	texts := o.set
	if o.variant == "" && e.Side != environment.Red {
		texts = append([]string{withoutPlaybooks}, texts...)
	}
	var set []scenarios.Setting
	for _, s := range texts {
		setting, err := scenarios.ParseSetting(s)
		if err != nil {
			return e, nil, fmt.Errorf("--set: %w", err)
		}
		set = append(set, setting)
	}
	if !o.blind {
		var err error
		if e.Reward, err = environment.NewReward(o.reward); err != nil {
			return e, nil, fmt.Errorf("--reward: %w", err)
		}
		if e.AttackerReward, err = environment.NewReward(o.harm); err != nil {
			return e, nil, fmt.Errorf("--attacker-reward: %w", err)
		}
	}
	v, err := defence.LoadSimulated(o.variant, set)
	if err != nil {
		return e, nil, err
	}
	e.Variant = v
	if len(names) == 0 {
		names = scenarios.EmbeddedNames()
	}
	for _, name := range names {
		s, err := scenarios.Load(name, v.Scenario)
		if err != nil {
			return e, nil, errors.Join(err, v.Close())
		}
		e.Scenarios = append(e.Scenarios, s)
	}
	return e, v, nil
}

// playOverStreams plays with the agent at the standard streams until it says bye, its stream
// ends or the program is interrupted.
func playOverStreams(ctx context.Context, in io.Reader, out, errOut io.Writer, e environment.Options) error {
	s := environment.NewSession(e)
	defer func() { noteFault(errOut, s.Close()) }()
	lines := make(chan []byte)
	asked := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		r := bufio.NewReaderSize(in, 1<<16)
		for {
			line, err := readMessage(r)
			if err != nil {
				failed <- err
				return
			}
			lines <- line
			<-asked
		}
	}()
	w := bufio.NewWriter(out)
	for {
		select {
		case <-ctx.Done():
			return exit{exitInterrupted, errors.New("interrupted")}
		case err := <-failed:
			if errors.Is(err, io.EOF) {
				if s.IsPlaying() {
					fmt.Fprintln(errOut, "the agent has gone in the middle of a trial, which is not recorded")
				}
				return nil
			}
			return fmt.Errorf("standard input: %w", err)
		case line := <-lines:
			reply, ended := s.Answer(line)
			if _, err := w.Write(append(reply, '\n')); err != nil {
				return fmt.Errorf("standard output: %w", err)
			}
			if err := w.Flush(); err != nil {
				return fmt.Errorf("standard output: %w", err)
			}
			if ended {
				return endOf(reply)
			}
			asked <- struct{}{}
		}
	}
}

// endOf is nil after a farewell, and otherwise what went wrong.
func endOf(reply []byte) error {
	if bytes.Contains(reply, []byte(`"type":"error"`)) {
		return errors.New("the session cannot go on; its last answer says why")
	}
	return nil
}

// readMessage reads a line that is not blank. One that is too long is read to its end and cut, so
// that it is answered with an error.
func readMessage(r *bufio.Reader) ([]byte, error) {
	for {
		var line []byte
		for {
			part, err := r.ReadSlice('\n')
			if len(line) <= environment.MostBytes {
				line = append(line, part...)
			}
			if err == nil {
				break
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if errors.Is(err, io.EOF) && len(bytes.TrimSpace(line)) > 0 {
				return bytes.TrimSpace(line), nil
			}
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

// agentRecorder writes trials of agents into a database, those of each agent as a run.
type agentRecorder struct {
	mutex     sync.Mutex
	db        *store.DB
	seed      uint64
	scenarios []store.Named
	runs      map[string]string // by the variant's digest
}

func newAgentRecorder(ctx context.Context, file string, e *environment.Options) (*agentRecorder, error) {
	db, err := store.Create(ctx, file)
	if err != nil {
		return nil, err
	}
	r := &agentRecorder{db: db, seed: e.Seed, runs: map[string]string{}}
	for _, s := range e.Scenarios {
		r.scenarios = append(r.scenarios, store.Named{Name: s.Name, Digest: s.Digest(), Text: string(s.Text)})
	}
	return r, nil
}

// put records a trial. One that is recorded already with other rows is an error: the agent has
// decided otherwise under the same name and version.
func (r *agentRecorder) put(v *defence.Variant, s *scenarios.Scenario, seed uint64, t *record.Trial) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	run, begun := r.runs[v.Digest]
	if !begun {
		created := time.Now().UTC().Format(time.RFC3339Nano)
		sum := sha256.Sum256([]byte(v.Digest + created))
		run = hex.EncodeToString(sum[:6])
		err := r.db.Begin(store.Run{ID: run, CreatedAt: created, ToolVersion: version, GitCommit: builtFrom(),
			Architecture: runtime.GOOS + "/" + runtime.GOARCH, Seed: r.seed, PlanDigest: v.Digest},
			r.scenarios, []store.Named{{Name: v.Name, Digest: v.Digest, Text: string(v.JSON)}})
		if err != nil {
			return err
		}
		r.runs[v.Digest] = run
	}
	err := r.db.Put(store.Identity{Run: run, Seed: seed, ScenarioDigest: s.Digest(), VariantDigest: v.Digest}, t)
	if err != nil {
		return err
	}
	digest, err := r.db.Digest(t.TrialID)
	if err == nil && digest != t.Digest {
		err = fmt.Errorf("the trial %d of %s with seed %d is recorded already with other decisions of %s; "+
			"an agent that decides otherwise needs another version in its hello", t.Index, s.Name, seed, v.Name)
	}
	return err
}

func (r *agentRecorder) close() error {
	var faults []error
	for _, run := range slices.Sorted(maps.Values(r.runs)) {
		faults = append(faults, r.db.Finish(run, "done"))
	}
	return errors.Join(append(faults, r.db.Close())...)
}

// noteAgent tells that a variant's agent has no part in what is no simulation.
func noteAgent(errOut io.Writer, v *defence.Variant) {
	if name := v.AgentName(); name != "" {
		fmt.Fprintf(errOut, "note: the agent %s decides in simulated trials only, and is left out\n", name)
	}
}
