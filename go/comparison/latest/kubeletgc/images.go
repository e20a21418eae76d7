package kubeletgc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/crigc/crigc/go"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/events"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	"k8s.io/kubernetes/pkg/kubelet/images"
	"k8s.io/kubernetes/pkg/kubelet/metrics"
	"k8s.io/kubernetes/pkg/kubelet/util/sliceutils"
)

var (
	_ images.ImageGCManager = (*ImageGCManager)(nil)
	_ eviction.ImageGC      = (*ImageGCManager)(nil)
)

// How often Start's goroutines work, as in the kubelet.
const (
	lookPeriod = 5 * time.Minute
	listPeriod = 30 * time.Second
)

// Looks in a maximum age, and how close they are at most: as crigc's own periodic passes look (S5.1).
const (
	looksInAnAge = 4
	closestLooks = 15 * time.Second
)

// looksApart returns how far apart the looks of Start are. An image counts as unused from the first look that saw it unused. With a look
// every 5 minutes and a maximum age of a minute, it might be removed only after ten minutes.
func looksApart(maxAge time.Duration) time.Duration {
	if maxAge <= 0 {
		return lookPeriod
	}
	return min(max(maxAge/looksInAnAge, closestLooks), lookPeriod)
}

// ImageLister lists the images of the node. A container.Runtime implements it.
type ImageLister interface {
	// ListImages lists them.
	ListImages(ctx context.Context) ([]container.Image, error)
}

// ImageGCManager is an images.ImageGCManager that works through crigc. Its methods may be called at any time from any
// goroutine; passes follow one another.
type ImageGCManager struct {
	engine *crigc.Engine
	// config is what the engine was made from.
	config  crigc.Config
	runtime ImageLister
	stats   images.StatsProvider
	hooks   []images.PostImageGCHook
	node    Node
	minAge  time.Duration
	looks   time.Duration // between two looks of Start
	now     func() time.Time

	// turn has one element. A pass takes it out while it runs; only that pass and its callbacks may use the fields below.
	turn chan struct{}
	// pass has the data of the running pass for the callbacks.
	pass imagePass
	// firstLook is when the first pass that found images began; zero before.
	firstLook time.Time

	listMutex sync.Mutex
	list      []container.Image
}

// imagePass is a running pass.
type imagePass struct {
	// ctx is here because crigc's callbacks do not get it.
	ctx   context.Context
	began time.Time
	// noStats says that the statistics failed.
	noStats bool
	// isLook says that it only records: nobody wants to read what it would remove.
	isLook bool
}

// passLog is the log of an ImageGCManager's passes. Of a look it has warnings and errors alone.
type passLog struct {
	slog.Handler
	m *ImageGCManager
}

// Enabled is called by New and by callbacks of passes.
func (l passLog) Enabled(ctx context.Context, level slog.Level) bool {
	return (level >= slog.LevelWarn || !l.m.pass.isLook) && l.Handler.Enabled(ctx, level)
}

// NewImageGCManager makes an ImageGCManager. It refuses equal thresholds, which the kubelet's own manager accepts and the kubelet
// refuses in its configuration.
func NewImageGCManager(node Node, policy images.ImageGCPolicy, runtime ImageLister, stats images.StatsProvider,
	hooks []images.PostImageGCHook) (*ImageGCManager, error) {
	return newImageGCManager(node, policy, runtime, stats, hooks, time.Now)
}

func newImageGCManager(node Node, policy images.ImageGCPolicy, runtime ImageLister, stats images.StatsProvider,
	hooks []images.PostImageGCHook, now func() time.Time) (*ImageGCManager, error) {
	m := &ImageGCManager{
		runtime: runtime,
		stats:   stats,
		hooks:   hooks,
		node:    node,
		minAge:  policy.MinAge,
		looks:   looksApart(policy.MaxAge),
		now:     now,
		turn:    make(chan struct{}, 1),
	}
	m.turn <- struct{}{}
	config := node.config(map[string]string{
		"image-gc-high-threshold":    strconv.Itoa(policy.HighThresholdPercent),
		"image-gc-low-threshold":     strconv.Itoa(policy.LowThresholdPercent),
		"minimum-image-ttl-duration": policy.MinAge.String(),
		"image-maximum-gc-age":       policy.MaxAge.String(),
		// This kubelet does not know the sandbox image. crigc protects the one that the runtime uses.
		"pod-infra-container-image": "",
	})
	config.ImageFS = m.imageFS
	config.Approve = m.approve
	config.Event = m.event
	config.Clock = now
	config.Logger = slog.New(passLog{config.Logger.Handler(), m})
	m.config = config
	engine, err := crigc.New(config)
	if err != nil {
		return nil, fmt.Errorf("the image collector cannot be set up: %w", err)
	}
	m.engine = engine
	return m, nil
}

// GarbageCollect removes images that were unused for longer than the maximum age, and unused images if the image filesystem is
// fuller than the high threshold. errors.As finds crigc's errors; crigc.ErrNotEnoughFreed is the kubelet's "insufficient free
// disk space". The begin of the kubelet is not used: crigc counts only the time in which it observed the images.
func (m *ImageGCManager) GarbageCollect(ctx context.Context, _ time.Time) error {
	return m.free(ctx, 0)
}

// DeleteUnusedImages removes all images that are unused and not protected.
func (m *ImageGCManager) DeleteUnusedImages(ctx context.Context) error {
	return m.free(ctx, crigc.AllUnused)
}

// Start lists the images again and again until the context ends, so that crigc knows when they appeared and were used last, and keeps
// the list for GetImageList.
func (m *ImageGCManager) Start(ctx context.Context) {
	logger := klog.FromContext(ctx)
	go wait.UntilWithContext(ctx, func(ctx context.Context) {
		// With AllUnused crigc does not ask how full the disk is.
		if _, err := m.collect(ctx, crigc.DryRun|crigc.AllUnused, true); err != nil {
			logger.Info("Failed to look at the images", "err", err)
		}
	}, m.looks)
	go wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := m.refresh(ctx); err != nil {
			logger.Info("Failed to list the images", "err", err)
		}
	}, listPeriod)
}

// GetImageList returns the images for the node's status, the largest first, as the runtime listed them last. The list is shared
// and must not be changed.
func (m *ImageGCManager) GetImageList() ([]container.Image, error) {
	m.listMutex.Lock()
	defer m.listMutex.Unlock()
	return m.list, nil
}

func (m *ImageGCManager) refresh(ctx context.Context) error {
	list, err := m.runtime.ListImages(ctx)
	if err != nil {
		return err
	}
	sort.Sort(sliceutils.ByImageSize(list))
	m.listMutex.Lock()
	defer m.listMutex.Unlock()
	m.list = list
	return nil
}

// free collects, and then counts and calls the hooks.
func (m *ImageGCManager) free(ctx context.Context, flags crigc.Flags) error {
	report, err := m.collect(ctx, flags, false)
	if report == nil || report.DryRun {
		// With dry-run in Node.Settings nothing has been removed, so neither the metric nor the hooks may change.
		return err
	}
	count(report)
	if err == nil || errors.Is(err, crigc.ErrNotEnoughFreed) {
		m.runHooks(ctx, report)
	}
	return err
}

// collect runs one pass.
func (m *ImageGCManager) collect(ctx context.Context, flags crigc.Flags, isLook bool) (*crigc.Report, error) {
	select {
	case <-m.turn:
		defer func() { m.turn <- struct{}{} }()
	case <-ctx.Done():
		return m.engine.CollectImages(ctx, flags) // only returns the context's error
	}
	m.pass = imagePass{ctx: ctx, began: m.now(), isLook: isLook}
	report, err := m.engine.CollectImages(ctx, flags)
	err = forOperators(err)
	if m.firstLook.IsZero() && report != nil && len(report.Entries) > 0 {
		m.firstLook = m.pass.began
	}
	return report, err
}

// approve protects the images of the first list. The kubelet treats them as new, crigc as old. It refuses all removals until minAge has
// passed since the first list: until then no image that appeared later is old enough, and crigc itself protects those. A refused image
// counts as in the kubelet: it frees nothing, and the next image is tried.
func (m *ImageGCManager) approve(*crigc.Entry) bool {
	first := m.firstLook
	if first.IsZero() {
		first = m.pass.began // this is the first list
	}
	return m.pass.began.Sub(first) >= m.minAge
}

// imageFS asks the kubelet's statistics. They have the filesystems of images and of containers; crigc gets the one of images.
func (m *ImageGCManager) imageFS() (usage crigc.FSUsage, err error) {
	stats, _, err := m.stats.ImageFsStats(m.pass.ctx)
	if err != nil {
		m.pass.noStats = true
		return usage, err
	}
	if stats.CapacityBytes != nil {
		usage.Capacity = *stats.CapacityBytes
	}
	if stats.AvailableBytes != nil {
		usage.Available = *stats.AvailableBytes
	}
	return usage, nil
}

// event sends an event to the recorder, except if there are no statistics: they may not exist yet, and the kubelet sends no event
// then.
func (m *ImageGCManager) event(reason, message string) {
	if reason == events.InvalidDiskCapacity && m.pass.noStats {
		return
	}
	m.node.event(reason, message)
}

// runHooks calls the hooks with the images that are left, if the pass had to free something.
func (m *ImageGCManager) runHooks(ctx context.Context, report *crigc.Report) {
	remaining := make([]string, 0, len(report.Entries))
	for i := range report.Entries {
		entry := &report.Entries[i]
		if entry.Reason == crigc.ReasonBelowThreshold {
			return
		}
		if entry.Outcome != crigc.Removed {
			remaining = append(remaining, entry.ID)
		}
	}
	for _, hook := range m.hooks {
		hook(ctx, slices.Clone(remaining), report.Started)
	}
}

// count counts the removed images. The kubelet counts all that it did not remove by age as "space".
func count(report *crigc.Report) {
	removed := map[string]int{}
	for i := range report.Entries {
		switch entry := &report.Entries[i]; {
		case entry.Outcome != crigc.Removed:
		case entry.Reason == crigc.ReasonAge:
			removed[images.ImageGarbageCollectedTotalReasonAge]++
		default:
			removed[images.ImageGarbageCollectedTotalReasonSpace]++
		}
	}
	for reason, number := range removed {
		metrics.ImageGarbageCollectedTotal.WithLabelValues(reason).Add(float64(number))
	}
}

// Close ends a running pass and frees the engine; later passes fail with crigc.ErrClosed. A kubelet, which runs until its
// process ends, need not call it.
func (m *ImageGCManager) Close() {
	m.engine.Close()
}
