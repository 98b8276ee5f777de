// Package ingest reads recorded logs into events. What it reads, and how each form is
// known, is the list of Formats; docs/logs.md tells where such logs come from.
//
// The path of an input: container.go finds the streams in files, folders and archives;
// read.go peels compression and UTF-16 off a stream and finds its form (format.go); a
// reader of the form makes events: stream.go for lines, documents.go and parallel.go for
// JSON, winxml.go for event XML, evtx for event logs in binary form; merge.go brings the
// events of several inputs into the order of time. Each of the other files decodes one
// kind of record. Memory does not grow with the length of a log.
//
// What cannot be read is counted with its reason, never dropped in silence.
package ingest
