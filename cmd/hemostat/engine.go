package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"hemostat/scenarios/defence"
	"hemostat/scenarios/plan"
	"hemostat/sim/batch"
	"hemostat/sim/batch/distributed"
	"hemostat/sim/record"
)

// engineFlags say where the distributed engine is.
type engineFlags struct {
	distributed.Server
	attempts int
	replicas int
	patience time.Duration
}

func (o *engineFlags) flags(f *pflag.FlagSet, usage string) {
	f.StringVar(&o.URL, "engine", "", usage)
	f.StringVar(&o.Credentials, "engine-creds", "", "NATS credentials, in `FILE`")
	f.StringVar(&o.TokenFile, "engine-token-file", "", "token of the engine, in `FILE`")
	f.StringVar(&o.CA, "engine-ca", "", "trust the certificates in `FILE` in place of the system's")
	f.StringVar(&o.Certificate, "engine-cert", "", "certificate of this client, or of the embedded server, in `FILE`")
	f.StringVar(&o.Key, "engine-key", "", "its key, in `FILE`")
}

// jobPlan is the plan of a distributed job, as the coordinator writes it and workers read it.
type jobPlan struct {
	Plan       *plan.Plan `json:"plan"`
	KeepEvents bool       `json:"keep_events,omitempty"`
	// OfflineAnalyst puts the offline analyst in the place of models.
	OfflineAnalyst bool `json:"offline_analyst,omitempty"`
}

// program is what the digests of trials may depend on, beside the plan.
func program() string { return newRun(&plan.Matrix{}).Engine() }

// checkEngine refuses what a distributed run cannot do.
func (o *runOptions) checkEngine() error {
	if o.engine.URL == "" {
		return nil
	}
	if err := o.engine.Check(); err != nil {
		return fmt.Errorf("--engine: %w", err)
	}
	switch mode := defence.AnalystMode(o.analyst.mode); {
	case mode != defence.AnalystReplay && mode != defence.AnalystOffline:
		return fmt.Errorf("--engine: workers ask no model, so --analyst %s is not for them; "+
			"record the answers in a local run first, then give each worker the cassette", mode)
	case o.engine.replicas < 1 || o.engine.replicas > 5:
		return fmt.Errorf("--engine-replicas: 1 to 5 is accepted, not %d", o.engine.replicas)
	case o.engine.patience < time.Second:
		return fmt.Errorf("--engine-patience: 1s or more is accepted, not %s", o.engine.patience)
	case o.engine.attempts < 1:
		return fmt.Errorf("--engine-attempts: 1 or more is accepted, not %d", o.engine.attempts)
	}
	return nil
}

// runTasks makes the trials here, or has workers make them.
func (o *runOptions) runTasks(ctx context.Context, m *plan.Matrix, tasks []batch.Task, errOut io.Writer,
	sink func(*record.Trial) error) error {
	if o.engine.URL == "" {
		return batch.Run(ctx, o.parallel, tasks, sink)
	}
	note := func(text string) { fmt.Fprintln(errOut, safe(text)) }
	at := o.engine.Server
	complete := false
	if at.Embedded() {
		dir := o.db + ".engine"
		url, stop, err := at.Start(dir)
		if err != nil {
			return exit{exitUsage, fmt.Errorf("--engine %s: %w", at.URL, err)}
		}
		defer func() {
			stop()
			if complete { // nothing is left to be done
				noteFault(errOut, os.RemoveAll(dir))
			}
		}()
		note("workers are waited for: hemostat worker --engine " + url)
		at.URL = url
	}
	job, err := o.job(m)
	if err != nil {
		return exit{exitInternal, err}
	}
	nc, err := at.Connect(ctx, "hemostat run", false, note)
	if err != nil {
		return exit{exitUsage, fmt.Errorf("--engine: %w", err)}
	}
	defer nc.Close()
	err = distributed.Run(ctx, nc, job, tasks, distributed.Options{Note: note, Replicas: o.engine.replicas}, sink)
	complete = err == nil
	if errors.Is(err, distributed.ErrTaken) {
		return exit{exitUsage, fmt.Errorf("--engine: %w", err)}
	}
	return err
}

// job describes the run to workers. The same command on the same database is the same job, which
// a run that was killed has left.
func (o *runOptions) job(m *plan.Matrix) (distributed.Job, error) {
	text, err := json.Marshal(jobPlan{o.planned, o.keepEvents, defence.AnalystMode(o.analyst.mode) == defence.AnalystOffline})
	if err != nil {
		return distributed.Job{}, err
	}
	place, err := filepath.Abs(o.db)
	if err != nil {
		return distributed.Job{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return distributed.Job{}, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s\n%s\n%s", program(), text, m.Digest(), host, place, o.shard))
	return distributed.Job{ID: hex.EncodeToString(sum[:8]), Program: program(), Digests: m.Digests(), Plan: text,
		Attempts: o.engine.attempts, Patience: o.engine.patience, Created: time.Now()}, nil
}

// otherDigests says which scenarios and variants are not those of the coordinator.
func otherDigests(own, wanted map[string]string) error {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		switch digest, known := own[name]; {
		case !known:
			faults = append(faults, name+" is missing here")
		case digest != wanted[name]:
			faults = append(faults, fmt.Sprintf("%s has the digest %.12s here and %.12s at the run", name, digest, wanted[name]))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; ") + "; give this worker the same files")
}
