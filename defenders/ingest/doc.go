// Package ingest reads recorded logs into events: Windows event logs as JSON
// (flat as collectors write them, or nested as EVTX converters do), Zeek's JSON
// and TSV logs, sshd's syslog lines, and the project's own NDJSON. Files may be
// plain, gzip or zip; memory does not grow with their length.
//
// reader.go opens files and walks their lines, winlog.go, zeek.go, sshd.go and
// ndjson.go each know one format. What cannot be read is counted with its
// reason, never dropped in silence.
package ingest
