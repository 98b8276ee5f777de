package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/source"
)

// taxiiMedia is the media type of TAXII 2.1 (OASIS Standard, section 1.6.8.2).
const taxiiMedia = "application/taxii+json;version=2.1"

// maxPages bounds the pages of a collection that are read at once.
const maxPages = 10_000

// TAXIIConfig is a collection of a TAXII 2.1 server.
type TAXIIConfig struct {
	Name string
	// URL is that of the API root; Collection the id of the collection.
	URL, Collection string
	User, Password  string        // of basic authentication, "" for none
	Token           string        // of bearer authentication, "" for none
	Every           time.Duration // how often new objects are fetched; 15 minutes
	FetchTimeout    time.Duration // of one fetch; 5 minutes
	Client          *http.Client
}

// TAXII is a collection that is fetched every so often, and asked in memory.
type TAXII struct {
	endpoint
	config TAXIIConfig

	mu      sync.RWMutex
	set     *indicator.Set
	iocs    []indicator.IOC
	fetched time.Time // when new objects were last fetched without a fault
	failure error     // of the last fetch
}

// NewTAXII makes one; Fetch fetches the collection.
func NewTAXII(c TAXIIConfig) (*TAXII, error) {
	c.Every, c.FetchTimeout = cmp.Or(c.Every, 15*time.Minute), cmp.Or(c.FetchTimeout, 5*time.Minute)
	header := http.Header{}
	if c.Token != "" {
		header.Set("Authorization", "Bearer "+c.Token)
	}
	e, err := newEndpoint(c.Name, c.URL, header, c.Client)
	if err != nil {
		return nil, err
	}
	if c.User != "" {
		r := &http.Request{Header: header}
		r.SetBasicAuth(c.User, c.Password)
	}
	if c.Collection == "" {
		return nil, fmt.Errorf("%s: a collection is expected", c.Name)
	}
	return &TAXII{endpoint: e, config: c, set: indicator.NewSet(0)}, nil
}

// Run fetches the collection every so often until the context ends.
func (t *TAXII) Run(ctx context.Context) {
	tick := time.NewTicker(t.config.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = t.Fetch(ctx) // Ask tells of it
		}
	}
}

// Fetch fetches what is new. What was fetched before stays when it fails.
func (t *TAXII) Fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.config.FetchTimeout)
	defer cancel()
	began := time.Now()
	t.mu.RLock()
	after, iocs := t.fetched, t.iocs
	t.mu.RUnlock()
	fresh, err := t.pages(ctx, after)
	if err != nil {
		err = fmt.Errorf("%s: %w", t.name, err)
	}
	all := slices.Concat(iocs, fresh)
	set := indicator.NewSet(len(all))
	for i := range all {
		if fault := set.Add(&all[i]); fault != nil {
			err = errors.Join(err, fault)
			break
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set, t.iocs, t.failure = set, all, err
	if err == nil {
		t.fetched = began
	}
	return err
}

// pages reads the pages of the collection with objects that were added after a time (TAXII 2.1,
// section 5.4).
func (t *TAXII) pages(ctx context.Context, after time.Time) ([]indicator.IOC, error) {
	var out []indicator.IOC
	next := ""
	for range maxPages {
		query := url.Values{"match[type]": {"indicator"}}
		if !after.IsZero() {
			query.Set("added_after", after.UTC().Format("2006-01-02T15:04:05.000000Z"))
		}
		if next != "" {
			query.Set("next", next)
		}
		address := t.base.JoinPath("collections", t.config.Collection, "objects")
		address.Path += "/"
		address.RawQuery = query.Encode()
		data, err := t.fetch(ctx, http.MethodGet, address.String(), taxiiMedia, nil, maxPage)
		if err != nil {
			return out, err
		}
		if data == nil {
			return out, statusError{http.StatusNotFound}
		}
		var page struct {
			More    bool            `json:"more"`
			Next    string          `json:"next"`
			Objects json.RawMessage `json:"objects"`
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return out, fmt.Errorf("a page of the collection is no envelope of TAXII: %w", err)
		}
		if len(page.Objects) > 0 {
			if err := t.take(page.Objects, &out); err != nil {
				return out, err
			}
		}
		if !page.More {
			return out, nil
		}
		if page.Next == "" || page.Next == next {
			return out, errors.New("the server announces more, and does not say where")
		}
		next = page.Next
	}
	return out, fmt.Errorf("the collection has more than %d pages", maxPages)
}

// take reads the indicators of a page; what is no indicator is passed over.
func (t *TAXII) take(objects []byte, out *[]indicator.IOC) error {
	bundle := bytes.Join([][]byte{[]byte(`{"type":"bundle","objects":`), objects, []byte("}")}, nil)
	_, err := source.Read(bytes.NewReader(bundle), source.Options{Format: source.STIX, Source: t.name},
		func(i *indicator.IOC) error {
			*out = append(*out, *i)
			return nil
		})
	return err
}

// Len is the number of indicators that were fetched.
func (t *TAXII) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.set.Len()
}

// Ask implements Server. While the collection cannot be fetched, it answers from what was
// fetched before, and says that this is old.
func (t *TAXII) Ask(_ context.Context, i fusion.Indicator) ([]indicator.IOC, error) {
	t.mu.RLock()
	set, failure := t.set, t.failure
	t.mu.RUnlock()
	if failure != nil && set.Len() == 0 {
		return nil, failure
	}
	var out []indicator.IOC
	if kind, value, err := indicator.Guess(i.Value); err == nil {
		for _, e := range set.Lookup(kind, value) {
			out = append(out, e.IOC())
		}
	}
	if failure != nil {
		return out, fmt.Errorf("%w: %w", errStale, failure)
	}
	return out, nil
}
