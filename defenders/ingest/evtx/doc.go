// Package evtx reads Windows event logs in their binary form (.evtx) as a stream of
// records, each a tree of XML elements.
//
// The format is described by Microsoft's [MS-EVEN6], section 2.2.12 (BinXml), and by
// the documentation of libevtx ("Windows XML Event Log (EVTX) format"). A file is a
// header of 4 KiB and chunks of 64 KiB; a chunk holds its records, and the names and
// templates that its records share. A record is binary XML, mostly one template and
// the values that fill it.
//
// Damaged input is read as far as it goes: what is unreadable is reported as a
// *Damage with its offset, and reading goes on behind it. Memory is bounded by one
// chunk and one record. The package needs nothing but the standard library.
//
// reader.go finds chunks and records, binxml.go decodes a record, value.go turns
// typed values into text.
package evtx
