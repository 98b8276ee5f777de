package plugin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// carrier takes messages to a plug-in and answers back.
type carrier interface {
	// send hands over a message that has no answer.
	send(message []byte, limit time.Duration) error
	// ask hands over a message and returns the answer, valid until the next call.
	ask(message []byte, limit time.Duration) ([]byte, error)
	// close ends the plug-in, or its session; a healthy one is told before.
	close(healthy bool) error
}

// process is a plug-in as a child process.
type process struct {
	command *exec.Cmd
	in, out *os.File // its standard input, and what it writes
	lines   *bufio.Reader
	errors  tail
	most    int // bytes of an answer
	line    []byte
	ended   chan struct{} // closed when the process is over
	failure error         // of the end
}

// startProcess starts a plug-in.
func startProcess(c Config) (*process, error) {
	command := exec.Command(c.Command[0], c.Command[1:]...)
	command.Dir = c.Folder
	command.WaitDelay = time.Second // a descendant may hold the pipes open
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		theirIn.Close()
		in.Close()
		return nil, err
	}
	p := &process{
		command: command, in: in, out: out, lines: bufio.NewReaderSize(out, 1<<16), most: c.Output, ended: make(chan struct{}),
	}
	command.Stdin, command.Stdout, command.Stderr = theirIn, theirOut, &p.errors
	ownGroup(command)
	err = command.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("it cannot be started: %w", err)
	}
	if err := limitMemory(command.Process.Pid, c.Memory); err != nil {
		p.stop()
		return nil, fmt.Errorf("its memory cannot be limited: %w", err)
	}
	go func() {
		state, err := command.Process.Wait()
		killGroup(command.Process) // what it started must not hold its streams open
		_ = command.Wait()         // for the streams; how it ended is known
		if p.failure = err; err == nil && !state.Success() {
			p.failure = errors.New(state.String())
		}
		close(p.ended)
	}()
	return p, nil
}

func (p *process) send(message []byte, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	if err := p.in.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := p.in.Write(append(message, '\n'))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("it does not read: a message was not taken within %s", limit)
	case err != nil:
		return p.diagnose(err)
	}
	return nil
}

func (p *process) ask(message []byte, limit time.Duration) ([]byte, error) {
	if err := p.send(message, limit); err != nil {
		return nil, err
	}
	if err := p.out.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	p.line = p.line[:0]
	for {
		part, err := p.lines.ReadSlice('\n')
		p.line = append(p.line, part...)
		switch {
		case len(p.line) > p.most:
			return nil, fmt.Errorf("an answer is longer than %d bytes", p.most)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("no answer within %s", limit)
		case err != nil:
			return nil, p.diagnose(err)
		case isBlank(p.line):
			p.line = p.line[:0]
		default:
			return bytes.TrimSpace(p.line), nil
		}
	}
}

// diagnose says why a pipe is closed: how the process ended and what it wrote last.
func (p *process) diagnose(err error) error {
	select {
	case <-p.ended:
	case <-time.After(time.Second):
		return fmt.Errorf("it closed its streams and runs on: %w", err)
	}
	how := "it ended"
	if p.failure != nil {
		how = "it ended: " + p.failure.Error()
	}
	if last := p.errors.text(); last != "" {
		how += "; the last it wrote to standard error: " + last
	}
	if errors.Is(err, io.EOF) && len(p.line) > 0 {
		how += "; its last answer is cut: " + shorten(string(p.line))
	}
	return errors.New(how)
}

// graceful is how long a plug-in has to end by itself.
const graceful = 2 * time.Second

func (p *process) close(healthy bool) error {
	if healthy {
		err := p.send([]byte(`{"type":"bye"}`), graceful)
		p.in.Close()
		if err == nil {
			select {
			case <-p.ended:
				p.stop()
				return p.failure
			case <-time.After(graceful):
				p.stop()
				return fmt.Errorf("it did not end within %s of bye", graceful)
			}
		}
	}
	p.stop()
	return nil
}

// stop ends the process and what it started.
func (p *process) stop() {
	killGroup(p.command.Process)
	p.in.Close()
	p.out.Close()
}

// tail keeps the last of what is written to it.
type tail struct {
	mutex sync.Mutex
	data  []byte
}

const maxTail = 2000

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.data = append(t.data, b[max(0, len(b)-maxTail):]...)
	t.data = append(t.data[:0], t.data[max(0, len(t.data)-maxTail):]...)
	return len(b), nil
}

// text is the last line, which interpreters end their reports with.
func (t *tail) text() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	return lines[len(lines)-1]
}
