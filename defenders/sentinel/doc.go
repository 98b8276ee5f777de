// Package sentinel is the detection stage: detectors look at every event, and
// what they find becomes alerts with technique, severity, confidence, the
// entities involved and the ids of the events that prove it.
//
// sentinel.go joins the detectors, alert.go says what an alert is, rules.go
// runs Sigma rules, and the folder rules holds the embedded ones. It is fed by
// the pipeline in package defenders and feeds defenders/fusion.
package sentinel
