package latest

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
	"github.com/crigc/crigc/go/comparison"
	cadvisorapi "github.com/google/cadvisor/lib/model"
	"k8s.io/kubernetes/pkg/kubelet/cadvisor"
	"k8s.io/kubernetes/pkg/kubelet/stats"
)

// Nodes on which users of the kubelet were in trouble: what its code does there, and what crigc does.
func TestWhatTheKubeletCannotDo(t *testing.T) { comparison.TestTroubles(t, harness) }

// usage is how full the filesystem of a path is, in bytes.
func usage(path string) (capacity, available uint64, err error) {
	var now syscall.Statfs_t
	if err := syscall.Statfs(path, &now); err != nil {
		return 0, 0, err
	}
	return now.Blocks * uint64(now.Frsize), now.Bavail * uint64(now.Frsize), nil
}

// percent is the usage of a filesystem as the kubelet counts it.
func percent(t *testing.T, path string) int {
	t.Helper()
	capacity, available, err := usage(path)
	if err != nil || capacity == 0 {
		t.Skipf("skipped: %s is no second filesystem here: %v", path, err)
	}
	return 100 - int(available*100/capacity)
}

// disks replaces cAdvisor, of which the kubelet's statistics of CRI ask how full a mount point is.
type disks struct {
	cadvisor.Interface
}

func (disks) GetDirFsInfo(path string) (info cadvisorapi.FsInfo, err error) {
	info.Capacity, info.Available, err = usage(path)
	return info, err
}

// imageCollectors are the kubelet's collector, which finds out by itself how full the image filesystem is, and crigc's, with its warnings.
func imageCollectors(t *testing.T, sim *comparison.Sim, threshold int) (kubelet *collector, ours *crigc.Engine, told *strings.Builder) {
	t.Helper()
	setting := comparison.Setting{
		Endpoint: sim.Endpoint(), PodLogsDir: t.TempDir(), ContainerLogsDir: t.TempDir(), RootDir: t.TempDir(),
		Policy: comparison.Policy{MaxPerContainer: 1, MaxContainers: -1, HighThreshold: threshold, LowThreshold: threshold - 1},
		Pod:    func(string) (bool, bool) { return false, false }, SourcesReady: func() bool { return true },
	}
	kubelet = &collector{began: time.Now()}
	t.Cleanup(func() { kubelet.Close() })
	if err := kubelet.open(setting); err != nil {
		t.Fatal(err)
	}
	runtimes, pictures, err := kubelet.connect(setting)
	if err != nil {
		t.Fatal(err)
	}
	provider := stats.NewCRIStatsProvider(disks{}, nil, nil, runtimes, pictures, nil, false, false, nil)
	if kubelet.images, err = newImageGC(kubelet.listed, setting, provider); err != nil {
		t.Fatal(err)
	}
	if kubelet.records, err = comparison.RecordsOf(kubelet.images); err != nil {
		t.Fatal(err)
	}
	told = &strings.Builder{}
	ours, err = crigc.New(crigc.Config{
		Settings: map[string]string{
			"container-runtime-endpoint": sim.Endpoint(), "minimum-image-ttl-duration": "0s",
			"image-gc-high-threshold": strconv.Itoa(threshold), "image-gc-low-threshold": strconv.Itoa(threshold - 1),
		},
		Logger: slog.New(slog.NewTextHandler(told, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ours.Close)
	return kubelet, ours, told
}

// KEP-4191: of several image filesystems both collectors act on the first alone. crigc warns of a fuller one.
func TestASecondImageFilesystem(t *testing.T) {
	quiet()
	comparison.NeedProgram(t)
	empty, full := "/", "/dev/shm"
	if percent(t, empty) > percent(t, full) {
		empty, full = full, empty
	}
	threshold := percent(t, full)
	if percent(t, empty) >= threshold || threshold < 1 {
		t.Skip("skipped: both filesystems are as full as each other")
	}
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sim, err := comparison.Start(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	for _, c := range []struct {
		first, second string
		acts, warns   bool
	}{{empty, full, false, true}, {full, empty, true, false}} {
		images := []comparison.Image{{ID: "sha256:unused", Tags: []string{"registry.example/unused:v1"}, Size: 1 << 20}}
		node := comparison.Node{Images: images, Filesystem: comparison.Filesystem{Mountpoint: c.first, Further: []string{c.second}}}
		kubelet, ours, told := imageCollectors(t, sim, threshold)
		passes := map[string]func() error{
			"the kubelet": func() error {
				// An image that was just found is never removed by the kubelet.
				ctx := context.Background()
				if err := errors.Join(kubelet.Look(ctx), kubelet.Age(time.Hour)); err != nil {
					return err
				}
				// It frees less than it wants: the disk is not that of the simulated images.
				_ = kubelet.Images(ctx, false)
				return nil
			},
			"crigc": func() error {
				report, err := ours.CollectImages(context.Background(), 0)
				if report == nil {
					return err
				}
				return nil
			},
		}
		for name, pass := range passes {
			if err := sim.Load(node, nil); err != nil {
				t.Fatal(err)
			}
			if err := pass(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			left, _, err := sim.State()
			if err != nil {
				t.Fatal(err)
			}
			if acts := len(left.Images) == 0; acts != c.acts {
				t.Errorf("%s, with %s as the first filesystem: %d images are left", name, c.first, len(left.Images))
			}
		}
		if warns := strings.Contains(told.String(), c.second); warns != c.warns {
			t.Errorf("crigc says of %s: %q", c.second, told)
		}
	}
}
