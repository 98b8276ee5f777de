// Package store keeps runs in one SQLite file: its schema and migrations, a
// writer that commits each trial whole, and a reader. Rows come from sim/record
// and leave for reports/compare and the command line.
package store
