package crigc_test

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

// held is what the process holds.
type held struct{ threads, descriptors, kilobytes, goroutines int }

func holds(t *testing.T) held {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	number := func(field string) int {
		n, _ := strconv.Atoi(strings.Fields(between(string(status), "\n"+field+":", "\n"))[0])
		return n
	}
	return held{number("Threads"), len(descriptors), number("VmRSS"), runtime.NumGoroutine()}
}

// Engines that were only made, that collected, and that ran periodically leave nothing when they are closed.
func TestEnginesLeaveNothing(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "20")
	life := func(i int) {
		config := s.config()
		config.PodStates = s.podStates
		ended := make(chan struct{}, 1)
		config.Ended = func(crigc.Pass, *crigc.Report, error) {
			select {
			case ended <- struct{}{}:
			default:
			}
		}
		engine, err := crigc.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		switch i % 10 {
		case 0:
			if _, err := engine.CollectContainers(background, crigc.DryRun); err != nil {
				t.Fatal(err)
			}
		case 5:
			if err := engine.Start(); err != nil {
				t.Fatal(err)
			}
			within(t, "a pass", ended)
		}
	}
	for i := range 300 {
		life(i)
	}
	before := holds(t)
	for i := range 3000 {
		life(i)
	}
	after := holds(t)
	// The runtimes of Go and of the C library end things a little later.
	for end := time.Now().Add(watchdog); time.Now().Before(end) && (after.descriptors > before.descriptors || after.goroutines > before.goroutines); {
		time.Sleep(10 * time.Millisecond)
		after = holds(t)
	}
	t.Logf("before %+v, after %+v", before, after)
	if after.threads > before.threads+4 || after.descriptors > before.descriptors || after.goroutines > before.goroutines {
		t.Error("threads, descriptors or goroutines grow")
	}
	// A lost engine is some 10 KiB.
	if after.kilobytes > before.kilobytes+12<<10 {
		t.Error("memory grows")
	}
}
