package kubeletgc

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
	"github.com/crigc/crigc/go/comparison"
	"github.com/crigc/crigc/go/comparison/latest"
	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace/noop"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	remote "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/images"
	"k8s.io/kubernetes/pkg/kubelet/kuberuntime"
	"k8s.io/kubernetes/pkg/kubelet/metrics"
)

func TestMain(m *testing.M) {
	klog.SetLogger(logr.Discard())
	metrics.Register()
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is crisim. Without it the test is skipped, but not in CI.
func program(t *testing.T) string {
	t.Helper()
	path, err := comparison.Program()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("skipped: %v", err)
	}
	return path
}

// sim is a crisim whose node is made from numbers, with the files of that node.
type sim struct {
	folder  string
	process *exec.Cmd
	lines   *bufio.Scanner
	live    map[types.UID]bool
	// pause are the images that sandboxes are made from.
	pause []string
}

// numbered starts crisim with a small node.
func numbered(t *testing.T, seed int, arguments ...string) *sim {
	t.Helper()
	s := &sim{folder: t.TempDir(), live: map[types.UID]bool{}}
	s.process = exec.Command(program(t), append([]string{"--pods", "30", "--deleted-percent", "40", "--dead-containers", "300", "--images", "20",
		"--seed", fmt.Sprint(seed), "--socket", s.path("socket"), "--pod-logs-dir", s.path("pods"),
		"--container-logs-dir", s.path("containers"), "--usage-file", s.path("usage"), "--live-pods-out", s.path("live"),
		"--state-out", s.path("state"), "--trace-out", s.path("trace")}, arguments...)...)
	s.process.Stderr = os.Stderr
	out, err := s.process.StdoutPipe()
	must(t, err)
	s.lines = bufio.NewScanner(out)
	must(t, s.process.Start())
	t.Cleanup(func() {
		_ = s.process.Process.Signal(syscall.SIGTERM)
		_ = s.process.Wait()
	})
	s.lines.Scan()
	for _, uid := range strings.Fields(s.read(t, "live")) {
		s.live[types.UID(uid)] = true
	}
	node := s.state(t)
	for _, image := range node.Images {
		if slices.Contains(image.Tags, node.SandboxImage) {
			s.pause = append(s.pause, image.ID)
		}
	}
	return s
}

func (s *sim) path(name string) string { return filepath.Join(s.folder, name) }

func (s *sim) endpoint() string { return "unix://" + s.path("socket") }

func (s *sim) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	must(t, err)
	return string(text)
}

// state is the node as it is now.
func (s *sim) state(t *testing.T) (node comparison.Node) {
	t.Helper()
	must(t, s.process.Process.Signal(syscall.SIGUSR1))
	s.lines.Scan()
	must(t, json.Unmarshal([]byte(s.read(t, "state")), &node))
	return node
}

// left is everything on the node, in the runtime and on disk.
func (s *sim) left(t *testing.T) (objects []string) {
	t.Helper()
	node := s.state(t)
	for _, c := range node.Containers {
		objects = append(objects, "container "+c.ID)
	}
	for _, sandbox := range node.Sandboxes {
		objects = append(objects, "sandbox "+sandbox.ID)
	}
	for _, id := range imageIDs(node) {
		objects = append(objects, "image "+id)
	}
	for _, top := range []string{"pods", "containers"} {
		must(t, filepath.WalkDir(s.path(top), func(path string, _ fs.DirEntry, err error) error {
			objects = append(objects, "file "+strings.TrimPrefix(path, s.folder))
			return err
		}))
	}
	slices.Sort(objects)
	return objects
}

// withoutLastCrashes is what crigc left, without the last crashes that it keeps besides attempts that were never started (S1.5), with
// their logs and links. node is the node before, limit is the number of kept containers of a unit.
func (s *sim) withoutLastCrashes(node comparison.Node, limit int, kubelet, ours []string) []string {
	units := map[string][]comparison.Container{}
	for _, c := range node.Containers {
		if c.State == comparison.Created || c.State == comparison.Exited || c.State == comparison.Unknown {
			unit := c.Labels["io.kubernetes.pod.uid"] + " " + c.Name
			units[unit] = append(units[unit], c)
		}
	}
	alone := map[string]bool{}
	for _, unit := range units {
		slices.SortFunc(unit, func(a, b comparison.Container) int { return cmp.Compare(b.CreatedAt, a.CreatedAt) })
		crash := slices.IndexFunc(unit, func(c comparison.Container) bool { return c.State != comparison.Created })
		if limit > 0 && crash >= limit {
			c := unit[crash]
			alone["container "+c.ID] = true
			alone["file "+strings.TrimPrefix(c.LogPath, s.folder)] = true
			alone["link "+c.ID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ours), func(object string) bool {
		id := strings.TrimSuffix(object[strings.LastIndex(object, "-")+1:], ".log")
		return (alone[object] || alone["link "+id]) && !slices.Contains(kubelet, object)
	})
}

// leftAndSandboxImage is what the kubelet left, and the sandbox image that crigc keeps if the runtime does not pin it (S5.3).
func (s *sim) leftAndSandboxImage(t *testing.T, ours []string) []string {
	t.Helper()
	left, added := s.left(t), 0
	for _, id := range s.pause {
		if object := "image " + id; slices.Contains(ours, object) && !slices.Contains(left, object) {
			left, added = append(left, object), added+1
		}
	}
	if added != 1 {
		t.Errorf("%d sandbox images are left by crigc alone", added)
	}
	slices.Sort(left)
	return left
}

func imageIDs(node comparison.Node) []string {
	ids := []string{}
	for _, image := range node.Images {
		ids = append(ids, image.ID)
	}
	slices.Sort(ids)
	return ids
}

// pods replaces the kubelet's pod workers.
type pods func(uid types.UID) (content, runtime bool)

func (p pods) ShouldPodContentBeRemoved(uid types.UID) bool {
	content, _ := p(uid)
	return content
}

func (p pods) ShouldPodRuntimeBeRemoved(uid types.UID) bool {
	_, runtime := p(uid)
	return runtime
}

func (p pods) IsPodTerminationRequested(types.UID) bool { return false }

// known are the pods of a node: live ones, of the others some that have terminated and still exist, and some that are gone.
func (s *sim) known(uid types.UID) (content, runtime bool) {
	terminated := uid != "" && uid[0]%2 == 0
	return !s.live[uid] && !terminated, !s.live[uid]
}

// ready replaces the kubelet's pod sources.
type ready bool

func (r ready) AllReady() bool { return bool(r) }

// disk replaces the kubelet's statistics.
type disk func() (capacity, available uint64, err error)

func (d disk) ImageFsStats(ctx context.Context) (imageFS, containerFS *statsapi.FsStats, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	capacity, available, err := d()
	if err != nil {
		return nil, nil, err
	}
	// The containers' filesystem must not be used for the images.
	none := uint64(0)
	return &statsapi.FsStats{CapacityBytes: &capacity, AvailableBytes: &available},
		&statsapi.FsStats{CapacityBytes: &none, AvailableBytes: &none}, nil
}

// usage is crisim's figures of its image filesystem.
func (s *sim) usage() (capacity, available uint64, err error) {
	text, err := os.ReadFile(s.path("usage"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &capacity, &available)
	}
	return capacity, available, err
}

// clock is a clock that stands still.
type clock struct {
	mutex sync.Mutex
	time  time.Time
}

func (c *clock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.time
}

func (c *clock) add(by time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.time = c.time.Add(by)
}

func stopped() *clock { return &clock{time: time.Now()} }

var nodeRef = &v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "node"}

// node is the node of crisim with a recorder that keeps events.
func (s *sim) node() Node {
	node := nodeAt(s.endpoint())
	node.PodLogsDir, node.ContainerLogsDir = s.path("pods"), s.path("containers")
	return node
}

func nodeAt(endpoint string) Node {
	recorder := record.NewFakeRecorder(100)
	recorder.IncludeObject = true
	return Node{RuntimeEndpoint: endpoint, RequestTimeout: time.Minute, Recorder: recorder, Ref: nodeRef}
}

// eventsOf are those that were made since the last call.
func eventsOf(node Node) (made []string) {
	for {
		select {
		case event := <-node.Recorder.(*record.FakeRecorder).Events:
			made = append(made, event)
		default:
			return made
		}
	}
}

var (
	defaults      = container.GCPolicy{MaxPerPodContainer: 1, MaxContainers: -1}
	imageDefaults = images.ImageGCPolicy{HighThresholdPercent: 85, LowThresholdPercent: 80, MinAge: 2 * time.Minute}
)

// kubelet is the kubelet's own collector for a node.
func (s *sim) kubelet(t *testing.T, policy container.GCPolicy, pods pods) comparison.Collector {
	t.Helper()
	collector, err := latest.New(comparison.Setting{
		Endpoint:         s.endpoint(),
		PodLogsDir:       s.path("pods"),
		ContainerLogsDir: s.path("containers"),
		RootDir:          t.TempDir(),
		Policy: comparison.Policy{
			MinAge:          policy.MinAge,
			MaxPerContainer: policy.MaxPerPodContainer,
			MaxContainers:   policy.MaxContainers,
			HighThreshold:   imageDefaults.HighThresholdPercent,
			LowThreshold:    imageDefaults.LowThresholdPercent,
			ImageMinAge:     imageDefaults.MinAge,
		},
		Pod:          func(uid string) (content, runtime bool) { return pods(types.UID(uid)) },
		SourcesReady: func() bool { return true },
		ImageFS: func() (capacity, available uint64) {
			capacity, available, err := s.usage()
			if err != nil {
				panic(err)
			}
			return capacity, available
		},
	})
	must(t, err)
	t.Cleanup(func() { must(t, collector.Close()) })
	return collector
}

// runtime is the kubelet's own runtime manager, with the hooks that it wants called after a collection of images.
func runtime(t *testing.T, endpoint string) (container.Runtime, []images.PostImageGCHook) {
	t.Helper()
	ctx, tracer := t.Context(), noop.NewTracerProvider()
	runtimeService, err := remote.NewRemoteRuntimeServiceBuilder().WithEndpoint(endpoint).
		WithConnectionTimeout(time.Minute).WithTracerProvider(tracer).Build(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, runtimeService.Close(context.Background())) })
	imageService, err := remote.NewRemoteImageServiceBuilder().WithEndpoint(endpoint).
		WithConnectionTimeout(time.Minute).WithTracerProvider(tracer).Build(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, imageService.Close(context.Background())) })
	// The nil arguments are for starting pods and deleting logs, which this test does not do.
	manager, hooks, err := kuberuntime.NewKubeGenericRuntimeManager(
		ctx,
		&record.FakeRecorder{},
		nil, nil, nil, // livenessManager, readinessManager, startupManager
		t.TempDir(), // rootDirectory
		t.TempDir(), // podLogsDirectory
		nil,         // machineInfo
		pods(nil),
		110, // maxPods
		container.RealOS{},
		nil,      // runtimeHelper
		nil, nil, // insecureContainerLifecycleHTTPClient, imageBackOff
		false, nil, 0, 0, // serializeImagePulls, maxParallelImagePulls, imagePullQPS, imagePullBurst
		string(kubeletconfig.NeverVerify),
		nil,    // preloadedImagesCredentialVerificationWhitelist
		"", "", // imageCredentialProviderConfigPath, imageCredentialProviderBinDir
		nil,                      // singleProcessOOMKill
		false, metav1.Duration{}, // cpuCFSQuota, cpuCFSQuotaPeriod
		nil, // defaultPodSysctls
		runtimeService,
		imageService,
		cm.NewFakeContainerManager(klog.Background()),
		nil, nil, // logManager, runtimeClassManager
		false,        // seccompDefault
		"",           // memorySwapBehavior
		nil, nil, "", // getNodeAllocatable, memoryThrottlingFactor, memoryReservationPolicy
		nil, // podPullingTimeRecorder
		tracer,
		nil, nil, nil, // tokenManager, getServiceAccount, podInitContainerTimeRecorder
	)
	must(t, err)
	return manager, hooks
}

// containerGC is the wiring of a node's containers.
func containerGC(t *testing.T, node Node, policy container.GCPolicy, pods pods) *ContainerGC {
	t.Helper()
	gc, err := NewContainerGC(node, policy, pods, ready(true), nil)
	must(t, err)
	t.Cleanup(gc.Close)
	return gc
}

// wiring is the wiring of a node's images.
type wiring struct {
	*ImageGCManager
	clock *clock
	// remaining are the arguments of each call of the hook.
	remaining [][]string
	runtime   container.Runtime
}

func imageGC(t *testing.T, node Node, policy images.ImageGCPolicy, disk disk) *wiring {
	t.Helper()
	w := &wiring{clock: stopped()}
	var hooks []images.PostImageGCHook
	w.runtime, hooks = runtime(t, node.RuntimeEndpoint)
	if len(hooks) == 0 {
		t.Error("the kubelet's runtime manager has no hooks any more")
	}
	hooks = append(hooks, func(_ context.Context, remaining []string, began time.Time) {
		if now := w.clock.now(); now.Sub(began).Abs() > time.Millisecond {
			t.Errorf("a pass that began at %v began at %v for its hooks", now, began)
		}
		slices.Sort(remaining)
		w.remaining = append(w.remaining, remaining)
	})
	var err error
	w.ImageGCManager, err = newImageGCManager(node, policy, w.runtime, disk, hooks, w.clock.now)
	must(t, err)
	t.Cleanup(func() { w.Close() })
	// Its records are in a file, for later.
	w.config.Settings["image-records-file"] = filepath.Join(t.TempDir(), "records")
	w.again(t)
	return w
}

// again makes the engine anew.
func (w *wiring) again(t *testing.T) {
	t.Helper()
	w.engine.Close()
	engine, err := crigc.New(w.config)
	must(t, err)
	w.engine = engine
}

// later sets the clock ahead for the engine after this one: within the life of an engine crigc trusts no clock that leaps (S5.7).
func (w *wiring) later(t *testing.T, by time.Duration) {
	t.Helper()
	w.clock.add(by)
	w.again(t)
}
