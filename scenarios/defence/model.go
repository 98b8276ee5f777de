package defence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/sentinel/analyst"
	"hemostat/defenders/sentinel/analyst/cassette"
	"hemostat/defenders/sentinel/analyst/chat"
	"hemostat/sim/boundedfile"
)

// The environment variables of the model analyst.
const (
	endpointVariable = "HEMOSTAT_ANALYST_URL"
	keyVariable      = "HEMOSTAT_ANALYST_KEY"
)

// keptEvents is how many of the newest events a model may ask about.
const keptEvents = 60_000

// defaultTokens bounds a run whose variant sets no budget.
const defaultTokens = 2_000_000

// The duties of the analyst.
const (
	triageDuty    = "triage"
	patternsDuty  = "patterns"
	narrativeDuty = "narrative"
)

// endpointConfig is where a model is asked, and what that may cost.
type endpointConfig struct {
	chat    chat.Config
	keyEnv  string
	keyFile string
	limits  chat.Limits
	price   chat.Price
}

// checkModel reports what is wrong with the keys of a model at an endpoint.
func (f *analystFile) checkModel(fault func(key, format string, args ...any)) {
	if f.Model == offlineModel || f.Model == surrogateModel || f.Model == "" {
		for _, x := range []struct {
			key string
			set bool
		}{
			{"endpoint", f.Endpoint != ""}, {"key_env", f.KeyEnv != ""}, {"key_file", f.KeyFile != ""}, {"ca_file",
				f.CAFile != ""},
			{"prompts", f.Prompts != ""}, {"rounds", f.Rounds != 0}, {"max_tokens", f.MaxTokens != 0}, {"timeout",
				f.Timeout != 0},
			{"retries", f.Retries != nil}, {"budget", f.Budget != budgetFile{}}, {"price", f.Price != priceFile{}},
		} {
			if x.set {
				fault(x.key, "it belongs to a model at an endpoint, not to %q", f.Model)
			}
		}
		for _, d := range f.Duties {
			if d == patternsDuty {
				fault("duties", "patterns need a model at an endpoint, not %q", f.Model)
			}
		}
		return
	}
	if f.Endpoint != "" {
		if err := checkEndpoint(f.Endpoint); err != nil {
			fault("endpoint", "%s", err)
		}
	}
	if f.KeyEnv != "" && f.KeyFile != "" {
		fault("key_file", "give key_file or key_env, not both")
	}
	if f.KeyEnv != "" && !isVariableName(f.KeyEnv) {
		fault("key_env", "the name of an environment variable is expected, not the key itself")
	}
	if f.Rounds < 0 || f.Rounds > 10 {
		fault("rounds", "0 to 10 is accepted, not %d", f.Rounds)
	}
	if f.MaxTokens < 0 || f.MaxTokens > 100_000 {
		fault("max_tokens", "1 to 100000 is accepted, not %d", f.MaxTokens)
	}
	if f.Timeout < 0 || f.Timeout > time.Hour {
		fault("timeout", "up to 1h is accepted, not %s", f.Timeout)
	}
	if f.Retries != nil && (*f.Retries < 0 || *f.Retries > 20) {
		fault("retries", "0 to 20 is accepted, not %d", *f.Retries)
	}
	if b := f.Budget; b.Tokens < 0 || b.Money < 0 || b.Time < 0 {
		fault("budget", "bounds are not negative")
	}
	if f.Price.Input < 0 || f.Price.Output < 0 {
		fault("price", "prices are not negative")
	}
	if f.Budget.Money > 0 && f.Price == (priceFile{}) {
		fault("budget.money", "without a price nothing is known to cost anything; give price")
	}
}

// isVariableName tells a name from a key that was written in its place.
func isVariableName(s string) bool {
	return len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0
}

func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("an address such as http://127.0.0.1:8000/v1 is expected")
	case u.User != nil || u.RawQuery != "":
		return errors.New("a key does not belong into the address; key_env or key_file name where it is")
	}
	return nil
}

// prepareModel makes a model at an endpoint ready; it is not connected yet.
func (v *Variant) prepareModel(base string) (digest string, err error) {
	f := &v.file.Analyst
	within := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(base, name)
	}
	prompts, err := analyst.LoadPrompts(within(f.Prompts))
	if err != nil {
		return "", f.Pos.Fault("analyst.prompts", "%s", err)
	}
	e := endpointConfig{
		chat: chat.Config{URL: f.Endpoint, Model: f.Model, Timeout: f.Timeout,
			Concurrency: cmp.Or(f.Concurrency, 4)},
		keyEnv:  cmp.Or(f.KeyEnv, keyVariable),
		keyFile: within(f.KeyFile),
		limits:  chat.Limits{Tokens: f.Budget.Tokens, Money: f.Budget.Money, Time: f.Budget.Time},
		price:   chat.Price{Input: f.Price.Input, Output: f.Price.Output},
	}
	if f.Budget == (budgetFile{}) {
		e.limits.Tokens = defaultTokens
	}
	if f.Retries != nil {
		if e.chat.Retries = *f.Retries; *f.Retries == 0 {
			e.chat.Retries = -1
		}
	}
	if f.CAFile != "" {
		data, err := boundedfile.Read(within(f.CAFile))
		if err != nil {
			return "", f.Pos.Fault("analyst.ca_file", "%s", err)
		}
		e.chat.Authorities = x509.NewCertPool()
		if !e.chat.Authorities.AppendCertsFromPEM(data) {
			return "", f.Pos.Fault("analyst.ca_file", "%s holds no certificate in PEM form", f.CAFile)
		}
	}
	v.analyst.model = analyst.NewModel(analyst.ModelConfig{
		Model: f.Model, Prompts: prompts, Rounds: f.Rounds, MaxTokens: f.MaxTokens, Price: e.price,
	})
	v.analyst.endpoint = e
	v.analyst.Stage.KeptEvents = keptEvents
	v.analyst.Stage.Judge = v.analyst.model
	return prompts.Version, nil
}

// duties are what the analyst does.
func (f *analystFile) duties() analyst.Duties {
	if len(f.Duties) == 0 {
		return analyst.Duties{Triage: true}
	}
	return analyst.Duties{
		Triage: slices.Contains(f.Duties, triageDuty), Patterns: slices.Contains(f.Duties, patternsDuty),
		Narrative: slices.Contains(f.Duties, narrativeDuty),
	}
}

// key reads the key of an endpoint; "" when there is none.
func (e *endpointConfig) key() (string, error) {
	if e.keyFile == "" {
		return strings.TrimSpace(os.Getenv(e.keyEnv)), nil
	}
	data, err := boundedfile.Read(e.keyFile)
	if err != nil {
		return "", fmt.Errorf("analyst.key_file: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// AskModel tells whether the variant's analyst is a model at an endpoint.
func (v *Variant) AskModel() bool { return v.analyst != nil && v.analyst.model != nil }

// WithOfflineAnalyst is the variant with the offline analyst in place of a model.
func (v *Variant) WithOfflineAnalyst() (*Variant, error) {
	if !v.AskModel() {
		return v, nil
	}
	weights, err := analyst.EmbeddedWeights()
	if err != nil {
		return nil, err
	}
	changed := *v
	stage := v.analyst.Stage
	stage.Judge, stage.KeptEvents, stage.Duties.Patterns = analyst.NewOffline(weights), 0, false
	changed.analyst = &AnalystConfig{Stage: stage}
	sum := sha256.Sum256(append([]byte(v.Digest+" with the offline analyst "), weights.Digest()...))
	changed.Digest = hex.EncodeToString(sum[:])
	changed.Name = v.Name + " with the offline analyst"
	return &changed, nil
}

// AnalystMode says who answers for models at endpoints.
type AnalystMode string

// The modes.
const (
	AnalystLive    AnalystMode = "live"    // the endpoint, every time
	AnalystRecord  AnalystMode = "record"  // the cassette, and the endpoint for what it lacks
	AnalystReplay  AnalystMode = "replay"  // the cassette alone
	AnalystOffline AnalystMode = "offline" // the offline analyst in their place
)

// ParseAnalystMode reads a mode.
func ParseAnalystMode(text string) (AnalystMode, error) {
	switch m := AnalystMode(text); m {
	case AnalystLive, AnalystRecord, AnalystReplay, AnalystOffline:
		return m, nil
	}
	return "", fmt.Errorf("%q is no mode of the analyst; accepted: record, replay, live, offline", text)
}

// AnalystSession answers for the models of variants during a run.
type AnalystSession struct {
	ctx       context.Context
	mode      AnalystMode
	path      string
	tape      *cassette.Cassette
	models    []*analyst.Model
	endpoints []*chat.Endpoint
	budgets   []*chat.Budget
	// Offers says in words what the answers of each model may cost at most.
	Offers []string
}

// NewAnalystSession makes a session; the cassette is opened when a variant needs it.
func NewAnalystSession(ctx context.Context, mode AnalystMode, cassettePath string) *AnalystSession {
	return &AnalystSession{ctx: ctx, mode: mode, path: cassettePath}
}

// Connect lets the session answer for the model of a variant, if it has one. In modes that
// ask an endpoint it checks that this is there, takes the key and serves the model.
func (s *AnalystSession) Connect(v *Variant) error {
	if !v.AskModel() || slices.Contains(s.models, v.analyst.model) {
		return nil
	}
	asker, err := s.asker(v)
	if err != nil {
		return fmt.Errorf("analyst of variant %s: %w", v.Name, err)
	}
	v.analyst.model.Connect(s.ctx, asker)
	s.models = append(s.models, v.analyst.model)
	return nil
}

func (s *AnalystSession) asker(v *Variant) (chat.Asker, error) {
	if s.mode != AnalystLive {
		if err := s.openTape(); err != nil {
			return nil, err
		}
	}
	if s.mode == AnalystReplay {
		return &cassette.Replay{Cassette: s.tape}, nil
	}
	e := v.analyst.endpoint
	if e.chat.URL == "" {
		e.chat.URL = os.Getenv(endpointVariable)
		if e.chat.URL == "" {
			return nil, fmt.Errorf("no endpoint is named: give analyst.endpoint or the environment variable %s",
				endpointVariable)
		}
		if err := checkEndpoint(e.chat.URL); err != nil {
			return nil, fmt.Errorf("%s: %w", endpointVariable, err)
		}
	}
	var err error
	if e.chat.Key, err = e.key(); err != nil {
		return nil, err
	}
	endpoint := chat.New(e.chat)
	if err := endpoint.Check(s.ctx); err != nil {
		endpoint.Close()
		return nil, err
	}
	s.endpoints = append(s.endpoints, endpoint)
	budget := chat.NewBudget(e.limits, e.price, endpoint, time.Now)
	s.budgets = append(s.budgets, budget)
	s.Offers = append(s.Offers,
		fmt.Sprintf("the model %s of variant %s may cost at most %s", v.file.Analyst.Model, v.Name, budget.Most()))
	if s.mode == AnalystRecord {
		return &cassette.Record{Cassette: s.tape, Next: budget}, nil
	}
	return budget, nil
}

func (s *AnalystSession) openTape() (err error) {
	switch {
	case s.tape != nil:
	case s.mode == AnalystRecord:
		s.tape, err = cassette.Create(s.ctx, s.path)
	default:
		s.tape, err = cassette.Open(s.ctx, s.path)
	}
	return err
}

// Err is why no further question will be answered, or nil.
func (s *AnalystSession) Err() error {
	for _, m := range s.models {
		if err := m.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Spent says in words what was spent, "" when nothing was asked.
func (s *AnalystSession) Spent() string {
	var sum chat.Spent
	for _, b := range s.budgets {
		x := b.Spent()
		sum.Requests += x.Requests
		sum.Tokens += x.Tokens
		sum.Money += x.Money
	}
	if sum.Requests == 0 {
		return ""
	}
	text := fmt.Sprintf("%d questions to models, %d tokens", sum.Requests, sum.Tokens)
	if sum.Money > 0 {
		text += fmt.Sprintf(", %.4f in money", sum.Money)
	}
	return text
}

// Close lets go of endpoints and cassette.
func (s *AnalystSession) Close() error {
	for _, e := range s.endpoints {
		e.Close()
	}
	if s.tape == nil {
		return nil
	}
	return s.tape.Close()
}
