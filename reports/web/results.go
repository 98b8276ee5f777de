package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hemostat/reports/compare"
	"hemostat/reports/fidelity"
	"hemostat/reports/gate"
	"hemostat/reports/store"
	"hemostat/sim/attack"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// computed shows what a job comes to, or that it is being computed.
func (s *Server) computed(w http.ResponseWriter, q *http.Request, title, key string, form any,
	f func(context.Context) (result, error),
) {
	data := struct {
		Form    any
		Body    template.HTML
		Seconds int
		Error   string
		AsOf    time.Time // where the database has changed since
	}{Form: form}
	if f == nil {
		s.page(w, q, http.StatusOK, "computed.html", title, data)
		return
	}
	version := s.catalog.view().version
	x, ready := s.jobs.get(version, key, f)
	switch {
	case !ready:
		data.Seconds = 1 + int(time.Since(x.began).Seconds())
		s.refreshing(w, q, http.StatusAccepted, "computed.html", title, data, 2)
	case x.err != nil:
		data.Error = x.err.Error()
		s.page(w, q, http.StatusConflict, "computed.html", title, data)
	default:
		data.Body = x.html
		if x.version != version {
			data.AsOf = x.began
		}
		s.page(w, q, http.StatusOK, "computed.html", title, data)
	}
}

func (s *Server) overview(w http.ResponseWriter, q *http.Request) {
	run := q.URL.Query().Get("run")
	s.computed(w, q, "Overview", "overview\n"+run, nil, func(ctx context.Context) (result, error) {
		html, err := s.Overview(ctx, run)
		return result{html: html}, err
	})
}

// compareForm is what the form of a comparison shows.
type compareForm struct {
	Baseline, Candidate, Run string
	Variants                 []string
}

func (s *Server) comparePage(w http.ResponseWriter, q *http.Request) {
	v := q.URL.Query()
	_, variants, _ := namesOf(s.catalog.view())
	form := compareForm{v.Get("baseline"), v.Get("candidate"), v.Get("run"), variants}
	if form.Baseline == "" || form.Candidate == "" {
		s.computed(w, q, "Compare", "", form, nil)
		return
	}
	s.computed(w, q, form.Candidate+" against "+form.Baseline, form.key(), form, s.comparison(form))
}

func (f compareForm) key() string {
	return strings.Join([]string{"compare", f.Baseline, f.Candidate, f.Run}, "\n")
}

func (s *Server) comparison(f compareForm) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		if f.Baseline == f.Candidate {
			return result{}, errors.New("the baseline and the candidate are the same variant; choose two")
		}
		r, err := s.Compare(ctx, f.Baseline, f.Candidate, f.Run)
		if err != nil {
			return result{}, err
		}
		body, err := r.Section()
		if err != nil {
			return result{}, err
		}
		text, err := r.JSON()
		if err != nil {
			return result{}, err
		}
		matrix, err := s.matrix(r)
		return result{html: matrix + body, json: json.RawMessage(text)}, err
	}
}

// matrixCell is a technique in the matrix of a comparison.
type matrixCell struct {
	ID, Name, Class     string
	Baseline, Candidate float64
	Change              string
}

type matrixColumn struct {
	Tactic string
	Cells  []matrixCell
}

// matrix shows by technique which side sees more, in the order of ATT&CK's tactics.
func (s *Server) matrix(r *compare.Result) (template.HTML, error) {
	var columns []matrixColumn
	for _, x := range r.Techniques {
		if x.Scenario != "*" && x.Scenario != "" {
			continue
		}
		name, tactic := s.Technique(x.Subject)
		tactic = cmp.Or(tactic, "other")
		at := slices.IndexFunc(columns, func(c matrixColumn) bool { return c.Tactic == tactic })
		if at < 0 {
			at = len(columns)
			columns = append(columns, matrixColumn{Tactic: tactic})
		}
		class := map[int]string{1: "good", 0: "dim", -1: "bad"}[x.Better()]
		columns[at].Cells = append(columns[at].Cells,
			matrixCell{x.Subject, name, class, x.Baseline.Value, x.Candidate.Value, x.Change()})
	}
	if len(columns) == 0 {
		return "", nil
	}
	slices.SortFunc(columns, func(a, b matrixColumn) int {
		return cmp.Or(cmp.Compare(attack.TacticPlace(a.Tactic), attack.TacticPlace(b.Tactic)), cmp.Compare(a.Tactic, b.Tactic))
	})
	for i := range columns {
		slices.SortFunc(columns[i].Cells, func(a, b matrixCell) int { return cmp.Compare(a.ID, b.ID) })
	}
	var out bytes.Buffer
	err := pages.ExecuteTemplate(&out, "matrix.html", columns)
	return template.HTML(out.String()), err //nolint:gosec // written by a template, which escapes
}

// mostDocuments bounds the list of documents of a kind.
const mostDocuments = 200

func (s *Server) documentList(ctx context.Context, kind store.DocumentKind) ([]store.Document, error) {
	db, err := store.Open(ctx, s.File)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return db.Documents(kind, mostDocuments)
}

func (s *Server) documents(kind store.DocumentKind, title, path string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		list, err := s.documentList(q.Context(), kind)
		if err != nil {
			s.fail(w, q, statusOf(err), err)
			return
		}
		s.page(w, q, http.StatusOK, "documents.html", title, struct {
			Kind store.DocumentKind
			Path string
			List []store.Document
		}{kind, path, list})
	}
}

func (s *Server) readDocument(ctx context.Context, kind store.DocumentKind, number string) (*store.Document, error) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, notFound{fmt.Errorf("%q is no number of a document", number)}
	}
	db, err := store.Open(ctx, s.File)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	d, err := db.Document(kind, n)
	if err == nil && d == nil {
		err = notFound{fmt.Errorf("the database has no document %d of the kind %s", n, kind)}
	}
	return d, err
}

func (s *Server) document(kind store.DocumentKind) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		d, err := s.readDocument(q.Context(), kind, q.PathValue("n"))
		if err != nil {
			s.fail(w, q, statusOf(err), err)
			return
		}
		var shown interface{ Section() (template.HTML, error) } = &gate.Document{}
		if kind == store.FidelityDocument {
			shown = &fidelity.Report{}
		}
		err = json.Unmarshal(d.JSON, shown)
		var body template.HTML
		if err == nil {
			body, err = shown.Section()
		}
		if err != nil {
			s.fail(w, q, http.StatusInternalServerError, fmt.Errorf("document %d: %w", d.ID, err))
			return
		}
		s.page(w, q, http.StatusOK, "document.html", d.Title, struct {
			*store.Document
			Body template.HTML
		}{d, body})
	}
}
