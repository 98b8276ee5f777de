// Package web serves a database in the browser, as JSON and as metrics: runs, trials as time
// lines and maps, comparisons, verdicts of gates, incidents, and the requests for approval of a
// live run. It reads the database again when it changes and writes nothing to it.
//
// server.go holds what every request goes through, catalog.go the trials in memory and list.go
// their lists, jobs.go what takes longer than a page may; pages.go, trialpages.go, results.go and
// approvals.go are the pages, api.go the same for programs, timeline.go and estate.go the drawings
// of a trial.
package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hemostat/reports/compare"
	"hemostat/reports/render"
	"hemostat/reports/store"
	"hemostat/sim/record"
)

// Explained is an incident of a trial: as hemostat incident show prints it in JSON, and drawn.
type Explained struct {
	JSON []byte
	SVG  []byte
}

// Host is a host of the estate of a trial.
type Host struct{ Name, Zone, Role string }

// Approvals are the requests for approval of a live run.
type Approvals interface {
	// List is the answer of the live run to /api/v1/approvals.
	List(ctx context.Context) ([]byte, error)
	// Incident is its answer to /api/v1/incidents/{id}.
	Incident(ctx context.Context, id int) ([]byte, error)
	// Answer approves or denies a request in the name of a person. ErrClosed tells that nobody
	// waits for the answer any more.
	Answer(ctx context.Context, id int, approved bool, by string) error
}

// ErrClosed tells that a request for approval was answered or timed out.
var ErrClosed = errors.New("nobody waits for this answer: the request was answered, timed out, or never asked")

// Options say what is served, and by which functions of other packages.
type Options struct {
	File string // the database
	// Token is asked for in a header or a form; where it is "", only this machine is served.
	Token string
	// IsSecure tells that the connection is encrypted, so that cookies need not travel otherwise.
	IsSecure bool
	Live     Approvals // nil for none
	Log      *slog.Logger
	Registry *prometheus.Registry

	// Technique is the name and the tactic of an ATT&CK id; "" for one that is not known.
	Technique func(id string) (name, tactic string)
	Overview  func(ctx context.Context, run string) (template.HTML, error)
	Compare   func(ctx context.Context, baseline, candidate, run string) (*compare.Result, error)
	Explain   func(ctx context.Context, t *record.Trial, incident int) (Explained, error)
	Estate    func(ctx context.Context, t *record.Trial) ([]Host, error)
}

// Server serves a database until its context ends.
type Server struct {
	Options
	catalog  *catalog
	jobs     *jobs
	estates  *jobs // by trial; no page waits for a longer job to know one
	requests *prometheus.HistogramVec
	cookie   string
}

// New reads the list of trials. The context ends work that goes on in the background.
func New(ctx context.Context, o Options) (*Server, error) {
	s := &Server{Options: o, jobs: newJobs(ctx), estates: newJobs(ctx)}
	sum := sha256.Sum256([]byte("a session of hemostat serve\n" + o.Token))
	s.cookie = hex.EncodeToString(sum[:])
	s.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "serve_request_seconds",
		Help: "Time until a request was answered, by page.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"page"})
	if err := o.Registry.Register(s.requests); err != nil {
		return nil, err
	}
	var err error
	if s.catalog, err = newCatalog(ctx, o.File, o.Log); err != nil {
		return nil, err
	}
	return s, nil
}

// Trials is how many trials are served.
func (s *Server) Trials() int { return len(s.catalog.view().trials) }

//go:embed static/app.js static/web.css
var static embed.FS

// policy lets a page load what this server serves and nothing else. Drawings carry their colours
// in attributes, so these may say how something looks; no script and no style sheet may stand in a page.
const policy = "default-src 'none'; script-src 'self'; style-src-elem 'self'; style-src-attr 'unsafe-inline'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handler serves everything.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	open := http.NewServeMux() // what needs no token
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	open.HandleFunc("GET /static/{name}", s.staticFile)
	open.HandleFunc("GET /login", s.loginPage)
	open.HandleFunc("POST /login", s.login)
	for _, r := range s.routes() {
		timer := s.requests.WithLabelValues(r.pattern[strings.IndexByte(r.pattern, '/'):])
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, q *http.Request) {
			began := time.Now()
			r.serve(w, q)
			timer.Observe(time.Since(began).Seconds())
		})
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{}))
	open.Handle("/", s.authorised(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if _, pattern := mux.Handler(q); pattern == "" {
			refused := &withoutBody{ResponseWriter: w}
			mux.ServeHTTP(refused, q) // it knows which methods there are
			s.fail(w, q, refused.status, errors.New("there is no such page, or it does not take this method"))
			return
		}
		mux.ServeHTTP(w, q)
	})))
	protected := http.NewCrossOriginProtection()
	protected.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.fail(w, q, http.StatusForbidden, errors.New("the request comes from another site"))
	}))
	return s.guarded(protected.Handler(open))
}

// withoutBody takes the headers and the status of an answer and leaves the rest to another.
type withoutBody struct {
	http.ResponseWriter
	status int
}

func (w *withoutBody) WriteHeader(status int)      { w.status = status }
func (w *withoutBody) Write(b []byte) (int, error) { return len(b), nil }

// guarded sets the headers of every answer, and serves no other name than this machine's where
// there is no token: another site could have its own name point here (DNS rebinding).
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if s.Token == "" && !IsLocal(q.Host) {
			s.fail(w, q, http.StatusMisdirectedRequest,
				fmt.Errorf("%q is no name of this machine: without a token only localhost and 127.0.0.1 are served", q.Host))
			return
		}
		next.ServeHTTP(w, q)
	})
}

// IsLocal tells whether a host of a request, with or without its port, is this machine.
func IsLocal(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

const cookieName = "hemostat_session"

// authorised serves only who shows the token or the cookie of a log-in.
func (s *Server) authorised(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if s.Token == "" || s.isAuthorised(q) {
			next.ServeHTTP(w, q)
			return
		}
		if isAPI(q) || q.Method != http.MethodGet {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, q, http.StatusUnauthorized, errors.New("the token is missing or wrong"))
			return
		}
		http.Redirect(w, q, "/login", http.StatusSeeOther)
	})
}

func (s *Server) isAuthorised(q *http.Request) bool {
	if shown, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer "); ok {
		return isSame(shown, s.Token)
	}
	c, err := q.Cookie(cookieName)
	return err == nil && isSame(c.Value, s.cookie)
}

func isSame(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) loginPage(w http.ResponseWriter, q *http.Request) {
	s.page(w, q, http.StatusOK, "login.html", "Log in", nil)
}

// maxForm bounds the body of a form.
const maxForm = 16 << 10

func (s *Server) login(w http.ResponseWriter, q *http.Request) {
	q.Body = http.MaxBytesReader(w, q.Body, maxForm)
	if s.Token != "" && !isSame(strings.TrimSpace(q.PostFormValue("token")), s.Token) {
		s.page(w, q, http.StatusForbidden, "login.html", "Log in", "the token is wrong")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: s.cookie, Path: "/", HttpOnly: true, Secure: s.IsSecure,
		SameSite: http.SameSiteStrictMode})
	http.Redirect(w, q, "/", http.StatusSeeOther)
}

func (s *Server) staticFile(w http.ResponseWriter, q *http.Request) {
	name := q.PathValue("name")
	data, err := static.ReadFile("static/" + name)
	switch {
	case name == "web.css":
		data = append([]byte(render.Style()), data...)
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
	case err == nil:
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	default:
		s.fail(w, q, http.StatusNotFound, errors.New("there is no such file"))
		return
	}
	w.Header().Set("Cache-Control", "max-age=60")
	_, _ = w.Write(data) // whoever asked has gone
}

func isAPI(q *http.Request) bool {
	return strings.HasPrefix(q.URL.Path, "/api/") || q.URL.Path == "/metrics"
}

// fail answers with an error, as JSON or as a page.
func (s *Server) fail(w http.ResponseWriter, q *http.Request, status int, err error) {
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		s.Log.Error("a request failed", "path", q.URL.Path, "error", err) // without its query, which may hold a secret
	}
	if isAPI(q) {
		reply(w, status, map[string]string{"error": err.Error()})
		return
	}
	s.page(w, q, status, "error.html", http.StatusText(status), err.Error())
}

func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer is no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // whoever asked has gone
}

// notFound tells that something is not in the database.
type notFound struct{ error }

// statusOf is the status of an error of a handler.
func statusOf(err error) int {
	var missing notFound
	var wrong badRequest
	var silent liveFault
	switch {
	case errors.As(err, &missing), store.IsNoTrial(err), errors.Is(err, errNoLive):
		return http.StatusNotFound
	case errors.As(err, &wrong):
		return http.StatusBadRequest
	case errors.Is(err, ErrClosed):
		return http.StatusConflict
	case errors.As(err, &silent):
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// liveFault tells that the live run does not answer as it should.
type liveFault struct{ error }

// badRequest tells that a request says what cannot be.
type badRequest struct{ error }
