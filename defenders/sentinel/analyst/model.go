package analyst

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"hemostat/defenders/sentinel/analyst/chat"
	"hemostat/sim/attack"
	"hemostat/sim/printable"
)

// ModelConfig says which model judges, and how.
type ModelConfig struct {
	Model   string
	Prompts *Prompts
	// Rounds is how often the model may ask for more before it decides; 0 for never.
	Rounds int
	// MaxTokens bounds an answer; 400 when zero.
	MaxTokens int
	Price     chat.Price
}

// Model lets a language model judge. It may be shared between trials; before the first
// question it has to be connected.
type Model struct {
	config ModelConfig
	ctx    context.Context
	asker  chat.Asker

	mu    sync.Mutex
	fatal error
}

// NewModel makes a judge that is not connected.
func NewModel(c ModelConfig) *Model {
	if c.MaxTokens == 0 {
		c.MaxTokens = 400
	}
	return &Model{config: c}
}

// Connect says who answers the questions, until the context ends.
func (m *Model) Connect(ctx context.Context, a chat.Asker) { m.ctx, m.asker = ctx, a }

// Name implements Judge.
func (m *Model) Name() string { return m.config.Model }

// errNotConnected is an error of a command that did not connect the model.
var errNotConnected = errors.New("nobody was said to answer for the model: --analyst record, replay, live or offline does")

// ask puts one question and adds what it took.
func (m *Model) ask(answer *Answer, messages []chat.Message, name string, schema json.RawMessage) (chat.Reply, error) {
	if m.asker == nil {
		return chat.Reply{}, errNotConnected
	}
	r, err := m.asker.Ask(m.ctx, &chat.Question{
		Model: m.config.Model, Prompt: m.config.Prompts.Version, Messages: messages, Name: name, Schema: schema,
		MaxTokens: m.config.MaxTokens,
	})
	if err != nil {
		m.note(err)
		return r, err
	}
	u := Usage{Requests: 1, Input: r.Input, Output: r.Output, Cost: m.config.Price.Of(r.Input, r.Output)}
	if r.FromTape {
		u.FromTape = 1
	}
	answer.add(u)
	answer.Latency += r.Latency
	return r, nil
}

// note keeps the first error after which there are no more answers.
func (m *Model) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fatal == nil {
		m.fatal = err
	}
}

// Err is why the model answers no question any more, or nil.
func (m *Model) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fatal
}

// Judge implements Judge.
func (m *Model) Judge(c *Case) (Answer, error) {
	x := newExhibit(c.Now)
	data, err := json.Marshal(x.alert(c))
	if err != nil {
		return Answer{}, fmt.Errorf("the question cannot be written: %w", err)
	}
	instructions := m.config.Prompts.Triage
	staged := m.config.Rounds > 0
	if staged {
		instructions += "\n\n" + m.config.Prompts.Staged
	}
	messages := []chat.Message{{Role: "system", Text: instructions}, {Role: "user", Text: block(data)}}
	var answer Answer
	for round := 0; ; round++ {
		mayAsk := staged && round < m.config.Rounds
		r, err := m.ask(&answer, messages, "verdict", verdictSchema(x.labels, mayAsk))
		if err != nil {
			return answer, err
		}
		answer.Suspicious = x.suspicious
		if r.Failed != "" {
			return answer.abstain(r.Failed), nil
		}
		var v verdictAnswer
		if err := parseAnswer(r.Text, &v); err != nil {
			return answer.refuse(err.Error()), nil
		}
		if mayAsk && v.Action == "ask" {
			result, err := json.Marshal(c.query(x, v.Query, x.redact.restore(v.Of)))
			if err != nil {
				return Answer{}, fmt.Errorf("the question cannot be written: %w", err)
			}
			next := block(result)
			if round+1 == m.config.Rounds {
				next += "\nDecide now: set action to \"answer\"."
			}
			messages = append(messages, chat.Message{Role: "assistant", Text: printable.Text(r.Text)},
				chat.Message{Role: "user", Text: next})
			continue
		}
		return m.verdict(answer, &v, x), nil
	}
}

// verdict takes an answer that has the right form for a verdict, as far as it is valid.
func (m *Model) verdict(answer Answer, v *verdictAnswer, x *exhibit) Answer {
	decision, err := parseDecision(v.Decision)
	if err != nil {
		return answer.refuse(err.Error())
	}
	if !isShare(v.Confidence) {
		return answer.refuse(fmt.Sprintf("the confidence %v is no share from 0 to 1", v.Confidence))
	}
	reasons, refused := x.reasonsOf(v.Reasons)
	answer.Refused += refused
	if len(reasons) == 0 {
		answer.Why = "no reason rests on evidence that exists"
		return answer.abstain(answer.Why)
	}
	technique := attack.Current(strings.TrimSpace(v.Technique))
	if technique != "" && !attack.IsKnown(technique) {
		answer.Refused++
		technique = ""
	}
	if decision == Dismiss && x.suspicious > 0 {
		return answer.abstain("it would dismiss an alert whose evidence holds text that looks like an order to a model")
	}
	confidence := v.Confidence
	if decision == Dismiss {
		confidence = 1 - confidence
	}
	answer.Verdict = Verdict{Decision: decision, Confidence: confidence, Technique: technique, Reasons: reasons}
	return answer
}

// abstain is the answer without a verdict.
func (a Answer) abstain(why string) Answer {
	a.Verdict, a.Why = Verdict{Decision: Abstain}, why
	return a
}

// refuse is the answer without a verdict, since what came could not be used.
func (a Answer) refuse(why string) Answer {
	a.Refused++
	return a.abstain(why)
}

// verdictAnswer is the form of an answer; action, query and of are for staged ones.
type verdictAnswer struct {
	Action     string        `json:"action"`
	Query      string        `json:"query"`
	Of         string        `json:"of"`
	Decision   string        `json:"decision"`
	Confidence float64       `json:"confidence"`
	Technique  string        `json:"technique"`
	Reasons    []citedAnswer `json:"reasons"`
}

// citedAnswer is a text with the labels that it rests on.
type citedAnswer struct {
	Text     string   `json:"text"`
	Evidence []string `json:"evidence"`
}

// reasonsOf takes reasons whose evidence exists; refused counts the parts that were not
// taken.
func (x *exhibit) reasonsOf(from []citedAnswer) (reasons []Reason, refused int) {
	for _, r := range from {
		if len(reasons) == askedReasons {
			refused++
			continue
		}
		var events []uint64
		for _, label := range r.Evidence {
			id, ok := x.byLabel(label)
			switch {
			case !ok:
				refused++
			case !slices.Contains(events, id):
				events = append(events, id)
			}
		}
		text := cutText(x.redact.restore(strings.TrimSpace(r.Text)), maxSentence)
		repeated := slices.ContainsFunc(reasons, func(other Reason) bool { return other.Text == printable.Text(text) })
		if text == "" || len(events) == 0 || repeated {
			refused++
			continue
		}
		reasons = append(reasons, Reason{Text: printable.Text(text), Evidence: events})
	}
	return reasons, refused
}

func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most] + "…"
}

func isShare(v float64) bool { return !math.IsNaN(v) && v >= 0 && v <= 1 }

// parseAnswer reads the one JSON object of an answer. Words around it, and the marks of a
// code block, are passed over, as servers without schemas let models write them; a second
// object is not.
func parseAnswer(text string, into any) error {
	from := strings.IndexByte(text, '{')
	if from < 0 {
		return errors.New("the answer holds no JSON object")
	}
	d := json.NewDecoder(strings.NewReader(text[from:]))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the answer is no JSON of the form that was asked for: %w", err)
	}
	if rest := text[from+int(d.InputOffset()):]; strings.ContainsAny(rest, "{}") {
		return errors.New("the answer holds more than one JSON object")
	}
	return nil
}
