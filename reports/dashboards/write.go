package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"gopkg.in/yaml.v3"
)

// File is a file of the folder that is written.
type File struct {
	Name string
	Data []byte
}

// Files are the dashboards (grafana/*.json), the rules (prometheus/rules.yml), and a
// configuration of Prometheus that scrapes a live run and a batch (prometheus/prometheus.yml).
func Files() ([]File, error) {
	var files []File
	for _, b := range boards {
		d, err := b.grafana()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.id, err)
		}
		data, err := json.MarshalIndent(d, "", " ")
		if err != nil {
			return nil, err
		}
		files = append(files, File{"grafana/" + b.id + ".json", append(data, '\n')})
	}
	rules, err := encode(ruleFile())
	if err != nil {
		return nil, err
	}
	config, err := encode(scrapeFile())
	if err != nil {
		return nil, err
	}
	return append(files, File{"prometheus/rules.yml", rules}, File{"prometheus/prometheus.yml", config}), nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// source is the data source that is chosen on the dashboard.
var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// Sizes of panels in Grafana's grid of 24 columns.
const (
	panelHeight  = 8
	panelWidth   = 12
	figureHeight = 4
	figureWidth  = 6
)

// grafana is the dashboard in the form that every Grafana in use reads; its successor is read by
// the newest only.
func (b *board) grafana() (dashboard.Dashboard, error) { //nolint:staticcheck // see above
	d := dashboard.NewDashboardBuilder(b.title).Uid(b.id).Description(b.doc).Tags([]string{"hemostat"}). //nolint:staticcheck // see above
														Refresh("30s").Time("now-1h", "now").Timezone("browser").
														WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
	for _, r := range b.rows {
		d = d.WithRow(dashboard.NewRowBuilder(r.title))
		for i := range r.panels {
			d = d.WithPanel(r.panels[i].grafana())
		}
	}
	return d.Build()
}

func (p *panel) grafana() cog.Builder[dashboard.Panel] {
	if p.kind == figure {
		x := stat.NewPanelBuilder().Title(p.title).Description(p.doc).Unit(p.unit).Datasource(source).
			Height(figureHeight).Span(figureWidth)
		for _, q := range p.queries {
			x = x.WithTarget(q.grafana().Instant())
		}
		return x
	}
	x := timeseries.NewPanelBuilder().Title(p.title).Description(p.doc).Unit(p.unit).Datasource(source).Min(0).
		Height(panelHeight).Span(panelWidth)
	for _, q := range p.queries {
		x = x.WithTarget(q.grafana().Range())
	}
	return x
}

func (q *query) grafana() *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend)
}

// rule is a rule as Prometheus reads it.
type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type ruleGroup struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

func ruleFile() map[string][]ruleGroup {
	recording, alerting := ruleGroup{Name: "hemostat"}, ruleGroup{Name: "hemostat-alerts"}
	for _, r := range records {
		recording.Rules = append(recording.Rules, rule{Record: r.name, Expr: r.expr})
	}
	for _, a := range alarms {
		alerting.Rules = append(alerting.Rules, rule{Alert: a.name, Expr: "(" + a.value + ") " + a.beyond, For: a.lasts,
			Labels:      map[string]string{"severity": a.severity},
			Annotations: map[string]string{"summary": a.summary, "description": a.remedy}})
	}
	return map[string][]ruleGroup{"groups": {recording, alerting}}
}

// scrapeFile scrapes hemostat live and hemostat run at their usual addresses.
func scrapeFile() map[string]any {
	job := func(name, target string) map[string]any {
		return map[string]any{"job_name": name, "static_configs": []any{map[string]any{"targets": []string{target}}}}
	}
	return map[string]any{
		"global":     map[string]string{"scrape_interval": "15s", "evaluation_interval": "15s"},
		"rule_files": []string{"rules.yml"},
		"scrape_configs": []any{job("hemostat", "127.0.0.1:8088"), job("hemostat-batch", "127.0.0.1:9100"),
			job("hemostat-serve", "127.0.0.1:8087")},
	}
}
