package live

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hemostat/defenders/fusion"
	"hemostat/defenders/live/signature"
)

// answerBody is an answer to a request for approval.
type answerBody struct {
	Approval int    `json:"approval"`
	Approved *bool  `json:"approved"`
	By       string `json:"by"`
}

// maxBody bounds the body of a request.
const maxBody = 64 << 10

// mostIncidents bounds the incidents of one answer.
const mostIncidents = 50

// maxName bounds the name of who answers.
const maxName = 200

// Handler serves a run over HTTP: metrics, health, and approvals. Who lists or answers approvals
// shows the token; an answer to /api/v1/answers is signed with the secret instead, and refused
// where there is none.
func Handler(r *Runtime, g prometheus.Gatherer, token string, secret []byte) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /api/v1/approvals", withToken(token, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"approvals": append([]Approval{}, r.approvals()...)})
	}))
	mux.HandleFunc("GET /api/v1/incidents", withToken(token, func(w http.ResponseWriter, q *http.Request) {
		list, err := r.incidents(q.Context(), mostIncidents)
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, err)
			return
		}
		reply(w, http.StatusOK, map[string]any{"incidents": append([]fusion.EnrichedThreat{}, list...)})
	}))
	mux.HandleFunc("GET /api/v1/incidents/{id}", withToken(token, func(w http.ResponseWriter, q *http.Request) {
		id, err := strconv.Atoi(q.PathValue("id"))
		if err != nil {
			refuse(w, http.StatusBadRequest, errors.New("the incident is a number"))
			return
		}
		switch x, known, err := r.incident(q.Context(), id); {
		case err != nil:
			refuse(w, http.StatusServiceUnavailable, err)
		case !known:
			refuse(w, http.StatusNotFound, errNotOpen)
		default:
			reply(w, http.StatusOK, x)
		}
	}))
	mux.HandleFunc("POST /api/v1/approvals/{id}", withToken(token, func(w http.ResponseWriter, q *http.Request) {
		body, err := readBody(w, q)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		id, err := strconv.Atoi(q.PathValue("id"))
		if err != nil {
			refuse(w, http.StatusBadRequest, errors.New("the approval is a number"))
			return
		}
		r.answer(w, q, body, id)
	}))
	mux.HandleFunc("POST /api/v1/answers", func(w http.ResponseWriter, q *http.Request) {
		body, err := readBody(w, q)
		switch {
		case err != nil:
			refuse(w, http.StatusBadRequest, err)
		case secret == nil:
			refuse(w, http.StatusForbidden, errors.New("signed answers are not accepted: no secret was named"))
		default:
			if err := signature.Verify(secret, body, q.Header.Get(signature.Header), time.Now()); err != nil {
				refuse(w, http.StatusForbidden, err)
				return
			}
			r.answer(w, q, body, 0)
		}
	})
	return mux
}

var (
	errNotOpen = errors.New("no incident of this number is open; those that have ended stand in the audit file")
	errNoToken = errors.New("the token is missing or wrong; it stands in the file token of the state")
)

// withToken serves only who shows the token.
func withToken(token string, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		shown, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(shown), []byte(token)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, errNoToken)
			return
		}
		serve(w, q)
	}
}

func readBody(w http.ResponseWriter, q *http.Request) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		return nil, errors.New("the body is too long or was cut off")
	}
	return data, nil
}

// answer takes an answer in. An id of 0 stands for the one in the body.
func (r *Runtime) answer(w http.ResponseWriter, q *http.Request, body []byte, id int) {
	var a answerBody
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		refuse(w, http.StatusBadRequest, errors.New(`{"approved": true or false, "by": "who"} is expected`))
		return
	}
	if id == 0 {
		id = a.Approval
	}
	a.By = strings.TrimSpace(a.By)
	switch {
	case a.Approved == nil:
		refuse(w, http.StatusBadRequest, errors.New(`"approved" is missing: true or false`))
		return
	case a.By == "" || len(a.By) > maxName:
		refuse(w, http.StatusBadRequest, errors.New(`"by" is missing or too long: the name of who decides`))
		return
	}
	switch err := r.giveAnswer(q.Context(), id, *a.Approved, a.By); {
	case errors.Is(err, errClosed):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, err)
	default:
		reply(w, http.StatusOK, map[string]any{"approval": id, "approved": *a.Approved, "by": a.By})
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
}

func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": err.Error()})
}
