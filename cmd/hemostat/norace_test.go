//go:build !race

package main

// raceEnabled tells that the tests run with the race detector, which is slow.
const raceEnabled = false
