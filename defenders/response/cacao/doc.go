// Package cacao writes playbooks in the exchange format of OASIS, CACAO Security
// Playbooks 2.0 (committee specification 01, 27 November 2023), and reads the
// part of it that has a counterpart here. Actions are rendered as OpenC2 commands
// (OpenC2 Language Specification 1.0).
//
// What CACAO has no words for (expressions, ttl and undo, verification, limits,
// for_each, escalation) goes into one declared extension, so that an exported
// playbook can be read back as it was. Ids follow from the playbook's own id and
// the place in it: equal playbooks give equal files.
package cacao
