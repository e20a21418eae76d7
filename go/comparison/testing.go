package comparison

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Test is the differential test of a kubelet: the nodes of the seeds FROM..TO in CRIGC_SEEDS, else of 0..600. It fails for a
// difference that no rule allows, and for a rule that no node exercised. With CRIGC_SHRINK=no a failing node is not made smaller.
func Test(t *testing.T, h Harness) {
	needProgram(t)
	h.raw = os.Getenv("CRIGC_SHRINK") == "no"
	from, to, err := seeds()
	if err != nil {
		t.Fatal(err)
	}
	tally, failure, err := h.Run(t.TempDir(), from, to, runtime.NumCPU())
	if err != nil {
		t.Fatal(err)
	}
	if failure != nil {
		t.Fatalf("crigc and the kubelet %s leave different nodes behind (%d went well before)\n%v", h.Version, tally.Nodes, failure)
	}
	tally.Print(os.Stdout)
	if missing := tally.Missing(); len(missing) > 0 {
		t.Errorf("no node showed enough of %q", missing)
	}
}

// needProgram skips a test if crisim has not been built; in CI it fails then.
func needProgram(t *testing.T) {
	t.Helper()
	_, err := Program()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skipf("skipped: %v", err)
	}
}

// held is how many goroutines and descriptors this process has.
func held(t *testing.T) (goroutines, descriptors int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(entries)
}

// TestMany opens and closes 200 collectors of the kubelet, four at a time: goroutines and descriptors must not grow.
func TestMany(t *testing.T, h Harness) {
	needProgram(t)
	sim, err := Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	run := func() error { return sim.use(h.New) }
	if err := run(); err != nil {
		t.Fatal(err)
	}
	goroutines, descriptors := held(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				if err := run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	// The goroutines of a closed connection take a moment to end.
	for range 100 {
		nowGoroutines, nowDescriptors := held(t)
		if nowGoroutines <= goroutines+3 && nowDescriptors <= descriptors+3 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	nowGoroutines, nowDescriptors := held(t)
	t.Errorf("goroutines: %d, then %d; descriptors: %d, then %d", goroutines, nowGoroutines, descriptors, nowDescriptors)
}

// use makes a collector for the node, runs it, and closes it.
func (s *Sim) use(create New) error {
	folder, err := os.MkdirTemp(s.Folder, "use")
	if err != nil {
		return err
	}
	collector, err := create(Setting{
		Endpoint: s.Endpoint(), PodLogsDir: folder, ContainerLogsDir: folder, RootDir: folder,
		Policy:       Policy{MaxPerContainer: 1, MaxContainers: -1, HighThreshold: 85, LowThreshold: 80},
		Pod:          func(string) (bool, bool) { return false, false },
		SourcesReady: func() bool { return true },
		ImageFS:      func() (uint64, uint64) { return 100, 50 },
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	return errors.Join(collector.Containers(ctx, false), collector.Look(ctx), collector.Close())
}

func seeds() (from, to uint64, err error) {
	text := os.Getenv("CRIGC_SEEDS")
	if text == "" {
		return 0, 600, nil
	}
	if _, err = fmt.Sscanf(text, "%d..%d", &from, &to); err == nil && from >= to {
		err = errors.New("there is no seed")
	}
	if err != nil {
		err = fmt.Errorf("CRIGC_SEEDS=%s: %w; give FROM..TO, such as 0..300", text, err)
	}
	return from, to, err
}
