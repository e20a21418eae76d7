//go:build !race

package crigc_test

const underRace = false
