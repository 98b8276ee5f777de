package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hemostat/defenders"
	"hemostat/defenders/inventory"
	"hemostat/defenders/live"
	"hemostat/defenders/live/kafka"
	"hemostat/defenders/live/webhook"
	"hemostat/scenarios/defence"
)

// kafkaFlags say how brokers are reached.
type kafkaFlags struct {
	kafka.Connection
	passwordEnv string
}

func (k *kafkaFlags) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&k.Brokers, "brokers", []string{"127.0.0.1:9092"}, "Kafka's `HOST:PORT`, several with commas")
	f.BoolVar(&k.TLS, "tls", false, "encrypt the connection to Kafka")
	f.StringVar(&k.CA, "tls-ca", "", "trust the certificates in `FILE` in place of the system's")
	f.StringVar(&k.Certificate, "tls-cert", "", "certificate of this client, in `FILE`")
	f.StringVar(&k.Key, "tls-key", "", "its key, in `FILE`")
	f.StringVar(&k.SASL, "sasl", "", "plain, scram-sha-256 or scram-sha-512")
	f.StringVar(&k.User, "sasl-user", "", "user of SASL")
	f.StringVar(&k.passwordEnv, "sasl-password-env", "", "environment `VARIABLE` that holds the password")
}

// connection fills in the password.
func (k *kafkaFlags) connection() (kafka.Connection, error) {
	c := k.Connection
	if k.passwordEnv != "" {
		if c.Password = os.Getenv(k.passwordEnv); c.Password == "" {
			return c, fmt.Errorf("--sasl-password-env: the environment variable %s is empty", k.passwordEnv)
		}
	}
	return c, nil
}

type liveOptions struct {
	kafka            kafkaFlags
	topics           []string
	group            string
	oldest           bool
	variant          string
	inventory        string
	dir              string
	newState         bool
	toTopic          []string
	webhook          string
	webhookTypes     []string
	webhookSecretEnv string
	actuator         string
	actuatorSecret   string
	listen           string
	straggle         time.Duration
	snapshotEvery    time.Duration
}

// outputTypes are the types of outputs that can be sent somewhere.
var outputTypes = []string{live.AlertOutput, live.IncidentOutput, live.ApprovalOutput, live.ActionOutput,
	live.ResponseOutput, live.PoisonOutput}

func liveCommand() *cobra.Command {
	var o liveOptions
	c := &cobra.Command{
		Use:   "live",
		Short: "Run the pipeline beside a stream of logs in Kafka",
		Long: `Reads logs from Kafka topics and runs the whole pipeline of a variant on them, on
the wall clock, until it is ended by a signal. Alerts, incidents, requests for
approval and actions go to the audit file in the folder of the state, and to
topics and webhooks where these are named. Nothing is done to the estate unless
an actuator is named.

The state is written to a folder from time to time, and every input to a journal
there. After a kill at any moment a new run goes on from it: no record is left
out, and what was sent twice has one id. Give each run a folder and a group of its own.

People answer requests for approval with hemostat approve, or by a signed POST to
/api/v1/answers. Metrics stand at /metrics.`,
		Example: `  hemostat live --topic windows=winlog --topic dns --inventory estate.yaml --state live
  hemostat live --brokers kafka:9092 --topic logs --to-topic alert=soc.alerts --webhook https://soc.example.org/hook`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	o.kafka.flags(f)
	f.StringArrayVar(&o.topics, "topic", nil, "read the topic `NAME`, or NAME=FORMAT; may be repeated")
	f.StringVar(&o.group, "group", "hemostat", "consumer group")
	f.BoolVar(&o.oldest, "from-oldest", false,
		"begin with the oldest records of a topic, where the state knows no position yet")
	f.StringVar(&o.variant, "variant", "", "the defence, a variant's `FILE` or name; default when absent")
	f.StringVar(&o.inventory, "inventory", "", "hosts and accounts of the estate, in `FILE`")
	f.StringVar(&o.dir, "state", "live", "keep the state in `FOLDER`")
	f.BoolVar(&o.newState, "new-state", false,
		"begin with an empty pipeline where the state is of another version or configuration")
	f.StringArrayVar(&o.toTopic, "to-topic", nil, "write outputs to a topic, `TYPE=NAME`; may be repeated; types: "+
		strings.Join(outputTypes, ", "))
	f.StringVar(&o.webhook, "webhook", "", "send outputs to `URL` as CloudEvents")
	f.StringSliceVar(&o.webhookTypes, "webhook-types", []string{live.AlertOutput, live.IncidentOutput, live.ApprovalOutput,
		live.ActionOutput}, "which types go there")
	f.StringVar(&o.webhookSecretEnv, "webhook-secret-env", "",
		"environment `VARIABLE` that holds the secret with which webhooks and answers are signed")
	f.StringVar(&o.actuator, "actuator", "", "carry actions out by webhook=URL or openc2=URL; a dry run when absent")
	f.StringVar(&o.actuatorSecret, "actuator-secret-env", "",
		"environment `VARIABLE` that holds the secret with which requests are signed")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8088", "serve metrics, health and approvals at `ADDRESS`")
	f.DurationVar(&o.straggle, "wait", 300*time.Millisecond, "how long an event waits for older ones that come later")
	f.DurationVar(&o.snapshotEvery, "snapshot-every", time.Minute, "how often the state is written")
	return c
}

// formats are the formats by topic.
func (o *liveOptions) formats() (map[string]string, error) {
	if len(o.topics) == 0 {
		return nil, errors.New("no topic is named; --topic NAME, or NAME=FORMAT (hemostat formats lists them)")
	}
	formats := map[string]string{}
	for _, t := range o.topics {
		name, format, _ := strings.Cut(t, "=")
		if name == "" {
			return nil, fmt.Errorf("--topic %s: NAME or NAME=FORMAT is expected", t)
		}
		formats[name] = format
	}
	return formats, nil
}

func (o *liveOptions) run(c *cobra.Command) error {
	debug.SetGCPercent(100) // a run has no end: memory counts
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	v, err := defence.Load(o.variant, nil)
	if err != nil {
		return err
	}
	defer func() { noteFault(c.ErrOrStderr(), v.Close()) }()
	noteLeftOut(c.ErrOrStderr(), v.LeftOut())
	noteAgent(c.ErrOrStderr(), v)
	if len(v.Feeds()) > 0 {
		fmt.Fprintln(c.ErrOrStderr(),
			"note: feeds that are made from the truth of a simulation know nothing here, and are left out")
	}
	estate := inventory.New(nil, nil)
	if o.inventory != "" {
		if estate, err = defence.ReadEstate(o.inventory); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(c.ErrOrStderr(), "note: without --inventory nothing is known of hosts and accounts, "+
			"and playbooks that ask for them find none")
	}
	asker, err := v.OpenServers(c.Context(), func(note string) { log.Info(note) })
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var ofPipeline *prometheus.Registry // of the last that was built
	options := live.Options{
		Build: func() (defenders.Config, error) {
			config, err := v.LivePipeline(estate, asker)
			ofPipeline = prometheus.NewRegistry()
			config.Registry = ofPipeline
			return config, err
		},
		Dir: o.dir, NewState: o.newState, Straggle: o.straggle, SnapshotEvery: o.snapshotEvery, Log: log, Registry: registry,
	}
	return o.connect(c, options, registry, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return prometheus.Gatherers{registry, ofPipeline}.Gather()
	}))
}

// connect opens what the run reads and writes, and runs it.
func (o *liveOptions) connect(c *cobra.Command, options live.Options, registry *prometheus.Registry,
	metrics prometheus.Gatherer) (err error) {
	ctx := c.Context()
	if options.Formats, err = o.formats(); err != nil {
		return err
	}
	connection, err := o.kafka.connection()
	if err != nil {
		return err
	}
	connection.Note = func(err error) { options.Log.Warn("Kafka", "error", err) }
	secret, err := secretOf("--webhook-secret-env", o.webhookSecretEnv)
	if err != nil {
		return err
	}
	var closers []func()
	defer func() {
		for _, f := range slices.Backward(closers) {
			f()
		}
	}()
	if options.Sinks, err = o.sinks(ctx, connection, secret, registry, &closers); err != nil {
		return err
	}
	if options.Executor, err = o.executor(); err != nil {
		return err
	}
	topics := make([]string, 0, len(options.Formats))
	for t := range options.Formats {
		topics = append(topics, t)
	}
	slices.Sort(topics)
	instance, err := live.Identify(o.dir)
	if err != nil {
		return err
	}
	group := kafka.Group{Name: o.group, Instance: instance, FromOldest: o.oldest}
	source, err := kafka.NewSource(ctx, connection, group, topics)
	if err != nil {
		return err
	}
	closers = append(closers, source.Close)
	options.Source = source
	r, err := live.New(options)
	if err != nil {
		return err
	}
	source.ReadFrom(r.Start)
	token, err := tokenOf(filepath.Join(o.dir, tokenFile))
	if err != nil {
		return errors.Join(err, r.Close())
	}
	stop, at, err := serve("--listen", o.listen, live.Handler(r, metrics, token, secret), c.ErrOrStderr())
	if err != nil {
		return errors.Join(err, r.Close())
	}
	defer stop()
	fmt.Fprintf(c.ErrOrStderr(), "metrics and approvals at http://%s\n", at)
	options.Log.Info("reading", "topics", strings.Join(topics, " "), "group", o.group, "state", o.dir,
		"dry_run", options.Executor == nil)
	if err := r.Run(ctx); err != nil {
		return exit{exitInternal, err}
	}
	options.Log.Info("ended; a later run goes on from here")
	return nil
}

// sinks are where outputs go.
func (o *liveOptions) sinks(ctx context.Context, connection kafka.Connection, secret []byte,
	registry *prometheus.Registry, closers *[]func(),
) (sinks []live.Sink, err error) {
	topics := map[string]string{}
	for _, t := range o.toTopic {
		kind, name, ok := strings.Cut(t, "=")
		if !ok || name == "" || !slices.Contains(outputTypes, kind) {
			return nil, fmt.Errorf("--to-topic %s: TYPE=NAME is expected, with one of the types %s",
				t, strings.Join(outputTypes, ", "))
		}
		topics[kind] = name
	}
	if len(topics) > 0 {
		s, err := kafka.NewSink(ctx, connection, topics)
		if err != nil {
			return nil, err
		}
		*closers = append(*closers, s.Close)
		sinks = append(sinks, s)
	}
	if o.webhook == "" {
		return sinks, nil
	}
	for _, t := range o.webhookTypes {
		if !slices.Contains(outputTypes, t) {
			return nil, fmt.Errorf("--webhook-types: %q is no type; accepted: %s", t, strings.Join(outputTypes, ", "))
		}
	}
	failed := prometheus.NewCounter(prometheus.CounterOpts{Name: "live_dead_letters_total",
		Help: "Outputs that no receiver took, in the file deadletters.ndjson of the state."})
	registry.MustRegister(failed)
	s, err := webhook.NewSink("webhook", webhook.Endpoint{URL: o.webhook, Secret: secret}, o.webhookTypes,
		webhook.NewDeadLetters(filepath.Join(o.dir, "deadletters.ndjson")), failed.Inc)
	if err != nil {
		return nil, fmt.Errorf("--webhook: %w", err)
	}
	return append(sinks, s), nil
}

// executor carries actions out; nil for a dry run.
func (o *liveOptions) executor() (live.Executor, error) {
	if o.actuator == "" {
		return nil, nil
	}
	secret, err := secretOf("--actuator-secret-env", o.actuatorSecret)
	if err != nil {
		return nil, err
	}
	kind, address, _ := strings.Cut(o.actuator, "=")
	var x live.Executor
	switch kind {
	case "webhook":
		x, err = webhook.NewExecutor(webhook.Endpoint{URL: address, Secret: secret})
	case "openc2":
		x, err = webhook.NewOpenC2(webhook.Endpoint{URL: address, Secret: secret})
	default:
		return nil, fmt.Errorf("--actuator %s: webhook=URL or openc2=URL is expected", o.actuator)
	}
	if err != nil {
		return nil, fmt.Errorf("--actuator: %w", err)
	}
	return x, nil
}

// secretOf reads a secret from the environment.
func secretOf(flag, variable string) ([]byte, error) {
	if variable == "" {
		return nil, nil
	}
	text := os.Getenv(variable)
	if text == "" {
		return nil, fmt.Errorf("%s: the environment variable %s is empty", flag, variable)
	}
	return []byte(text), nil
}

// tokenFile holds the token with which approvals are answered.
const tokenFile = "token"

// tokenOf reads the token that a file holds, or makes one; only its owner may read it.
func tokenOf(name string) (string, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		var token [24]byte
		if _, err := rand.Read(token[:]); err != nil {
			return "", err
		}
		data = []byte(hex.EncodeToString(token[:]) + "\n")
		err = os.WriteFile(name, data, 0o600)
		if err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("%s is empty; remove it, and a new token is made", name)
	}
	return token, nil
}
