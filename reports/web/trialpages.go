package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hemostat/reports/render"
	"hemostat/reports/store"
	"hemostat/sim/record"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// withTrial reads the trial that a path names.
func (s *Server) withTrial(serve func(http.ResponseWriter, *http.Request, *record.Trial)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		t, err := s.readTrial(q.Context(), q.PathValue("id"))
		if err != nil {
			s.fail(w, q, statusOf(err), err)
			return
		}
		serve(w, q, t)
	}
}

func (s *Server) readTrial(ctx context.Context, id string) (*record.Trial, error) {
	if len(id) != idLength || strings.Trim(id, "0123456789abcdef") != "" {
		return nil, notFound{fmt.Errorf("%q is no id of a trial: 16 digits and letters from a to f are expected", id)}
	}
	db, err := store.Open(ctx, s.File)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return db.Trial(id)
}

const (
	// mostAlerts and mostRows bound the tables of a trial's page.
	mostAlerts = 150
	mostRows   = 250
)

func (s *Server) trial(w http.ResponseWriter, q *http.Request, t *record.Trial) {
	win, err := windowOf(q.URL.Query(), t.Horizon)
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	line, err := s.timelineOf(q.Context(), t, win)
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	var real []record.Alert
	for _, a := range t.Alerts {
		if a.Attack != 0 && len(real) < mostAlerts {
			real = append(real, a)
		}
	}
	s.page(w, q, http.StatusOK, "trial.html", fmt.Sprintf("%s/%d", t.Scenario, t.Index), struct {
		*record.Trial
		Verdict       string
		Timeline      template.HTML
		Window        window
		Zoom          zoom
		RealAlerts    []record.Alert
		ShownSteps    []record.Step
		ShownApproval []record.Approval
		ShownActions  []record.Action
		ShownIncident []record.Incident
	}{t, render.Verdict(t), line, win, zoomOf(win, t.Horizon), real, first(t.Steps, mostRows), first(t.Approvals, mostRows),
		first(t.Actions, mostRows), first(t.Incidents, mostRows)})
}

func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// windowOf is the part of a trial that a request asks for, in seconds.
func windowOf(v url.Values, horizon int64) (window, error) {
	w := window{0, horizon}
	for _, x := range []struct {
		name string
		to   *int64
	}{{"from", &w.From}, {"to", &w.To}} {
		text := v.Get(x.name)
		if text == "" {
			continue
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds >= 0 && seconds < 1e9) {
			return w, badRequest{fmt.Errorf("%s: seconds since the trial's beginning are expected, not %q", x.name, text)}
		}
		*x.to = min(int64(seconds*float64(time.Second)), horizon)
	}
	if w.To-w.From < int64(time.Second) {
		return w, badRequest{errors.New("from and to: a second at least must lie between them")}
	}
	return w, nil
}

// zoom are the links that change what a time line shows.
type zoom struct{ In, Out, Earlier, Later, All string }

func zoomOf(w window, horizon int64) zoom {
	link := func(from, to int64) string {
		from, to = max(0, from), min(horizon, to)
		if to-from < int64(2*time.Second) {
			return ""
		}
		return fmt.Sprintf("?from=%.0f&to=%.0f", time.Duration(from).Seconds(), time.Duration(to).Seconds())
	}
	width := w.To - w.From
	return zoom{In: link(w.From+width/4, w.To-width/4), Out: link(w.From-width/2, w.To+width/2),
		Earlier: link(w.From-width/2, max(width, w.To-width/2)), Later: link(min(horizon-width, w.From+width/2), w.To+width/2),
		All: link(0, horizon)}
}

func (s *Server) timelineOf(ctx context.Context, t *record.Trial, w window) (template.HTML, error) {
	hosts, err := s.estate(ctx, t)
	if err != nil {
		return "", err
	}
	zones := map[string]string{}
	for _, h := range hosts {
		zones[h.Name] = h.Zone
	}
	lanes := lanesOf(t, zones)
	for i := range lanes {
		for k := range lanes[i].Marks {
			if m := &lanes[i].Marks[k]; !strings.HasPrefix(m.Link, "#") {
				m.Link = "/trials/" + t.TrialID + "/" + m.Link
			}
		}
	}
	return drawTimeline(lanes, w)
}

// estate is the estate of a trial. It is computed once; the trial's alerts name some of it where
// the scenario as it was run cannot be read by this version of the program.
func (s *Server) estate(ctx context.Context, t *record.Trial) ([]Host, error) {
	x, ready := s.estates.get(0, t.TrialID, func(ctx context.Context) (result, error) {
		hosts, err := s.Estate(ctx, t)
		return result{json: hosts}, err
	})
	if !ready {
		select {
		case <-x.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if x.err == nil {
		return x.json.([]Host), nil
	}
	s.Log.Warn("the estate of a trial is not known", "trial", t.TrialID, "error", x.err)
	var hosts []Host
	for _, e := range t.Entities {
		if e.Kind == "host" {
			hosts = append(hosts, Host{e.Name, e.Zone, e.Role})
		}
	}
	return hosts, nil
}

// timeline is the drawing alone, for the page's script.
func (s *Server) timeline(w http.ResponseWriter, q *http.Request, t *record.Trial) {
	win, err := windowOf(q.URL.Query(), t.Horizon)
	var line template.HTML
	if err == nil {
		line, err = s.timelineOf(q.Context(), t, win)
	}
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(render.Terminal(string(line)))) // whoever asked has gone
}

func (s *Server) estateMap(w http.ResponseWriter, q *http.Request, t *record.Trial) {
	at := t.Horizon
	if text := q.URL.Query().Get("at"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds >= 0 && seconds < 1e9) {
			s.fail(w, q, http.StatusBadRequest, fmt.Errorf("at: seconds since the trial's beginning are expected, not %q", text))
			return
		}
		at = min(int64(seconds*float64(time.Second)), t.Horizon)
	}
	hosts, err := s.estate(q.Context(), t)
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	m := mapOf(t, hosts, at)
	drawn, err := m.draw()
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	s.page(w, q, http.StatusOK, "mappage.html", fmt.Sprintf("Map of %s/%d", t.Scenario, t.Index), struct {
		*estateMap
		Trial         *record.Trial
		Drawn         template.HTML
		Seconds, Last int64
	}{m, t, drawn, at / int64(time.Second), t.Horizon / int64(time.Second)})
}

func (s *Server) story(w http.ResponseWriter, _ *http.Request, t *record.Trial) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(render.Terminal(render.Story(t)))) // whoever asked has gone
}

func (s *Server) alerts(w http.ResponseWriter, q *http.Request, t *record.Trial) {
	page := 1
	if text := q.URL.Query().Get("page"); text != "" {
		var err error
		if page, err = strconv.Atoi(text); err != nil || page < 1 {
			s.fail(w, q, http.StatusBadRequest, fmt.Errorf("page: a number from 1 on is expected, not %q", text))
			return
		}
	}
	from := min((page-1)*mostAlerts, len(t.Alerts))
	to := min(from+mostAlerts, len(t.Alerts))
	before, after := 0, 0
	if from > 0 {
		before = page - 1
	}
	if to < len(t.Alerts) {
		after = page + 1
	}
	s.page(w, q, http.StatusOK, "alerts.html", fmt.Sprintf("Alerts of %s/%d", t.Scenario, t.Index), struct {
		*record.Trial
		Shown               []record.Alert
		From, Before, After int
	}{t, t.Alerts[from:to], from, before, after})
}

// mostEvidence bounds the events of an alert that are shown.
const mostEvidence = 50

func (s *Server) alert(w http.ResponseWriter, q *http.Request, t *record.Trial) {
	n, err := strconv.Atoi(q.PathValue("n"))
	at := slices.IndexFunc(t.Alerts, func(a record.Alert) bool { return a.Alert == n })
	if err != nil || at < 0 {
		s.fail(w, q, http.StatusNotFound, fmt.Errorf("the trial has no alert %q", q.PathValue("n")))
		return
	}
	a := &t.Alerts[at]
	var verdict *record.Verdict
	for i := range t.Verdicts {
		if t.Verdicts[i].Alert == n {
			verdict = &t.Verdicts[i]
		}
	}
	var sightings []record.Sighting
	for _, x := range t.Sightings {
		if x.Alert == n {
			sightings = append(sightings, x)
		}
	}
	db, err := store.Open(q.Context(), s.File)
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	defer db.Close()
	kept, err := db.EventsByID(t.TrialID, first(a.Evidence, mostEvidence))
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	s.page(w, q, http.StatusOK, "alert.html", fmt.Sprintf("Alert %d of %s/%d", n, t.Scenario, t.Index), struct {
		*record.Alert
		Trial     *record.Trial
		Judged    *record.Verdict
		Sightings []record.Sighting
		Kept      []store.KeptEvent
		Shown     []uint64
	}{a, t, verdict, sightings, kept, first(a.Evidence, mostEvidence)})
}

// threat is what a page shows of an explained incident, which other packages write as JSON.
type threat struct {
	Incident   int      `json:"incident"`
	Incidents  []int    `json:"incidents"`
	Severity   string   `json:"severity"`
	Confidence float64  `json:"confidence"`
	LinkedTo   int      `json:"linked_to"`
	Score      float64  `json:"correlation_score"`
	Techniques []string `json:"techniques"`
	IOCs       []struct {
		Value      string            `json:"value"`
		Type       string            `json:"ioc_type"`
		Confidence float64           `json:"confidence"`
		Context    map[string]string `json:"context"`
	} `json:"iocs"`
	Graph struct {
		RootCause    string   `json:"root_cause"`
		CriticalPath []string `json:"critical_path"`
		Radius       struct {
			Hosts      []string `json:"hosts"`
			Share      float64  `json:"share"`
			InReach    int      `json:"hosts_in_reach"`
			ReachShare float64  `json:"share_in_reach"`
		} `json:"blast_radius"`
		Next []struct {
			Host        string  `json:"host"`
			Probability float64 `json:"probability"`
		} `json:"next"`
		Cut struct {
			Nodes []string `json:"nodes"`
		} `json:"cut"`
	} `json:"attack_graph"`
	Actors []struct {
		Actor       string  `json:"actor"`
		Probability float64 `json:"probability"`
	} `json:"actors"`
	Narrative []struct {
		Text   string `json:"text"`
		Alerts []int  `json:"alerts"`
	} `json:"narrative"`
	Author  string   `json:"narrative_author"`
	Missing []string `json:"missing_sources"`
	Alerts  []struct {
		Alert      int    `json:"alert"`
		Incident   int    `json:"incident"`
		TimeNs     int64  `json:"time_ns"`
		Title      string `json:"title"`
		Technique  string `json:"technique"`
		Severity   string `json:"severity"`
		Host, User string
		Verdict    string `json:"verdict"`
	} `json:"alerts"`
}

func (s *Server) explained(ctx context.Context, t *record.Trial, number string) (Explained, *threat, error) {
	n, err := strconv.Atoi(number)
	known := err == nil && slices.ContainsFunc(t.Alerts, func(a record.Alert) bool { return a.Incident == n && n != 0 })
	if !known {
		return Explained{}, nil, notFound{fmt.Errorf("the trial has no incident %q with alerts", number)}
	}
	x, err := s.Explain(ctx, t, n)
	if err != nil {
		return Explained{}, nil, err
	}
	var shown threat
	return x, &shown, json.Unmarshal(x.JSON, &shown)
}

func (s *Server) incident(w http.ResponseWriter, q *http.Request, t *record.Trial) {
	_, shown, err := s.explained(q.Context(), t, q.PathValue("n"))
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	all := len(shown.Alerts)
	shown.Alerts = first(shown.Alerts, mostAlerts)
	s.page(w, q, http.StatusOK, "incident.html", fmt.Sprintf("Incident %d of %s/%d", shown.Incident, t.Scenario, t.Index), struct {
		*threat
		Trial     *record.Trial
		AllAlerts int
	}{shown, t, all})
}

func (s *Server) incidentGraph(w http.ResponseWriter, q *http.Request, t *record.Trial) {
	x, _, err := s.explained(q.Context(), t, q.PathValue("n"))
	if err != nil {
		s.fail(w, q, statusOf(err), err)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'") // its own colours, and nothing else
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write(x.SVG) // whoever asked has gone
}
