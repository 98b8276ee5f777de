package analyst

import (
	"fmt"
	"math"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/logistic"
	"hemostat/sim/role"
	"hemostat/sim/severity"
)

// Features describe an alert in numbers of which none depends on how a text that an
// attacker may choose is worded: what kind of alert it is, and what the history of its
// entities holds. Order and meaning stand in featureTable.
type Features [featureCount]float64

// The features.
const (
	isMedium = iota
	isHigh
	isCritical
	confidence
	fromReflex
	fromBehavior
	fromEncrypted
	fromOther
	ruleKnown
	ruleOdds
	techniqueOdds
	ruleHosts
	ruleAlerts
	ruleLately
	hostRepeats
	hostRules
	hostTechniques
	hostSerious
	hostRulesDay
	userRules
	userHosts
	addressRules
	destinationRules
	programRare
	programCommon
	onServer
	onController
	outsideSource
	outsideDestination
	namesUser
	manyEvents
	outOfHours
	featureCount
)

// featureTable says of each feature how a reason names it. Those whose text has a verb are
// given the number that stands behind the feature.
var featureTable = [featureCount]struct{ name, text string }{
	isMedium:           {"is_medium", "the severity is medium"},
	isHigh:             {"is_high", "the severity is high"},
	isCritical:         {"is_critical", "the severity is critical"},
	confidence:         {"confidence", "the detector's own confidence"},
	fromReflex:         {"from_reflex", "it comes from the reflex"},
	fromBehavior:       {"from_behavior", "it comes from the detector of behaviour"},
	fromEncrypted:      {"from_encrypted", "it comes from the detector of encrypted traffic"},
	fromOther:          {"from_other", "it comes from a detector that was not in the training"},
	ruleKnown:          {"rule_known", "the rule was in the training"},
	ruleOdds:           {"rule_odds", "how often the rule was right in the training"},
	techniqueOdds:      {"technique_odds", "how often alerts of this technique were right in the training"},
	ruleHosts:          {"rule_hosts", "%.0f other hosts had the same alert within a day"},
	ruleAlerts:         {"rule_alerts", "the same alert was raised %.0f times within a day"},
	ruleLately:         {"rule_lately", "another host had the same alert within ten minutes"},
	hostRepeats:        {"host_repeats", "the host had the same alert %.0f times within a day"},
	hostRules:          {"host_rules", "the host had %.0f other kinds of alert within an hour"},
	hostTechniques:     {"host_techniques", "the host had alerts of %.0f techniques within a day"},
	hostSerious:        {"host_serious", "the host had %.0f other alerts of severity high or more within an hour"},
	hostRulesDay:       {"host_rules_day", "the host had %.0f other kinds of alert within a day"},
	userRules:          {"user_rules", "the user had %.0f other kinds of alert within an hour"},
	userHosts:          {"user_hosts", "the user had alerts on %.0f other hosts within a day"},
	addressRules:       {"address_rules", "the source had %.0f other kinds of alert within a day"},
	destinationRules:   {"destination_rules", "the destination had %.0f other kinds of alert within a day"},
	programRare:        {"program_rare", "the program ran on at most one host so far"},
	programCommon:      {"program_common", "the program ran on %.0f hosts so far"},
	onServer:           {"on_server", "the host is a server"},
	onController:       {"on_controller", "the host is a domain controller"},
	outsideSource:      {"outside_source", "it came from outside the estate"},
	outsideDestination: {"outside_destination", "it went outside the estate"},
	namesUser:          {"names_user", "it names a user"},
	manyEvents:         {"many_events", "several events stand behind it"},
	outOfHours:         {"out_of_hours", "it happened outside working hours"},
}

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// featuresOf describes an alert before it is itself part of the history.
func (m *memory) featuresOf(now time.Duration, a *alert.Alert, known *Weights) Features {
	var f Features
	set := func(i int, is bool) {
		if is {
			f[i] = 1
		}
	}
	set(isMedium, a.Severity == severity.Medium)
	set(isHigh, a.Severity == severity.High)
	set(isCritical, a.Severity == severity.Critical)
	f[confidence] = logistic.LogOdds(min(max(a.Confidence, 0.02), 0.98))
	switch a.Detector {
	case "sigma":
	case "reflex":
		f[fromReflex] = 1
	case "behavior":
		f[fromBehavior] = 1
	case "encrypted":
		f[fromEncrypted] = 1
	default:
		f[fromOther] = 1
	}
	if known != nil {
		odds, ok := known.Rules[a.RuleID]
		f[ruleOdds] = odds
		set(ruleKnown, ok)
		f[techniqueOdds] = known.Techniques[a.Technique()]
	}
	m.describeRule(&f, now, a)
	m.describeEntities(&f, now, a)
	if hosts := m.hostsOf(a.Image); a.Image != "" {
		set(programRare, hosts < 1.5)
		f[programCommon] = math.Log1p(hosts)
	}
	if h := m.inventory.Host(a.Host); h != nil {
		set(onController, h.Role == role.DomainController)
		set(onServer, h.Role != role.Workstation && h.Role != role.AdminWorkstation)
	}
	set(outsideSource, a.SourceIP != "" && a.Source == "")
	set(outsideDestination, a.Destination != "")
	set(namesUser, a.User != "")
	set(manyEvents, len(a.Evidence) > 1)
	at := m.epoch.Add(a.EventTime)
	set(outOfHours, at.Hour() < 7 || at.Hour() >= 19 || at.Weekday() == time.Saturday || at.Weekday() == time.Sunday)
	return f
}

// describeRule tells where and how often the same alert was raised.
func (m *memory) describeRule(f *Features, now time.Duration, a *alert.Alert) {
	hosts := map[string]bool{}
	repeats := 0
	past := m.history(ruleEntity, a.RuleID, now, day)
	for i := range past {
		p := &past[i]
		if p.host == a.Host {
			repeats++
			continue
		}
		hosts[p.host] = true
		if now-p.at <= 10*time.Minute {
			f[ruleLately] = 1
		}
	}
	f[ruleHosts] = math.Log1p(float64(len(hosts)))
	f[ruleAlerts] = math.Log1p(float64(len(past)))
	f[hostRepeats] = math.Log1p(float64(repeats))
}

// describeEntities tells what else was raised about host, user and addresses.
func (m *memory) describeEntities(f *Features, now time.Duration, a *alert.Alert) {
	others := func(kind, name string, within time.Duration) float64 {
		return math.Log1p(float64(countOther(m.history(kind, name, now, within), a.RuleID, ruleOf)))
	}
	f[hostRules] = others(hostEntity, a.Host, hour)
	f[hostRulesDay] = others(hostEntity, a.Host, day)
	f[userRules] = others(userEntity, a.User, hour)
	f[addressRules] = others(addressEntity, a.SourceIP, day)
	f[destinationRules] = others(destinationEntity, a.Destination, day)
	onHost := m.history(hostEntity, a.Host, now, day)
	f[hostTechniques] = math.Log1p(float64(countOther(onHost, "", func(p *pastAlert) string { return p.technique })))
	f[userHosts] = math.Log1p(float64(countOther(m.history(userEntity, a.User, now, day), a.Host,
		func(p *pastAlert) string { return p.host })))
	serious := 0
	for i := range onHost {
		if p := &onHost[i]; now-p.at <= hour && p.rule != a.RuleID && p.severity >= severity.High {
			serious++
		}
	}
	f[hostSerious] = math.Log1p(float64(serious))
}

func ruleOf(p *pastAlert) string { return p.rule }

// countOther counts the different values among alerts, beside one.
func countOther(past []pastAlert, beside string, value func(*pastAlert) string) int {
	seen := make(map[string]bool, len(past))
	for i := range past {
		if v := value(&past[i]); v != beside && v != "" {
			seen[v] = true
		}
	}
	return len(seen)
}

// describe is a feature in words.
func (f *Features) describe(i int) string {
	text := featureTable[i].text
	for at := range text {
		if text[at] == '%' {
			return fmt.Sprintf(text, math.Expm1(f[i]))
		}
	}
	return text
}
