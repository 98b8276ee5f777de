package compare

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"math"

	"hemostat/reports/render"
)

//go:embed compare.html
var htmlText string

var htmlBody = template.Must(
	template.New("compare").Funcs(template.FuncMap{"bar": bar, "last": func(rows []Row, i int) bool {
		return i == 0 || rows[i-1].Name() != rows[i].Name()
	}}).Parse(htmlText),
)

// HTML writes the comparison as a page of its own.
func (r *Result) HTML(w io.Writer) error {
	body, err := r.Section()
	if err != nil {
		return err
	}
	return render.Page(w, r.Candidate+" against "+r.Baseline, body)
}

// Section is the comparison as a part of a page.
func (r *Result) Section() (template.HTML, error) {
	var body bytes.Buffer
	pictures, err := r.pictures()
	if err != nil {
		return "", err
	}
	if err := htmlBody.Execute(&body, struct {
		*Result
		Pictures        []picture
		ForecastTitle   string
		ForecastHeading []string
		ForecastCells   [][]string
	}{r, pictures, forecastTitle, forecastHeading, r.forecastCells()}); err != nil {
		return "", err
	}
	return template.HTML(body.String()), nil //nolint:gosec // written by the template above, which escapes
}

// interval is where a row's interval stands in its picture, in pixels.
type interval struct {
	From, Width, At float64
	Class           string
}

// barWidth is the width of the picture; its middle is "no difference", its ends
// are a difference as great as the greater side, or of 100 points for rates.
const barWidth = 160

func bar(x Row) *interval {
	scale := math.Max(math.Abs(x.Baseline.Value), math.Abs(x.Candidate.Value))
	if x.Metric.Kind == Rate || x.Metric.Bound == 1 {
		scale = 1
	}
	if x.Metric.Kind == Time {
		scale = math.Max(math.Abs(x.Lo), math.Abs(x.Hi))
	}
	if scale == 0 || math.IsNaN(scale+x.Lo+x.Hi) || math.IsInf(scale+x.Hi-x.Lo, 0) {
		return nil
	}
	place := func(v float64) float64 {
		return math.Round(10*barWidth/2*(1+math.Max(-1, math.Min(1, v/scale)))) / 10
	}
	b := &interval{From: place(x.Lo), At: place(x.Difference), Class: "dim"}
	b.Width = math.Max(1, place(x.Hi)-b.From)
	switch x.Better() {
	case 1:
		b.Class = "good"
	case -1:
		b.Class = "bad"
	}
	return b
}
