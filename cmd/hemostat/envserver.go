package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hemostat/reports/web"
	"hemostat/scenarios/environment"
)

// agentServer lets several agents play at once, each in a session of its own.
type agentServer struct {
	options  environment.Options
	most     int
	patience time.Duration
	token    string // "" for none
	errOut   io.Writer

	mutex    sync.Mutex
	sessions map[string]*agentSession
}

// agentSession is a session and when it was last heard of.
type agentSession struct {
	mutex   sync.Mutex // held while a message is answered
	session *environment.Session
	heard   time.Time
}

func (o *envOptions) serve(c *cobra.Command, e environment.Options) error {
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return fmt.Errorf("--listen: an address such as 127.0.0.1:8090 is expected: %w", err)
	}
	s := &agentServer{options: e, most: o.sessions, patience: o.patience, errOut: c.ErrOrStderr(), sessions: map[string]*agentSession{}}
	if o.token == "" && !web.IsLocal(host) {
		o.token = "env.token"
	}
	if o.token != "" {
		if s.token, err = tokenOf(o.token); err != nil {
			return fmt.Errorf("--token-file: %w", err)
		}
		fmt.Fprintf(s.errOut, "the token stands in %s\n", o.token)
	}
	stop, at, err := serve("--listen", o.listen, s.handler(), s.errOut)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(s.errOut, "agents play at http://%s/v1/sessions; Ctrl-C ends it\n", at)
	look := time.NewTicker(max(time.Millisecond, min(s.patience/4, 10*time.Second)))
	defer look.Stop()
	for {
		select {
		case <-c.Context().Done():
			s.forget(func(*agentSession) bool { return true })
			return nil
		case now := <-look.C:
			s.forget(func(x *agentSession) bool { return now.Sub(x.heard) > s.patience })
		}
	}
}

func (s *agentServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/sessions", s.begin)
	mux.HandleFunc("POST /v1/sessions/{id}", s.answer)
	mux.HandleFunc("DELETE /v1/sessions/{id}", s.end)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		shown, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
		kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
		switch {
		case s.token == "" && !web.IsLocal(q.Host): // another site could have its own name point here
			refuse(w, http.StatusMisdirectedRequest, errors.New("without a token only localhost and 127.0.0.1 are served"))
		case s.token != "" && subtle.ConstantTimeCompare([]byte(shown), []byte(s.token)) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, errors.New("the token is missing or wrong"))
		case q.Method == http.MethodPost && (err != nil || kind != "application/json"): // what a form of another site cannot send
			refuse(w, http.StatusUnsupportedMediaType, errors.New("Content-Type: application/json is expected"))
		default:
			mux.ServeHTTP(w, q)
		}
	})
}

func refuse(w http.ResponseWriter, status int, err error) {
	text, _ := json.Marshal(map[string]string{"type": "error", "error": err.Error()}) // texts can be written
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// begin begins a session with the hello in the body.
func (s *agentServer) begin(w http.ResponseWriter, q *http.Request) {
	text, ok := readBody(w, q)
	if !ok {
		return
	}
	x := &agentSession{session: environment.NewSession(s.options), heard: time.Now()}
	reply, _ := x.session.Answer(text)
	var greeting map[string]json.RawMessage
	if err := json.Unmarshal(reply, &greeting); err != nil || string(greeting["type"]) != `"ready"` {
		if err == nil && string(greeting["type"]) != `"error"` {
			reply = []byte(`{"type":"error","error":"hello comes first"}`)
		}
		noteFault(s.errOut, x.session.Close())
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write(reply)
		return
	}
	var id [12]byte
	if _, err := rand.Read(id[:]); err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	name := hex.EncodeToString(id[:])
	s.mutex.Lock()
	full := len(s.sessions) >= s.most
	if !full {
		s.sessions[name] = x
	}
	s.mutex.Unlock()
	if full {
		refuse(w, http.StatusServiceUnavailable, fmt.Errorf("%d sessions go on, and --sessions allows no more", s.most))
		return
	}
	greeting["session"], _ = json.Marshal(name)
	text, _ = json.Marshal(greeting)
	w.Header().Set("Location", "/v1/sessions/"+name)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(text)
}

func readBody(w http.ResponseWriter, q *http.Request) ([]byte, bool) {
	text, err := io.ReadAll(http.MaxBytesReader(w, q.Body, environment.MostBytes))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the message: %w", err))
	}
	return text, err == nil
}

func (s *agentServer) find(w http.ResponseWriter, q *http.Request) *agentSession {
	s.mutex.Lock()
	x := s.sessions[q.PathValue("id")]
	s.mutex.Unlock()
	if x == nil {
		refuse(w, http.StatusNotFound, errors.New("there is no such session: it has ended, or never began"))
	}
	return x
}

// answer answers a message of a session.
func (s *agentServer) answer(w http.ResponseWriter, q *http.Request) {
	x := s.find(w, q)
	if x == nil {
		return
	}
	if !x.mutex.TryLock() {
		refuse(w, http.StatusConflict, errors.New("another message of this session is being answered"))
		return
	}
	defer x.mutex.Unlock()
	text, ok := readBody(w, q)
	if !ok {
		return
	}
	x.heard = time.Now()
	reply, ended := x.session.Answer(text)
	x.heard = time.Now()
	if ended {
		s.remove(q.PathValue("id"))
	}
	if strings.HasPrefix(string(reply), `{"type":"error"`) {
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
	_, _ = w.Write(reply)
}

// end ends a session.
func (s *agentServer) end(w http.ResponseWriter, q *http.Request) {
	x := s.find(w, q)
	if x == nil {
		return
	}
	x.mutex.Lock()
	defer x.mutex.Unlock()
	s.remove(q.PathValue("id"))
	if err := x.session.Close(); err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *agentServer) remove(id string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.sessions, id)
}

// forget ends the sessions that a function chooses; those that are being answered are left.
func (s *agentServer) forget(which func(*agentSession) bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for id, x := range s.sessions {
		if !x.mutex.TryLock() {
			continue
		}
		if which(x) {
			noteFault(s.errOut, x.session.Close())
			delete(s.sessions, id)
		}
		x.mutex.Unlock()
	}
}
