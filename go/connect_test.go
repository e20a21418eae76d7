package crigc_test

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/crigc/crigc/go"
)

// relay puts a runtime behind another stream.
func relay(t testing.TB, runtime, other net.Conn) {
	t.Helper()
	for _, pair := range [][2]net.Conn{{runtime, other}, {other, runtime}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			_, _ = pair[0].Close(), pair[1].Close()
		}()
	}
}

// byTCP connects to a runtime through TCP on loopback.
func byTCP(t testing.TB, path string) (io.ReadWriteCloser, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, err
	}
	theirs, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	runtime, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	relay(t, runtime, theirs)
	return ours, nil
}

// byFile gives a socket as a file.
func byFile(path string) (io.ReadWriteCloser, error) {
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(socket), "the runtime")
	return file, syscall.Connect(socket, &syscall.SockaddrUnix{Name: path})
}

func TestConnect(t *testing.T) {
	s := startSim(t, "--pods", "10", "--dead-containers", "40", "--images", "10")
	path := strings.TrimPrefix(s.endpoint, "unix://")
	config := s.config()
	want, err := open(t, config).CollectContainers(background, crigc.DryRun)
	if err != nil {
		t.Fatal(err)
	}
	for name, connect := range map[string]func() (io.ReadWriteCloser, error){
		"unix": func() (io.ReadWriteCloser, error) { return net.Dial("unix", path) },
		"tcp":  func() (io.ReadWriteCloser, error) { return byTCP(t, path) },
		"file": func() (io.ReadWriteCloser, error) { return byFile(path) },
	} {
		t.Run(name, func(t *testing.T) {
			var asked []crigc.Service
			config := s.config()
			config.Settings["container-runtime-endpoint"] = "the runtime of VM 3"
			config.Connect = func(service crigc.Service) (io.ReadWriteCloser, error) {
				asked = append(asked, service)
				return connect()
			}
			engine := open(t, config)
			before := holds(t).descriptors
			report, err := engine.CollectContainers(background, crigc.DryRun)
			if err != nil || len(removedIDs(report)) == 0 || len(removedIDs(report)) != len(removedIDs(want)) {
				t.Errorf("%v: %d would be removed, not %d", err, len(removedIDs(report)), len(removedIDs(want)))
			}
			if _, err := engine.CollectImages(background, crigc.DryRun); err != nil {
				t.Error(err)
			}
			if !slices.Equal(asked, []crigc.Service{crigc.RuntimeService, crigc.ImageService, crigc.RuntimeService}) {
				t.Error(asked)
			}
			// The relay of another test may end meanwhile.
			if after := holds(t).descriptors; name != "tcp" && after > before {
				t.Errorf("%d descriptors, then %d", before, after)
			}
		})
	}
}

// noSocket is a connection on top of something.
type noSocket struct{ io.ReadWriteCloser }

func TestConnectWithoutAConnection(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "0")
	mine := errors.New("the VM is off")
	null := func() *os.File {
		file, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, row := range map[string]struct {
		connect func() (io.ReadWriteCloser, error)
		says    string
	}{
		"an error":           {func() (io.ReadWriteCloser, error) { return nil, mine }, "crigc: Connect: the VM is off"},
		"nothing":            {func() (io.ReadWriteCloser, error) { return nil, nil }, "neither a connection nor an error"},
		"a file":             {func() (io.ReadWriteCloser, error) { return null(), nil }, "socket operation on non-socket"},
		"no descriptor":      {func() (io.ReadWriteCloser, error) { return noSocket{null()}, nil }, "a crigc_test.noSocket has no descriptor"},
		"a closed one":       {func() (io.ReadWriteCloser, error) { file := null(); return file, file.Close() }, "use of closed file"},
		"a socket that left": {func() (io.ReadWriteCloser, error) { ours, theirs := pair(t); return ours, theirs.Close() }, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			config := s.config()
			config.Connect = func(crigc.Service) (io.ReadWriteCloser, error) { return row.connect() }
			engine := open(t, config)
			before := holds(t).descriptors
			_, err := engine.CollectContainers(background, 0)
			wantIs(t, err, crigc.ErrUnavailable)
			if !strings.Contains(err.Error(), row.says) {
				t.Errorf("%q does not say %q", err, row.says)
			}
			if after := holds(t).descriptors; after != before {
				t.Errorf("%d descriptors, then %d", before, after)
			}
		})
	}
	if _, err := crigc.New(crigc.Config{Settings: map[string]string{"container-runtime-endpoint": "vsock:3:4"}}); !errors.Is(err, crigc.ErrConfig) {
		t.Errorf("a name without Connect: %v", err)
	}
}

// pair makes two files of sockets that are connected.
func pair(t testing.TB) (ours, theirs *os.File) {
	t.Helper()
	both, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(both[0]), "ours"), os.NewFile(uintptr(both[1]), "theirs")
}
