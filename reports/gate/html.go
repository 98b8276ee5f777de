package gate

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

//go:embed gate.html
var htmlText string

var htmlBody = template.Must(template.New("gate").Funcs(template.FuncMap{
	"number": func(x *float64) string {
		if x == nil {
			return "-"
		}
		return fmt.Sprintf("%.3g", *x)
	},
	"percent": func(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) },
	"sign":    func(verdict string) string { return signs[verdict] },
	"class":   func(verdict string) string { return classes[verdict] },
	"margin": func(c jsonCheck) string {
		if c.Relative {
			return fmt.Sprintf("%.0f %%", 100*c.Margin)
		}
		return fmt.Sprintf("%g", c.Margin)
	},
}).Parse(htmlText))

// classes are how verdicts are coloured.
var classes = map[string]string{Pass: "good", Fail: "bad", Inconclusive: "dim"}

// Section is the verdict as a part of a page.
func (d *Document) Section() (template.HTML, error) {
	var body bytes.Buffer
	if err := htmlBody.Execute(&body, d); err != nil {
		return "", err
	}
	return template.HTML(body.String()), nil //nolint:gosec // written by the template above, which escapes
}
