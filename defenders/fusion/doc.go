// Package fusion joins what detection found: indicators of an alert are looked
// up in threat-intelligence sources, related alerts become one incident, and a
// correlation score says how sure the whole is. Its input are the sentinel's
// alerts, its output incidents for defenders/response and defenders/cascade.
package fusion
