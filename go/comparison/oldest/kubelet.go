package oldest

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crigc/crigc/go/comparison"
	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/cri/remote"
	"k8s.io/kubernetes/pkg/kubelet/images"
	"k8s.io/kubernetes/pkg/kubelet/kuberuntime"
	"k8s.io/kubernetes/pkg/kubelet/logs"
)

// requestTimeout is the kubelet's default of runtime-request-timeout.
const requestTimeout = 2 * time.Minute

// sandboxImage is the kubelet's default of pod-infra-container-image.
const sandboxImage = "k8s.gcr.io/pause:3.6"

// quiet silences the kubelet's log, unless CRIGC_KUBELET_LOG says how much of it to show (klog's -v).
var quiet = sync.OnceFunc(func() {
	level := os.Getenv("CRIGC_KUBELET_LOG")
	if level == "" {
		klog.SetLogger(logr.Discard())
		return
	}
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	_ = flags.Set("v", level)
})

// timeoutOf is how long a call of the runtime may take.
func timeoutOf(setting comparison.Setting) time.Duration {
	if timeout := setting.Policy.RequestTimeout; timeout > 0 {
		return timeout
	}
	return requestTimeout
}

// connect opens the kubelet's own clients of the runtime.
func (c *collector) connect(setting comparison.Setting) (internalapi.RuntimeService, internalapi.ImageManagerService, error) {
	endpoint, timeout := setting.Endpoint, timeoutOf(setting)
	runtimeService, err := remote.NewRemoteRuntimeService(endpoint, timeout)
	if err != nil {
		return nil, nil, err
	}
	if err := c.closes(runtimeService, "runtimeClient"); err != nil {
		return nil, nil, err
	}
	imageService, err := remote.NewRemoteImageService(endpoint, timeout)
	if err != nil {
		return nil, nil, err
	}
	return staged{runtimeService, setting}, imageService, c.closes(imageService, "imageClient")
}

// staged reports when sandboxes are listed, which in a pass over containers only their own stage does.
type staged struct {
	internalapi.RuntimeService
	setting comparison.Setting
}

func (s staged) ListPodSandbox(filter *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	s.setting.Reaches(comparison.OfSandboxes)
	return s.RuntimeService.ListPodSandbox(filter)
}

// closes notes the connection of a client, which cannot close it itself.
func (c *collector) closes(service any, stub string) error {
	connection, err := connectionOf(service, stub)
	if err != nil {
		return err
	}
	c.closers = append(c.closers, connection.Close)
	return nil
}

// newRuntime makes the kubelet's runtime manager. The nil arguments are for starting pods.
func (c *collector) newRuntime(setting comparison.Setting, files *files) (kubecontainer.Runtime, error) {
	runtimeService, imageService, err := c.connect(setting)
	if err != nil {
		return nil, err
	}
	// It deletes the logs of a removed container. It is never started: nothing is rotated.
	logManager, err := logs.NewContainerLogManager(runtimeService, files, "10Mi", 5)
	if err != nil {
		return nil, err
	}
	return kuberuntime.NewKubeGenericRuntimeManager(
		&record.FakeRecorder{}, // without a channel it drops events
		nil,                    // livenessManager
		nil,                    // readinessManager
		nil,                    // startupManager
		setting.RootDir,
		nil, // machineInfo
		podStates(setting.Pod),
		files,
		nil,               // runtimeHelper
		nil,               // httpClient
		nil,               // imageBackOff
		false,             // serializeImagePulls: it starts a goroutine that cannot be ended
		0,                 // imagePullQPS
		0,                 // imagePullBurst
		"",                // imageCredentialProviderConfigFile
		"",                // imageCredentialProviderBinDir
		false,             // cpuCFSQuota
		metav1.Duration{}, // cpuCFSQuotaPeriod
		runtimeService,
		imageService,
		cm.NewFakeInternalContainerLifecycle(),
		nil, // legacyLogProvider
		logManager,
		nil,   // runtimeClassManager
		false, // seccompDefault
		"",    // memorySwapBehavior
		nil,   // getNodeAllocatable
		0,     // memoryThrottlingFactor
	)
}

// newContainerGC makes the kubelet's container collector.
func newContainerGC(runtime kubecontainer.Runtime, setting comparison.Setting) (kubecontainer.GC, error) {
	policy := kubecontainer.GCPolicy{
		MinAge:             setting.Policy.MinAge,
		MaxPerPodContainer: setting.Policy.MaxPerContainer,
		MaxContainers:      setting.Policy.MaxContainers,
	}
	return kubecontainer.NewContainerGC(runtime, policy, sources(setting.SourcesReady))
}

// newImageGC makes the kubelet's image collector. It is never started: its goroutines would never end.
func newImageGC(runtime kubecontainer.Runtime, setting comparison.Setting) (images.ImageGCManager, error) {
	policy := images.ImageGCPolicy{
		HighThresholdPercent: setting.Policy.HighThreshold,
		LowThresholdPercent:  setting.Policy.LowThreshold,
		MinAge:               setting.Policy.ImageMinAge,
	}
	return images.NewImageGCManager(runtime, imageFS(setting.ImageFS), &recorder{setting: setting},
		&v1.ObjectReference{Kind: "Node", Name: "node"}, policy, sandboxImage)
}

// listedImages is a runtime whose images can all be pinned for a while: the collector then sees them and removes none.
type listedImages struct {
	kubecontainer.Runtime
	pinned atomic.Bool
}

func (l *listedImages) ListImages() ([]kubecontainer.Image, error) {
	list, err := l.Runtime.ListImages()
	for i := range list {
		list[i].Pinned = list[i].Pinned || l.pinned.Load()
	}
	return list, err
}

// recorder gets the image collector's events.
type recorder struct {
	record.FakeRecorder
	setting comparison.Setting
}

func (r *recorder) Eventf(_ runtime.Object, _, reason, format string, args ...any) {
	r.setting.Tells(reason, fmt.Sprintf(format, args...))
}

// podStates replaces the kubelet's pod workers.
type podStates func(uid string) (content, runtime bool)

func (p podStates) ShouldPodContentBeRemoved(uid types.UID) bool {
	content, _ := p(string(uid))
	return content
}

func (p podStates) ShouldPodRuntimeBeRemoved(uid types.UID) bool {
	_, runtime := p(string(uid))
	return runtime
}

func (p podStates) IsPodTerminationRequested(types.UID) bool {
	return false
}

// sources replaces the kubelet's pod sources.
type sources func() bool

func (s sources) AllReady() bool {
	return s()
}

// imageFS replaces the kubelet's statistics.
type imageFS func() (capacity, available uint64)

func (i imageFS) ImageFsStats() (*statsapi.FsStats, error) {
	capacity, available := i()
	return &statsapi.FsStats{CapacityBytes: &capacity, AvailableBytes: &available}, nil
}
