package encrypted

import (
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// clients remembers which program opened which connection, as the hosts report it.
type clients struct {
	programs *sketch.Map[uint64, opened]
	said     *sketch.Map[uint64, time.Duration]
}

type opened struct {
	image string
	at    time.Duration
}

func newClients() clients {
	return clients{sketch.NewMap[uint64, opened](20_000), sketch.NewMap[uint64, time.Duration](20_000)}
}

// started notes a connection that a host reports with its program (Sysmon 3).
func (c *clients) started(e *event.Event) {
	image := e.Value(event.Image)
	if image == "" || e.Value(event.Initiated) == "false" {
		return
	}
	key := sketch.Hash(e.Value(event.SourceIp), e.Value(event.SourcePort), e.Value(event.DestinationIp))
	if o := c.programs.Get(key); o != nil {
		o.at = e.Time
		if o.image != image {
			o.image = clone(image)
		}
		return
	}
	c.programs.Put(key, &opened{clone(image), e.Time})
}

// family is a kind of TLS library.
type family string

// The families.
const (
	browser  family = "a browser"
	system   family = "the operating system's library"
	openSSL  family = "OpenSSL"
	goTLS    family = "Go's library"
	javaTLS  family = "Java's library"
	nobodies family = ""
)

// familyOf tells the library by the hash of the ciphers in a JA4 (its second part), which
// differs less between versions than the rest. The hashes are those of FoxIO's list of known
// fingerprints and of programs that were recorded.
func familyOf(ja4 string) family {
	first := strings.IndexByte(ja4, '_')
	if first < 0 || len(ja4) < first+13 {
		return nobodies
	}
	switch ja4[first+1 : first+13] {
	case "8daaf6152771", "5b57614c22b0", "a09f3c656075", "46e7e9700bed", "55b375c5d22e", "002f,0035,00":
		return browser
	case "d83cc789557e", "76e208dd3e22":
		return system
	case "85036bcba153", "e8f1e7e78f70", "c7886603b240":
		return openSSL
	case "9dc949149365", "f57a46bbacb6", "e33ad33b3d25", "cbb2034c60b8", "8cdfa2d4673b":
		return goTLS
	case "db35923f8641":
		return javaTLS
	}
	return nobodies
}

// families are the libraries that well-known programs use; others may use any.
var families = map[string][]family{
	"chrome.exe": {browser}, "msedge.exe": {browser}, "firefox.exe": {browser}, "brave.exe": {browser}, "opera.exe": {browser},
	"msedgewebview2.exe": {browser}, "safari": {browser},
	"powershell.exe": {system}, "rundll32.exe": {system}, "regsvr32.exe": {system}, "mshta.exe": {system},
	"certutil.exe":  {system},
	"bitsadmin.exe": {system}, "svchost.exe": {system}, "explorer.exe": {system, browser}, "dllhost.exe": {system},
	"werfault.exe": {system},
	"notepad.exe":  {system}, "msbuild.exe": {system}, "installutil.exe": {system}, "wscript.exe": {system},
	"cscript.exe": {system},
	"outlook.exe": {system, browser}, "winword.exe": {system, browser}, "excel.exe": {system, browser}, "spoolsv.exe": {system},
	"lsass.exe": {system}, "services.exe": {system}, "taskhostw.exe": {system}, "searchindexer.exe": {system},
	"java.exe": {javaTLS}, "javaw.exe": {javaTLS}, "python.exe": {openSSL}, "python3": {openSSL}, "curl": {openSSL},
	"wget": nil,
}

// contradiction compares the TLS client with the program that opened the connection.
func (d *detector) contradiction(e *event.Event, from, to string, report detect.Report) {
	ja4 := e.Value(event.JA4)
	is := familyOf(ja4)
	if is == nobodies {
		return
	}
	o := d.clients.programs.Get(sketch.Hash(from, e.Value(event.IDOrigPort), to))
	if o == nil || (e.Time-o.at).Abs() > 5*time.Minute {
		return
	}
	program := baseName(o.image)
	allowed, known := families[program]
	score := 0.0
	switch {
	case known && allowed == nil:
		return
	case known:
		for _, f := range allowed {
			if f == is {
				return
			}
		}
		score = 0.8
	case is == browser: // a program that is none speaks like one
		score = 0.5
	default:
		return
	}
	context := d.places.standsOut(from, to)
	score = combine(score, 0.5*context)
	if d.score != nil && score >= scoreFloor {
		d.score(detect.Score{Entity: from + " " + program, Of: "client", Value: score, Bar: d.options.Client, Reported: score >= d.options.Client,
			Evidence: e.ID, Time: e.Time})
	}
	key := sketch.Hash(from, program, to)
	if said := d.clients.said.Get(key); score < d.options.Client || said != nil && (e.Time-*said).Abs() < quiet {
		return
	}
	now := e.Time
	d.clients.said.Put(key, &now)
	expected := "it is none of the programs that browsers are"
	if known {
		expected = "it uses " + string(allowed[0])
	}
	reasons := []alert.Reason{reason("program", o.image, expected), reason("TLS client", ja4, "it is "+string(is))}
	reasons = append(reasons, d.places.why(from, to)...)
	report(detect.Finding{
		RuleID: "encrypted/client", Title: "TLS Client Is Not The Program's",
		Techniques: []string{"T1071.001", "T1036", "T1055"},
		Severity:   severity.Medium, Confidence: min(0.85, score), Evidence: []uint64{e.ID}, Reasons: reasons,
	})
}

// baseName is the lower-case name of a program without its folders.
func baseName(path string) string {
	if at := strings.LastIndexAny(path, `\/`); at >= 0 {
		path = path[at+1:]
	}
	return strings.ToLower(path)
}
