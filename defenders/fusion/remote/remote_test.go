package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"hemostat/defenders/fusion"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var asked = fusion.Indicator{Kind: "ip", Value: "203.0.113.7"}

// entry is what a good server of the generic kind answers.
const entry = `[{"value":"203.0.113.7","ioc_type":"ipv4","first_seen":null,"last_seen":null,"source":"x","confidence":0.9,"tags":["actor:G1"],"context":{}}]`

// serve starts a server, and a client that lets go of its connections.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *http.Client) {
	s := httptest.NewServer(h)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); s.CloseClientConnections(); s.Close() })
	return s, &http.Client{Transport: transport}
}

func jsonServer(t *testing.T, h http.HandlerFunc) *JSON {
	s, client := serve(t, h)
	j, err := NewJSON(JSONConfig{Name: "vendor", URL: s.URL + "/look?k={kind}&v={value}", Client: client,
		Header: http.Header{"Authorization": {"Bearer secret"}}})
	require.NoError(t, err)
	return j
}

func TestAServerIsAsked(t *testing.T) {
	j := jsonServer(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "203.0.113.7", r.URL.Query().Get("v"))
		assert.Equal(t, "ip", r.URL.Query().Get("k"))
		assert.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		fmt.Fprint(w, entry)
	})
	g := NewGroup(time.Second)
	g.Add(j, Limits{})
	a := g.Ask([]fusion.Indicator{asked})
	require.Len(t, a, 1)
	require.Len(t, a[0].Hits, 1)
	assert.Equal(t, fusion.StatusHit, a[0].Status)
	assert.Equal(t, 0.9, a[0].Hits[0].Confidence)
	assert.Equal(t, []string{"G1"}, a[0].Hits[0].Actors)
	assert.Equal(t, "vendor", a[0].Hits[0].Source)
	assert.Equal(t, fusion.StatusCached, g.Ask([]fusion.Indicator{asked})[0].Status)
}

// Whatever a server does, the question ends in time with a status, and nothing is taken from
// what is no answer.
func TestBadServersCostTheirOwnAnswerOnly(t *testing.T) {
	elsewhere, _ := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed to another host") })
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    fusion.Status
	}{
		"nothing known":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, fusion.StatusMiss},
		"an empty list":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") }, fusion.StatusMiss},
		"null":           {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "null") }, fusion.StatusMiss},
		"rubbish":        {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome") }, fusion.StatusError},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, entry[:40]) }, fusion.StatusError},
		"another's entry": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.ReplaceAll(entry, "203.0.113.7", "198.51.100.1"))
		}, fusion.StatusError},
		"an object of something": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status":"ok"}`) }, fusion.StatusError},
		"refused":                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, fusion.StatusError},
		"broken":                 {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, fusion.StatusError},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL,
				http.StatusFound)
		}, fusion.StatusError},
		"in circles": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(),
				http.StatusFound)
		}, fusion.StatusError},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			for range maxAnswer/1024 + 2 {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1024)); err != nil {
					return
				}
			}
		}, fusion.StatusError},
		"too slow": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fusion.StatusTimeout},
		"without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, "["); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		}, fusion.StatusTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGroup(300 * time.Millisecond)
			g.Add(jsonServer(t, c.handler), Limits{})
			good := jsonServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, entry) })
			good.name = "good"
			g.Add(good, Limits{})
			began := time.Now()
			a := g.Ask([]fusion.Indicator{asked})
			assert.Less(t, time.Since(began), 5*time.Second)
			if name == "without end" && a[0].Status == fusion.StatusError {
				a[0].Status = fusion.StatusTimeout // it sent more than is read before its time was up
			}
			assert.Equal(t, c.want, a[0].Status)
			assert.Empty(t, a[0].Hits)
			assert.Equal(t, fusion.StatusHit, a[1].Status, "the others answer")
		})
	}
}

func TestAPassingFaultIsTriedAgain(t *testing.T) {
	var n atomic.Int32
	g := NewGroup(time.Second)
	g.Add(jsonServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		fmt.Fprint(w, entry)
	}), Limits{})
	assert.Equal(t, fusion.StatusHit, g.Ask([]fusion.Indicator{asked})[0].Status)
	assert.EqualValues(t, 2, n.Load())
}

func TestAServerIsProtected(t *testing.T) {
	var n atomic.Int32
	down := func(w http.ResponseWriter, _ *http.Request) { n.Add(1); w.WriteHeader(400) }
	ask := func(g *Group, i int) fusion.Status {
		return g.Ask([]fusion.Indicator{{Kind: "ip", Value: fmt.Sprintf("203.0.113.%d", i)}})[0].Status
	}
	g := NewGroup(time.Second)
	g.Add(jsonServer(t, down), Limits{})
	for i := range breakerFailures {
		assert.Equal(t, fusion.StatusError, ask(g, i))
	}
	assert.Equal(t, fusion.StatusOpen, ask(g, 99))
	assert.EqualValues(t, breakerFailures, n.Load(), "it is not asked while the breaker is open")

	g = NewGroup(time.Second)
	g.Add(jsonServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") }), Limits{PerSecond: 0.001, Burst: 2})
	assert.Equal(t, fusion.StatusMiss, ask(g, 1))
	assert.Equal(t, fusion.StatusMiss, ask(g, 2))
	assert.Equal(t, fusion.StatusLimited, ask(g, 3))
}

func TestMISP(t *testing.T) {
	s, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/misp/attributes/restSearch", r.URL.Path)
		assert.Equal(t, "key", r.Header.Get("Authorization"))
		var q map[string]any
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&q))
		if q["value"] != "203.0.113.7" {
			fmt.Fprint(w, `{"response":{"Attribute":[]}}`)
			return
		}
		fmt.Fprint(w, `{"response":{"Attribute":[{"type":"ip-dst","value":"203.0.113.7","to_ids":true,"timestamp":"1767225600",
 "Tag":[{"name":"misp-galaxy:threat-actor=\"Sofacy\""}]}]}}`)
	})
	m, err := NewMISP(MISPConfig{Name: "misp", URL: s.URL + "/misp", Key: "key", Client: client})
	require.NoError(t, err)
	g := NewGroup(time.Second)
	g.now = func() time.Time { return time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC) }
	g.Add(m, Limits{})
	a := g.Ask([]fusion.Indicator{asked, {Kind: "ip", Value: "198.51.100.1"}})
	require.Len(t, a, 2)
	require.Len(t, a[0].Hits, 1)
	assert.Equal(t, []string{"Sofacy"}, a[0].Hits[0].Actors)
	assert.InDelta(t, 0.25, a[0].Hits[0].Confidence, 0.01, "30 days old, half of 0.5")
	assert.Equal(t, fusion.StatusMiss, a[1].Status)
}

// collection is a server of TAXII with pages of one indicator each.
type collection struct {
	objects []string
	down    atomic.Bool
	after   atomic.Value
}

func (c *collection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.down.Load() {
		w.WriteHeader(500)
		return
	}
	q := r.URL.Query()
	c.after.Store(q.Get("added_after"))
	if r.URL.Path != "/root/collections/abc/objects/" || r.Header.Get("Accept") != taxiiMedia || q.Get("match[type]") != "indicator" {
		w.WriteHeader(406)
		return
	}
	if user, password, ok := r.BasicAuth(); !ok || user != "me" || password != "pw" {
		w.WriteHeader(401)
		return
	}
	w.Header().Set("Content-Type", taxiiMedia)
	at := 0
	if next := q.Get("next"); next != "" {
		_, err := fmt.Sscan(next, &at)
		if err != nil {
			w.WriteHeader(400)
			return
		}
	}
	if q.Get("added_after") != "" {
		fmt.Fprint(w, `{}`)
		return
	}
	fmt.Fprintf(w, `{"more":%t,"next":"%d","objects":[%s]}`, at+1 < len(c.objects), at+1, c.objects[at])
}

func indicatorObject(pattern string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--1","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z",
 "valid_from":"2026-01-01T00:00:00Z","pattern_type":"stix","pattern":%q,"labels":["c2"]}`, pattern)
}

func TestTAXII(t *testing.T) {
	c := &collection{objects: []string{indicatorObject("[ipv4-addr:value = '203.0.113.7']"),
		indicatorObject("[url:value = 'http://evil.net/x']"),
		`{"type":"indicator","pattern":7}`, indicatorObject("[domain-name:value = 'evil.net']")}}
	s, client := serve(t, c.ServeHTTP)
	x, err := NewTAXII(TAXIIConfig{Name: "taxii", URL: s.URL + "/root", Collection: "abc", User: "me", Password: "pw", Client: client})
	require.NoError(t, err)
	g := NewGroup(time.Second)
	g.Add(x, Limits{CacheTTL: time.Nanosecond})
	status := func() fusion.Answer { return g.Ask([]fusion.Indicator{asked})[0] }
	require.NoError(t, x.Fetch(t.Context()))
	assert.Equal(t, 3, x.Len(), "a bad object among the pages is passed over")
	require.Len(t, status().Hits, 1)
	assert.Equal(t, fusion.StatusHit, status().Status)

	c.down.Store(true) // the server stops: old data is used, and marked
	require.ErrorContains(t, x.Fetch(t.Context()), "status 500")
	a := status()
	assert.Equal(t, fusion.StatusStale, a.Status)
	require.Len(t, a.Hits, 1)

	c.down.Store(false)
	require.NoError(t, x.Fetch(t.Context()))
	assert.NotEmpty(t, c.after.Load(), "only what is new is fetched")
	assert.Equal(t, fusion.StatusHit, status().Status)
	assert.Equal(t, 3, x.Len())
}

func TestTAXIIOfAServerThatWasNeverThere(t *testing.T) {
	s, client := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"more":true}`) })
	x, err := NewTAXII(TAXIIConfig{Name: "taxii", URL: s.URL, Collection: "c", Every: 10 * time.Millisecond, Client: client, Token: "t"})
	require.NoError(t, err)
	require.ErrorContains(t, x.Fetch(t.Context()), "announces more, and does not say where")
	_, err = x.Ask(t.Context(), asked)
	require.ErrorContains(t, err, "announces more")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() { x.Run(ctx); close(done) }()
	cancel()
	<-done
}

func TestAddressesAreChecked(t *testing.T) {
	for _, address := range []string{"", "ftp://x/{value}", "://{value}", "/only/a/path?{value}"} {
		_, err := NewJSON(JSONConfig{Name: "v", URL: address})
		assert.Error(t, err, address)
	}
	_, err := NewJSON(JSONConfig{Name: "v", URL: "https://x/look"})
	assert.ErrorContains(t, err, "has no {value}")
	_, err = NewTAXII(TAXIIConfig{Name: "v", URL: "https://x"})
	assert.ErrorContains(t, err, "a collection is expected")
}
