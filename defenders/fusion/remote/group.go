// Package remote asks threat-intelligence servers: MISP, TAXII 2.1 collections, and any that
// answers a question over HTTP with JSON. It is for live running and replays, where time passes
// outside too; simulated trials ask no server.
//
// group.go asks several servers side by side within a deadline, each with retries, a circuit
// breaker, a rate limit and a cache; http.go fetches with bounds; misp.go, taxii.go and json.go
// know the servers. A server that is down, slow, lying or answers rubbish costs its own answer
// only.
package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/avast/retry-go/v4"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/indicator"
)

// Server is a server that may know an indicator. It gives the entries that match, none for a
// miss. With errStale beside entries, or none, the answer rests on old data.
type Server interface {
	Name() string
	Ask(ctx context.Context, i fusion.Indicator) ([]indicator.IOC, error)
}

// errStale tells that a server could not be reached lately, and that its answer is an old one.
var errStale = errors.New("the data is old: the server could not be reached lately")

// Limits bound how a server is asked; zero values take the defaults named.
type Limits struct {
	PerSecond float64       // questions a second; 10
	Burst     int           // questions at once; 20
	Tries     uint          // of a question; 2
	CacheTTL  time.Duration // for how long an answer is reused; an hour
}

// maxCached bounds the answers of a server that are kept.
const maxCached = 50_000

// The circuit breaker opens after so many failures in a row, for so long.
const (
	breakerFailures = 5
	breakerOpen     = 30 * time.Second
)

// Group asks servers side by side. It implements fusion.Asker.
type Group struct {
	members  []*member
	deadline time.Duration
	now      func() time.Time
}

// member is a server with what protects it and us.
type member struct {
	server  Server
	limits  Limits
	limiter *rate.Limiter
	breaker *gobreaker.CircuitBreaker[[]indicator.IOC]

	mu    sync.Mutex
	cache map[fusion.Indicator]cached
}

type cached struct {
	found []indicator.IOC
	until time.Time
}

// DefaultDeadline is for how long an alert waits for the servers.
const DefaultDeadline = 2 * time.Second

// NewGroup makes a group. The deadline is that of the questions about one alert; 0 for
// DefaultDeadline.
func NewGroup(deadline time.Duration) *Group {
	return &Group{deadline: cmp.Or(deadline, DefaultDeadline), now: time.Now}
}

// Add adds a server.
func (g *Group) Add(s Server, l Limits) {
	l.PerSecond, l.Burst = cmp.Or(l.PerSecond, 10), cmp.Or(l.Burst, 20)
	l.Tries, l.CacheTTL = cmp.Or(l.Tries, 2), cmp.Or(l.CacheTTL, time.Hour)
	g.members = append(g.members, &member{
		server: s, limits: l, limiter: rate.NewLimiter(rate.Limit(l.PerSecond), l.Burst),
		breaker: gobreaker.NewCircuitBreaker[[]indicator.IOC](gobreaker.Settings{
			Name: s.Name(), Timeout: breakerOpen,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerFailures },
		}),
		cache: map[fusion.Indicator]cached{},
	})
}

// Len is the number of servers.
func (g *Group) Len() int { return len(g.members) }

// Ask implements fusion.Asker. It returns when every server has answered, or the deadline has
// passed. Answers stand in the order of servers and indicators.
func (g *Group) Ask(list []fusion.Indicator) []fusion.Answer {
	ctx, cancel := context.WithTimeout(context.Background(), g.deadline)
	defer cancel()
	n := len(g.members) * len(list)
	answers := make([]fusion.Answer, n)
	for m, x := range g.members {
		for i, asked := range list {
			answers[m*len(list)+i] = fusion.Answer{Source: x.server.Name(), Indicator: asked, Status: fusion.StatusTimeout}
		}
	}
	type placed struct {
		at     int
		answer fusion.Answer
	}
	done := make(chan placed, n) // has room for all: one that comes too late blocks nobody
	waiting := 0
	for m, x := range g.members {
		for i, asked := range list {
			at := m*len(list) + i
			if a, ok := x.cached(g.now(), asked); ok {
				answers[at] = a
				continue
			}
			waiting++
			go func() { done <- placed{at, x.ask(ctx, g.now, asked)} }()
		}
	}
	for ; waiting > 0; waiting-- {
		select {
		case p := <-done:
			answers[p.at] = p.answer
		case <-ctx.Done():
			return answers
		}
	}
	return answers
}

// cached is the answer of the cache.
func (m *member) cached(now time.Time, i fusion.Indicator) (fusion.Answer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.cache[i]
	if !ok || now.After(c.until) {
		return fusion.Answer{}, false
	}
	return m.answer(i, fusion.StatusCached, c.found, now), true
}

func (m *member) keep(now time.Time, i fusion.Indicator, found []indicator.IOC) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.cache) >= maxCached {
		clear(m.cache)
	}
	m.cache[i] = cached{found, now.Add(m.limits.CacheTTL)}
}

// ask asks the server, unless it has failed or was asked too often.
func (m *member) ask(ctx context.Context, now func() time.Time, i fusion.Indicator) fusion.Answer {
	if !m.limiter.Allow() {
		return fusion.Answer{Source: m.server.Name(), Indicator: i, Status: fusion.StatusLimited}
	}
	isStale := false
	question := func() ([]indicator.IOC, error) {
		found, err := m.server.Ask(ctx, i)
		if isStale = errors.Is(err, errStale); isStale {
			return found, nil
		}
		return found, err
	}
	found, err := m.breaker.Execute(func() ([]indicator.IOC, error) {
		return retry.DoWithData(
			question,
			retry.Context(ctx), retry.Attempts(m.limits.Tries), retry.Delay(50*time.Millisecond), retry.LastErrorOnly(true),
			retry.RetryIf(isPassing),
		)
	})
	at := now()
	switch {
	case isStale:
		return m.answer(i, fusion.StatusStale, found, at)
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return m.answer(i, fusion.StatusOpen, nil, at)
	case errors.Is(err, context.DeadlineExceeded):
		return m.answer(i, fusion.StatusTimeout, nil, at)
	case err != nil:
		return m.answer(i, fusion.StatusError, nil, at)
	}
	m.keep(at, i, found)
	status := fusion.StatusHit
	if len(found) == 0 {
		status = fusion.StatusMiss
	}
	return m.answer(i, status, found, at)
}

// answer makes an answer of entries; confidence decays with age.
func (m *member) answer(i fusion.Indicator, status fusion.Status, found []indicator.IOC, now time.Time) fusion.Answer {
	a := fusion.Answer{Source: m.server.Name(), Indicator: i, Status: status}
	for _, x := range found {
		x.Source = m.server.Name()
		x.Confidence = indicator.Decayed(x.Type, x.Confidence, x.LastSeen, now)
		a.Hits = append(a.Hits, fusion.Hit{Source: m.server.Name(), Confidence: x.Confidence, Known: x,
			Actors: fusion.ActorsIn(x.Tags)})
	}
	slices.SortStableFunc(a.Hits, func(x, y fusion.Hit) int { return cmp.Compare(y.Confidence, x.Confidence) })
	if len(a.Hits) > 1 { // one source counts once, with its best entry
		a.Hits = a.Hits[:1]
	}
	return a
}

// statusError is an answer of a server that is none.
type statusError struct{ code int }

func (e statusError) Error() string { return fmt.Sprintf("the server answers with status %d", e.code) }

// isPassing tells whether an error may be gone at the next try.
func isPassing(err error) bool {
	var status statusError
	if errors.As(err, &status) {
		return status.code == 429 || status.code >= 500
	}
	var network net.Error
	return errors.As(err, &network)
}
