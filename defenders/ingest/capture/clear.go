package capture

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/dns/dnsmessage"
)

// Request is the first clear-text HTTP request of a connection and what was answered.
type Request struct {
	Method, Host, URI, Version, UserAgent, Referrer string
	Status                                          int // 0 while no answer was seen
	StatusText, ContentType                         string
	RequestLength, ResponseLength                   int64 // of the bodies as announced, -1 for unknown
}

var methods = []string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "PROPFIND "}

// clearText reads the first request, and the first answer, once they are there whole.
func (c *Connection) clearText(side int) {
	data := c.streams[side].data
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return
	}
	in := bufio.NewReader(bytes.NewReader(data[:end+4]))
	switch {
	case c.Request == nil && slices.ContainsFunc(methods, func(m string) bool { return bytes.HasPrefix(data, []byte(m)) }):
		q, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		c.Request = &Request{
			Method: q.Method, Host: q.Host, URI: q.RequestURI, Version: strings.TrimPrefix(q.Proto, "HTTP/"),
			UserAgent: q.UserAgent(), Referrer: q.Referer(), RequestLength: q.ContentLength, ResponseLength: -1,
		}
	case c.Request != nil && c.Request.Status == 0 && bytes.HasPrefix(data, []byte("HTTP/")):
		a, err := http.ReadResponse(in, nil)
		if err != nil {
			return
		}
		defer a.Body.Close()
		_, text, _ := strings.Cut(a.Status, " ")
		c.Request.Status, c.Request.StatusText = a.StatusCode, text
		c.Request.ContentType, c.Request.ResponseLength = a.Header.Get("Content-Type"), a.ContentLength
	}
}

// Question is a DNS question and its answer.
type Question struct {
	Connection *Connection
	At         time.Duration
	Answered   time.Duration // 0 for never
	ID         uint16
	Name, Type string
	TypeNumber uint16
	Class      uint16
	Code       int // response code
	Answers    []string
	TTLs       []time.Duration
	// Flags of the answer (RFC 1035, section 4.1.1).
	Authoritative, Truncated, RecursionDesired, RecursionAvailable bool
}

// question is a question without an answer so far.
type question struct {
	at    time.Duration
	name  string
	kind  uint16
	class uint16
	rd    bool
}

// maxQuestions bounds the open questions of a pair of ends.
const maxQuestions = 256

func isDNSPort(p layers.UDPPort) bool { return p == 53 || p == 5353 }

// dns takes in a DNS message. One that cannot be read counts as skipped.
func (r *reader) dns(c *Connection, _ int, at time.Duration, payload []byte) {
	var p dnsmessage.Parser
	header, err := p.Start(payload)
	if err != nil {
		r.summary.Skipped["a malformed DNS message"]++
		return
	}
	asked, err := p.Question()
	if err != nil { // answers without a question, as multicast has
		return
	}
	if !header.Response {
		if c.questions == nil {
			c.questions = map[uint16]question{}
		}
		if len(c.questions) < maxQuestions {
			c.questions[header.ID] = question{
				at, nameOf(asked.Name), uint16(asked.Type), uint16(asked.Class), header.RecursionDesired,
			}
		}
		return
	}
	q := Question{
		Connection: c, At: at, Answered: at, ID: header.ID, Name: nameOf(asked.Name), TypeNumber: uint16(asked.Type),
		Type: typeName(asked.Type), Class: uint16(asked.Class), Code: int(header.RCode), Authoritative: header.Authoritative,
		Truncated: header.Truncated, RecursionDesired: header.RecursionDesired, RecursionAvailable: header.RecursionAvailable,
	}
	if open, ok := c.questions[header.ID]; ok {
		q.At = open.at
		delete(c.questions, header.ID)
	}
	q.readAnswers(&p)
	r.ask(&q)
}

func (r *reader) ask(q *Question) {
	if r.handler.DNS != nil && r.err == nil {
		r.err = r.handler.DNS(q)
	}
}

// unanswered reports the questions that nobody answered, in the order of their ids.
func (r *reader) unanswered(c *Connection) {
	ids := make([]uint16, 0, len(c.questions))
	for id := range c.questions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		q := c.questions[id]
		r.ask(&Question{
			Connection: c, At: q.at, ID: id, Name: q.name, TypeNumber: q.kind, Type: typeName(dnsmessage.Type(q.kind)),
			Class: q.class, Code: -1, RecursionDesired: q.rd,
		})
	}
	c.questions = nil
}

func nameOf(n dnsmessage.Name) string { return strings.TrimSuffix(n.String(), ".") }

// typeName is a type of record as Zeek writes it.
func typeName(t dnsmessage.Type) string {
	switch t {
	case 10:
		return "NULL"
	case 65:
		return "HTTPS"
	case 64:
		return "SVCB"
	case 255:
		return "*"
	}
	if name, ok := strings.CutPrefix(t.String(), "Type"); ok {
		return name
	}
	return "query-" + strconv.Itoa(int(t))
}

// maxAnswers bounds the records of an answer that are kept.
const maxAnswers = 64

func (q *Question) readAnswers(p *dnsmessage.Parser) {
	if p.SkipAllQuestions() != nil {
		return
	}
	for len(q.Answers) < maxAnswers {
		h, err := p.AnswerHeader()
		if err != nil {
			return
		}
		text := answerText(h, p)
		if text == "" {
			if p.SkipAnswer() != nil {
				return
			}
			text = typeName(h.Type)
		}
		q.Answers = append(q.Answers, text)
		q.TTLs = append(q.TTLs, time.Duration(h.TTL)*time.Second)
	}
}

// answerText writes a record as Zeek does; "" for one of another kind, which the parser
// still stands before.
func answerText(h dnsmessage.ResourceHeader, p *dnsmessage.Parser) string {
	switch h.Type {
	case dnsmessage.TypeA:
		if a, err := p.AResource(); err == nil {
			return netIP(a.A[:])
		}
	case dnsmessage.TypeAAAA:
		if a, err := p.AAAAResource(); err == nil {
			return netIP(a.AAAA[:])
		}
	case dnsmessage.TypeCNAME:
		if a, err := p.CNAMEResource(); err == nil {
			return nameOf(a.CNAME)
		}
	case dnsmessage.TypePTR:
		if a, err := p.PTRResource(); err == nil {
			return nameOf(a.PTR)
		}
	case dnsmessage.TypeNS:
		if a, err := p.NSResource(); err == nil {
			return nameOf(a.NS)
		}
	case dnsmessage.TypeMX:
		if a, err := p.MXResource(); err == nil {
			return nameOf(a.MX)
		}
	case dnsmessage.TypeTXT:
		if a, err := p.TXTResource(); err == nil {
			text := strings.Join(a.TXT, " ")
			return "TXT " + strconv.Itoa(len(text)) + " " + text
		}
	}
	return ""
}

func netIP(b []byte) string { return address(b).String() }
