package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// errNoLive tells that there is no live run to ask.
var errNoLive = errors.New("no live run is named: hemostat serve --live http://127.0.0.1:8088 shows its requests for approval")

// request is a request for approval as a live run tells of it.
type request struct {
	Approval   int                 `json:"approval"`
	Incident   int                 `json:"incident"`
	Playbook   string              `json:"playbook"`
	Step       string              `json:"step"`
	Role       string              `json:"role"`
	Kind       string              `json:"kind"`
	Actions    []map[string]string `json:"actions"`
	Targets    []string            `json:"targets"`
	Risk       string              `json:"risk"`
	Severity   string              `json:"severity"`
	Confidence float64             `json:"confidence"`
	Disruption float64             `json:"predicted_disruption"`
	Asked      time.Time           `json:"asked"`
	Deadline   time.Time           `json:"deadline"`
	DryRun     bool                `json:"dry_run"`
	// Threat is the explained incident, nil where it is not open any more.
	Threat *threat `json:"-"`
}

func (s *Server) requestList(ctx context.Context) ([]request, error) {
	if s.Live == nil {
		return nil, errNoLive
	}
	text, err := s.Live.List(ctx)
	if err != nil {
		return nil, liveFault{err}
	}
	var list struct {
		Approvals []request `json:"approvals"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, liveFault{fmt.Errorf("what answers is no live run: %w", err)}
	}
	return list.Approvals, nil
}

// mostExplained bounds the requests whose incidents are shown with them.
const mostExplained = 20

func (s *Server) approvals(w http.ResponseWriter, q *http.Request) {
	data := struct {
		List    []request
		Hidden  int
		Error   string
		HasLive bool
		Done    string
	}{HasLive: s.Live != nil, Done: q.URL.Query().Get("done")}
	if s.Live != nil {
		list, err := s.requestList(q.Context())
		if err != nil {
			s.Log.Warn("the live run does not answer", "error", err)
			data.Error = err.Error()
		}
		data.Hidden = len(list) - len(first(list, mostExplained))
		data.List = first(list, mostExplained)
		for i := range data.List {
			if text, err := s.Live.Incident(q.Context(), data.List[i].Incident); err == nil {
				var x threat
				if json.Unmarshal(text, &x) == nil {
					data.List[i].Threat = &x
				}
			}
		}
	}
	s.page(w, q, http.StatusOK, "approvals.html", "Approvals", data)
}

// maxName bounds the name of who answers.
const maxName = 200

func (s *Server) answerForm(w http.ResponseWriter, q *http.Request) {
	q.Body = http.MaxBytesReader(w, q.Body, maxForm)
	if err := s.answer(q.Context(), q.PathValue("n"), q.PostFormValue("answer"), q.PostFormValue("by")); err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	http.Redirect(w, q, "/approvals?done="+url.QueryEscape(q.PathValue("n")), http.StatusSeeOther)
}

// answer gives an answer, approve or deny, to the live run.
func (s *Server) answer(ctx context.Context, number, answer, by string) error {
	n, err := strconv.Atoi(number)
	by = strings.TrimSpace(by)
	switch {
	case err != nil:
		return notFound{fmt.Errorf("%q is no number of a request", number)}
	case answer != "approve" && answer != "deny":
		return badRequest{fmt.Errorf("answer: approve or deny is expected, not %q", answer)}
	case by == "" || len(by) > maxName:
		return badRequest{errors.New("by: the name of who decides is missing or too long")}
	case s.Live == nil:
		return errNoLive
	}
	err = s.Live.Answer(ctx, n, answer == "approve", by)
	if err != nil && !errors.Is(err, ErrClosed) {
		err = liveFault{err}
	}
	return err
}
