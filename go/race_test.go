//go:build race

package crigc_test

// The race detector keeps books of its own, which grow.
const underRace = true
