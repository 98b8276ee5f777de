package web

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hemostat/reports/render"
	"hemostat/reports/store"
	"hemostat/sim/attack"
	"hemostat/sim/record"
)

//go:embed templates/*.html
var templateFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"stamp": stamp,
	"time": func(t record.Time) string {
		if t == nil {
			return "–"
		}
		return stamp(*t)
	},
	"share":   share,
	"current": attack.Current,
	"percent": func(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) },
	"isoTime": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"day":     func(text string) string { return strings.Replace(text[:min(19, len(text))], "T", " ", 1) }, // of a time in RFC 3339
	"left":    func(t time.Time) string { return time.Until(t).Round(time.Second).String() },
	"add":     func(a, b int) int { return a + b },
	"join":    strings.Join,
	"json": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	},
}).ParseFS(templateFiles, "templates/*.html"))

// frame is what stands around a page.
type frame struct {
	Title   string
	File    string
	Path    string
	Refresh int // seconds until the page is asked for again, 0 for never
	IsOpen  bool
	HasLive bool
	Body    template.HTML
}

// page writes a page.
func (s *Server) page(w http.ResponseWriter, q *http.Request, status int, name, title string, data any) {
	s.refreshing(w, q, status, name, title, data, 0)
}

func (s *Server) refreshing(w http.ResponseWriter, q *http.Request, status int, name, title string, data any, refresh int) {
	var body, whole bytes.Buffer
	err := pages.ExecuteTemplate(&body, name, data)
	if err == nil {
		err = pages.ExecuteTemplate(&whole, "layout.html", frame{Title: title, File: s.File, Path: q.URL.Path, Refresh: refresh,
			IsOpen: s.Token == "" || s.isAuthorised(q), HasLive: s.Live != nil,
			Body: template.HTML(body.String())}) //nolint:gosec // written by a template, which escapes
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err != nil {
		s.Log.Error("a page failed", "path", q.URL.Path, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("the page cannot be written; the program's log says why\n"))
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(render.Terminal(whole.String()))) // whoever asked has gone
}

// route is a page or a part of the interface for programs.
type route struct {
	pattern string
	serve   http.HandlerFunc
}

// routes are all pages.
func (s *Server) routes() []route {
	r := []route{
		{"GET /{$}", s.home},
		{"GET /trials", s.list},
		{"GET /trials/{id}", s.withTrial(s.trial)},
		{"GET /trials/{id}/timeline", s.withTrial(s.timeline)},
		{"GET /trials/{id}/map", s.withTrial(s.estateMap)},
		{"GET /trials/{id}/story", s.withTrial(s.story)},
		{"GET /trials/{id}/alerts", s.withTrial(s.alerts)},
		{"GET /trials/{id}/alerts/{n}", s.withTrial(s.alert)},
		{"GET /trials/{id}/incidents/{n}", s.withTrial(s.incident)},
		{"GET /trials/{id}/incidents/{n}/graph.svg", s.withTrial(s.incidentGraph)},
		{"GET /overview", s.overview},
		{"GET /compare", s.comparePage},
		{"GET /gates", s.documents(store.GateDocument, "Verdicts of the gate", "/gates")},
		{"GET /gates/{n}", s.document(store.GateDocument)},
		{"GET /fidelity", s.documents(store.FidelityDocument, "Simulation against recordings", "/fidelity")},
		{"GET /fidelity/{n}", s.document(store.FidelityDocument)},
		{"GET /approvals", s.approvals},
		{"POST /approvals/{n}", s.answerForm},
	}
	return append(r, s.interfaceRoutes()...)
}

// runRow is a run in the list of runs.
type runRow struct {
	store.RecordedRun
	Trials, Errors int
}

func (s *Server) home(w http.ResponseWriter, q *http.Request) {
	runs, err := s.runs(q.Context())
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	run := q.URL.Query().Get("run")
	s.page(w, q, http.StatusOK, "home.html", "Runs", struct {
		Runs   []runRow
		Run    string
		Groups []*group
		Trials int
	}{runs, run, groupsOf(s.catalog.view(), run), s.Trials()})
}

func (s *Server) runs(ctx context.Context) ([]runRow, error) {
	db, err := store.Open(ctx, s.File)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	recorded, err := db.Runs()
	if err != nil {
		return nil, err
	}
	rows := make([]runRow, len(recorded))
	at := map[string]*runRow{}
	for i, r := range recorded {
		rows[i].RecordedRun = r
		at[r.ID] = &rows[i]
	}
	known := s.catalog.view()
	counts := make([][2]int, len(known.names)) // trials and errors by the name of the run
	ok, _ := known.find("ok")
	for i := range known.trials {
		x := &known.trials[i]
		counts[x.run][0]++
		if x.status != ok {
			counts[x.run][1]++
		}
	}
	for n, c := range counts {
		if r := at[known.names[n]]; r != nil {
			r.Trials, r.Errors = c[0], c[1]
		}
	}
	return rows, nil
}

func (s *Server) list(w http.ResponseWriter, q *http.Request) {
	v := q.URL.Query()
	for name := range v { // a form sends its empty fields too
		if v.Get(name) == "" {
			v.Del(name)
		}
	}
	ask, err := queryOf(v)
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	known := s.catalog.view()
	rows, all := ask.choose(known)
	scenarios, variants, outcomes := namesOf(known)
	last := min(mostPages, max(1, (all+pageSize-1)/pageSize))
	heads := make([][2]string, len(sortings))
	for i, x := range sortings {
		order := "asc"
		if ask.Sort == x.name && !ask.Descending {
			order = "desc"
		}
		heads[i] = [2]string{x.title, ask.values("sort", x.name, "order", order, "page", "")}
		if ask.Sort == x.name {
			heads[i][0] += map[bool]string{true: " ▼", false: " ▲"}[ask.Descending]
		}
	}
	link := func(page int) string {
		if page < 1 || page > last || page == ask.Page {
			return ""
		}
		return ask.values("page", strconv.Itoa(page))
	}
	s.page(w, q, http.StatusOK, "trials.html", "Trials", struct {
		Query                         query
		Rows                          []listedTrial
		All, Last                     int
		Heads                         [][2]string
		Scenarios, Variants, Outcomes []string
		FirstPage, Before, After, End string
	}{ask, known.shown(rows), all, last, heads, scenarios, variants, outcomes, link(1), link(ask.Page - 1), link(ask.Page + 1), link(last)})
}
