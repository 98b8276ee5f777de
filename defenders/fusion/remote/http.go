package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/source"
)

// maxAnswer bounds the answer to a question, maxPage a page of a collection.
const (
	maxAnswer = 4 << 20
	maxPage   = 64 << 20
)

// errTooLong tells of an answer that is longer than any that makes sense.
var errTooLong = errors.New("the answer is too long")

// endpoint is a server that is asked over HTTP.
type endpoint struct {
	name   string
	base   *url.URL
	header http.Header
	client *http.Client
}

// newEndpoint checks the address. Redirects to another host are refused: they would carry the
// key there.
func newEndpoint(name, address string, header http.Header, client *http.Client) (endpoint, error) {
	base, err := url.Parse(address)
	if err != nil {
		return endpoint{}, fmt.Errorf("%s: %w", name, err)
	}
	if (base.Scheme != "https" && base.Scheme != "http") || base.Host == "" {
		return endpoint{}, fmt.Errorf("%s: %q is no address of a server; https://HOST/PATH is expected", name, address)
	}
	if client == nil {
		client = &http.Client{}
	}
	own := *client
	own.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
			return fmt.Errorf("it redirects to %s, which is not followed", r.URL.Redacted())
		}
		return nil
	}
	return endpoint{name, base, header, &own}, nil
}

// Name implements Server.
func (e *endpoint) Name() string { return e.name }

// fetch asks for a document of at most so many bytes. A document that is not there is nil.
func (e *endpoint) fetch(ctx context.Context, method, address, accept string, body []byte, most int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range e.header {
		r.Header[name] = values
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", "hemostat")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := e.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusNoContent:
		return nil, nil
	case answer.StatusCode != http.StatusOK:
		return nil, statusError{answer.StatusCode}
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLong, most)
	}
	return data, nil
}

// matching are the entries that are about what was asked: a server that answers about
// something else is not believed.
func matching(asked fusion.Indicator, found []indicator.IOC) ([]indicator.IOC, error) {
	set := indicator.NewSet(len(found))
	for i := range found {
		if err := set.Add(&found[i]); err != nil {
			return nil, err
		}
	}
	kind, value, err := indicator.Guess(asked.Value)
	if err != nil {
		return nil, nil // what is no indicator is known to nobody
	}
	var out []indicator.IOC
	for _, e := range set.Lookup(kind, value) {
		out = append(out, e.IOC())
	}
	if len(out) == 0 && len(found) > 0 {
		return nil, errors.New("the answer is about something else")
	}
	return out, nil
}

// JSONConfig is a server that answers a question with JSON.
type JSONConfig struct {
	Name string
	// URL is the address of a question; {kind} and {value} stand for the indicator.
	URL    string
	Header http.Header
	Client *http.Client
}

// JSON is a server that answers with indicators as JSON: one object in the form of
// indicator.IOC, an array of them, or an object whose iocs are one. Not found is a miss.
type JSON struct {
	endpoint
	address string
}

// NewJSON makes one.
func NewJSON(c JSONConfig) (*JSON, error) {
	if !strings.Contains(c.URL, "{value}") {
		return nil, fmt.Errorf("%s: %q has no {value}, which stands for the indicator", c.Name, c.URL)
	}
	e, err := newEndpoint(c.Name, strings.NewReplacer("{value}", "v", "{kind}", "k").Replace(c.URL), c.Header, c.Client)
	if err != nil {
		return nil, err
	}
	return &JSON{e, c.URL}, nil
}

// Ask implements Server.
func (j *JSON) Ask(ctx context.Context, i fusion.Indicator) ([]indicator.IOC, error) {
	address := strings.NewReplacer("{value}", url.QueryEscape(i.Value), "{kind}", url.QueryEscape(i.Kind)).Replace(j.address)
	data, err := j.fetch(ctx, http.MethodGet, address, "application/json", nil, maxAnswer)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return nil, err
	}
	found, err := parseIOCs(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.name, err)
	}
	return matching(i, found)
}

// parseIOCs reads an answer.
func parseIOCs(data []byte) ([]indicator.IOC, error) {
	trimmed := bytes.TrimSpace(data)
	var list []json.RawMessage
	switch {
	case bytes.Equal(trimmed, []byte("null")):
		return nil, nil
	case trimmed[0] == '[':
		if err := json.Unmarshal(trimmed, &list); err != nil {
			return nil, fmt.Errorf("the answer is no JSON: %w", err)
		}
	default:
		var o struct {
			IOCs  []json.RawMessage `json:"iocs"`
			Value *string           `json:"value"`
		}
		if err := json.Unmarshal(trimmed, &o); err != nil {
			return nil, fmt.Errorf("the answer is no JSON object: %w", err)
		}
		if list = o.IOCs; list == nil {
			if o.Value == nil {
				return nil, errors.New("the answer has neither iocs nor a value")
			}
			list = []json.RawMessage{trimmed}
		}
	}
	var lines bytes.Buffer
	for _, x := range list {
		if err := json.Compact(&lines, x); err != nil {
			return nil, err
		}
		lines.WriteByte('\n')
	}
	return readAll(&lines, source.NDJSON)
}

// readAll reads indicators of a format, and refuses an answer of which nothing can be used.
func readAll(in io.Reader, f source.Format) ([]indicator.IOC, error) {
	var out []indicator.IOC
	report, err := source.Read(in, source.Options{Format: f}, func(i *indicator.IOC) error {
		out = append(out, *i)
		return nil
	})
	if err == nil && len(out) == 0 && report.Read > 0 {
		for why := range report.Skipped {
			err = fmt.Errorf("the answer holds no indicator that can be used: %s", why)
		}
	}
	return out, err
}

// MISPConfig is a server of MISP.
type MISPConfig struct {
	Name   string
	URL    string // of the server
	Key    string // of the API
	Client *http.Client
}

// MISP is a server of MISP, asked by its search for attributes (attributes/restSearch).
type MISP struct{ endpoint }

// NewMISP makes one.
func NewMISP(c MISPConfig) (*MISP, error) {
	header := http.Header{}
	if c.Key != "" {
		header.Set("Authorization", c.Key)
	}
	e, err := newEndpoint(c.Name, c.URL, header, c.Client)
	return &MISP{e}, err
}

// Ask implements Server.
func (m *MISP) Ask(ctx context.Context, i fusion.Indicator) ([]indicator.IOC, error) {
	question, err := json.Marshal(map[string]any{"returnFormat": "json", "value": i.Value, "to_ids": 1, "deleted": false,
		"limit": 20, "includeEventTags": 1})
	if err != nil {
		return nil, err
	}
	data, err := m.fetch(ctx, http.MethodPost, m.base.JoinPath("attributes", "restSearch").String(), "application/json",
		question, maxAnswer)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return nil, err
	}
	var answer struct {
		Response *struct {
			Attribute []json.RawMessage
		} `json:"response"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Response == nil {
		return nil, fmt.Errorf("%s: the answer is none of MISP", m.name)
	}
	if len(answer.Response.Attribute) == 0 {
		return nil, nil
	}
	found, err := readAll(bytes.NewReader(data), source.MISP)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	return matching(i, found)
}
