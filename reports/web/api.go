package web

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"hemostat/reports/store"
)

// description is the OpenAPI description of the interface for programs.
//
//go:embed static/openapi.json
var description []byte

// interfaceRoutes are the same things as the pages, as JSON.
func (s *Server) interfaceRoutes() []route {
	return []route{
		{"GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(description) // whoever asked has gone
		}},
		{"GET /api/v1/runs", s.jsonOf(s.apiRuns)},
		{"GET /api/v1/trials", s.jsonOf(s.apiTrials)},
		{"GET /api/v1/trials/{id}", s.jsonOf(s.apiTrial)},
		{"GET /api/v1/trials/{id}/incidents/{n}", s.jsonOf(s.apiIncident)},
		{"GET /api/v1/summary", s.jsonOf(s.apiSummary)},
		{"GET /api/v1/compare", s.apiCompare},
		{"GET /api/v1/gates", s.jsonOf(s.apiDocuments(store.GateDocument))},
		{"GET /api/v1/gates/{n}", s.jsonOf(s.apiDocument(store.GateDocument))},
		{"GET /api/v1/fidelity", s.jsonOf(s.apiDocuments(store.FidelityDocument))},
		{"GET /api/v1/fidelity/{n}", s.jsonOf(s.apiDocument(store.FidelityDocument))},
		{"GET /api/v1/approvals", s.jsonOf(s.apiApprovals)},
		{"POST /api/v1/approvals/{n}", s.jsonOf(s.apiAnswer)},
	}
}

// jsonOf serves what a function returns, or its error.
func (s *Server) jsonOf(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		v, err := f(q)
		if err != nil {
			s.fail(w, q, statusOf(err), err)
			return
		}
		reply(w, http.StatusOK, v)
	}
}

// knowsOnly refuses parameters that a request does not have.
func knowsOnly(q *http.Request, names ...string) error {
	for name := range q.URL.Query() {
		if !slices.Contains(names, name) {
			return badRequest{fmt.Errorf("%q is no parameter of this request", name)}
		}
	}
	return nil
}

type jsonRun struct {
	ID        string `json:"run_id"`
	CreatedAt string `json:"created_at"`
	Version   string `json:"tool_version"`
	Commit    string `json:"git_commit"`
	Seed      uint64 `json:"seed"`
	Status    string `json:"status"`
	Trials    int    `json:"trials"`
	Errors    int    `json:"errors"`
}

func (s *Server) apiRuns(q *http.Request) (any, error) {
	if err := knowsOnly(q); err != nil {
		return nil, err
	}
	rows, err := s.runs(q.Context())
	list := []jsonRun{}
	for _, r := range rows {
		list = append(list, jsonRun{r.ID, r.CreatedAt, r.ToolVersion, r.GitCommit, r.Seed, r.Status, r.Trials, r.Errors})
	}
	return map[string]any{"runs": list}, err
}

func (s *Server) apiTrials(q *http.Request) (any, error) {
	ask, err := queryOf(q.URL.Query())
	if err != nil {
		return nil, err
	}
	v := s.catalog.view()
	rows, all := ask.choose(v)
	return map[string]any{"trials": v.shown(rows), "total": all, "page": ask.Page, "page_size": pageSize}, nil
}

func (s *Server) apiTrial(q *http.Request) (any, error) {
	if err := knowsOnly(q); err != nil {
		return nil, err
	}
	return s.readTrial(q.Context(), q.PathValue("id"))
}

func (s *Server) apiIncident(q *http.Request) (any, error) {
	if err := knowsOnly(q); err != nil {
		return nil, err
	}
	t, err := s.readTrial(q.Context(), q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	x, _, err := s.explained(q.Context(), t, q.PathValue("n"))
	return json.RawMessage(x.JSON), err
}

type jsonGroup struct {
	Scenario         string   `json:"scenario"`
	Variant          string   `json:"variant"`
	Trials           int      `json:"trials"`
	Errors           int      `json:"errors"`
	Attacked         int      `json:"attacked"`
	Detected         int      `json:"detected"`
	Contained        int      `json:"contained"`
	ObjectiveReached int      `json:"objective_reached"`
	AlertsFalse      *float64 `json:"alerts_false"` // means, null where every trial failed
	Disruption       *float64 `json:"disruption"`
	Score            *float64 `json:"score"`
}

func (s *Server) apiSummary(q *http.Request) (any, error) {
	if err := knowsOnly(q, "run"); err != nil {
		return nil, err
	}
	list := []jsonGroup{}
	for _, g := range groupsOf(s.catalog.view(), q.URL.Query().Get("run")) {
		x := jsonGroup{Scenario: g.Scenario, Variant: g.Variant, Trials: g.Trials, Errors: g.Errors, Attacked: g.Attacked,
			Detected: g.Detected, Contained: g.Contained, ObjectiveReached: g.Reached}
		if n := float64(g.Trials - g.Errors); n > 0 {
			means := [3]float64{g.FalseAlarms / n, g.Disruption / n, g.Score / n}
			x.AlertsFalse, x.Disruption, x.Score = &means[0], &means[1], &means[2]
		}
		list = append(list, x)
	}
	return map[string]any{"groups": list}, nil
}

// apiCompare answers with 202 while the comparison is computed.
func (s *Server) apiCompare(w http.ResponseWriter, q *http.Request) {
	v := q.URL.Query()
	form := compareForm{Baseline: v.Get("baseline"), Candidate: v.Get("candidate"), Run: v.Get("run")}
	err := knowsOnly(q, "baseline", "candidate", "run")
	if err == nil && (form.Baseline == "" || form.Candidate == "") {
		err = badRequest{fmt.Errorf("baseline and candidate: the names of two variants are expected")}
	}
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	x, ready := s.jobs.get(s.catalog.view().version, form.key(), s.comparison(form))
	switch {
	case !ready:
		w.Header().Set("Retry-After", "2")
		reply(w, http.StatusAccepted, map[string]any{"computing_seconds": time.Since(x.began).Seconds()})
	case x.err != nil:
		s.fail(w, q, http.StatusConflict, x.err)
	default:
		reply(w, http.StatusOK, x.json)
	}
}

type jsonDocument struct {
	ID        int64           `json:"id"`
	CreatedAt string          `json:"created_at"`
	Title     string          `json:"title"`
	Document  json.RawMessage `json:"document,omitempty"`
}

func (s *Server) apiDocuments(kind store.DocumentKind) func(*http.Request) (any, error) {
	return func(q *http.Request) (any, error) {
		if err := knowsOnly(q); err != nil {
			return nil, err
		}
		list, err := s.documentList(q.Context(), kind)
		out := []jsonDocument{}
		for _, d := range list {
			out = append(out, jsonDocument{ID: d.ID, CreatedAt: d.CreatedAt, Title: d.Title})
		}
		return map[string]any{"documents": out}, err
	}
}

func (s *Server) apiDocument(kind store.DocumentKind) func(*http.Request) (any, error) {
	return func(q *http.Request) (any, error) {
		if err := knowsOnly(q); err != nil {
			return nil, err
		}
		d, err := s.readDocument(q.Context(), kind, q.PathValue("n"))
		if err != nil {
			return nil, err
		}
		return jsonDocument{d.ID, d.CreatedAt, d.Title, d.JSON}, nil
	}
}

func (s *Server) apiApprovals(q *http.Request) (any, error) {
	if err := knowsOnly(q); err != nil {
		return nil, err
	}
	list, err := s.requestList(q.Context())
	return map[string]any{"approvals": append([]request{}, list...)}, err
}

// apiAnswer takes {"approved": true or false, "by": "who"}, as the live run does.
func (s *Server) apiAnswer(q *http.Request) (any, error) {
	var a struct {
		Approved *bool  `json:"approved"`
		By       string `json:"by"`
	}
	if kind, _, _ := strings.Cut(q.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		return nil, badRequest{fmt.Errorf("the content type application/json is expected")}
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, q.Body, maxForm))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil || a.Approved == nil {
		return nil, badRequest{fmt.Errorf(`{"approved": true or false, "by": "who"} is expected`)}
	}
	answer := "deny"
	if *a.Approved {
		answer = "approve"
	}
	if err := s.answer(q.Context(), q.PathValue("n"), answer, a.By); err != nil {
		return nil, err
	}
	return map[string]any{"approved": *a.Approved, "by": a.By}, nil
}
