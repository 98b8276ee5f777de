// Package dashboards has the dashboards and rules with which a live run, a replay or a batch is
// watched: Grafana dashboards, and recording and alerting rules of Prometheus.
package dashboards

// board is a dashboard.
type board struct {
	id, title, doc string
	rows           []row
}

// row is a part of a dashboard.
type row struct {
	title  string
	panels []panel
}

// panel is a chart, or a single figure.
type panel struct {
	title, doc string
	kind       kind
	unit       string // of Grafana: s, percentunit, short, bytes, reqps …
	queries    []query
}

type kind uint8

const (
	lines  kind = iota // over time
	figure             // the value now
)

// query is an expression of PromQL and what its series are called.
type query struct{ expr, legend string }

// quantiles are the median and the 95th percentile of a histogram.
func quantiles(histogram string) []query {
	rate := "sum by (le) (rate(" + histogram + "_bucket[5m]))"
	return []query{{"histogram_quantile(0.5, " + rate + ")", "half within"}, {"histogram_quantile(0.95, " + rate + ")", "95 % within"}}
}

func one(expr, legend string) []query { return []query{{expr, legend}} }

// boards are all dashboards. Each query is run against a real Prometheus by a test.
var boards = []board{
	{"hemostat-defence", "hemostat: defence", "What is detected, and what is done about it.", []row{
		{"Now", []panel{
			{"Alerts in an hour", "Threats of severity medium or more.", figure, "short",
				one(`sum(increase(sentinel_detections_total{is_threat="true"}[1h]))`, "alerts")},
			{"Requests that wait", "Requests for approval that nobody has answered.", figure, "short",
				one("sum(live_approvals_open)", "requests")},
			{"Behind the stream", "Age of the record that was handled last.", figure, "s",
				one("max(live_record_age_seconds)", "age")},
			{"Outputs undelivered", "Outputs that a receiver still owes.", figure, "short",
				one("sum(live_undelivered)", "outputs")},
		}},
		{"Detection", []panel{
			{"Alerts by severity", "", lines, "short",
				one("sum by (severity) (rate(sentinel_detections_total[5m])) * 60", "{{severity}} a minute")},
			{"Fit with campaigns", "Score of the campaign that an alert's incident fits best.", lines, "percentunit",
				quantiles("threat_correlation_score")},
		}},
		{"Response", []panel{
			{"Playbooks", "Runs that ended, by how.", lines, "short",
				one("sum by (playbook_id, status) (increase(response_playbooks_executed_total[15m]))", "{{playbook_id}} {{status}}")},
			{"Actions", "Actions that ended, by how; dry_run stands for one that was only said to be done.", lines, "short",
				one("sum by (action_type, status) (increase(response_actions_executed_total[15m]))", "{{action_type}} {{status}}")},
		}},
	}},
	{"hemostat-latency", "hemostat: latency and coherence",
		"How long the pipeline takes, and whether detection and reaction hang together.", []row{
			{"Stream", []panel{
				{"Events", "Events that the pipeline was given.", lines, "short",
					one("sum(rate(live_events_total[1m]))", "events a second")},
				{"Records behind", "By topic and partition.", lines, "short",
					one("sum by (topic, partition) (live_lag_records)", "{{topic}} {{partition}}")},
				{"Late, skewed, unreadable", "Trouble with what comes in.", lines, "short", []query{
					{"sum(rate(live_late_events_total[5m]))", "late a second"}, {"sum(rate(live_skewed_events_total[5m]))", "from the future a second"},
					{"sum(rate(live_held_back_total[5m]))", "held back a second"}}},
			}},
			{"Stages", []panel{
				{"Analysis of an event", "From its arrival to the end of its analysis.", lines, "s",
					quantiles("sentinel_analysis_latency_seconds")},
				{"Enrichment of an alert", "With questions to servers of intelligence.", lines, "s",
					quantiles("threat_enrichment_seconds")},
				{"Coherence", "From an incident's detection to the first action in effect or approval asked; the goal is under 5 s.", lines, "s",
					quantiles("response_coherence_seconds")},
				{"Coherent incidents", "Share of incidents whose first reaction came within 4 s, the bound of the histogram below the goal of 5 s.",
					lines, "percentunit",
					one("hemostat:coherent:ratio15m", "within 4 s")},
			}},
			{"State", []panel{
				{"Snapshots", "Time in which nothing is handled.", lines, "s", quantiles("live_snapshot_seconds")},
				{"Size of the state", "", lines, "bytes", one("max(live_snapshot_bytes)", "snapshot")},
				{"Memory", "Resident memory of the process.", lines, "bytes",
					one(`max(process_resident_memory_bytes{job="hemostat"})`, "memory")},
			}},
		}},
	{"hemostat-people", "hemostat: people on the loop",
		"What people are asked, how long they take, and what they decide.", []row{
			{"Requests", []panel{
				{"Open", "Requests that wait for an answer.", lines, "short", one("sum(live_approvals_open)", "open")},
				{"Asked", "By kind of action.", lines, "short",
					one("sum by (action_type) (increase(response_hotl_requests_total[15m]))", "{{action_type}}")},
				{"Outcomes", "Approved, denied, timed out.", lines, "short",
					one("sum by (outcome) (increase(response_hotl_outcome_total[15m]))", "{{outcome}}")},
				{"Wait", "From a question to its answer.", lines, "s", quantiles("response_hotl_wait_seconds")},
			}},
		}},
	{"hemostat-detection", "hemostat: quality of detection",
		"Enrichment, intelligence, and how sure alerts are.", []row{
			{"Detection", []panel{
				{"Threats among alerts", "Share of alerts of severity medium or more.", lines, "percentunit",
					one("hemostat:threats:ratio15m", "threats")},
				{"Enriched", "Alerts that fusion was done with.", lines, "short",
					one("sum(rate(threat_enrichments_total[5m])) * 60", "a minute")},
				{"Fit with campaigns", "Score of the campaign that an alert's incident fits best.", lines, "percentunit",
					quantiles("threat_correlation_score")},
			}},
			{"Intelligence", []panel{
				{"Questions to sources", "By source and how they ended.", lines, "short",
					one("sum by (source, status) (rate(threat_intel_source_queries_total[5m])) * 60", "{{source}} {{status}} a minute")},
				{"Sources that answer", "Share of questions that a source answered.", lines, "percentunit",
					one("hemostat:intel_answered:ratio15m", "{{source}}")},
			}},
		}},
	{"hemostat-batch", "hemostat: simulation batch",
		"A batch of trials while it goes (hemostat run --metrics).", []row{
			{"Batch", []panel{
				{"Trials done", "Of those planned.", figure, "percentunit",
					one("sum(hemostat_trials_total) / sum(hemostat_trials_planned)", "done")},
				{"Trials", "By variant and status.", lines, "short",
					one("sum by (variant, status) (increase(hemostat_trials_total[5m]))", "{{variant}} {{status}}")},
				{"Simulated events", "", lines, "short", one("sum(rate(hemostat_events_total[1m]))", "events a second")},
				{"People's decisions", "Of simulated people, by whether the action was justified in truth.", lines, "short",
					one("sum by (verdict, justified) (increase(analysts_verdicts_total[5m]))", "{{verdict}}, justified: {{justified}}")},
			}},
		}},
}

// record is a recording rule.
type record struct{ name, expr string }

var records = []record{
	{"hemostat:coherent:ratio15m", `sum(rate(response_coherence_seconds_bucket{le="4"}[15m])) /
  sum(rate(response_coherence_seconds_count[15m]))`},
	{"hemostat:threats:ratio15m", `sum(rate(sentinel_detections_total{is_threat="true"}[15m])) / sum(rate(sentinel_detections_total[15m]))`},
	{"hemostat:intel_answered:ratio15m",
		`sum by (source) (rate(threat_intel_source_queries_total{status=~"hit|miss|cached"}[15m])) /
  sum by (source) (rate(threat_intel_source_queries_total[15m]))`},
	{"hemostat:poison:rate5m", "sum(rate(live_poison_total[5m]))"},
}

// alarm is an alerting rule: a value that is beyond a limit for some time.
type alarm struct {
	name, value, beyond string
	lasts               string
	severity, summary   string
	remedy              string
}

var alarms = []alarm{
	{"HemostatDown", `up{job="hemostat"}`, "== 0", "2m", "critical",
		"hemostat live does not answer", "Start it again with the same --state; it goes on where it was."},
	{"HemostatBehind", "max(live_record_age_seconds)", "> 300", "5m", "warning",
		"The pipeline is more than five minutes behind the stream",
		"See whether outputs are held back, and whether the machine has a core to spare."},
	{"HemostatHeldBack", "sum(live_undelivered)", "> 5000", "5m", "warning",
		"Receivers do not take what the pipeline gives out",
		"See which sink lags in live_delivered_total, and whether its receiver answers."},
	{"HemostatDeadLetters", "sum(increase(live_dead_letters_total[15m]))", "> 0", "0m", "warning",
		"A receiver refused outputs",
		"They lie in deadletters.ndjson in the folder of the state; send them on when the receiver is mended."},
	{"HemostatPoison", "hemostat:poison:rate5m", "> 1", "10m", "warning", "Records come that cannot be read",
		"The audit file says which and why; the sender's format has probably changed."},
	{"HemostatDiverged", "sum(live_divergences_total) + sum(live_missing_records_total)", "> 0", "0m", "critical",
		"A start after a kill found other records or came to other outputs",
		"Outputs may have been sent twice under different ids; compare the audit file with what receivers have."},
	{"HemostatApprovalsWait", "sum(live_approvals_open)", "> 5", "10m", "warning",
		"Requests for approval pile up", "hemostat approve lists them."},
	{"HemostatIncoherent", "hemostat:coherent:ratio15m", "< 0.5", "15m", "warning",
		"Most incidents wait more than four seconds for a first reaction", "See the stages on the dashboard of latency."},
	{"HemostatIntelMissing", "min(hemostat:intel_answered:ratio15m)", "< 0.5", "15m", "warning",
		"A source of intelligence does not answer",
		"Incidents name what was missing; see its server."},
}
