package defence

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/remote"
	"hemostat/scenarios"
)

// checkServer checks what can be checked of a server without asking it.
func (f *intelFile) checkServer(fault func(format string, args ...any)) {
	s := &f.Server
	if len(f.Files) > 0 || f.isSimulated() || len(f.Allowed) > 0 || f.Confidence != 0 {
		fault("%s is a server; files, allowed, coverage, delay, errors, expiry, outage and confidence are for other feeds",
			f.Name)
	}
	switch {
	case s.Kind == "":
		fault("server of %s: kind is misp, taxii or json", f.Name)
	case s.Kind == "taxii" && s.Collection == "":
		fault("server of %s: the collection is missing", f.Name)
	case s.Kind != "taxii" && (s.Collection != "" || s.Every != 0):
		fault("server of %s: collection and every are for taxii", f.Name)
	}
	if s.PerSecond < 0 || s.Every < 0 {
		fault("server of %s: per_second and every are not negative", f.Name)
	}
	if s.URL == "" {
		fault("server of %s: the url is missing", f.Name)
	}
}

// LoadSimulated is Load for a variant that takes part in simulated trials: one that asks servers
// does not.
func LoadSimulated(file string, set []scenarios.Setting) (*Variant, error) {
	v, err := Load(file, set)
	if err != nil || len(v.servers) == 0 {
		return v, err
	}
	return nil, errors.Join(v.servers[0].Pos.Fault("intel", "%s is a server of threat intelligence, which knows nothing of "+
		"simulated attacks; name a feed with coverage, or files (hemostat replay asks servers)", v.servers[0].Name), v.Close())
}

// OpenServers makes ready to ask the servers of the variant; nil where it has none. A
// collection is fetched first; one that cannot be fetched is a note, and is tried again while
// the context lasts.
func (v *Variant) OpenServers(ctx context.Context, note func(string)) (fusion.Asker, error) {
	if len(v.servers) == 0 {
		return nil, nil
	}
	group := remote.NewGroup(0)
	var faults []error
	for i := range v.servers {
		f := &v.servers[i]
		server, err := f.open(ctx, note)
		if err != nil {
			faults = append(faults, f.Pos.Fault("intel", "%s", err))
			continue
		}
		group.Add(server, remote.Limits{PerSecond: f.Server.PerSecond})
	}
	return group, errors.Join(faults...)
}

// open makes a server ready.
func (f *intelFile) open(ctx context.Context, note func(string)) (remote.Server, error) {
	s := &f.Server
	key := ""
	if s.KeyEnv != "" {
		if key = os.Getenv(s.KeyEnv); key == "" {
			return nil, fmt.Errorf("%s: the environment variable %s, which holds the key, is empty", f.Name, s.KeyEnv)
		}
	}
	switch s.Kind {
	case "misp":
		return remote.NewMISP(remote.MISPConfig{Name: f.Name, URL: s.URL, Key: key})
	case "json":
		c := remote.JSONConfig{Name: f.Name, URL: s.URL, Header: http.Header{}}
		if key != "" {
			c.Header.Set("Authorization", "Bearer "+key)
		}
		return remote.NewJSON(c)
	}
	c := remote.TAXIIConfig{Name: f.Name, URL: s.URL, Collection: s.Collection, Every: s.Every, Token: key}
	if user, password, ok := strings.Cut(key, ":"); ok {
		c.User, c.Password, c.Token = user, password, ""
	}
	t, err := remote.NewTAXII(c)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := t.Fetch(ctx); err != nil {
		note(fmt.Sprintf("%s; it is tried again every so often", err))
	} else {
		note(fmt.Sprintf("%s: %d indicators fetched in %s", f.Name, t.Len(), time.Since(began).Round(time.Millisecond)))
	}
	go t.Run(ctx)
	return t, nil
}
