package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"hemostat/reports/compare"
	"hemostat/reports/store"
	"hemostat/reports/web"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/record"
)

type serveOptions struct {
	db, listen, tokenFile string
	cert, key             string
	live, liveState       string
}

func serveCommand() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve [DB]",
		Short: "Look at trials, comparisons and requests for approval in the browser",
		Long: `Serves a database as web pages, as JSON (/api/v1, described by /api/v1/openapi.json) and
as metrics (/metrics): runs and trials, one trial as a time line and as a map of the estate
through time, incidents with their graphs, comparisons, verdicts of the gate, fidelity; and with
--live the requests for approval of a live run, to be answered there. A database that other
programs write to is read again as it changes.

On this machine's own address nobody is asked for a token. Elsewhere, and wherever --token-file
names one, pages ask for it in a form and programs show it in the header Authorization.`,
		Example: `  hemostat serve hemostat.db
  hemostat serve hemostat.db --live http://127.0.0.1:8088 --live-state live
  hemostat serve hemostat.db --listen 0.0.0.0:8087 --token-file token --tls-cert cert.pem --tls-key key.pem`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if c.Flags().Changed("db") {
					return errors.New("the database is named twice: leave --db out")
				}
				o.db = args[0]
			}
			return o.run(c)
		},
	}
	f := c.Flags()
	f.StringVar(&o.db, "db", "hemostat.db", "database `FILE`")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8087", "serve at `ADDRESS`")
	f.StringVar(&o.tokenFile, "token-file", "",
		"ask for the token in `FILE`, which is made where it is missing; DB.token when absent and the address is not this machine's own")
	f.StringVar(&o.cert, "tls-cert", "", "encrypt with the certificate in `FILE`")
	f.StringVar(&o.key, "tls-key", "", "its key, in `FILE`")
	f.StringVar(&o.live, "live", "", "`URL` of a live run whose requests for approval are shown")
	f.StringVar(&o.liveState, "live-state", "live", "folder of that run's state, for its token")
	return c
}

// largeDatabase is the size from which on reading the list of trials takes a while.
const largeDatabase = 100 << 20

func (o *serveOptions) run(c *cobra.Command) error {
	options := web.Options{
		File: o.db, Log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)), Registry: prometheus.NewRegistry(),
		Technique: techniqueNamer(), Overview: o.overview, Compare: o.compare, Explain: o.explain, Estate: o.estate,
	}
	options.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.live != "" {
		options.Live = &liveClient{o.live, o.liveState, "--live-state"}
	}
	if (o.cert == "") != (o.key == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	options.IsSecure = o.cert != ""
	if err := o.token(c, &options); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	if info, err := os.Stat(o.db); err == nil && info.Size() > largeDatabase {
		fmt.Fprintf(c.ErrOrStderr(), "reading the list of trials of %s\n", o.db)
	}
	server, err := web.New(ctx, options)
	if err != nil {
		return err
	}
	scheme, stop, at, err := o.open(c, server.Handler())
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(c.ErrOrStderr(), "serving %s of %s at %s://%s; Ctrl-C ends it\n",
		plural(server.Trials(), "trial", "trials"), o.db, scheme, at)
	<-ctx.Done()
	return nil
}

// token finds out whether a token is asked for, and which.
func (o *serveOptions) token(c *cobra.Command, options *web.Options) (err error) {
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return fmt.Errorf("--listen: an address such as 127.0.0.1:8087 is expected: %w", err)
	}
	ip := net.ParseIP(host)
	isOwn := host == "localhost" || ip != nil && ip.IsLoopback()
	if o.tokenFile == "" {
		if isOwn {
			return nil
		}
		o.tokenFile = o.db + ".token"
	}
	if options.Token, err = tokenOf(o.tokenFile); err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	fmt.Fprintf(c.ErrOrStderr(), "the token stands in %s\n", o.tokenFile)
	if !isOwn && !options.IsSecure {
		fmt.Fprintln(c.ErrOrStderr(), "note: the connection is not encrypted, so that whoever listens to it learns the token; "+
			"--tls-cert and --tls-key encrypt it")
	}
	return nil
}

// open serves the handler, encrypted where there is a certificate.
func (o *serveOptions) open(c *cobra.Command, h http.Handler) (scheme string, stop func(), at net.Addr, err error) {
	var config *tls.Config
	scheme = "http"
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return "", nil, nil, fmt.Errorf("--tls-cert: %w", err)
		}
		config, scheme = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, "https"
	}
	stop, at, err = serveEncrypted("--listen", o.listen, h, config, c.ErrOrStderr())
	return scheme, stop, at, err
}

func techniqueNamer() func(string) (name, tactic string) {
	known := techniqueNames()
	return func(id string) (string, string) { return known[id].Name, known[id].Tactic }
}

func (o *serveOptions) overview(ctx context.Context, run string) (template.HTML, error) {
	report := reportOptions{run: run}
	all, page, err := report.gather(ctx, o.db)
	if err != nil {
		return "", err
	}
	return all.Section(page)
}

func (o *serveOptions) compare(ctx context.Context, baseline, candidate, run string) (*compare.Result, error) {
	return compareDatabases(ctx, side{o.db, store.Filter{Variant: baseline, Run: run}},
		side{o.db, store.Filter{Variant: candidate, Run: run}}, compare.Options{})
}

func (o *serveOptions) explain(ctx context.Context, t *record.Trial, n int) (web.Explained, error) {
	db, err := store.Open(ctx, o.db)
	if err != nil {
		return web.Explained{}, err
	}
	defer db.Close()
	x, err := explainIncident(db, t, n)
	if err != nil {
		return web.Explained{}, err
	}
	var text, drawing bytes.Buffer
	err = errors.Join(indented(&x.Threat)(&text), x.Graph.WriteSVG(&drawing))
	return web.Explained{JSON: text.Bytes(), SVG: drawing.Bytes()}, err
}

// estate builds the estate of a trial anew, as it was on its first minute.
func (o *serveOptions) estate(ctx context.Context, t *record.Trial) (hosts []web.Host, err error) {
	db, err := store.Open(ctx, o.db)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	s, seed, err := scenarioOf(db, t)
	if err != nil {
		return nil, err
	}
	v, err := defence.LoadSimulated("noop", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	built, err := trial.New(s, v, t.Index, trial.Options{Seed: seed})
	if err != nil {
		return nil, err
	}
	for _, h := range built.Inventory().Hosts {
		hosts = append(hosts, web.Host{Name: h.Name, Zone: h.Zone, Role: string(h.Role)})
	}
	return hosts, built.Close()
}
