package gate

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"hemostat/reports/render"
)

// number is a JSON number, or null where nothing can be said.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

type jsonCheck struct {
	Metric    string   `json:"metric"`
	Scenario  string   `json:"scenario"`
	Technique string   `json:"technique,omitempty"`
	Kind      string   `json:"kind"`
	Margin    float64  `json:"margin"`
	Relative  bool     `json:"relative"`
	Veto      bool     `json:"veto"`
	Estimate  *float64 `json:"estimate"`
	Lo        *float64 `json:"lo"`
	Hi        *float64 `json:"hi"`
	N         int      `json:"n"`
	Verdict   string   `json:"verdict"`
	Reason    string   `json:"reason"`
}

type jsonTechnique struct {
	Technique string  `json:"technique"`
	Baseline  float64 `json:"baseline"`
	Candidate float64 `json:"candidate"`
	N         int     `json:"n"`
	Certain   bool    `json:"certain"`
}

// Document is a verdict for other programs; null stands for what cannot be said.
type Document struct {
	Verdict    string            `json:"verdict"`
	Alpha      float64           `json:"alpha"`
	TrialsUsed int               `json:"trials_used"`
	Baseline   string            `json:"baseline"`
	Candidate  string            `json:"candidate"`
	Policy     string            `json:"policy"`
	Reasons    []string          `json:"reasons"`
	Notes      []string          `json:"notes"`
	Checks     []jsonCheck       `json:"checks"`
	Techniques []jsonTechnique   `json:"techniques"`
	Scenarios  []string          `json:"scenarios"`
	Errors     map[string]int    `json:"errors"`
	Seeds      []uint64          `json:"seeds"`
	Digests    map[string]string `json:"digests"`
	Engines    map[string]string `json:"engines"`
}

// JSON is the verdict as a document.
func (r *Result) JSON() ([]byte, error) {
	checks, techniques := []jsonCheck{}, []jsonTechnique{}
	for _, c := range r.Checks {
		checks = append(
			checks,
			jsonCheck{
				c.Metric,
				c.Scenario,
				c.Technique,
				c.Kind,
				c.Margin,
				c.Relative,
				c.Veto,
				number(c.Estimate),
				number(c.Lo),
				number(c.Hi),
				c.N,
				c.Verdict,
				c.Reason,
			},
		)
	}
	for _, t := range r.Techniques {
		n := float64(t.Trials)
		techniques = append(
			techniques,
			jsonTechnique{t.Technique, float64(t.Baseline) / n, float64(t.Candidate) / n, t.Trials, t.Certain},
		)
	}
	return json.MarshalIndent(Document{r.Verdict, r.Policy.Alpha, r.TrialsUsed, r.Baseline, r.Candidate, r.Policy.Name,
		r.Reasons, append([]string{}, r.Notes...), checks, techniques, r.Scenarios,
		map[string]int{"baseline": r.Errors[0], "candidate": r.Errors[1]}, r.Provenance.Seeds, r.Provenance.Digests,
		map[string]string{"baseline": r.Provenance.Engines[0], "candidate": r.Provenance.Engines[1]}}, "", "  ")
}

var signs = map[string]string{Pass: "✓", Fail: "✗", Inconclusive: "?"}

// Text writes the verdict for people.
func (r *Result) Text() string {
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"%s: %s against %s, policy %s\n",
		strings.ToUpper(r.Verdict),
		render.Inline(r.Candidate),
		render.Inline(r.Baseline),
		render.Inline(r.Policy.Name),
	)
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "  %s %s\n", signs[c.Verdict], render.Inline(c.Reason))
	}
	for _, line := range r.techniqueLines() {
		fmt.Fprintf(&b, "  %s\n", render.Inline(line))
	}
	for _, reason := range r.Reasons {
		if !r.ofCheck(reason) {
			fmt.Fprintf(&b, "%s\n", render.Inline(reason))
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%s\n", render.Inline(note))
	}
	fmt.Fprintf(&b, "%s\n", render.Inline(r.repeat()))
	return b.String()
}

// ofCheck tells whether a reason stands among the checks already.
func (r *Result) ofCheck(reason string) bool {
	return slices.ContainsFunc(r.Checks, func(c CheckResult) bool { return c.Reason == reason })
}

// noteworthy is the change in points from which techniques are told of.
const noteworthy = 0.05

// techniqueLines tells of the techniques that are detected more or less often.
func (r *Result) techniqueLines() []string {
	var lines []string
	for _, t := range r.Techniques {
		n := float64(t.Trials)
		before, after := float64(t.Baseline)/n, float64(t.Candidate)/n
		if math.Abs(after-before) < noteworthy && !t.Certain {
			continue
		}
		word, certain := "less", ""
		if after > before {
			word = "more"
		}
		if t.Certain {
			certain = ", which is certain"
		}
		lines = append(
			lines,
			fmt.Sprintf(
				"technique %s is detected %s often: %.0f %% → %.0f %% of %d trials%s",
				t.Technique,
				word,
				100*before,
				100*after,
				t.Trials,
				certain,
			),
		)
	}
	return lines
}

// repeat says what the verdict stands on.
func (r *Result) repeat() string {
	var seeds []string
	for _, s := range r.Provenance.Seeds {
		seeds = append(seeds, fmt.Sprint(s))
	}
	return fmt.Sprintf(
		"%d trials in %d rounds of %s; seed %s, alpha %g, policy %.12s, baseline %.12s, candidate %.12s",
		r.TrialsUsed,
		r.Rounds,
		strings.Join(r.Scenarios, ", "),
		strings.Join(
			seeds,
			", ",
		),
		r.Policy.Alpha,
		r.Provenance.Digests["policy"],
		r.Provenance.Digests["baseline"],
		r.Provenance.Digests["candidate"],
	)
}

// Markdown writes the verdict for a pull request.
func (r *Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## hemostat gate: %s %s\n\n%s against %s, policy %s\n\n", signs[r.Verdict], r.Verdict,
		render.MarkdownCode(r.Candidate), render.MarkdownCode(r.Baseline), render.MarkdownCode(r.Policy.Name))
	fmt.Fprintf(&b, "| | check | where | what came |\n|---|---|---|---|\n")
	cell := render.Markdown
	for _, c := range r.Checks {
		where := c.Scenario
		if c.Technique != "" {
			where = c.Technique
		}
		if where == "*" {
			where = "all"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", signs[c.Verdict], cell(c.Metric), cell(where), cell(c.Reason))
	}
	b.WriteByte('\n')
	lines := r.techniqueLines()
	for _, line := range lines {
		fmt.Fprintf(&b, "- %s\n", render.Markdown(line))
	}
	if len(lines) > 0 {
		b.WriteByte('\n')
	}
	for _, reason := range r.Reasons {
		if !r.ofCheck(reason) {
			fmt.Fprintf(&b, "%s\n\n", render.Markdown(reason))
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%s\n\n", render.Markdown(note))
	}
	fmt.Fprintf(&b, "<details><summary>to repeat it</summary>\n\n%s\n\n", render.Markdown(r.repeat()))
	for _, name := range slices.Sorted(maps.Keys(r.Provenance.Digests)) {
		fmt.Fprintf(&b, "- %s %s\n", render.Markdown(name), render.MarkdownCode(r.Provenance.Digests[name]))
	}
	fmt.Fprintf(
		&b,
		"- made by %s and %s\n\n</details>\n",
		render.MarkdownCode(r.Provenance.Engines[0]),
		render.MarkdownCode(r.Provenance.Engines[1]),
	)
	return b.String()
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
	Out      string      `xml:"system-out"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
}

// JUnit writes the verdict for CI servers: a test case for each check, and one for
// the verdict. What is undecided is an error, not a failure.
func (r *Result) JUnit(w io.Writer) error {
	suite := junitSuite{Name: render.Inline("hemostat gate " + r.Policy.Name), Out: render.Inline(r.repeat())}
	add := func(name, verdict, reason string) {
		reason = render.Inline(reason)
		c := junitCase{Name: render.Inline(name), Class: render.Inline("hemostat.gate." + r.Candidate)}
		switch verdict {
		case Fail:
			suite.Failures++
			c.Failure = &junitMessage{reason, "regression"}
		case Inconclusive:
			suite.Errors++
			c.Error = &junitMessage{reason, "inconclusive"}
		default:
			c.Out = reason
		}
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
	}
	for _, c := range r.Checks {
		name := c.Metric + " " + c.Scenario
		if c.Technique != "" {
			name = c.Metric + " " + c.Technique
		}
		add(name, c.Verdict, c.Reason)
	}
	add("verdict", r.Verdict, strings.Join(r.Reasons, "; "))
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
