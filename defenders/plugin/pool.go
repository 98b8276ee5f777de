package plugin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/remote"
)

// Config says what a plug-in is and what it may use; zero values take the defaults named.
type Config struct {
	Name    string
	Command []string // of a child process; empty for a server
	Folder  string   // where the command runs
	URL     string   // of a server
	Start   time.Duration
	Answer  time.Duration
	Memory  uint64 // bytes of data of the process and each that it starts; 2 GiB when zero
	Output  int    // bytes of an answer; 4 MiB when zero
	Batch   Batch
	// Step is the virtual time between two decisions of one that decides for the defence; 0 for a
	// detector.
	Step time.Duration
}

// Batch says how events are put together: a batch goes when it has so many, or when its
// first has waited so long in virtual time.
type Batch struct {
	Events int           // 512 when zero
	Wait   time.Duration // 2 s when zero
}

func (c Config) withDefaults() Config {
	c.Start = cmp.Or(c.Start, 30*time.Second)
	c.Answer = cmp.Or(c.Answer, 10*time.Second)
	c.Memory = cmp.Or(c.Memory, 2<<30)
	c.Output = cmp.Or(c.Output, 4<<20)
	c.Batch.Events = cmp.Or(c.Batch.Events, 512)
	c.Batch.Wait = cmp.Or(c.Batch.Wait, 2*time.Second)
	return c
}

// Pool hands plug-in processes from trial to trial, so that one that takes long to start
// does so once a core. It may be used by several goroutines.
type Pool struct {
	config Config
	mutex  sync.Mutex
	idle   []*session
	closed bool
}

// session is a plug-in that has said that it is ready.
type session struct {
	carrier carrier
	ready   Ready
	opened  opening
}

// opening is what a plug-in was told at its start.
type opening struct {
	scenario string
	seed     uint64
}

// NewPool makes a pool; nothing is started yet.
func NewPool(c Config) *Pool { return &Pool{config: c.withDefaults()} }

// Kind is the plug-in as a detector.
func (p *Pool) Kind() detect.Kind {
	return detect.Kind{
		Name: p.config.Name, Doc: "a plug-in", New: func(env detect.Env, _ any) (detect.Detector, error) {
			return p.newDetector(env)
		},
	}
}

// fault names the plug-in in an error.
func (p *Pool) fault(err error) error {
	what := "plug-in"
	if p.config.Step > 0 {
		what = "agent"
	}
	return fmt.Errorf("%s %s: %w", what, p.config.Name, err)
}

// take returns a plug-in that is ready.
func (p *Pool) take(env detect.Env) (*session, error) {
	wanted := opening{env.Scenario, env.Seed}
	p.mutex.Lock()
	if p.closed {
		p.mutex.Unlock()
		return nil, errors.New("its pool is closed")
	}
	for i, s := range p.idle {
		if s.opened == wanted {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			p.mutex.Unlock()
			return s, nil
		}
	}
	p.mutex.Unlock()
	return p.open(wanted, env.Trial)
}

// open starts a plug-in.
func (p *Pool) open(o opening, trial string) (*session, error) {
	s := &session{opened: o}
	if p.config.URL != "" {
		client := &http.Client{Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 1}}
		s.carrier = &server{url: p.config.URL, client: client, most: p.config.Output, trial: trial}
	} else {
		process, err := startProcess(p.config)
		if err != nil {
			return nil, err
		}
		s.carrier = process
	}
	m := hello{Type: "hello", Protocol: protocolVersion, Scenario: o.scenario, Seed: o.seed}
	if p.config.Step > 0 {
		m.Side, m.Step, m.Kinds = "blue", int64(p.config.Step), remote.Kinds()
	}
	message, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	line, err := s.carrier.ask(message, p.config.Start)
	if err == nil {
		s.ready, err = readReady(line)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hello: %w", err), s.carrier.close(false))
	}
	return s, nil
}

// give takes a healthy plug-in back for another trial. A session with a server is over.
func (p *Pool) give(s *session) error {
	if p.config.URL != "" {
		return s.carrier.close(true)
	}
	p.mutex.Lock()
	p.idle = append(p.idle, s)
	var over *session
	if p.closed || len(p.idle) > 2*runtime.GOMAXPROCS(0) {
		over, p.idle = p.idle[0], p.idle[1:]
	}
	p.mutex.Unlock()
	if over != nil {
		return over.carrier.close(true)
	}
	return nil
}

// Close ends the plug-ins that wait for a trial.
func (p *Pool) Close() error {
	p.mutex.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mutex.Unlock()
	var faults []error
	for _, s := range idle {
		if err := s.carrier.close(true); err != nil {
			faults = append(faults, p.fault(err))
		}
	}
	return errors.Join(faults...)
}
