// Command detector is an example of a plug-in in Go, with the standard library only: a host
// that asks for many names that do not exist, as malware does that generates its domains
// (T1568.002). Run it as a child process, or with an address as a server over HTTP:
//
//	go run . 127.0.0.1:9000
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

// message is any message of the program.
type message struct {
	Type   string  `json:"type"`
	Trial  string  `json:"trial_id"`
	Seq    uint64  `json:"seq"`
	Events []event `json:"events"`
}

type event struct {
	ID     uint64            `json:"id"`
	TimeNS int64             `json:"time_ns"`
	Fields map[string]string `json:"fields"`
}

type finding struct {
	EventID    uint64  `json:"event_id"`
	Title      string  `json:"title"`
	Technique  string  `json:"technique"`
	Severity   string  `json:"severity"`
	Confidence float64 `json:"confidence"`
}

// detector counts missing names by host within ten minutes.
type detector struct {
	windows map[string]*window
}

type window struct {
	began int64
	names map[string]bool
}

const (
	length = 600e9 // nanoseconds
	bar    = 60    // different names
)

func (d *detector) inspect(e event) *finding {
	if e.Fields["rcode_name"] != "NXDOMAIN" {
		return nil
	}
	host := e.Fields["id.orig_h"]
	w := d.windows[host]
	if w == nil || e.TimeNS-w.began > length {
		w = &window{began: e.TimeNS, names: map[string]bool{}}
		d.windows[host] = w
	}
	w.names[e.Fields["query"]] = true
	if len(w.names) != bar {
		return nil
	}
	return &finding{e.ID, "Many names that do not exist", "T1568.002", "medium", 0.7}
}

// answer returns what is to be said to a message, nil for nothing.
func (d *detector) answer(m message) any {
	switch m.Type {
	case "hello":
		return map[string]any{
			"type": "ready", "name": "missing-names", "version": "1",
			"wants": []any{map[string]any{
				"logsource": map[string]string{"category": "dns"}, "fields": []string{"rcode_name", "query", "id.orig_h"},
			}},
		}
	case "trial":
		d.windows = map[string]*window{}
	case "events":
		found := []*finding{}
		for _, e := range m.Events {
			if f := d.inspect(e); f != nil {
				found = append(found, f)
			}
		}
		return map[string]any{"type": "alerts", "seq": m.Seq, "alerts": found, "latency_ns": 0}
	}
	return nil
}

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], &server{trials: map[string]*detector{}}))
		os.Exit(1)
	}
	if err := serveStreams(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveStreams(in io.Reader, out io.Writer) error {
	d := &detector{windows: map[string]*window{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil // the program has gone
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		if m.Type == "bye" {
			return nil
		}
		if answer := d.answer(m); answer != nil {
			text, err := json.Marshal(answer)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
				return err
			}
		}
	}
}

// server keeps a detector a trial, as several trials may run at once.
type server struct {
	mutex  sync.Mutex
	trials map[string]*detector
}

// ServeHTTP takes one message.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	trial := r.Header.Get("Hemostat-Trial")
	s.mutex.Lock()
	defer s.mutex.Unlock()
	d := s.trials[trial]
	if d == nil {
		d = &detector{windows: map[string]*window{}}
		s.trials[trial] = d
	}
	if m.Type == "bye" {
		delete(s.trials, trial)
		return
	}
	if answer := d.answer(m); answer != nil {
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
