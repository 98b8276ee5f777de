// Package stats holds the estimators and tests that reports use: pure functions
// without I/O, each with its assumption and source. Conventions are those of R.
// NaN stands for "cannot say": a quantity that does not exist for the sample.
// docs/statistics.md tells when each is used and when it misleads.
package stats
