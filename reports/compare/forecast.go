package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"hemostat/reports/render"
)

// Forecast is one forecast of the technique that an attacker tries next, with what came.
type Forecast struct {
	Scenario    string
	Probability float64 // that what came was given
	Brier       float64
	Rank        int       // of what came, from 1; 0 beyond those that were named
	Named       []float64 // probabilities of the likeliest techniques, the likeliest first
}

// forecastScore says how good the forecasts of one side are in a scenario.
type forecastScore struct {
	Forecasts int     `json:"forecasts"`
	Top1      float64 `json:"top1"`
	Top3      float64 `json:"top3"`
	LogLoss   float64 `json:"log_loss"`
	Brier     float64 `json:"brier"`
	// Calibration is the mean distance between the probabilities of the three likeliest
	// techniques and the shares in which they came, over ten bins.
	Calibration float64 `json:"calibration"`
}

// forecastRow is a scenario with the scores of both sides.
type forecastRow struct {
	Scenario  string        `json:"scenario"`
	Baseline  forecastScore `json:"baseline"`
	Candidate forecastScore `json:"candidate"`
}

const (
	forecastBins     = 10
	leastProbability = 1e-9
	countedTop       = 3
)

// Forecasts adds scores up by scenario.
type Forecasts map[string]*forecastSums

type forecastSums struct {
	n, top1, top3 int
	log, brier    float64
	binN, binP    [forecastBins]float64
	binHits       [forecastBins]float64
}

// Add takes a forecast in, for its scenario and for all together.
func (s Forecasts) Add(f Forecast) {
	for _, name := range []string{f.Scenario, "*"} {
		if s[name] == nil {
			s[name] = &forecastSums{}
		}
		s[name].add(f)
	}
}

func (x *forecastSums) add(f Forecast) {
	x.n++
	x.log -= math.Log(max(f.Probability, leastProbability))
	x.brier += f.Brier
	if f.Rank == 1 {
		x.top1++
	}
	if f.Rank >= 1 && f.Rank <= countedTop {
		x.top3++
	}
	for i, p := range f.Named[:min(len(f.Named), countedTop)] {
		bin := min(forecastBins-1, int(forecastBins*p))
		x.binN[bin]++
		x.binP[bin] += p
		if f.Rank == i+1 {
			x.binHits[bin]++
		}
	}
}

func (x *forecastSums) score() forecastScore {
	if x == nil || x.n == 0 {
		return forecastScore{}
	}
	n := float64(x.n)
	s := forecastScore{
		Forecasts: x.n, Top1: float64(x.top1) / n, Top3: float64(x.top3) / n, LogLoss: x.log / n, Brier: x.brier / n,
	}
	named := 0.0
	for i := range forecastBins {
		s.Calibration += math.Abs(x.binP[i] - x.binHits[i])
		named += x.binN[i]
	}
	if named > 0 {
		s.Calibration /= named
	}
	return s
}

// ByForecast adds how good the forecasts of each side are.
func (r *Result) ByForecast(baseline, candidate Forecasts) {
	names := map[string]bool{}
	for name := range baseline {
		names[name] = true
	}
	for name := range candidate {
		names[name] = true
	}
	r.forecasts = nil
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r.forecasts = append(r.forecasts, forecastRow{name, baseline[name].score(), candidate[name].score()})
	}
}

// forecastTitle and forecastHeading stand above the scores.
const forecastTitle = "Forecasts of the next technique"

var forecastHeading = []string{"scenario", "side", "forecasts", "top 1", "top 3", "log loss", "brier", "calibration"}

// forecastCells are the scores as people see them, a line of cells each.
func (r *Result) forecastCells() [][]string {
	var out [][]string
	for _, row := range r.forecasts {
		name := row.Scenario
		if name == "*" {
			name = "all together"
		}
		for i, s := range []forecastScore{row.Baseline, row.Candidate} {
			if s.Forecasts == 0 {
				continue
			}
			out = append(out, []string{name, []string{"baseline", "candidate"}[i], fmt.Sprint(s.Forecasts),
				fmt.Sprintf("%.0f %%", 100*s.Top1),
				fmt.Sprintf("%.0f %%", 100*s.Top3), fmt.Sprintf("%.2f", s.LogLoss), fmt.Sprintf("%.2f",
					s.Brier), fmt.Sprintf("%.2f", s.Calibration)})
		}
	}
	return out
}

// forecastTable writes the scores for people; "" when there are none.
func (r *Result) forecastTable(markdown bool) string {
	cells := r.forecastCells()
	if len(cells) == 0 {
		return ""
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = false
	row := func(cells []string) (out table.Row) {
		for i, c := range cells {
			if c = render.Inline(c); i == 0 && markdown {
				c = render.Markdown(c)
			}
			out = append(out, c)
		}
		return out
	}
	t.AppendHeader(row(forecastHeading))
	for _, c := range cells {
		t.AppendRow(row(c))
	}
	if markdown {
		return "\n### " + forecastTitle + "\n\n" + t.RenderMarkdown() + "\n"
	}
	return forecastTitle + "\n" + t.Render() + "\n"
}
