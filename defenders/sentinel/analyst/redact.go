package analyst

import (
	"fmt"
	"regexp"
	"strings"
)

// redactor replaces secrets and personal data in what leaves for a model. The same name
// gets the same pseudonym within one question, so that the model can still tell who did
// what; pseudonyms are counted in the order of their appearance, so that equal questions
// stay equal. The rules, each with a test:
//
//   - secrets: private keys, tokens of well-known forms (JWT, AWS, GitHub, Slack, Google),
//     bearer and basic credentials, passwords in URLs, values of parameters that are named
//     like a password, key, token or secret, and the password of net use, psexec, plink and
//     curl become [secret]
//   - accounts of people become user-1, user-2, …, wherever they stand, also in paths of home
//     folders and in domain names; accounts of services and of the system stay
//   - mail addresses become mail-1@… with their domain, security identifiers of accounts
//     sid-1, numbers of payment cards and telephones [number]
//
// Host names, addresses, domains, hashes, files and rules stay: without them there is nothing
// to judge.
type redactor struct {
	users, mails, sids pseudonyms
	people             []string // names to be replaced wherever they stand, the longest first
}

// pseudonyms numbers names.
type pseudonyms struct {
	prefix string
	known  map[string]string
}

func (p *pseudonyms) of(name string) string {
	key := strings.ToLower(name)
	if p.known == nil {
		p.known = map[string]string{}
	}
	alias, ok := p.known[key]
	if !ok {
		alias = fmt.Sprintf("%s-%d", p.prefix, len(p.known)+1)
		p.known[key] = alias
	}
	return alias
}

func newRedactor() *redactor {
	return &redactor{users: pseudonyms{prefix: "user"}, mails: pseudonyms{prefix: "mail"},
		sids: pseudonyms{prefix: "sid"}}
}

const secret = "[secret]"

// secretRules find secrets; the part that is named secret is replaced.
var secretRules = []*regexp.Regexp{
	regexp.MustCompile(`(?s)(?P<secret>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))`),
	regexp.MustCompile(`(?P<secret>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?)`),
	regexp.MustCompile(`(?P<secret>\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)`),
	regexp.MustCompile(`(?P<secret>\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[A-Za-z0-9_-]{30,}|\bsk-[A-Za-z0-9_-]{16,})`),
	regexp.MustCompile(`(?i)\b(?:bearer|basic|negotiate|ntlm)\s+(?P<secret>[A-Za-z0-9+/=_.~-]{8,})`),
	regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s@/]+)@`),
	regexp.MustCompile(`(?i)["']?[a-z0-9_-]*(?:passw(?:or)?d|passwort|pwd|passphrase|secret|api[_-]?key|access[_-]?key|token|credential)s?["']?\s*(?:=|:|\s)\s*["']?(?P<secret>[^\s"';,&}]{3,})`),
	regexp.MustCompile(`(?i)\bnet1?(?:\.exe)?\s+use\s+(?:\S+\s+)?\\\\\S+\s+(?:/user:\S+\s+)?(?P<secret>[^\s/]\S*)`),
	regexp.MustCompile(`(?i)\bnet1?(?:\.exe)?\s+user\s+\S+\s+(?P<secret>[^\s/]\S*)`),
	regexp.MustCompile(`(?i)\b(?:psexec|paexec|plink|pscp|psftp|wmic|winexe|smbclient|sshpass|mysql|curl)\S*\s(?:.*?\s)?(?:-pw|-p|--password|/password:|-u\s*[^\s:]+:)\s*(?P<secret>[^\s"]{3,})`),
	regexp.MustCompile(`(?i)convertto-securestring\s+(?:-string\s+)?["']?(?P<secret>[^"'\s]{3,})`),
}

var (
	mailRule   = regexp.MustCompile(`\b[A-Za-z0-9._%+-]+@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)`)
	sidRule    = regexp.MustCompile(`\bS-1-5-21-\d+-\d+-\d+-\d+\b`)
	cardRule   = regexp.MustCompile(`\b\d(?:[ -]?\d){12,18}\b`)
	phoneRule  = regexp.MustCompile(`\+\d{1,3}[ (.-]\d[\d ().-]{6,}\d`)
	homeFolder = regexp.MustCompile(`(?i)(?:[a-z]:\\users\\|/home/|/users/)([^\\/\s"']+)`)
)

// impersonal are names of home folders and accounts that belong to nobody.
var impersonal = map[string]bool{
	"public": true, "default": true, "all users": true, "default user": true, "administrator": true, "guest": true,
	"root": true, "system": true, "local service": true, "network service": true, "anonymous logon": true, "": true,
	"nobody": true, "admin": true, "-": true, "www-data": true, "n/a": true,
}

// person notes that a name is that of a person's account.
func (r *redactor) person(name string) {
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		name = name[at+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	lower := strings.ToLower(name)
	if len(name) < 3 || impersonal[lower] || strings.HasSuffix(name, "$") || strings.HasPrefix(lower, "svc") ||
		strings.HasPrefix(name, "S-1-") || strings.ContainsAny(name, " /") {
		return
	}
	if _, known := r.users.known[lower]; known {
		return
	}
	r.users.of(name)
	at := 0
	for at < len(r.people) && len(r.people[at]) >= len(name) {
		at++
	}
	r.people = append(r.people[:at], append([]string{lower}, r.people[at:]...)...)
}

// text redacts a text.
func (r *redactor) text(s string) string {
	for _, rule := range secretRules {
		s = replaceGroup(rule, s)
	}
	for _, m := range homeFolder.FindAllStringSubmatch(s, -1) {
		r.person(m[1])
	}
	s = mailRule.ReplaceAllStringFunc(s, func(m string) string {
		name, domain, _ := strings.Cut(m, "@")
		return r.mails.of(name) + "@" + domain
	})
	s = sidRule.ReplaceAllStringFunc(s, r.sids.of)
	s = cardRule.ReplaceAllStringFunc(s, func(m string) string {
		if isCardNumber(m) {
			return "[number]"
		}
		return m
	})
	s = phoneRule.ReplaceAllString(s, "[number]")
	for _, name := range r.people {
		s = replaceWord(s, name, r.users.known[name])
	}
	return s
}

// restore puts the names of accounts back into a text that a model wrote.
func (r *redactor) restore(s string) string {
	for i := len(r.people) - 1; i >= 0; i-- {
		s = replaceWord(s, r.users.known[r.people[i]], r.people[i])
	}
	return s
}

// replaceGroup replaces what the group named secret has matched.
func replaceGroup(rule *regexp.Regexp, s string) string {
	group := rule.SubexpIndex("secret")
	matches := rule.FindAllStringSubmatchIndex(s, -1)
	if matches == nil {
		return s
	}
	var b strings.Builder
	last := 0
	for _, m := range matches {
		from, to := m[2*group], m[2*group+1]
		if from < last || s[from:to] == secret {
			continue
		}
		b.WriteString(s[last:from])
		b.WriteString(secret)
		last = to
	}
	b.WriteString(s[last:])
	return b.String()
}

// replaceWord replaces a name where it stands alone, whatever the case.
func replaceWord(s, name, by string) string {
	lower := strings.ToLower(s)
	if len(lower) != len(s) || !strings.Contains(lower, name) {
		return s
	}
	var b strings.Builder
	last := 0
	for at := 0; ; {
		i := strings.Index(lower[at:], name)
		if i < 0 {
			break
		}
		from, to := at+i, at+i+len(name)
		at = to
		if from > 0 && isWordByte(s[from-1]) || to < len(s) && isWordByte(s[to]) {
			continue
		}
		b.WriteString(s[last:from])
		b.WriteString(by)
		last = to
	}
	b.WriteString(s[last:])
	return b.String()
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// isCardNumber is the check of Luhn (ISO/IEC 7812-1).
func isCardNumber(s string) bool {
	sum, n := 0, 0
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		d := int(s[i] - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		n++
	}
	return n >= 13 && sum%10 == 0
}
