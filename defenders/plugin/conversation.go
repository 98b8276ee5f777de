package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"hemostat/defenders/detect"
)

// conversation is what is said with a plug-in in one trial.
type conversation struct {
	pool    *Pool
	env     detect.Env
	session *session
	failure error // nothing can be said any more
	closed  bool
	spent   time.Duration // wall-clock time in answers

	transcript []exchange // of a trial whose answers are asked twice
	kept       int
}

// exchange is a message and its answer.
type exchange struct{ message, answer []byte }

const (
	// maxTranscript bounds what is kept to ask twice.
	maxTranscript = 64 << 20
	// askTwice is every how many trials the answers are asked twice: the same trial is
	// told to the same process again.
	askTwice = 20
)

// converse takes a plug-in that is ready and tells it that a trial begins.
func (p *Pool) converse(env detect.Env) (conversation, error) {
	s, err := p.take(env)
	if err != nil {
		return conversation{}, p.fault(err)
	}
	c := conversation{pool: p, env: env, session: s}
	return c, c.fail(c.begin())
}

// begin tells the plug-in that a trial begins.
func (c *conversation) begin() error {
	message, err := json.Marshal(trialMessage{"trial", c.env.Trial})
	if err != nil {
		return err
	}
	return c.session.carrier.send(message, c.pool.config.Answer)
}

// fail ends the plug-in after an error, which it names.
func (c *conversation) fail(err error) error {
	if err != nil && c.failure == nil {
		c.failure = c.pool.fault(err)
		_ = c.session.carrier.close(false) // it is ended, whatever it says
	}
	return c.failure
}

// Version is what the plug-in calls itself, with its version.
func (c *conversation) Version() string { return c.session.ready.Name + " " + c.session.ready.Version }

// Spent is the wall-clock time that the plug-in took.
func (c *conversation) Spent() time.Duration { return c.spent }

func (c *conversation) ask(message []byte) ([]byte, error) {
	began := time.Now()
	line, err := c.session.carrier.ask(message, c.pool.config.Answer)
	c.spent += time.Since(began)
	return line, err
}

// keep keeps an answer that was right, to ask for it again.
func (c *conversation) keep(message, line []byte) {
	if c.env.Index%askTwice == 0 && c.kept < maxTranscript {
		c.kept += len(message) + len(line)
		c.transcript = append(c.transcript, exchange{message, bytes.Clone(line)})
	}
}

// end ends the trial for the plug-in. When the trial ran to its end, it is asked the last
// questions, and in one of twenty trials it is told the whole trial again and has to answer alike.
func (c *conversation) end(completed bool, last func() error) error {
	if c.closed {
		return nil
	}
	c.closed = true
	switch {
	case c.failure != nil:
		return nil // the trial has the error already
	case !completed:
		_ = c.session.carrier.close(false) // what it was doing does not count
		return nil
	}
	err := last()
	if err == nil {
		err = c.repeat()
	}
	if err != nil {
		return c.fail(err)
	}
	if err := c.pool.give(c.session); err != nil {
		return c.pool.fault(err)
	}
	return nil
}

// repeat tells the trial again.
func (c *conversation) repeat() error {
	if len(c.transcript) == 0 {
		return nil
	}
	if err := c.begin(); err != nil {
		return err
	}
	for i, x := range c.transcript {
		line, err := c.ask(x.message)
		if err != nil {
			return fmt.Errorf("when it was told the same trial again: %w", err)
		}
		if !bytes.Equal(line, x.answer) {
			return fmt.Errorf("told the same trial again it answers message %d otherwise: %s, before %s; it has to forget at the "+
				"message trial, and to draw nothing at random", i+1, shorten(string(line)), shorten(string(x.answer)))
		}
	}
	return nil
}
