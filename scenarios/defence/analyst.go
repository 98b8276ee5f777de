package defence

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"hemostat/defenders/sentinel/analyst"
	"hemostat/sim"
	"hemostat/sim/analysts"
	"hemostat/sim/boundedfile"
	"hemostat/sim/severity"
	"hemostat/sim/strictyaml"
)

// analystFile is the automatic analyst.
type analystFile struct {
	Pos         strictyaml.Pos    `yaml:"-" json:"-"`
	Model       string            `yaml:"model" json:",omitempty" doc:"who judges: offline (a small statistical model, also when neither model nor endpoint is named), surrogate (plays a model of stated error rates), or the name of a model that the endpoint serves"`
	From        severity.Severity `yaml:"from" json:",omitempty" doc:"severity from which on alerts are judged; medium when absent"`
	Concurrency int               `yaml:"concurrency" json:",omitempty" doc:"alerts that are judged at once; 4 when absent"`
	Queue       int               `yaml:"queue" json:",omitempty" doc:"alerts that may wait for a verdict; those beyond go on without; 1000 when absent"`

	Weights string   `yaml:"weights" json:",omitempty" doc:"what the offline analyst has learned, a file that hemostat train analyst made, relative to this file"`
	Dismiss *float64 `yaml:"dismiss" json:",omitempty" doc:"probability that an alert is true below which the offline analyst dismisses it; that of its weights when absent"`
	Raise   *float64 `yaml:"raise" json:",omitempty" doc:"probability above which the offline analyst raises the severity; that of its weights when absent"`

	Sensitivity *float64  `yaml:"sensitivity" json:",omitempty" doc:"share of true alerts that the surrogate confirms; 0.797 when absent"`
	Specificity *float64  `yaml:"specificity" json:",omitempty" doc:"share of false alerts that the surrogate dismisses; 0.559 when absent"`
	Correlation *float64  `yaml:"correlation" json:",omitempty" doc:"correlation of the surrogate's errors about alerts of one pattern, 0 to 1; 0.7 when absent"`
	Obeys       *float64  `yaml:"obeys" json:",omitempty" doc:"share of the texts in telemetry that order it to dismiss an alert which the surrogate obeys; 0 when absent"`
	Latency     *sim.Dist `yaml:"latency" json:",omitempty" doc:"how long an answer of the surrogate takes; lognormal(median 8s, sigma 0.5) when absent"`

	Endpoint  string        `yaml:"endpoint" json:",omitempty" doc:"base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1; that of the environment variable HEMOSTAT_ANALYST_URL when absent"`
	KeyEnv    string        `yaml:"key_env" json:",omitempty" doc:"environment variable that holds the key; HEMOSTAT_ANALYST_KEY when absent"`
	KeyFile   string        `yaml:"key_file" json:",omitempty" doc:"file that holds the key, relative to this file, in place of the environment"`
	CAFile    string        `yaml:"ca_file" json:",omitempty" doc:"certificates (PEM) that the server's is checked by, relative to this file; those of the system when absent"`
	Prompts   string        `yaml:"prompts" json:",omitempty" doc:"folder, relative to this file, with triage.txt, staged.txt, patterns.txt, narrative.txt in place of the program's own prompts"`
	Duties    []string      `yaml:"duties" json:",omitempty" doc:"what the analyst does: triage of alerts, patterns in events that no rule flagged, narrative of incidents; triage when absent"`
	Rounds    int           `yaml:"rounds" json:",omitempty" doc:"how often the model may ask for more before it decides; 0 when absent"`
	MaxTokens int           `yaml:"max_tokens" json:",omitempty" doc:"greatest length of an answer; 400 when absent"`
	Timeout   time.Duration `yaml:"timeout" json:",omitempty" doc:"greatest time of an answer with its retries; 60s when absent"`
	Retries   *int          `yaml:"retries" json:",omitempty" doc:"how often a question is repeated that the server could not answer just then; 3 when absent"`
	Budget    budgetFile    `yaml:"budget" json:",omitzero" doc:"what the answers of a run may cost at most"`
	Price     priceFile     `yaml:"price" json:",omitzero" doc:"price of a million tokens; 0 when absent"`
}

// budgetFile bounds what a run may spend on a model.
type budgetFile struct {
	Tokens int           `yaml:"tokens" json:",omitempty" doc:"tokens of questions and answers; 2000000 when no bound is given"`
	Money  float64       `yaml:"money" json:",omitempty" doc:"in the currency of price"`
	Time   time.Duration `yaml:"time" json:",omitempty" doc:"time on the wall clock from the first question on"`
}

// priceFile is what tokens cost.
type priceFile struct {
	Input  float64 `yaml:"input" json:",omitempty" doc:"for a million tokens of questions"`
	Output float64 `yaml:"output" json:",omitempty" doc:"for a million tokens of answers"`
}

// The judges that are no model at an endpoint.
const (
	offlineModel   = "offline"
	surrogateModel = "surrogate"
)

// AnalystConfig is the automatic analyst of a variant.
type AnalystConfig struct {
	// Stage has the options that do not depend on the trial.
	Stage analyst.Options
	// Surrogate is what the trial makes the judge from, where it is a surrogate; nil else.
	Surrogate *analysts.SurrogateConfig
	// model is the language model that judges; nil for another judge.
	model    *analyst.Model
	endpoint endpointConfig
}

// Analyst is the automatic analyst, nil for none.
func (v *Variant) Analyst() *AnalystConfig { return v.analyst }

// ReplayAnalyst makes the analyst for recorded logs; nil for none. A surrogate cannot judge
// there, since it needs the truth.
func (v *Variant) ReplayAnalyst() (*analyst.Stage, error) {
	if v.analyst == nil {
		return nil, nil
	}
	if v.analyst.Surrogate != nil {
		return nil, v.file.Analyst.Pos.Fault("analyst.model",
			"a surrogate leans on the truth of a simulation, which recorded logs do not have")
	}
	o := v.analyst.Stage
	o.Epoch = time.Unix(0, 0).UTC()
	return analyst.New(o)
}

// prepareAnalyst makes the analyst ready, and returns what it adds to the variant's
// identity beside its keys.
func (v *Variant) prepareAnalyst(base string) (digest string, err error) {
	f := &v.file.Analyst
	if f.isEmpty() {
		return "", nil
	}
	if f.Model == "" && f.Endpoint == "" {
		f.Model = offlineModel
	}
	var faults strictyaml.Faults
	fault := func(key, format string, args ...any) {
		faults = append(faults, f.Pos.Fault("analyst."+key, format, args...))
	}
	f.check(fault)
	if err := faults.Err(); err != nil {
		return "", err
	}
	from := f.From
	if from == severity.Informational {
		from = severity.Medium
	}
	v.analyst = &AnalystConfig{Stage: analyst.Options{
		Duties: f.duties(), From: from, Servers: cmp.Or(f.Concurrency, 4), Waiting: cmp.Or(f.Queue, 1000),
		Hygiene: v.file.Guard.Injection,
	}}
	if v.file.Guard.Injection { // it reads what was judged
		v.analyst.Stage.KeptEvents = keptEvents
	}
	switch f.Model {
	case surrogateModel:
		v.analyst.Surrogate = f.surrogate()
		if v.analyst.Surrogate.Obeys > 0 { // it reads what it judges
			v.analyst.Stage.KeptEvents = keptEvents
		}
		return "", nil
	case offlineModel:
		return v.prepareOffline(base)
	}
	return v.prepareModel(base)
}

func (f *analystFile) isEmpty() bool {
	return reflect.DeepEqual(*f, analystFile{Pos: f.Pos})
}

// check reports what is wrong with the keys.
func (f *analystFile) check(fault func(key, format string, args ...any)) {
	if f.Model == "" {
		fault("model", "the name of a model that the endpoint serves is expected")
	}
	for _, d := range f.Duties {
		if d != triageDuty && d != patternsDuty && d != narrativeDuty {
			fault("duties", "%q is no duty; accepted: %s, %s, %s", d, triageDuty, patternsDuty, narrativeDuty)
		}
	}
	for _, x := range []struct {
		key   string
		value *float64
		only  string
	}{
		{"dismiss", f.Dismiss, offlineModel}, {"raise", f.Raise, offlineModel},
		{"sensitivity", f.Sensitivity, surrogateModel}, {"specificity", f.Specificity, surrogateModel},
		{"correlation", f.Correlation, surrogateModel}, {"obeys", f.Obeys, surrogateModel},
	} {
		switch {
		case x.value == nil:
		case f.Model != x.only:
			fault(x.key, "it belongs to the model %s, not to %q", x.only, f.Model)
		case !(*x.value >= 0 && *x.value <= 1):
			fault(x.key, "a share from 0 to 1 is expected, not %g", *x.value)
		}
	}
	if f.Latency != nil && f.Model != surrogateModel {
		fault("latency", "it belongs to the model surrogate; the offline analyst takes no time, a model as long as was measured")
	}
	if f.Weights != "" && f.Model != offlineModel {
		fault("weights", "they belong to the model offline, not to %q", f.Model)
	}
	f.checkModel(fault)
	const most = 1_000_000
	if f.Concurrency < 0 || f.Concurrency > most || f.Queue < 0 || f.Queue > most {
		fault("concurrency", "concurrency and queue are numbers from 1 to %d", most)
	}
}

func (f *analystFile) surrogate() *analysts.SurrogateConfig {
	c := analysts.DefaultSurrogate()
	for _, x := range []struct{ to, from *float64 }{
		{&c.Sensitivity, f.Sensitivity}, {&c.Specificity, f.Specificity}, {&c.Correlation, f.Correlation}, {&c.Obeys, f.Obeys},
	} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if f.Latency != nil {
		c.Latency = *f.Latency
	}
	return &c
}

// prepareOffline reads the weights of the offline analyst.
func (v *Variant) prepareOffline(base string) (digest string, err error) {
	f := &v.file.Analyst
	weights, err := analyst.EmbeddedWeights()
	if err != nil {
		return "", err
	}
	if f.Weights != "" {
		name := f.Weights
		if !filepath.IsAbs(name) {
			name = filepath.Join(base, name)
		}
		data, err := boundedfile.Read(name)
		if err == nil {
			weights, err = analyst.ReadWeights(data)
		}
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				err = fmt.Errorf("%s does not exist; hemostat train analyst makes one", name)
			}
			return "", f.Pos.Fault("analyst.weights", "%s: %s", f.Weights, err)
		}
	}
	if f.Dismiss != nil {
		weights.Dismiss = *f.Dismiss
	}
	if f.Raise != nil {
		weights.Raise = *f.Raise
	}
	if weights.Dismiss > weights.Raise {
		return "", f.Pos.Fault("analyst.dismiss", "%g is above raise, %g", weights.Dismiss, weights.Raise)
	}
	v.analyst.Stage.Judge = analyst.NewOffline(weights)
	sum := sha256.Sum256(weights.Digest())
	return hex.EncodeToString(sum[:]), nil
}
