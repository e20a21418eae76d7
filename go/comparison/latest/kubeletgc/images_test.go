package kubeletgc

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
	"github.com/crigc/crigc/go/comparison"
	"github.com/crigc/crigc/go/comparison/latest"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics/testutil"
	"k8s.io/kubernetes/pkg/kubelet/events"
	"k8s.io/kubernetes/pkg/kubelet/images"
	"k8s.io/kubernetes/pkg/kubelet/metrics"
	"k8s.io/kubernetes/pkg/kubelet/util/sliceutils"
)

// image is an image of a node that is made by hand.
func image(name string, size uint64) comparison.Image {
	digit := fmt.Sprintf("%x", name[0])
	return comparison.Image{ID: "sha256:" + strings.Repeat(digit, 32), Tags: []string{"registry.example/" + name + ":1"}, Size: size}
}

// byHand is a node with these images, of which the container uses the first.
func byHand(images ...comparison.Image) comparison.Node {
	return comparison.Node{
		Images: images,
		Containers: []comparison.Container{{ID: "running", SandboxID: "sandbox", Name: "main", State: comparison.Running,
			CreatedAt: 1, Image: images[0].Tags[0], ImageID: images[0].ID, ImageRef: images[0].ID,
			Labels: map[string]string{"io.kubernetes.pod.uid": "uid", "io.kubernetes.pod.name": "pod",
				"io.kubernetes.pod.namespace": "default", "io.kubernetes.container.name": "main"}}},
		Sandboxes: []comparison.Sandbox{{ID: "sandbox", UID: "uid", Name: "pod", Namespace: "default", State: comparison.Ready, CreatedAt: 1}},
	}
}

// started is a crisim for nodes that are made by hand.
func started(t *testing.T) *comparison.Sim {
	t.Helper()
	program(t)
	sim, err := comparison.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, sim.Close()) })
	return sim
}

// imagesLeft are the images that a crisim has.
func imagesLeft(t *testing.T, sim *comparison.Sim) []string {
	t.Helper()
	node, _, err := sim.State()
	must(t, err)
	return imageIDs(node)
}

func ids(images ...comparison.Image) []string { return imageIDs(comparison.Node{Images: images}) }

// counted is the kubelet's metric of images that were removed for space.
func counted(t *testing.T) float64 {
	t.Helper()
	return countedFor(t, "space")
}

func countedFor(t *testing.T, reason string) float64 {
	t.Helper()
	value, err := testutil.GetCounterMetricValue(metrics.ImageGarbageCollectedTotal.WithLabelValues(reason))
	must(t, err)
	return value
}

// figures is a disk of 1000 bytes.
func figures(available uint64) disk {
	return func() (uint64, uint64, error) { return 1000, available, nil }
}

// Numbered nodes, with the images of the first list: for two minutes none may be removed, and the full disk is an error; then all
// unused ones are removed.
func TestImages(t *testing.T) {
	for seed := 1; seed <= seeds; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			theirs, ours := numbered(t, seed), numbered(t, seed)
			before := ours.left(t)
			kubelet := theirs.kubelet(t, defaults, theirs.known)
			w := imageGC(t, ours.node(), imageDefaults, ours.usage)
			age := func(by time.Duration) {
				kubelet.Age(by)
				w.clock.add(by)
			}
			for _, by := range []time.Duration{0, 30 * time.Second, 30 * time.Second} {
				age(by)
				if err := kubelet.Images(t.Context(), false); err == nil {
					t.Error("the kubelet frees enough with images that are new")
				}
				if err := w.GarbageCollect(t.Context(), time.Time{}); !errors.Is(err, crigc.ErrNotEnoughFreed) {
					t.Errorf("GarbageCollect with images that are new: %v", err)
				}
				must(t, kubelet.Images(t.Context(), true))
				must(t, w.DeleteUnusedImages(t.Context()))
			}
			if !slices.Equal(theirs.left(t), before) || !slices.Equal(ours.left(t), before) {
				t.Error("something was removed that was new")
			}
			age(time.Minute + time.Second) // until then there is a minute for a machine that stalls
			must(t, kubelet.Images(t.Context(), true))
			counter := counted(t)
			must(t, w.DeleteUnusedImages(t.Context()))
			left := ours.left(t)
			sameNodes(t, "DeleteUnusedImages", before, theirs.leftAndSandboxImage(t, left), left)
			if got, want := counted(t)-counter, float64(len(before)-len(left)); got != want {
				t.Errorf("the metric counts %v of %v images", got, want)
			}
		})
	}
}

// Images that appeared one after the other have one order, so both have to remove the same ones and stop at the same one.
func TestImagesForSpace(t *testing.T) {
	const wanted = 140 // 60 of 1000 bytes are free, 200 should be
	node := []comparison.Image{image("used", 500), image("a", 60), image("b", 70), image("c", 100), image("d", 100)}
	theirs, ours := started(t), started(t)
	kubelet, err := latest.New(comparison.Setting{
		Endpoint: theirs.Endpoint(), PodLogsDir: t.TempDir(), ContainerLogsDir: t.TempDir(), RootDir: t.TempDir(),
		Policy:       comparison.Policy{HighThreshold: 85, LowThreshold: 80, ImageMinAge: 2 * time.Minute, MaxContainers: -1},
		Pod:          func(string) (content, runtime bool) { return false, false },
		SourcesReady: func() bool { return true },
		ImageFS:      func() (capacity, available uint64) { return 1000, 200 - wanted },
	})
	must(t, err)
	defer func() { must(t, kubelet.Close()) }()
	host := nodeAt(ours.Endpoint())
	available := uint64(1000)
	w := imageGC(t, host, imageDefaults, func() (uint64, uint64, error) { return 1000, available, nil })
	for count := 1; count <= len(node); count++ {
		must(t, theirs.Load(byHand(node[:count]...), nil))
		must(t, ours.Load(byHand(node[:count]...), nil))
		must(t, kubelet.Look(t.Context()))
		must(t, w.GarbageCollect(t.Context(), time.Time{}))
		kubelet.Age(30 * time.Second)
		w.later(t, 30*time.Second)
	}
	available = 200 - wanted
	w.remaining = nil // a pass over only an image in use calls the hooks, too
	// a is 2 minutes old, b is not.
	counter := counted(t)
	said := kubelet.Images(t.Context(), false)
	if said == nil {
		t.Fatal("the kubelet frees enough with one image")
	}
	// A kubelet makes an event of the error.
	if err := w.GarbageCollect(t.Context(), time.Time{}); !errors.Is(err, crigc.ErrNotEnoughFreed) || err.Error() != said.Error() ||
		!strings.Contains(err.Error(), "(freed 60 bytes)") {
		t.Errorf("GarbageCollect frees a alone: %v, the kubelet: %v", err, said)
	}
	want := ids(node[0], node[2], node[3], node[4])
	if left := imagesLeft(t, ours); !slices.Equal(left, want) || !slices.Equal(left, imagesLeft(t, theirs)) {
		t.Errorf("left %q, kubelet %q", left, imagesLeft(t, theirs))
	}
	made := eventsOf(host)
	if len(made) != 1 || !strings.HasPrefix(made[0], "Warning "+events.FreeDiskSpaceFailed+" ") ||
		!strings.Contains(made[0], "kind=Node") {
		t.Errorf("events %q", made)
	}
	kubelet.Age(time.Hour)
	w.later(t, time.Hour)
	// b and c are enough.
	must(t, kubelet.Images(t.Context(), false))
	must(t, w.GarbageCollect(t.Context(), time.Time{}))
	last := ids(node[0], node[4])
	if left := imagesLeft(t, ours); !slices.Equal(left, last) || !slices.Equal(left, imagesLeft(t, theirs)) {
		t.Errorf("left %q, kubelet %q", left, imagesLeft(t, theirs))
	}
	if got := counted(t) - counter; got != 6 {
		t.Errorf("the metric counts %v images of the kubelet's 3 and the wiring's 3", got)
	}
	if len(w.remaining) != 2 || !slices.Equal(w.remaining[0], want) || !slices.Equal(w.remaining[1], last) {
		t.Errorf("the hook was told %q", w.remaining)
	}
}

func TestFirstLook(t *testing.T) {
	used, old, young := image("used", 1), image("old", 100), image("young", 100)
	for _, test := range []struct {
		name   string
		minAge time.Duration
		// protected is the minimum age of an old image.
		protected time.Duration
	}{{"as usual", 2 * time.Minute, 2 * time.Minute}, {"without an age", 0, 0}} {
		t.Run(test.name, func(t *testing.T) {
			sim := started(t)
			must(t, sim.Load(byHand(used, old), nil))
			policy := imageDefaults
			policy.MinAge = test.minAge
			w := imageGC(t, nodeAt(sim.Endpoint()), policy, figures(0))
			began := w.clock.now()
			expect := func(at time.Duration, want ...comparison.Image) {
				t.Helper()
				w.later(t, at-w.clock.now().Sub(began))
				must(t, w.DeleteUnusedImages(t.Context()))
				if got := imagesLeft(t, sim); !slices.Equal(got, ids(want...)) {
					t.Errorf("after %v %q are left", at, got)
				}
			}
			if test.protected == 0 {
				expect(0, used)
				return
			}
			expect(0, used, old)
			must(t, sim.Load(byHand(used, old, young), nil))
			expect(time.Minute, used, old, young)
			expect(test.protected-1, used, old, young)
			expect(test.protected, used, young)
			expect(time.Minute+test.minAge-1, used, young)
			expect(time.Minute+test.minAge, used)
		})
	}
}

// A list that fails does not count.
func TestFirstLookThatFails(t *testing.T) {
	sim := started(t)
	used, old := image("used", 1), image("old", 100)
	must(t, sim.Load(byHand(used, old), []comparison.Fault{{Method: "ListImages", Action: map[string]any{"code": []any{13, "no"}}}}))
	w := imageGC(t, nodeAt(sim.Endpoint()), imageDefaults, figures(0))
	if err := w.DeleteUnusedImages(t.Context()); !errors.Is(err, crigc.ErrRuntime) {
		t.Errorf("a list that fails gives %v", err)
	}
	w.clock.add(time.Hour)
	must(t, sim.Load(byHand(used, old), nil))
	must(t, w.DeleteUnusedImages(t.Context()))
	w.clock.add(2*time.Minute - 1)
	must(t, w.DeleteUnusedImages(t.Context()))
	if left := imagesLeft(t, sim); len(left) != 2 {
		t.Errorf("%q are left", left)
	}
	w.clock.add(1)
	must(t, w.DeleteUnusedImages(t.Context()))
	if left := imagesLeft(t, sim); !slices.Equal(left, ids(used)) {
		t.Errorf("%q are left", left)
	}
}

func TestNothingForSpace(t *testing.T) {
	sim := started(t)
	must(t, sim.Load(byHand(image("used", 1), image("old", 100)), nil))
	host := nodeAt(sim.Endpoint())
	w := imageGC(t, host, imageDefaults, figures(500))
	must(t, w.DeleteUnusedImages(t.Context()))
	w.clock.add(time.Hour)
	must(t, w.GarbageCollect(t.Context(), time.Time{}))
	if len(imagesLeft(t, sim)) != 2 || len(w.remaining) != 1 || len(eventsOf(host)) != 0 {
		t.Errorf("half of the disk is free, and a pass has done something; hooks %q", w.remaining)
	}
}

func TestStats(t *testing.T) {
	sim := started(t)
	must(t, sim.Load(byHand(image("used", 1), image("old", 100)), nil))
	host := nodeAt(sim.Endpoint())
	unready := errors.New("not yet")
	failing := imageGC(t, host, imageDefaults, func() (uint64, uint64, error) { return 0, 0, unready })
	var log strings.Builder
	host.Logger = funcr.New(func(_, line string) { log.WriteString(line + "\n") }, funcr.Options{Verbosity: 9})
	if err := failing.GarbageCollect(t.Context(), time.Time{}); !errors.Is(err, unready) || strings.Contains(err.Error(), "Config.") {
		t.Errorf("statistics that fail give %v", err)
	}
	if made := eventsOf(host); len(made) > 0 {
		t.Errorf("statistics that fail are no event in the kubelet, and here %q", made)
	}
	empty := imageGC(t, host, imageDefaults, func() (uint64, uint64, error) { return 0, 0, nil })
	var e *crigc.Error
	err := empty.GarbageCollect(t.Context(), time.Time{})
	if !errors.As(err, &e) || !strings.HasSuffix(err.Error(), "invalid capacity 0 on image filesystem") {
		t.Errorf("a disk without a size gives %v", err)
	}
	if strings.Contains(log.String(), "Config.") {
		t.Errorf("the log has:\n%s", log.String())
	}
	if made := eventsOf(host); len(made) != 1 || !strings.HasPrefix(made[0], "Warning "+events.InvalidDiskCapacity+" ") {
		t.Errorf("a disk without a size makes the events %q", made)
	}
	if len(failing.remaining)+len(empty.remaining) > 0 {
		t.Error("the hooks were called after a pass that failed")
	}
}

func TestRemovalsThatFail(t *testing.T) {
	sim := started(t)
	used, stuck, old := image("used", 1), image("stuck", 100), image("old", 100)
	must(t, sim.Load(byHand(used, stuck, old), []comparison.Fault{comparison.Fails("RemoveImage", stuck.ID, 13, "read-only file system")}))
	w := imageGC(t, nodeAt(sim.Endpoint()), imageDefaults, figures(0))
	must(t, w.DeleteUnusedImages(t.Context()))
	w.clock.add(time.Hour)
	w.remaining = nil
	counter := counted(t)
	if err := w.DeleteUnusedImages(t.Context()); !errors.Is(err, crigc.ErrRuntime) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a removal that fails gives %v", err)
	}
	if got := counted(t) - counter; got != 1 {
		t.Errorf("the metric counts %v", got)
	}
	if left := imagesLeft(t, sim); !slices.Equal(left, ids(used, stuck)) || len(w.remaining) > 0 {
		t.Errorf("%q are left, and the hooks were told %q", left, w.remaining)
	}
}

// With dry-run in the settings nothing is removed, and neither metric nor hooks report a removal.
func TestImagesOfADryRun(t *testing.T) {
	sim := started(t)
	used, old := image("used", 1), image("old", 100)
	must(t, sim.Load(byHand(used, old), nil))
	host := nodeAt(sim.Endpoint())
	host.Settings = map[string]string{"dry-run": "true"}
	w := imageGC(t, host, imageDefaults, figures(0))
	must(t, w.DeleteUnusedImages(t.Context()))
	w.clock.add(time.Hour)
	counter := counted(t)
	must(t, w.DeleteUnusedImages(t.Context()))
	if err := w.GarbageCollect(t.Context(), time.Time{}); err != nil && !errors.Is(err, crigc.ErrNotEnoughFreed) {
		t.Error(err)
	}
	if left := imagesLeft(t, sim); !slices.Equal(left, ids(used, old)) {
		t.Errorf("%q are left", left)
	}
	if got := counted(t) - counter; got != 0 || len(w.remaining) > 0 {
		t.Errorf("the metric counts %v, and the hooks were told %q", got, w.remaining)
	}
}

// until waits for something that a goroutine does.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

func TestStart(t *testing.T) {
	sim := started(t)
	used, small, large := image("used", 50), image("small", 10), image("large", 900)
	must(t, sim.Load(byHand(used, small, large), nil))
	host := nodeAt(sim.Endpoint())
	w := imageGC(t, host, imageDefaults, figures(0))
	if list, err := w.GetImageList(); err != nil || len(list) > 0 {
		t.Errorf("before Start: %v, %v", list, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.Start(ctx)
	until(t, "list", func() bool {
		list, err := w.GetImageList()
		return err == nil && len(list) == 3
	})
	list, err := w.GetImageList()
	must(t, err)
	want, err := w.runtime.ListImages(ctx)
	must(t, err)
	sort.Sort(sliceutils.ByImageSize(want))
	for i := range want {
		if list[i].ID != want[i].ID || list[i].Size != want[i].Size || !slices.Equal(list[i].RepoTags, want[i].RepoTags) {
			t.Errorf("image %d is %v instead of %v", i, list[i], want[i])
		}
	}
	until(t, "look", func() bool {
		<-w.turn
		defer func() { w.turn <- struct{}{} }()
		return !w.firstLook.IsZero()
	})
	// Images that were listed then count from then.
	w.clock.add(2 * time.Minute)
	must(t, w.DeleteUnusedImages(ctx))
	if left := imagesLeft(t, sim); !slices.Equal(left, ids(used)) {
		t.Errorf("%q are left", left)
	}
	if made := eventsOf(host); len(made) > 0 {
		t.Errorf("a look makes the events %q", made)
	}
}

func TestLooksApart(t *testing.T) {
	for maxAge, want := range map[time.Duration]time.Duration{
		0:                5 * time.Minute, // images do not get too old
		time.Second:      15 * time.Second,
		time.Minute:      15 * time.Second,
		8 * time.Minute:  2 * time.Minute,
		20 * time.Minute: 5 * time.Minute,
		24 * time.Hour:   5 * time.Minute,
	} {
		if got := looksApart(maxAge); got != want {
			t.Errorf("maximum age %v: every %v instead of %v", maxAge, got, want)
		}
	}
	sim := started(t)
	policy := imageDefaults
	policy.MaxAge = 8 * time.Minute
	if w := imageGC(t, nodeAt(sim.Endpoint()), policy, figures(0)); w.looks != looksApart(policy.MaxAge) {
		t.Errorf("Start looks every %v", w.looks)
	}
}

// A look of Start logs nothing of what a pass would remove; the passes log what they remove.
func TestLooksAreQuiet(t *testing.T) {
	sim := started(t)
	used, unused := image("used", 50), image("unused", 10)
	must(t, sim.Load(byHand(used, unused), nil))
	host := nodeAt(sim.Endpoint())
	var log strings.Builder
	host.Logger = funcr.New(func(_, line string) { log.WriteString(line + "\n") }, funcr.Options{Verbosity: 9})
	w := imageGC(t, host, imageDefaults, figures(0))
	for range 2 {
		_, err := w.collect(t.Context(), crigc.DryRun|crigc.AllUnused, true)
		must(t, err)
	}
	if log.Len() > 0 {
		t.Errorf("looks log:\n%s", log.String())
	}
	w.clock.add(time.Hour)
	must(t, w.DeleteUnusedImages(t.Context()))
	if !strings.Contains(log.String(), unused.ID) {
		t.Errorf("a pass does not log what it removes:\n%s", log.String())
	}
}

func TestImageContexts(t *testing.T) {
	s := numbered(t, 1, "--delay", "RemoveImage=200")
	w := imageGC(t, s.node(), imageDefaults, s.usage)
	must(t, w.DeleteUnusedImages(t.Context()))
	w.clock.add(time.Hour)
	before := s.left(t)
	cause := errors.New("the kubelet ends")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for range 20 { // whether it is its turn or not
		if err := w.GarbageCollect(cancelled, time.Time{}); !errors.Is(err, cause) || !errors.Is(err, context.Canceled) ||
			!errors.Is(err, crigc.ErrCancelled) {
			t.Errorf("a context that was cancelled gives %v", err)
		}
	}
	if !slices.Equal(s.left(t), before) {
		t.Error("something was removed after the cancel")
	}

	w.remaining = nil
	counter := counted(t)
	long, cancelLong := context.WithCancel(t.Context())
	defer cancelLong()
	ended := make(chan error)
	go func() { ended <- w.DeleteUnusedImages(long) }()
	until(t, "pass", func() bool { return len(w.turn) == 0 })
	// Another pass waits for its turn no longer than its context says.
	short, cancelShort := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancelShort()
	began := time.Now()
	if err := w.GarbageCollect(short, time.Time{}); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, crigc.ErrTimeout) {
		t.Errorf("a deadline that passes while another pass runs gives %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it waited %v", took)
	}
	until(t, "removal", func() bool { return len(s.left(t)) < len(before) })
	cancelLong()
	if err := <-ended; !errors.Is(err, context.Canceled) || !errors.Is(err, crigc.ErrCancelled) {
		t.Errorf("a cancel gives %v", err)
	}
	removed := float64(len(before) - len(s.left(t)))
	if removed == 0 {
		t.Error("nothing was removed before the cancel")
	}
	// The removal that was in flight may have been carried out.
	if got := counted(t) - counter; got < removed-1 || got > removed {
		t.Errorf("the metric counts %v of %v images", got, removed)
	}
	if len(w.remaining) > 0 {
		t.Errorf("the hooks were told %q after a cancel", w.remaining)
	}
}

func TestImageErrorsComeAsTheyAre(t *testing.T) {
	w, err := NewImageGCManager(nodeAt("unix://"+t.TempDir()+"/nobody"), imageDefaults, nil, figures(0), nil)
	must(t, err)
	var e *crigc.Error
	if err := w.GarbageCollect(t.Context(), time.Time{}); !errors.As(err, &e) || e.Status != crigc.ErrUnavailable {
		t.Errorf("no runtime gives %v", err)
	}
	w.Close()
	if err := w.DeleteUnusedImages(t.Context()); !errors.Is(err, crigc.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// On an empty disk images are removed only by age, once crigc has observed them that long, and count as such.
func TestImagesGoForTheirAge(t *testing.T) {
	used, unused := image("a", 10), image("b", 20)
	sim := started(t)
	must(t, sim.Load(byHand(used, unused), nil))
	policy := imageDefaults
	policy.MinAge, policy.MaxAge = 0, time.Second
	node := nodeAt(sim.Endpoint())
	// Both collectors of a kubelet are made of one Node.
	node.Settings = map[string]string{"image-records-file": filepath.Join(t.TempDir(), "images.json")}
	containerGC(t, node, defaults, func(types.UID) (content, runtime bool) { return false, false })
	w, err := NewImageGCManager(node, policy, nil, figures(900), nil)
	must(t, err)
	defer w.Close()
	space, age := counted(t), countedFor(t, "age")
	must(t, w.GarbageCollect(t.Context(), time.Time{}))
	if left := imagesLeft(t, sim); !slices.Equal(left, ids(used, unused)) {
		t.Errorf("the first look leaves %q", left)
	}
	time.Sleep(policy.MaxAge + 100*time.Millisecond)
	must(t, w.GarbageCollect(t.Context(), time.Time{}))
	if left := imagesLeft(t, sim); !slices.Equal(left, ids(used)) {
		t.Errorf("after the maximum age %q are left", left)
	}
	if got, forSpace := countedFor(t, "age")-age, counted(t)-space; got != 1 || forSpace != 0 {
		t.Errorf("the metric counts %v for their age, %v for space", got, forSpace)
	}
}

func TestImagePoliciesThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		change func(policy *images.ImageGCPolicy)
		status error
		word   string
	}{
		{func(p *images.ImageGCPolicy) { p.MaxAge = -1 }, crigc.ErrInvalidArgument, "image-maximum-gc-age"},
		{func(p *images.ImageGCPolicy) { p.MaxAge = time.Second }, crigc.ErrConfig, "image-maximum-gc-age"},
		{func(p *images.ImageGCPolicy) { p.LowThresholdPercent = 85 }, crigc.ErrConfig, "image-gc-low-threshold"},
		{func(p *images.ImageGCPolicy) { p.LowThresholdPercent = 90 }, crigc.ErrConfig, "image-gc-low-threshold"},
		{func(p *images.ImageGCPolicy) { p.HighThresholdPercent = 101 }, crigc.ErrInvalidArgument, "image-gc-high-threshold"},
		{func(p *images.ImageGCPolicy) { p.MinAge = -1 }, crigc.ErrInvalidArgument, "minimum-image-ttl-duration"},
	} {
		policy := imageDefaults
		test.change(&policy)
		_, err := NewImageGCManager(nodeAt("unix:///nobody"), policy, nil, nil, nil)
		if err == nil || test.status != nil && !errors.Is(err, test.status) || !strings.Contains(err.Error(), test.word) {
			t.Errorf("%+v gives %v", policy, err)
		}
	}
}
