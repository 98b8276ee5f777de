package attribution

import (
	"crypto/sha256"
	_ "embed" // the actors that come with the program
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ThreatActor is what is published of an actor, in the form in which it is exchanged.
type ThreatActor struct {
	ID             string   `json:"id"`
	Aliases        []string `json:"aliases"`
	Techniques     []string `json:"techniques"`     // ids of ATT&CK
	Infrastructure []string `json:"infrastructure"` // indicators
	Goals          []string `json:"goals"`
}

// MarshalJSON writes lists that are empty as such.
func (a ThreatActor) MarshalJSON() ([]byte, error) {
	type plain ThreatActor
	for _, list := range []*[]string{&a.Aliases, &a.Techniques, &a.Infrastructure, &a.Goals} {
		if *list == nil {
			*list = []string{}
		}
	}
	return json.Marshal(plain(a))
}

// Actor is a threat actor, and how their campaigns look in alerts where that was learned.
type Actor struct {
	ThreatActor
	Profile *Profile `json:"profile,omitempty"`
}

// MarshalJSON writes both parts.
func (a Actor) MarshalJSON() ([]byte, error) {
	plain, err := json.Marshal(a.ThreatActor)
	if err != nil || a.Profile == nil {
		return plain, err
	}
	profile, err := json.Marshal(a.Profile)
	if err != nil {
		return nil, err
	}
	return append(append(append(plain[:len(plain)-1], `,"profile":`...), profile...), '}'), nil
}

// Profile counts what the alerts of campaigns showed.
type Profile struct {
	Campaigns  float64            `json:"campaigns"`
	Techniques map[string]float64 `json:"techniques"` // campaigns with each
	Rules      map[string]float64 `json:"rules"`      // campaigns with each
	Gaps       map[string]float64 `json:"gaps"`       // share of a campaign's alerts, summed
	Addresses  map[string]float64 `json:"addresses"`  // campaigns with each
}

// factsFormat names the form of the file.
const factsFormat = "hemostat.actors/v1"

// Facts are what is known of actors.
type Facts struct {
	Format string `json:"format"`
	// From says where they come from, in words.
	From   string  `json:"from"`
	Actors []Actor `json:"actors"`
	// Base is the average actor.
	Base Profile `json:"base"`
	// Weights are those of techniques, rules, pace and addresses; Unknown those of the signs of
	// an actor who is not known.
	Weights [kindCount]float64    `json:"weights"`
	Unknown [unknownCount]float64 `json:"unknown"`
}

//go:embed actors.json
var embedded []byte

// Embedded are the facts that come with the program.
func Embedded() (*Facts, error) { return Read(embedded) }

// EmbeddedDigest identifies those facts.
func EmbeddedDigest() string {
	sum := sha256.Sum256(embedded)
	return hex.EncodeToString(sum[:])
}

// Read reads facts that hemostat train attribution made.
func Read(data []byte) (*Facts, error) {
	var f Facts
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("these are no facts about actors: %w", err)
	}
	if f.Format != factsFormat {
		return nil, fmt.Errorf("the format is %q, not %s; hemostat train attribution makes one", f.Format, factsFormat)
	}
	return &f, f.check()
}

func (f *Facts) check() error {
	if len(f.Actors) == 0 {
		return errors.New("they name no actor")
	}
	seen := map[string]bool{}
	for i := range f.Actors {
		id := f.Actors[i].ID
		if id == "" || id == Unknown || seen[id] {
			return fmt.Errorf("actor %d has the id %q; each has one of its own, other than %s", i+1, id, Unknown)
		}
		seen[id] = true
	}
	return nil
}

// Published are facts that rest on what others published of actors only. The weights are
// those of the program.
func Published(actors []ThreatActor, from string) (*Facts, error) {
	own, err := Embedded()
	if err != nil {
		return nil, err
	}
	f := &Facts{Format: factsFormat, From: from, Base: own.Base, Weights: own.Weights, Unknown: own.Unknown}
	for _, a := range actors {
		f.Actors = append(f.Actors, Actor{ThreatActor: a})
	}
	return f, f.check()
}

// Find is the actor of an id; nil for none.
func (f *Facts) Find(id string) *Actor {
	for i := range f.Actors {
		if f.Actors[i].ID == id {
			return &f.Actors[i]
		}
	}
	return nil
}

func total(m map[string]float64) float64 {
	sum := 0.0
	for _, k := range sorted(m) { // in order, since sums of fractions depend on it
		sum += m[k]
	}
	return sum
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
