// Package fusion enriches what detection found: indicators of an alert are looked up
// in threat-intelligence sources, and the keys are named by which alerts belong
// together. Its input are the sentinel's alerts, its output enrichments for
// defenders/incident, which joins alerts to incidents.
package fusion
