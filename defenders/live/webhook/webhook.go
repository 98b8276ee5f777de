// Package webhook sends the outputs of a live run over HTTP: as CloudEvents to any receiver,
// and actions to one that carries them out. What is sent is signed, so that a receiver knows
// who sent it and when; answers are checked in the same way.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/avast/retry-go/v4"

	"hemostat/defenders/live"
	"hemostat/defenders/live/signature"
)

// Endpoint is a receiver.
type Endpoint struct {
	URL    string
	Secret []byte // that both sides know; nil to sign nothing
	// Timeout is that of one try, Tries how many there are; 10 s and 6 when 0. Between tries
	// the time doubles from a half second.
	Timeout time.Duration
	Tries   uint
	Client  *http.Client
}

// check fills in defaults.
func (e *Endpoint) check() error {
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%q is no address of a receiver; https://HOST/PATH is expected", e.URL)
	}
	if e.Timeout == 0 {
		e.Timeout = 10 * time.Second
	}
	if e.Tries == 0 {
		e.Tries = 6
	}
	client := http.Client{}
	if e.Client != nil {
		client = *e.Client
	}
	// What is sent goes to the receiver that was named and to no other.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	e.Client = &client
	return nil
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// errRefused tells that trying again makes no sense.
type errRefused struct{ status int }

// Error tells the status.
func (e errRefused) Error() string { return fmt.Sprintf("it answers %d", e.status) }

// post sends a body until it is taken, refused, or there are no tries left.
func (e *Endpoint) post(ctx context.Context, id, contentType string, body []byte) (answer []byte, err error) {
	err = retry.Do(func() error {
		answer, err = e.try(ctx, id, contentType, body)
		return err
	}, retry.Context(ctx), retry.Attempts(e.Tries), retry.Delay(500*time.Millisecond), retry.MaxDelay(30*time.Second),
		retry.LastErrorOnly(true), retry.RetryIf(func(err error) bool {
			var refused errRefused
			return !errors.As(err, &refused)
		}))
	return answer, err
}

func (e *Endpoint) try(ctx context.Context, id, contentType string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "hemostat")
	r.Header.Set("Idempotency-Key", id)
	if e.Secret != nil {
		r.Header.Set(signature.Header, signature.Sign(e.Secret, body, time.Now()))
	}
	answer, err := e.Client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case answer.StatusCode >= 200 && answer.StatusCode < 300:
		return data, err
	case answer.StatusCode == http.StatusRequestTimeout || answer.StatusCode == http.StatusTooManyRequests ||
		answer.StatusCode >= 500:
		return nil, fmt.Errorf("it answers %d", answer.StatusCode)
	}
	return nil, errRefused{answer.StatusCode}
}

// cloudEvent is an output in the JSON form of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

func eventOf(o *live.Output) cloudEvent {
	return cloudEvent{SpecVersion: "1.0", ID: o.ID, Source: "/hemostat/live", Type: "hemostat." + o.Type, Subject: o.Key,
		Time:            time.Unix(0, int64(o.Time)).UTC().Format(time.RFC3339Nano),
		DataContentType: "application/json", Data: o.Data}
}

// Sink sends outputs of some types as CloudEvents. What a receiver does not take is laid down in
// a file.
type Sink struct {
	endpoint    Endpoint
	name        string
	types       map[string]bool
	deadLetters *DeadLetters
	failed      func()
}

// NewSink makes a sink. Failed is called for each output that is laid down.
func NewSink(name string, e Endpoint, types []string, d *DeadLetters, failed func()) (*Sink, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	s := &Sink{endpoint: e, name: name, types: map[string]bool{}, deadLetters: d, failed: failed}
	for _, t := range types {
		s.types[t] = true
	}
	return s, nil
}

// Name implements live.Sink.
func (s *Sink) Name() string { return s.name }

// Wants implements live.Sink.
func (s *Sink) Wants(kind string) bool { return s.types[kind] }

// Send implements live.Sink.
func (s *Sink) Send(ctx context.Context, o *live.Output) error {
	body, err := json.Marshal(eventOf(o))
	if err != nil {
		return err
	}
	_, err = s.endpoint.post(ctx, o.ID, "application/cloudevents+json", body)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if s.failed != nil {
		s.failed()
	}
	return s.deadLetters.add(s.name, err, body)
}

// DeadLetters is a file of what no receiver took, an object a line.
type DeadLetters struct {
	name  string
	mutex sync.Mutex
}

// NewDeadLetters names the file.
func NewDeadLetters(name string) *DeadLetters { return &DeadLetters{name: name} }

// add appends what was not taken, and puts it on the disk.
func (d *DeadLetters) add(receiver string, why error, body []byte) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	line, err := json.Marshal(map[string]any{"receiver": receiver, "error": why.Error(), "event": json.RawMessage(body)})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(d.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
