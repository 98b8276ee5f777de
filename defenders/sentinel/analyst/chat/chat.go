// Package chat asks language models at OpenAI-compatible endpoints for answers in JSON.
//
// chat.go says what is asked and answered, endpoint.go is the client with its timeouts,
// retries and limits, budget.go bounds what answers may cost. It is the one part of the
// defence that reads the wall clock, as it stands at a real network's edge; what it measures
// becomes virtual time only through Reply.Latency. defenders/sentinel/analyst writes the
// questions, its package cassette records and replays the replies.
package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Message is one part of a conversation.
type Message struct {
	Role string `json:"role"` // system, user or assistant
	Text string `json:"text"`
}

// Question is what a model is asked.
type Question struct {
	Model string `json:"model"`
	// Prompt identifies the version of the prompts that the question was written by.
	Prompt   string    `json:"prompt"`
	Messages []Message `json:"messages"`
	// Name and Schema are the form of the answer, a JSON Schema.
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	// MaxTokens bounds the answer.
	MaxTokens int `json:"max_tokens"`
}

// Key identifies the question by its content.
func (q *Question) Key() string {
	text, err := json.Marshal(q)
	if err != nil {
		panic("chat: a question cannot be encoded: " + err.Error()) // its schema is the program's own
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// bytes is the length of what is sent, in bytes.
func (q *Question) bytes() int {
	n := len(q.Schema)
	for _, m := range q.Messages {
		n += len(m.Text) + 16
	}
	return n
}

// Reply is what came back.
type Reply struct {
	Text    string
	Latency time.Duration
	Input   int // tokens
	Output  int // tokens
	// Failed tells why there is no answer, such as that the time was over; "" when there
	// is one.
	Failed string
	// FromTape tells that a cassette answered.
	FromTape bool
}

// Asker answers questions. An error means that it will answer no further question either,
// such as a wrong key; a single answer that did not come is a Reply that says so.
type Asker interface {
	Ask(ctx context.Context, q *Question) (Reply, error)
}

// FatalError is why no question will be answered any more.
type FatalError struct {
	What string // what is wrong, and what would mend it
	Err  error  // behind it, or nil
}

// Error tells what is wrong.
func (e *FatalError) Error() string {
	if e.Err == nil {
		return e.What
	}
	return fmt.Sprintf("%s: %s", e.What, e.Err)
}

// Unwrap is the error behind it.
func (e *FatalError) Unwrap() error { return e.Err }
