package main

import (
	"context"
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
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: an address such as 127.0.0.1:9187 is expected: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(errOut, "--metrics: %v\n", err)
		}
	}()
	fmt.Fprintf(errOut, "metrics at http://%s/metrics\n", listener.Addr())
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // the program is ending; a scrape that goes on is cut
	}, nil
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
