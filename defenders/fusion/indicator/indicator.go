// Package indicator is what threat intelligence is about: indicators of compromise in one
// normal form, and a set of millions of them that is asked by value, by the networks that
// hold an address, and by the domains above a name.
//
// indicator.go has the types, normal.go brings what people write (defanged, in capitals, in
// punycode) into the normal form and refuses what can never be an indicator, set.go is the
// set. Files of indicators are read by defenders/fusion/source; defenders/fusion asks.
package indicator

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Kind is what kind of thing an indicator is.
type Kind string

// The kinds.
const (
	IPv4        Kind = "ipv4"
	IPv6        Kind = "ipv6"
	CIDR        Kind = "cidr"
	Domain      Kind = "domain"
	URL         Kind = "url"
	Email       Kind = "email"
	MD5         Kind = "md5"
	SHA1        Kind = "sha1"
	SHA256      Kind = "sha256"
	JA3         Kind = "ja3"
	JA4         Kind = "ja4"
	Certificate Kind = "certificate" // SHA-1 or SHA-256 of the certificate
	Mutex       Kind = "mutex"
	RegistryKey Kind = "registry_key"
	ProcessPath Kind = "process_path"
	Account     Kind = "account"
	UserAgent   Kind = "user_agent"
)

// kinds in the order of their numbers in a set; none may be taken out.
var kinds = []Kind{
	IPv4, IPv6, CIDR, Domain, URL, Email, MD5, SHA1, SHA256, JA3, JA4, Certificate, Mutex, RegistryKey, ProcessPath,
	Account, UserAgent,
}

// ParseKind reads a kind.
func ParseKind(text string) (Kind, error) {
	if k := Kind(strings.ToLower(strings.TrimSpace(text))); slices.Contains(kinds, k) {
		return k, nil
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return "", fmt.Errorf("%q is no kind of indicator; accepted: %s", text, strings.Join(names, ", "))
}

// IOC is an indicator of compromise in the form in which it is exchanged.
type IOC struct {
	Value      string            `json:"value"`
	Type       Kind              `json:"ioc_type"`
	FirstSeen  time.Time         `json:"first_seen"`
	LastSeen   time.Time         `json:"last_seen"`
	Source     string            `json:"source"`
	Confidence float64           `json:"confidence"` // 0 to 1
	Tags       []string          `json:"tags"`
	Context    map[string]string `json:"context"`
}

// MarshalJSON writes lists and maps that are empty as such, and times that are not known as
// null.
func (i IOC) MarshalJSON() ([]byte, error) {
	out := struct {
		Value      string            `json:"value"`
		Type       Kind              `json:"ioc_type"`
		FirstSeen  *time.Time        `json:"first_seen"`
		LastSeen   *time.Time        `json:"last_seen"`
		Source     string            `json:"source"`
		Confidence float64           `json:"confidence"`
		Tags       []string          `json:"tags"`
		Context    map[string]string `json:"context"`
	}{Value: i.Value, Type: i.Type, Source: i.Source, Confidence: i.Confidence, Tags: i.Tags, Context: i.Context}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	if out.Context == nil {
		out.Context = map[string]string{}
	}
	if !i.FirstSeen.IsZero() {
		out.FirstSeen = &i.FirstSeen
	}
	if !i.LastSeen.IsZero() {
		out.LastSeen = &i.LastSeen
	}
	return json.Marshal(out)
}

// halfLives say after which time an indicator of a kind is worth half: addresses change hands
// within weeks, names within months, and a hash stays what it is (an assumption,
// docs/calibration.md).
var halfLives = map[Kind]time.Duration{
	IPv4: 30 * day, IPv6: 30 * day, CIDR: 60 * day, Domain: 90 * day, URL: 60 * day, Email: 180 * day, Certificate: 180 * day,
	JA3: 365 * day, JA4: 365 * day, UserAgent: 365 * day, Account: 180 * day,
}

const day = 24 * time.Hour

// Lifetime is for how long an indicator of a kind that was seen once is worth anything: three
// half-lives, after which an eighth of its confidence is left, or a year where it does not decay.
func Lifetime(k Kind) time.Duration {
	if half, decays := halfLives[k]; decays {
		return 3 * half
	}
	return 365 * day
}

// Decayed is a confidence that was stated at a time as it counts now: it halves with each
// half-life of the kind since the indicator was last seen. Without a time it does not decay.
func Decayed(k Kind, confidence float64, lastSeen, now time.Time) float64 {
	half, decays := halfLives[k]
	if !decays || lastSeen.IsZero() || !now.After(lastSeen) {
		return confidence
	}
	return confidence * math.Exp2(-float64(now.Sub(lastSeen))/float64(half))
}
