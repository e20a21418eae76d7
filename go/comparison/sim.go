package comparison

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Sim is a running crisim whose node can be replaced.
type Sim struct {
	// Folder of the node's files, of the socket, and of the files that crisim reads and writes.
	Folder  string
	process *exec.Cmd
	lines   chan string
	ended   chan struct{}
}

// Program is crisim: $CRISIM, or the one in the build tree.
func Program() (string, error) {
	path := os.Getenv("CRISIM")
	if path == "" {
		folder, err := os.Getwd()
		if err != nil {
			return "", err
		}
		for ; folder != "/"; folder = filepath.Dir(folder) {
			path = filepath.Join(folder, "target/debug/crisim")
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no crisim (%w); build it with `cargo build --release -p crisim`, or name it in CRISIM", err)
	}
	return path, nil
}

// Start starts crisim with an empty node in folder.
func Start(folder string) (*Sim, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	sim := &Sim{Folder: folder, lines: make(chan string, 16)}
	if err := sim.write("node.json", Node{}); err != nil {
		return nil, err
	}
	if err := sim.write("faults.json", []Fault{}); err != nil {
		return nil, err
	}
	sim.process = exec.Command(program, "--socket", sim.path("cri.sock"), "--node", sim.path("node.json"),
		"--faults", sim.path("faults.json"), "--state-out", sim.path("state.json"), "--trace-out", sim.path("trace.json"))
	sim.process.Stderr = os.Stderr
	out, err := sim.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := sim.launch(); err != nil {
		return nil, err
	}
	go func() {
		defer close(sim.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			sim.lines <- scanner.Text()
		}
	}()
	if _, err := sim.line(); err != nil {
		sim.Close()
		return nil, err
	}
	return sim, nil
}

// launch starts the process so that it ends with this one, even if this one is killed. The kernel ties that to the thread that starts
// it, so one thread is kept until it has ended.
func (s *Sim) launch() error {
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.ended = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.ended)
		err := s.process.Start()
		started <- err
		if err == nil {
			// Its exit status says only that it was killed.
			_, _ = s.process.Process.Wait()
		}
	}()
	return <-started
}

// Endpoint is the endpoint for a collector.
func (s *Sim) Endpoint() string { return "unix://" + s.path("cri.sock") }

func (s *Sim) path(name string) string { return filepath.Join(s.Folder, name) }

func (s *Sim) write(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path(name), text, 0o644)
}

// line waits for crisim's next line.
func (s *Sim) line() (string, error) {
	select {
	case line, open := <-s.lines:
		if !open {
			return "", fmt.Errorf("crisim in %s has ended", s.Folder)
		}
		return line, nil
	case <-time.After(time.Minute):
		return "", fmt.Errorf("crisim in %s writes nothing", s.Folder)
	}
}

// ask sends a signal and waits for the line that answers it.
func (s *Sim) ask(signal os.Signal, answer string) error {
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	line, err := s.line()
	if err == nil && line != answer {
		err = fmt.Errorf("crisim answers %q instead of %q", line, answer)
	}
	return err
}

// Load gives crisim another node and other faults, and an empty trace.
func (s *Sim) Load(node Node, faults []Fault) error {
	if faults == nil {
		faults = []Fault{}
	}
	if err := s.write("node.json", node); err != nil {
		return err
	}
	if err := s.write("faults.json", faults); err != nil {
		return err
	}
	return s.ask(syscall.SIGHUP, "read")
}

// State is the node as it is now, and the calls since it was loaded.
func (s *Sim) State() (Node, []Call, error) {
	var node Node
	if err := s.ask(syscall.SIGUSR1, "written"); err != nil {
		return node, nil, err
	}
	text, err := os.ReadFile(s.path("state.json"))
	if err != nil {
		return node, nil, err
	}
	if err := json.Unmarshal(text, &node); err != nil {
		return node, nil, err
	}
	trace, err := os.ReadFile(s.path("trace.json"))
	if err != nil {
		return node, nil, err
	}
	var calls []Call
	for line := range bytes.Lines(trace) {
		var call Call
		if err := json.Unmarshal(line, &call); err != nil {
			return node, nil, err
		}
		calls = append(calls, call)
	}
	return node, calls, nil
}

// Close ends crisim.
func (s *Sim) Close() error {
	if err := s.process.Process.Kill(); err != nil {
		return err
	}
	<-s.ended
	return nil
}
