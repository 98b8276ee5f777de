// Package event is the telemetry vocabulary that everything shares: an event as
// a sensor delivers it, its log source, and its fields under the names of
// Sigma's taxonomy (Sysmon and Windows Security names, Zeek names, sshd, auditd,
// proxy and web server names).
//
// Events are born in sim/world (simulated) or defenders/ingest (recorded) and
// end in the detectors. Nothing here says whether an event is malicious; that
// is kept in sim/truth, which defenders cannot import.
package event
