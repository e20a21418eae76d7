package crigc_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

// watchdog is how long a test waits for something that has to happen; much longer than it takes.
const watchdog = time.Minute

// crisim is the simulated runtime's program.
func crisim() string {
	return cmp.Or(os.Getenv("CRISIM"), "../target/debug/crisim")
}

func missing() error {
	_, err := os.Stat(crisim())
	return err
}

// TestMain leaves out the examples if crisim has not been built, because an example cannot be skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	run := flag.Lookup("test.run").Value
	if missing() != nil && os.Getenv("CI") != "true" && run.String() == "" {
		fmt.Println("skipped: examples, for there is no", crisim())
		_ = run.Set("^Test")
	}
	os.Exit(m.Run())
}

// sim is a runtime that was started for a test.
type sim struct {
	dir      string
	endpoint string
	process  *exec.Cmd
}

// startSim starts a runtime with crisim's options; it ends with the test.
func startSim(t testing.TB, options ...string) *sim {
	t.Helper()
	if err := missing(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("skipped: %v; build it with `cargo build -p crisim --release`", err)
	}
	s, err := simulate(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// simulate starts a runtime and waits until it listens. Its directory holds the socket and the UIDs of the live pods.
func simulate(options ...string) (*sim, error) {
	dir, err := os.MkdirTemp("", "crigc")
	if err != nil {
		return nil, err
	}
	s := &sim{dir: dir, endpoint: "unix://" + dir + "/cri.sock"}
	options = append([]string{"--socket", dir + "/cri.sock", "--live-pods-out", s.livePods()}, options...)
	s.process = exec.Command(crisim(), options...)
	s.process.Stderr = os.Stderr
	// It ends with the tests, in whatever way they end.
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.process.StdoutPipe()
	if err == nil {
		err = s.process.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "listening") {
		s.stop()
		return nil, fmt.Errorf("crisim does not listen: %q %v", line, err)
	}
	return s, nil
}

func (s *sim) stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	_ = os.RemoveAll(s.dir)
}

func (s *sim) livePods() string { return filepath.Join(s.dir, "live") }

// config uses the runtime, and no logs of the machine.
func (s *sim) config() crigc.Config {
	return crigc.Config{
		Settings: map[string]string{
			"container-runtime-endpoint": s.endpoint,
			"pod-logs-dir":               "",
			"container-logs-dir":         "",
		},
		// Otherwise image passes would read the disk of this machine, which may be full.
		ImageFS: func() (crigc.FSUsage, error) { return crigc.FSUsage{Capacity: 1 << 40, Available: 1 << 39}, nil },
	}
}

// podStates reports that the live pods exist, and that others are gone.
func (s *sim) podStates(uids []string) ([]crigc.PodState, bool) {
	text, err := os.ReadFile(s.livePods())
	if err != nil {
		return nil, false
	}
	live := map[string]bool{}
	for _, uid := range strings.Fields(string(text)) {
		live[uid] = true
	}
	states := make([]crigc.PodState, len(uids))
	for i, uid := range uids {
		if !live[uid] {
			states[i] = crigc.ContentRemovable | crigc.RuntimeRemovable
		}
	}
	return states, true
}

// open makes an engine; it is closed with the test.
func open(t testing.TB, config crigc.Config) *crigc.Engine {
	t.Helper()
	engine, err := crigc.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return engine
}

// asJSON writes a value to a file for crisim.
func asJSON(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	path := filepath.Join(t.TempDir(), "crisim.json")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// object is an object of JSON.
type object = map[string]any

// faults are crisim's.
func faults(t testing.TB, list ...object) string { return asJSON(t, list) }

// hang makes calls of a method hang.
func hang(t testing.TB, method string) string {
	return faults(t, object{"method": method, "action": "hang"})
}

// hex is a text for crisim that need not be UTF-8.
func hex(text string) object { return object{"hex": fmt.Sprintf("%x", text)} }

// deadContainer is one of the containers of a pod for crisim.
func deadContainer(id, pod, uid any, attempt int) object {
	return object{
		"id": id, "sandbox_id": "s", "name": "c", "attempt": attempt, "state": "exited",
		"created_at": 1_000_000_000 + attempt, "finished_at": 2_000_000_000 + attempt,
		"image": "i", "image_ref": "i",
		"labels": object{
			"io.kubernetes.pod.name": pod, "io.kubernetes.pod.namespace": "n", "io.kubernetes.pod.uid": uid,
			"io.kubernetes.container.name": "c",
		},
	}
}

// within receives from a channel, and fails after a while.
func within[T any](t testing.TB, what string, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(watchdog):
		t.Fatal("no sign of", what)
	}
	return value
}

// wantIs checks an error with errors.Is.
func wantIs(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%q is not %q", err, target)
		}
	}
}

// removedIDs lists the objects that were removed, or would be.
func removedIDs(report *crigc.Report) map[string]crigc.Reason {
	ids := map[string]crigc.Reason{}
	for _, entry := range report.Entries {
		if entry.Outcome == crigc.Removed {
			ids[entry.Kind.String()+" "+entry.ID] = entry.Reason
		}
	}
	return ids
}
