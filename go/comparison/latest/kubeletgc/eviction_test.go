package kubeletgc

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"
	"k8s.io/kubernetes/pkg/kubelet/server/stats"
	clocks "k8s.io/utils/clock"
)

// summary replaces the statistics that the eviction manager reads: a disk that is always full.
type summary struct {
	stats.SummaryProvider
	asked atomic.Int32
}

func (s *summary) Get(context.Context, bool) (*statsapi.Summary, error) {
	s.asked.Add(1)
	capacity, available := uint64(1000), uint64(10)
	disk := &statsapi.FsStats{Time: metav1.Now(), CapacityBytes: &capacity, AvailableBytes: &available}
	return &statsapi.Summary{Node: statsapi.NodeStats{Fs: disk, Runtime: &statsapi.RuntimeStats{ImageFs: disk, ContainerFs: disk}}}, nil
}

// oneDisk says that images and everything else share a filesystem.
type oneDisk struct{}

func (oneDisk) HasDedicatedImageFs(context.Context) (bool, error)     { return false, nil }
func (oneDisk) HasDedicatedContainerFs(context.Context) (bool, error) { return false, nil }

// The kubelet's own eviction manager, under disk pressure, collects containers and images through the wiring, and leaves the same
// node as with the kubelet's collectors.
func TestEviction(t *testing.T) {
	theirs, ours := numbered(t, 3), numbered(t, 3)
	before := ours.left(t)
	kubelet := theirs.kubelet(t, defaults, theirs.known)
	must(t, kubelet.Look(t.Context()))
	kubelet.Age(time.Hour)
	must(t, kubelet.Containers(t.Context(), true))
	must(t, kubelet.Images(t.Context(), true))

	containers := containerGC(t, ours.node(), defaults, ours.known)
	images := imageGC(t, ours.node(), imageDefaults, ours.usage)
	must(t, images.DeleteUnusedImages(t.Context()))
	images.clock.add(time.Hour)
	pressed := &summary{}
	config := eviction.Config{PressureTransitionPeriod: time.Minute, Thresholds: []evictionapi.Threshold{{
		Signal:   evictionapi.SignalNodeFsAvailable,
		Operator: evictionapi.OpLessThan,
		Value:    evictionapi.ThresholdValue{Quantity: resource.NewQuantity(100, resource.BinarySI)},
	}}}
	kill := func(pod *v1.Pod, _ bool, _ *int64, _ func(*v1.PodStatus)) error {
		t.Errorf("pod %s was to be evicted", pod.Name)
		return nil
	}
	manager, _ := eviction.NewManager(pressed, config, kill, images, containers, ours.node().Recorder, nodeRef, clocks.RealClock{}, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	manager.Start(ctx, oneDisk{}, func() []*v1.Pod { return nil }, func(*v1.Pod) bool { return true }, 20*time.Millisecond)
	until(t, "summary after both collections", func() bool { return pressed.asked.Load() >= 3 })
	left := ours.left(t)
	sameNodes(t, "eviction", before, theirs.leftAndSandboxImage(t, left), left)
	if !manager.IsUnderDiskPressure() {
		t.Error("the manager saw no disk pressure")
	}
}
