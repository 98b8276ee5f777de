// Package stats holds the estimators and tests that reports use: pure functions
// without I/O, each with its assumption and source.
package stats
