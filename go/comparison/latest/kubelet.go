package latest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crigc/crigc/go/comparison"
	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace/noop"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/images"
	"k8s.io/kubernetes/pkg/kubelet/kuberuntime"
	"k8s.io/kubernetes/pkg/kubelet/logs"
)

// requestTimeout is the kubelet's default of runtime-request-timeout.
const requestTimeout = 2 * time.Minute

// maxPods is the kubelet's default; the size of a cache, here.
const maxPods = 110

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
	ctx, tracer := context.Background(), noop.NewTracerProvider()
	endpoint, timeout := setting.Endpoint, timeoutOf(setting)
	runtimeService, err := remote.NewRemoteRuntimeServiceBuilder().WithEndpoint(endpoint).
		WithConnectionTimeout(timeout).WithTracerProvider(tracer).Build(ctx)
	if err != nil {
		return nil, nil, err
	}
	c.closers = append(c.closers, func() error { return runtimeService.Close(ctx) })
	imageService, err := remote.NewRemoteImageServiceBuilder().WithEndpoint(endpoint).
		WithConnectionTimeout(timeout).WithTracerProvider(tracer).Build(ctx)
	if err != nil {
		return nil, nil, err
	}
	c.closers = append(c.closers, func() error { return imageService.Close(ctx) })
	return staged{runtimeService, setting}, imageService, nil
}

// staged reports when sandboxes are listed, which in a pass over containers only their own stage does.
type staged struct {
	internalapi.RuntimeService
	setting comparison.Setting
}

func (s staged) ListPodSandbox(ctx context.Context, filter *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	s.setting.Reaches(comparison.OfSandboxes)
	return s.RuntimeService.ListPodSandbox(ctx, filter)
}

// newLogManager makes the kubelet's own, which deletes the logs of a removed container. It is never started: nothing is rotated.
func (c *collector) newLogManager(service internalapi.RuntimeService, files *files) (logs.ContainerLogManager, error) {
	manager, err := logs.NewContainerLogManager(service, files, "10Mi", 5, 1, metav1.Duration{Duration: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	shutDown, err := queueOf(manager)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, shutDown)
	return manager, nil
}

// newRuntime makes the kubelet's runtime manager. The nil arguments are for starting pods.
func (c *collector) newRuntime(setting comparison.Setting, files *files) (kubecontainer.Runtime, error) {
	runtimeService, imageService, err := c.connect(setting)
	if err != nil {
		return nil, err
	}
	logManager, err := c.newLogManager(runtimeService, files)
	if err != nil {
		return nil, err
	}
	runtime, _, err := kuberuntime.NewKubeGenericRuntimeManager(
		context.Background(),
		&record.FakeRecorder{}, // without a channel it drops events
		nil,                    // livenessManager
		nil,                    // readinessManager
		nil,                    // startupManager
		setting.RootDir,
		setting.PodLogsDir,
		nil, // machineInfo
		podStates(setting.Pod),
		maxPods,
		files,
		nil,   // runtimeHelper
		nil,   // insecureContainerLifecycleHTTPClient
		nil,   // imageBackOff
		false, // serializeImagePulls: it starts a goroutine that cannot be ended
		nil,   // maxParallelImagePulls
		0,     // imagePullQPS
		0,     // imagePullBurst
		string(kubeletconfig.NeverVerify),
		nil,               // preloadedImagesCredentialVerificationWhitelist
		"",                // imageCredentialProviderConfigPath
		"",                // imageCredentialProviderBinDir
		nil,               // singleProcessOOMKill
		false,             // cpuCFSQuota
		metav1.Duration{}, // cpuCFSQuotaPeriod
		nil,               // defaultPodSysctls
		runtimeService,
		imageService,
		cm.NewFakeContainerManager(klog.Background()),
		logManager,
		nil,   // runtimeClassManager
		false, // seccompDefault
		"",    // memorySwapBehavior
		nil,   // getNodeAllocatable
		nil,   // memoryThrottlingFactor
		"",    // memoryReservationPolicy
		nil,   // podPullingTimeRecorder
		noop.NewTracerProvider(),
		nil, // tokenManager
		nil, // getServiceAccount
		nil, // podInitContainerTimeRecorder
	)
	return runtime, err
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
func newImageGC(runtime kubecontainer.Runtime, setting comparison.Setting, stats images.StatsProvider) (images.ImageGCManager, error) {
	policy := images.ImageGCPolicy{
		HighThresholdPercent: setting.Policy.HighThreshold,
		LowThresholdPercent:  setting.Policy.LowThreshold,
		MinAge:               setting.Policy.ImageMinAge,
		MaxAge:               setting.Policy.ImageMaxAge,
	}
	return images.NewImageGCManager(runtime, stats, nil, &recorder{setting: setting},
		&v1.ObjectReference{Kind: "Node", Name: "node"}, policy, noop.NewTracerProvider())
}

// listedImages is a runtime whose images can all be pinned for a while: the collector then sees them and removes none.
type listedImages struct {
	kubecontainer.Runtime
	pinned atomic.Bool
}

func (l *listedImages) ListImages(ctx context.Context) ([]kubecontainer.Image, error) {
	list, err := l.Runtime.ListImages(ctx)
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
type imageFS comparison.Setting

func (i imageFS) ImageFsStats(context.Context) (*statsapi.FsStats, *statsapi.FsStats, error) {
	capacity, available := i.ImageFS()
	stats := &statsapi.FsStats{CapacityBytes: &capacity, AvailableBytes: &available}
	if i.Inodes != nil {
		if inodes, free := i.Inodes(); inodes > 0 {
			stats.Inodes, stats.InodesFree = &inodes, &free
		}
	}
	return stats, stats, nil
}
