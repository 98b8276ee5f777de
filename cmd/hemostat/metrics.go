package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveMetrics serves what is gathered at /metrics of an address, such as
// 127.0.0.1:9187, until stop is called.
func serveMetrics(address string, g prometheus.Gatherer, errOut io.Writer) (stop func(), err error) {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	stop, at, err := serve("--metrics", address, mux, errOut)
	if err == nil {
		fmt.Fprintf(errOut, "metrics at http://%s/metrics\n", at)
	}
	return stop, err
}

// serve serves a handler at the address of a flag until stop is called, and returns where.
func serve(flag, address string, h http.Handler, errOut io.Writer) (stop func(), at net.Addr, err error) {
	return serveEncrypted(flag, address, h, nil, errOut)
}

// serveEncrypted is serve with TLS, unless its configuration is nil.
func serveEncrypted(flag, address string, h http.Handler, config *tls.Config, errOut io.Writer) (
	stop func(), at net.Addr, err error,
) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: an address such as 127.0.0.1:9187 is expected: %w", flag, err)
	}
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(errOut, "%s: %v\n", flag, err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // the program is ending; a request that goes on is cut
	}, listener.Addr(), nil
}

// runMetrics are what a batch tells of itself beside what its trials count.
type runMetrics struct {
	trials  *prometheus.CounterVec
	planned prometheus.Gauge
	events  prometheus.Counter
}

func newRunMetrics(r prometheus.Registerer, planned int) (*runMetrics, error) {
	m := &runMetrics{
		trials: prometheus.NewCounterVec(
			prometheus.CounterOpts{
				Name: "hemostat_trials_total",
				Help: "Trials that ended, by scenario, variant and status.",
			},
			[]string{"scenario", "variant", "status"},
		),
		planned: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "hemostat_trials_planned", Help: "Trials that the batch is to run."},
		),
		events: prometheus.NewCounter(
			prometheus.CounterOpts{
				Name: "hemostat_events_total",
				Help: "Events that the sensors of the batch's trials collected.",
			},
		),
	}
	for _, c := range []prometheus.Collector{m.trials, m.planned, m.events} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	m.planned.Set(float64(planned))
	return m, nil
}
