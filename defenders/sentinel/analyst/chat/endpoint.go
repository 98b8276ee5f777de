package chat

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sashabaranov/go-openai"
)

// Config is an endpoint. Zero values take the defaults named.
type Config struct {
	URL   string // base, such as http://127.0.0.1:8000/v1
	Model string
	Key   string // "" for none
	// Authorities are the certificates that the server's is checked by; nil for the system's.
	Authorities *x509.CertPool
	// Timeout is how long one answer may take, with its retries; 60 seconds.
	Timeout time.Duration
	// Retries is how often a question is asked again that the server could not answer just
	// then; 3, negative for never.
	Retries int
	// Concurrency is how many questions are asked at once; 4.
	Concurrency int
	// Backoff is how long the first pause before a retry is; 500 milliseconds. It doubles.
	Backoff time.Duration
}

const (
	defaultTimeout     = 60 * time.Second
	defaultRetries     = 3
	defaultConcurrency = 4
	defaultBackoff     = 500 * time.Millisecond
	longestPause       = 20 * time.Second
	// maxAnswer bounds what a server may send, in bytes.
	maxAnswer = 1 << 20
	// mostUnreachable is how many questions in a row may find no server.
	mostUnreachable = 3
)

// form is how a server is asked for JSON; not every server knows every one.
type form int

const (
	bySchema         form = iota // a JSON Schema, as OpenAI has it
	objectWithSchema             // the same, as the server of llama-cpp-python has it
	asObject                     // any JSON object
	asText                       // words alone
)

// dialect is what a server understands, as far as it has refused something.
type dialect struct {
	form form
	// newLimit names the bound of an answer max_completion_tokens, as newer models want it.
	newLimit bool
	// noTemperature leaves temperature and seed to the server.
	noTemperature bool
}

// Endpoint is a server that is asked. It may be shared between goroutines.
type Endpoint struct {
	config Config
	client *openai.Client
	http   *cautious
	slots  chan struct{}

	mu          sync.Mutex
	dialect     dialect
	unreachable int // questions in a row that found no server
	fatal       error
}

// New makes a client of an endpoint; nothing is sent.
func New(c Config) *Endpoint {
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&c.Timeout, defaultTimeout)
	or(&c.Backoff, defaultBackoff)
	if c.Retries == 0 {
		c.Retries = defaultRetries
	}
	if c.Concurrency <= 0 {
		c.Concurrency = defaultConcurrency
	}
	settings := openai.DefaultConfig(c.Key)
	settings.BaseURL = strings.TrimSuffix(c.URL, "/")
	web := &cautious{client: http.Client{
		CheckRedirect: func(r *http.Request, _ []*http.Request) error { return redirectError{r.URL.Host} },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{RootCAs: c.Authorities, MinVersion: tls.VersionTLS12},
			MaxIdleConnsPerHost: c.Concurrency,
		},
	}}
	settings.HTTPClient = web
	return &Endpoint{config: c, client: openai.NewClientWithConfig(settings), http: web,
		slots: make(chan struct{}, c.Concurrency)}
}

// Close lets go of idle connections.
func (e *Endpoint) Close() { e.http.client.CloseIdleConnections() }

// Check asks the server for its models, to tell before a run whether it is there, takes the
// key and serves the model. A server that lists no models passes.
func (e *Endpoint) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(e.config.Timeout, defaultTimeout))
	defer cancel()
	list, err := e.client.ListModels(ctx)
	if statusOf(err) == http.StatusNotFound {
		return nil
	}
	if err != nil {
		if ctx.Err() != nil {
			return &FatalError{fmt.Sprintf("the endpoint %s does not answer within %s", e.config.URL,
				min(e.config.Timeout, defaultTimeout)), nil}
		}
		var op *net.OpError
		switch fatal := e.fatalOf(err); {
		case fatal != nil:
			return fatal
		case errors.As(err, &op):
			return &FatalError{"the endpoint " + e.config.URL + " cannot be reached", e.clean(err)}
		}
		return nil // a server that lists nothing may answer all the same
	}
	var names []string
	for _, m := range list.Models {
		if m.ID == e.config.Model {
			return nil
		}
		if len(names) < 10 {
			names = append(names, m.ID)
		}
	}
	if len(list.Models) == 0 {
		return nil
	}
	return &FatalError{fmt.Sprintf("the endpoint %s does not serve the model %q; it serves %s",
		e.config.URL, e.config.Model, strings.Join(names, ", ")), nil}
}

// Ask implements Asker.
func (e *Endpoint) Ask(ctx context.Context, q *Question) (Reply, error) {
	if err := e.failed(); err != nil {
		return Reply{}, err
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	reply, began, err := e.persist(limited, q)
	reply.Latency = time.Since(began)
	switch {
	case ctx.Err() != nil:
		return reply, ctx.Err()
	case limited.Err() != nil:
		reply.Failed, reply.Latency, err = fmt.Sprintf("no answer within %s", e.config.Timeout), e.config.Timeout, nil
	}
	var fatal *FatalError
	if errors.As(err, &fatal) {
		return reply, e.stop(fatal)
	}
	if err != nil {
		reply.Failed = e.clean(err).Error()
	}
	return reply, e.noteReach(err)
}

// persist asks until there is an answer, or no retry is left. It counts from when the server
// understood the form of the question, which is found out once.
func (e *Endpoint) persist(ctx context.Context, q *Question) (reply Reply, began time.Time, err error) {
	began = time.Now()
	for attempt := 0; ; attempt++ {
		r, wait, err := e.once(ctx, q)
		reply.Input += r.Input
		reply.Output += r.Output
		reply.Text, reply.Failed = r.Text, r.Failed
		if err == nil || ctx.Err() != nil {
			return reply, began, err
		}
		if fatal := e.fatalOf(err); fatal != nil {
			return reply, began, fatal
		}
		if e.adapt(err) {
			began = time.Now()
			attempt--
			continue
		}
		if attempt >= e.config.Retries || !mayRetry(err) {
			return reply, began, err
		}
		if wait == 0 {
			wait = e.pause(q, attempt)
		}
		select {
		case <-time.After(min(wait, longestPause)):
		case <-ctx.Done():
			return reply, began, err
		}
	}
}

// once is one request. It returns how long the server wants to be left alone, 0 when it
// does not say.
func (e *Endpoint) once(ctx context.Context, q *Question) (Reply, time.Duration, error) {
	var later time.Duration
	ctx = context.WithValue(ctx, retryAfter{}, &later)
	request, format := e.request(q)
	if format != nil {
		ctx = context.WithValue(ctx, responseFormat{}, format)
	}
	answer, err := e.client.CreateChatCompletion(ctx, request)
	if err != nil {
		return Reply{}, later, err
	}
	r := Reply{Input: max(0, answer.Usage.PromptTokens), Output: max(0, answer.Usage.CompletionTokens)}
	if r.Input+r.Output == 0 { // a server that does not count: about four bytes a token
		r.Input = q.bytes() / 4
	}
	if !sameModel(q.Model, answer.Model) {
		return r, 0, &FatalError{fmt.Sprintf("the endpoint answered with the model %q, not %q; name the model that is meant",
			answer.Model, q.Model), nil}
	}
	if len(answer.Choices) == 0 {
		r.Failed = "the answer is empty"
		return r, 0, nil
	}
	choice := answer.Choices[0]
	r.Text = choice.Message.Content
	switch {
	case choice.FinishReason == openai.FinishReasonLength:
		r.Failed = fmt.Sprintf("the answer was cut off after %d tokens", q.MaxTokens)
	case choice.FinishReason == openai.FinishReasonContentFilter:
		r.Failed = "the server's filter refused the question"
	case choice.Message.Refusal != "":
		r.Failed = "the model refused to answer"
	case strings.TrimSpace(r.Text) == "":
		r.Failed = "the answer is empty"
	}
	if r.Output == 0 {
		r.Output = len(r.Text) / 4
	}
	return r, 0, nil
}

// request is a question as the library has it, and the form of the answer where the library
// has none for it.
func (e *Endpoint) request(q *Question) (request openai.ChatCompletionRequest, format any) {
	e.mu.Lock()
	d := e.dialect
	e.mu.Unlock()
	request = openai.ChatCompletionRequest{Model: q.Model}
	if d.newLimit {
		request.MaxCompletionTokens = q.MaxTokens
	} else {
		request.MaxTokens = q.MaxTokens //nolint:staticcheck // most servers know no other bound
	}
	if !d.noTemperature {
		seed := 1
		request.Seed, request.Temperature = &seed, 1e-9 // 0 would be left out, and the server's default is another
	}
	for _, m := range q.Messages {
		request.Messages = append(request.Messages, openai.ChatCompletionMessage{Role: m.Role, Content: m.Text})
	}
	switch d.form {
	case bySchema:
		request.ResponseFormat = &openai.ChatCompletionResponseFormat{
			Type:       openai.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: q.Name, Schema: q.Schema, Strict: true},
		}
	case objectWithSchema:
		format = map[string]any{"type": "json_object", "schema": q.Schema}
	case asObject:
		request.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONObject}
	case asText:
	}
	return request, format
}

// adapt tells whether a server refused how it was asked, and it can be asked otherwise: in a
// simpler form of JSON, with another name of the bound, without temperature.
func (e *Endpoint) adapt(err error) bool {
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotImplemented, http.StatusInternalServerError:
	default:
		return false
	}
	text := strings.ToLower(err.Error())
	names := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	d := &e.dialect
	switch {
	case !d.newLimit && names("max_completion_tokens"):
		d.newLimit = true
	case !d.noTemperature && names("temperature", "seed"):
		d.noTemperature = true
	case d.form < asText && names("response_format", "json_schema", "json_object", "schema", "grammar"):
		d.form++
	default:
		return false
	}
	return true
}

// pause doubles from attempt to attempt, with a part that depends on the question, so that
// many do not come back at once.
func (e *Endpoint) pause(q *Question, attempt int) time.Duration {
	raw, err := hex.DecodeString(q.Key()[:16])
	if err != nil {
		return e.config.Backoff
	}
	jitter := float64(binary.BigEndian.Uint64(raw)>>11) / (1 << 53)
	return time.Duration(float64(e.config.Backoff<<min(attempt, 10)) * (0.5 + jitter))
}

// failed is the error that ended the endpoint's work, or nil.
func (e *Endpoint) failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fatal
}

// stop ends the endpoint's work: every later question meets the same error.
func (e *Endpoint) stop(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fatal == nil {
		e.fatal = err
	}
	return e.fatal
}

// noteReach ends the work when several questions in a row found no server.
func (e *Endpoint) noteReach(err error) error {
	var op *net.OpError
	e.mu.Lock()
	if !errors.As(err, &op) {
		e.unreachable = 0
		e.mu.Unlock()
		return nil
	}
	e.unreachable++
	lost := e.unreachable >= mostUnreachable
	e.mu.Unlock()
	if !lost {
		return nil
	}
	return e.stop(&FatalError{"the endpoint " + e.config.URL + " cannot be reached", e.clean(err)})
}

// fatalOf is what an error means for all questions to come; nil when the next one may be
// answered.
func (e *Endpoint) fatalOf(err error) *FatalError {
	var fatal *FatalError
	if errors.As(err, &fatal) {
		return fatal
	}
	var redirect redirectError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	switch status := statusOf(err); {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &FatalError{fmt.Sprintf("the endpoint %s does not accept the key (%d)", e.config.URL, status), nil}
	case status == http.StatusPaymentRequired:
		return &FatalError{fmt.Sprintf("the endpoint %s wants payment (402)", e.config.URL), nil}
	case status == http.StatusNotFound:
		return &FatalError{fmt.Sprintf("the endpoint %s knows no such path or model %q (404); the base URL often ends in /v1",
			e.config.URL, e.config.Model), nil}
	case errors.As(err, &redirect):
		return &FatalError{fmt.Sprintf("the endpoint %s redirects to %s; name that address if it is meant, redirects are not followed",
			e.config.URL, redirect.host), nil}
	case errors.As(err, &verification), errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return &FatalError{fmt.Sprintf("the certificate of the endpoint %s is not accepted; ca_file names the authority of a private one",
			e.config.URL), e.clean(err)}
	}
	return nil
}

// mayRetry tells whether the same question may be answered a moment later.
func mayRetry(err error) bool {
	switch status := statusOf(err); {
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status >= 500:
		return true
	case status != 0:
		return false
	}
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// statusOf is the status of an answer that is an error, 0 for other errors.
func statusOf(err error) int {
	var api *openai.APIError
	if errors.As(err, &api) {
		return api.HTTPStatusCode
	}
	var request *openai.RequestError
	if errors.As(err, &request) {
		return request.HTTPStatusCode
	}
	return 0
}

// clean is an error without what a server sent, which may be long, and without the key.
func (e *Endpoint) clean(err error) error {
	if status := statusOf(err); status != 0 {
		return fmt.Errorf("the server answered with status %d", status)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, errTooLong) {
		return fmt.Errorf("the server's answer is unusable: %w", err)
	}
	if e.config.Key != "" {
		if text := err.Error(); strings.Contains(text, e.config.Key) {
			return errors.New(strings.ReplaceAll(text, e.config.Key, "[key]"))
		}
	}
	return err
}

// sameModel tells whether the model that answered is the one that was asked; a server may
// add the date of a version to a name, or say nothing.
func sameModel(asked, answered string) bool {
	return answered == "" || answered == asked || strings.HasPrefix(answered, asked+"-") ||
		strings.HasPrefix(answered, asked+":") || strings.HasSuffix(answered, "/"+asked)
}

// redirectError is a redirect that was not followed.
type redirectError struct{ host string }

// Error names where to.
func (r redirectError) Error() string { return "redirect to " + r.host }

// errTooLong tells that a server sent more than an answer can hold.
var errTooLong = fmt.Errorf("it is longer than %d bytes", maxAnswer)

// responseFormat is the key of the form of the answer, where the library has none for it.
type responseFormat struct{}

// withFormat puts the form of the answer into a request.
func withFormat(r *http.Request, format any) (*http.Request, error) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	body["response_format"] = format
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	return r, nil
}

// retryAfter is the key of where to note how long a server wants to be left alone.
type retryAfter struct{}

// cautious is an HTTP client that follows no redirect, reads no more than an answer can
// hold, and notes the header Retry-After.
type cautious struct{ client http.Client }

// Do implements openai.HTTPDoer.
func (c *cautious) Do(r *http.Request) (*http.Response, error) {
	if format := r.Context().Value(responseFormat{}); format != nil {
		var err error
		if r, err = withFormat(r, format); err != nil {
			return nil, err
		}
	}
	response, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	if to, ok := r.Context().Value(retryAfter{}).(*time.Duration); ok {
		if seconds, err := strconv.ParseFloat(response.Header.Get("Retry-After"), 64); err == nil && seconds > 0 {
			*to = time.Duration(min(seconds, longestPause.Seconds()) * float64(time.Second))
		}
	}
	response.Body = &bounded{body: response.Body, left: maxAnswer}
	return response, nil
}

// bounded reads so many bytes and is an error beyond.
type bounded struct {
	body io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(to []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.body.Read(to[:min(len(to), b.left)])
	b.left -= n
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }
