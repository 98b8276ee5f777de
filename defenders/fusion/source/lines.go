package source

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hemostat/defenders/fusion/indicator"
)

// list reads one value a line; # and ; begin comments.
func (t *taker) list(b *bufio.Reader) error {
	s := bufio.NewScanner(b)
	s.Buffer(make([]byte, 0, 1<<16), 1<<20)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimPrefix(s.Text(), "\ufeff")
		if at := strings.IndexAny(line, "#;"); at == 0 || at > 0 && (line[at-1] == ' ' || line[at-1] == '\t') {
			line = line[:at]
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if fields := strings.Fields(line); len(fields) == 2 && (fields[0] == "0.0.0.0" || fields[0] == "127.0.0.1") {
			line = fields[1] // a file of hosts
		}
		if !t.offer(&indicator.IOC{Value: line}, fmt.Sprintf("line %d", n)) {
			return nil
		}
	}
	return s.Err()
}

// csvColumns gives the field of a heading.
var csvColumns = map[string]string{
	"value": "value", "indicator": "value", "ioc": "value", "ioc_value": "value", "observable": "value", "dst_ip": "value", "ip": "value",
	"domain": "value", "url": "value", "hash": "value", "sha256_hash": "value", "type": "type", "ioc_type": "type", "kind": "type",
	"indicator_type": "type", "first_seen": "first", "firstseen": "first", "first_seen_utc": "first", "date": "first",
	"last_seen": "last", "lastseen": "last", "last_online": "last", "last_seen_utc": "last", "source": "source", "feed": "source",
	"confidence": "confidence", "confidence_level": "confidence", "score": "confidence", "tags": "tags", "labels": "tags", "malware": "tags",
	"description": "comment", "comment": "comment",
}

// csv reads a table; without a heading that is known the first column holds the values.
func (t *taker) csv(b *bufio.Reader) error {
	r := csv.NewReader(b)
	r.Comment, r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace, r.ReuseRecord = '#', -1, true, true, true
	var columns []string // the field of each, "" for none
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			return err
		}
		if columns == nil {
			if columns = headings(record); columns != nil {
				continue
			}
			columns = []string{"value"}
		}
		i, fault := csvEntry(record, columns)
		place := fmt.Sprintf("line %d", line)
		if fault != nil {
			t.report.Read++
			t.report.skip("a row that is not as it has to be", place+": "+fault.Error())
			continue
		}
		if i.Value != "" && !t.offer(i, place) {
			return nil
		}
	}
}

// headings are the columns that the first row names, nil when it is no heading.
func headings(record []string) []string {
	columns := make([]string, len(record))
	value := false
	for i, name := range record {
		key := strings.ToLower(strings.Trim(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")), `"# `))
		if field := csvColumns[strings.ReplaceAll(key, " ", "_")]; field != "" {
			if field == "value" && value {
				continue
			}
			value = value || field == "value"
			columns[i] = field
		}
	}
	if !value {
		return nil
	}
	return columns
}

func csvEntry(record []string, columns []string) (*indicator.IOC, error) {
	i := &indicator.IOC{}
	for at, field := range columns {
		if at >= len(record) {
			continue
		}
		text := strings.TrimSpace(record[at])
		if text == "" {
			continue
		}
		switch field {
		case "value":
			i.Value = strings.Clone(text)
		case "type":
			if k, ok := csvKinds[strings.ToLower(text)]; ok {
				i.Type = k
			} else if k, err := indicator.ParseKind(text); err == nil {
				i.Type = k
			}
		case "first":
			i.FirstSeen = parseTime(text)
		case "last":
			i.LastSeen = parseTime(text)
		case "source":
			i.Source = strings.Clone(text)
		case "confidence":
			v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
			if err != nil || v < 0 || v > 100 {
				return nil, fmt.Errorf("%q is no confidence from 0 to 1 or 0 to 100", text)
			}
			if v > 1 {
				v /= 100
			}
			i.Confidence = v
		case "tags":
			for _, tag := range strings.FieldsFunc(text,
				func(r rune) bool { return r == ',' || r == ';' || r == '|' }) {
				i.Tags = append(i.Tags, strings.Clone(strings.TrimSpace(tag)))
			}
		case "comment":
			i.Context = map[string]string{"comment": strings.Clone(text)}
		}
	}
	return i, nil
}

// csvKinds are names of kinds that tables have.
var csvKinds = map[string]indicator.Kind{
	"ip": "", "ip:port": "", "ip-dst": "", "ip-src": "", "address": "", "hash": "", "hostname": indicator.Domain, "host": indicator.Domain,
	"fqdn": indicator.Domain, "uri": indicator.URL, "md5_hash": indicator.MD5, "sha1_hash": indicator.SHA1, "sha256_hash": indicator.SHA256,
	"email-src": indicator.Email, "filehash-md5": indicator.MD5, "filehash-sha1": indicator.SHA1, "filehash-sha256": indicator.SHA256,
	"registry": indicator.RegistryKey, "path": indicator.ProcessPath, "useragent": indicator.UserAgent,
}
