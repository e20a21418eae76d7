package crigc_test

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

// held are the resources of the process; native is the memory that is not Go's, in KiB.
type held struct{ threads, descriptors, native, goroutines int }

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
	threads := strings.Fields(between(string(status), "\nThreads:", "\n"))[0]
	return held{number(threads), len(descriptors), native(t), runtime.NumGoroutine()}
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// native sums up resident memory that was written, except the arenas of Go's heap, which begin at 0xc000000000.
func native(t *testing.T) (kilobytes int) {
	t.Helper()
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	counts := false
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) > 1 && len(fields[1]) == 4 && strings.Contains(fields[0], "-"): // a mapping begins: addresses, rights, ...
			counts = fields[1][1] == 'w' && !strings.HasPrefix(fields[0], "c0")
		case counts && fields[0] == "Private_Dirty:":
			kilobytes += number(fields[1])
		}
	}
	return kilobytes
}

// lives are the ways to use an engine before it is closed.
type lives struct {
	s       *sim
	nowhere string // a socket without a runtime
	// made counts the objects that PodStates use, and cleaned how many of them Go's collector has found to be unreachable.
	made, cleaned atomic.Int64
}

// counted gives a config PodStates that can be waited for.
func (l *lives) counted(config crigc.Config) crigc.Config {
	asked := new([64]byte)
	l.made.Add(1)
	runtime.AddCleanup(asked, func(*lives) { l.cleaned.Add(1) }, l)
	config.PodStates = func(uids []string) ([]crigc.PodState, bool) {
		asked[0]++
		return l.s.podStates(uids)
	}
	return config
}

// live uses one engine in one of these ways.
func (l *lives) live(t *testing.T, i int) {
	config := l.s.config()
	ended := make(chan struct{}, 1)
	config.Ended = func(crigc.Pass, *crigc.Report, error) {
		select {
		case ended <- struct{}{}:
		default:
		}
	}
	if i%10 == 1 {
		config.Settings["container-runtime-endpoint"] = l.nowhere
	}
	engine, err := crigc.New(l.counted(config))
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	switch i % 10 {
	case 0: // a pass under a context
		if _, err := engine.CollectContainers(ctx, crigc.DryRun); err != nil {
			t.Fatal(err)
		}
	case 1: // passes that fail
		_, containers := engine.CollectContainers(ctx, 0)
		_, images := engine.CollectImages(background, 0)
		wantIs(t, containers, crigc.ErrUnavailable)
		wantIs(t, images, crigc.ErrUnavailable)
	case 3: // a call that is refused, and an engine that cannot be made
		_, err := engine.CollectContainers(ctx, 1<<20)
		wantIs(t, err, crigc.ErrInvalidArgument)
		config.Settings["image-gc-high-threshold"] = "0"
		_, err = crigc.New(l.counted(config))
		wantIs(t, err, crigc.ErrConfig)
	case 5: // periodic passes
		if err := engine.Start(); err != nil {
			t.Fatal(err)
		}
		within(t, "a pass", ended)
	case 7: // a cancel
		time.AfterFunc(time.Duration(i%100)*10*time.Microsecond, cancel)
		if _, err := engine.CollectContainers(ctx, crigc.DryRun); err != nil {
			wantIs(t, err, crigc.ErrCancelled)
		}
	}
}

// Engines that were only made, that collected, failed, were cancelled or ran periodically leave no resources after Close.
func TestEnginesLeaveNothing(t *testing.T) {
	l := &lives{s: startSim(t, "--pods", "5", "--dead-containers", "20"), nowhere: "unix://" + t.TempDir() + "/nobody"}
	const warm, measured = 300, 3000
	for i := range warm {
		l.live(t, i)
	}
	before := holds(t)
	for i := range measured {
		l.live(t, i)
	}
	after := holds(t)
	// The runtimes of Go and of the C library free resources a little later.
	for end := time.Now().Add(watchdog); time.Now().Before(end); {
		if after.descriptors <= before.descriptors && after.goroutines <= before.goroutines && l.cleaned.Load() == l.made.Load() {
			break
		}
		time.Sleep(10 * time.Millisecond)
		after = holds(t)
	}
	t.Logf("before %+v, after %+v", before, after)
	if after.threads > before.threads+4 || after.descriptors > before.descriptors || after.goroutines > before.goroutines {
		t.Error("threads, descriptors or goroutines grow")
	}
	if made, cleaned := l.made.Load(), l.cleaned.Load(); made != cleaned {
		t.Errorf("of %d hosts Go still holds %d", made, made-cleaned)
	}
	// A lost engine is some 10 KiB.
	if !underRace && after.native > before.native+8<<10 {
		t.Error("memory grows")
	}
}

// A call frees what it allocates, also if it fails: reports, errors, deadlines, configurations.
func TestCallsLeaveNothing(t *testing.T) {
	nowhere := map[string]string{"container-runtime-endpoint": "unix://" + t.TempDir() + "/nobody"}
	wrong := map[string]string{"image-gc-high-threshold": "0"}
	engine := open(t, crigc.Config{Settings: nowhere})
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	for name, call := range map[string]func() error{
		"passes that fail":         func() error { _, err := engine.CollectContainers(ctx, 0); return err },
		"configurations that fail": func() error { _, err := crigc.New(crigc.Config{Settings: wrong}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			calls := func(n int) {
				for range n {
					if call() == nil {
						t.Fatal("it does not fail")
					}
				}
			}
			calls(5000)
			before := holds(t)
			calls(40_000)
			after := holds(t)
			t.Logf("before %+v, after %+v", before, after)
			// The least that can be lost with each call is some 100 bytes.
			if !underRace && after.native > before.native+2<<10 {
				t.Error("memory grows")
			}
		})
	}
}
