package source

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/fusion/indicator"
)

func read(text string, o Options) ([]indicator.IOC, Report, error) {
	var out []indicator.IOC
	r, err := Read(strings.NewReader(text), o, func(i *indicator.IOC) error {
		out = append(out, *i)
		return nil
	})
	return out, r, err
}

func values(all []indicator.IOC) (out []string) {
	for _, i := range all {
		out = append(out, string(i.Type)+" "+i.Value)
	}
	return out
}

const bundle = `{"type":"bundle","id":"bundle--1","spec_version":"2.1","x":{"deep":[1,{"objects":[]}]},"objects":[
 {"type":"identity","id":"identity--1","created_by_ref":"identity--1"},
 {"type":"indicator","id":"indicator--1","pattern_type":"stix","pattern":"[ipv4-addr:value = '203.0.113.7'] OR [domain-name:value='Evil[.]com']","valid_from":"2026-01-02T03:04:05Z","confidence":80,"labels":["c2"],"name":"n"},
 {"type":"indicator","id":"indicator--2","pattern":"[file:name = 'a.exe' AND file:hashes.'SHA-256' = 'aabbaabbaabbaabbaabbaabbaabbaabbaabbaabbaabbaabbaabbaabbaabbaabb']"},
 {"type":"indicator","id":"indicator--3","pattern":"[ipv4-addr:value = '1.2.3.4' AND network-traffic:dst_port = 443]"},
 {"type":"indicator","id":"indicator--4","pattern":["not a text"]},
 {"type":"indicator","id":"indicator--5","pattern":"[ipv4-addr:value = '10.0.0.1']"},
 {"type":"indicator","id":"indicator--6","pattern":"alert tcp any","pattern_type":"snort"},
 {"type":"indicator","id":"indicator--7","pattern":"[domain-name:value = 'gone.com']","revoked":true},
 {"type":"indicator","id":"indicator--8","pattern":"[url:value IN ('http://a.com/x', 'http://b.com/\\'y')] AND [file:hashes.MD5 = '0123456789abcdef0123456789abcdef']"},
 {"type":"indicator","id":"indicator--9","pattern":"[ipv4-addr:value ISSUBSET '198.51.100.0/24']"},
 {"type":"relationship","source_ref":"indicator--1","target_ref":"indicator--1"}]}`

func TestSTIX(t *testing.T) {
	got, r, err := read(bundle, Options{Source: "feed"})
	require.NoError(t, err)
	require.Equal(t, STIX, r.Format)
	require.Equal(t, []string{
		"ipv4 203.0.113.7", "domain evil.com", "sha256 " + strings.Repeat("aabb",
			16), "md5 0123456789abcdef0123456789abcdef", "cidr 198.51.100.0/24",
	}, values(got))
	require.Equal(t, 0.8, got[0].Confidence)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), got[0].FirstSeen)
	require.Equal(t, []string{"c2"}, got[0].Tags)
	require.Equal(t, map[string]string{"stix": "indicator--1", "name": "n"}, got[0].Context)
	require.Equal(t, 0.5, got[2].Confidence)
	require.Equal(t, 5, r.Taken)
	require.Equal(t, 1, r.Skipped["an object that is not as STIX has it"])
	require.Contains(t, r.Examples["an object that is not as STIX has it"], "object 4")
	require.Equal(t, 1, r.Skipped["a pattern that names no value"])
	require.Contains(t, r.Examples["a pattern that names no value"], "indicator--3")
	require.Equal(t, 1, r.Skipped["can never be an indicator"])
	require.Equal(t, 1, r.Skipped["a pattern of the type snort"])
	require.Equal(t, 1, r.Skipped["revoked"])
}

func TestPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"[url:value IN ('http://a.com/x', 'http://b.com/\\'y')]":                "url http://a.com/x, url http://b.com/'y",
		"[ file:hashes.'SHA-1'='x' ] OR [ file:hashes.md5 = 'y']":               "sha1 x, md5 y",
		"[windows-registry-key:key = 'HKLM\\\\Run'] WITHIN 5 SECONDS":           `registry_key HKLM\Run`,
		"[network-traffic:dst_ref.value = '2001:db8::1']":                       "ipv6 2001:db8::1",
		"[email-message:from_ref.value = 'a@b.com'] START t'2020' STOP t'2021'": "email a@b.com",
	} {
		got, err := parsePattern(pattern)
		require.NoError(t, err, pattern)
		var texts []string
		for _, c := range got {
			texts = append(texts, string(c.kind)+" "+c.value)
		}
		require.Equal(t, want, strings.Join(texts, ", "), pattern)
	}
	for _, pattern := range []string{"", "[", "[file:name = 'x']", "[NOT ipv4-addr:value = '1.2.3.4']",
		"[ipv4-addr:value != '1.2.3.4']", "[ipv4-addr:value LIKE '1.%']", "[ipv4-addr:value NOT IN ('1.2.3.4')]", "[domain-name:value = "} {
		_, err := parsePattern(pattern)
		require.Error(t, err, pattern)
	}
}

func TestMISP(t *testing.T) {
	event := `{"Event":{"uuid":"u","info":"a campaign","date":"2026-02-03","Orgc":{"name":"CERT"},"Tag":[{"name":"tlp:green"}],
 "Attribute":[{"type":"ip-dst|port","value":"203.0.113.9|443","to_ids":true,"timestamp":"1767322800","comment":"c2"},
  {"type":"filename|sha256","value":"x.exe|` + strings.Repeat("ab", 32) + `","to_ids":"1"},{"type":"domain","value":"quiet.com","to_ids":false},
  {"type":"comment","value":"words"},{"type":"md5","value":7,"to_ids":true},{"type":"ip-src","value":"192.168.1.1","to_ids":true},
  {"type":"domain","value":"gone.com","deleted":true}],
 "Object":[{"name":"network","Attribute":[{"type":"hostname","value":"c2.evil.com","to_ids":true},{"type":"ja3-fingerprint-md5","value":"0123456789abcdef0123456789abcdef","to_ids":true}]}]}}`
	for name, text := range map[string]string{"an event": event, "a list": "[" + event + "]",
		"an answer": `{"response":[` + event + `]}`} {
		got, r, err := read(text, Options{})
		require.NoError(t, err, name)
		require.Equal(t, MISP, r.Format, name)
		require.Equal(t, []string{"ipv4 203.0.113.9", "sha256 " + strings.Repeat("ab", 32), "domain c2.evil.com",
			"ja3 0123456789abcdef0123456789abcdef"}, values(got), name)
		require.Equal(t, "CERT", got[0].Source)
		require.Equal(t, []string{"tlp:green"}, got[0].Tags)
		require.Equal(t, "c2", got[0].Context["comment"])
		require.Equal(t, int64(1767322800), got[0].LastSeen.Unix())
		require.Equal(t, "2026-02-03", got[2].LastSeen.Format("2006-01-02"))
		require.Equal(t, 1, r.Skipped["not meant for detection (to_ids)"], name)
		require.Equal(t, 1, r.Skipped["an attribute of the type comment"])
		require.Equal(t, 1, r.Skipped["a value that is no text"])
		require.Equal(t, 1, r.Skipped["can never be an indicator"])
	}
	_, _, err := read(`{"a":{"info":"x"}}`, Options{Format: MISP})
	require.ErrorContains(t, err, "and not its manifest")
}

func TestTablesAndLists(t *testing.T) {
	got, r, err := read("# a feed, of places\nioc_type,ioc_value,confidence,first_seen,tags\nip:port,203.0.113.9:443,75,2026-01-02,c2;x\ndomain,evil[.]com,0.4,,\nmd5_hash,zz,,,\nip,1.2.3.5,nine,,\n", Options{Source: "s"})
	require.NoError(t, err)
	require.Equal(t, CSV, r.Format)
	require.Equal(t, []string{"ipv4 203.0.113.9", "domain evil.com"}, values(got)[:2])
	require.Equal(t, 0.75, got[0].Confidence)
	require.Equal(t, []string{"c2", "x"}, got[0].Tags)
	require.Equal(t, 0.4, got[1].Confidence)
	require.Equal(t, 1, r.Skipped["no value of its kind"])
	require.Contains(t, r.Examples["no value of its kind"], "line 5")
	require.Contains(t, r.Examples["a row that is not as it has to be"], "line 6")

	got, r, err = read("evil.com,something\nbad.org,else\n", Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"domain evil.com", "domain bad.org"}, values(got))
	require.Equal(t, 2, r.Taken)

	got, r, err = read("\ufeff# comment\n\n203[.]0[.]113[.]7 # inline\nhxxp://evil[.]com/a#frag\n0.0.0.0 ads.example.com\nnot a value at all\nmine.example.org\n", Options{Allowed: []string{"mine.example.org"}})
	require.NoError(t, err)
	require.Equal(t, List, r.Format)
	require.Equal(t, []string{"ipv4 203.0.113.7", "url http://evil.com/a", "domain ads.example.com"}, values(got))
	require.Equal(t, map[string]int{"no value of its kind": 1, "on the list of what is allowed": 1}, r.Skipped)
}

func TestTagsOfSeveralColumnsKeepTheirOrder(t *testing.T) {
	for range 20 {
		got, _, err := read("value,malware,type,labels\nevil.com,emotet,domain,c2;x\n", Options{})
		require.NoError(t, err)
		require.Equal(t, []string{"emotet", "c2", "x"}, got[0].Tags)
	}
}

func TestOwnFormAndFiles(t *testing.T) {
	folder := t.TempDir()
	text := `{"value":"evil.com","ioc_type":"domain","source":"x","confidence":0.7,"first_seen":null,"last_seen":"2026-01-01T00:00:00Z","tags":["a"],"context":{}}` + "\n" +
		`{"value":7,"ioc_type":"domain"}` + "\n" + `{"value":"1.2.3.4","ioc_type":"colour"}` + "\n"
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(filepath.Join(folder, "feed.ndjson.gz"), z.Bytes(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "broken.json"), []byte(bundle[:700]), 0o600))
	var got []indicator.IOC
	reports, err := Files([]string{folder, filepath.Join(folder, "none")}, Options{}, func(i *indicator.IOC) error {
		got = append(got, *i)
		return nil
	})
	require.ErrorContains(t, err, "broken.json")
	require.ErrorContains(t, err, "none")
	require.Len(t, reports, 2)
	require.Equal(t, 3, reports[0].Taken, "what stood before the fault is taken")
	require.Equal(t, "broken", got[0].Source)
	require.Equal(t, 1, reports[1].Taken)
	require.Equal(t, "x", got[3].Source)
	require.Len(t, reports[1].Skipped, 2)

	stop := errors.New("enough")
	_, err = Read(strings.NewReader("evil.com\nbad.org\n"), Options{},
		func(*indicator.IOC) error { return stop })
	require.ErrorIs(t, err, stop)
	_, err = ParseFormat("colour")
	require.ErrorContains(t, err, "accepted: auto, stix")
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{bundle, "evil.com\n1.2.3.4\n", "type,value\nip,1.2.3.4\n",
		`{"Event":{"Attribute":[{"type":"md5","value":"x"}]}}`, `{"value":"a.com","ioc_type":"domain"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, format := range formats() {
			n := 0
			r, _ := Read(strings.NewReader(s), Options{Format: format},
				func(*indicator.IOC) error { n++; return nil })
			require.Equal(t, n, r.Taken)
		}
	})
}

// BenchmarkSTIX reads a bundle of a million indicators into a set; the targets are 15 s and
// 1 GB.
func BenchmarkSTIX(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		r, w := io.Pipe()
		go func() {
			fmt.Fprint(w, `{"type":"bundle","id":"bundle--1","objects":[`)
			for i := range n {
				if i > 0 {
					fmt.Fprint(w, ",")
				}
				fmt.Fprintf(w, `{"type":"indicator","spec_version":"2.1","id":"indicator--%032d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"something bad","indicator_types":["malicious-activity"],"pattern":"[ipv4-addr:value = '%d.%d.%d.%d']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`,
					i, 11+i>>24&127, i>>16&255, i>>8&255, i&255)
			}
			fmt.Fprint(w, "]}")
			_ = w.Close() // the reader has all
		}()
		s := indicator.NewSet(0)
		report, err := Read(r, Options{Source: "feed"}, s.Add)
		if err != nil || report.Taken != n {
			b.Fatal(report.Taken, report.Examples, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Seconds())/float64(b.N), "s/million")
}
