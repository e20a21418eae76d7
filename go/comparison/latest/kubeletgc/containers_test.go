package kubeletgc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/kubelet/container"
)

const seeds = 4

// sameNodes checks that two nodes have the same objects, and fewer than before.
func sameNodes(t *testing.T, what string, before, kubelet, ours []string) {
	t.Helper()
	if !slices.Equal(kubelet, ours) {
		t.Errorf("%s: the kubelet left %d objects, the wiring %d", what, len(kubelet), len(ours))
		for _, object := range kubelet {
			if !slices.Contains(ours, object) {
				t.Errorf("the kubelet alone keeps %s", object)
			}
		}
		for _, object := range ours {
			if !slices.Contains(kubelet, object) {
				t.Errorf("the wiring alone keeps %s", object)
			}
		}
	}
	if len(ours) >= len(before) {
		t.Errorf("%s: nothing was removed", what)
	}
}

func TestContainers(t *testing.T) {
	for seed := 1; seed <= seeds; seed++ {
		policy := defaults
		policy.MaxPerPodContainer, policy.MaxContainers = seed%3, []int{-1, 40, 0}[seed%3]
		t.Run(fmt.Sprintf("seed %d, %d for each, %d in all", seed, policy.MaxPerPodContainer, policy.MaxContainers), func(t *testing.T) {
			theirs, ours := numbered(t, seed), numbered(t, seed)
			node := ours.state(t)
			same := func(what string, before []string) {
				t.Helper()
				kubelet := theirs.left(t)
				sameNodes(t, what, before, kubelet, ours.withoutLastCrashes(node, policy.MaxPerPodContainer, kubelet, ours.left(t)))
			}
			before := ours.left(t)
			must(t, theirs.kubelet(t, policy, theirs.known).Containers(t.Context(), false))
			must(t, containerGC(t, ours.node(), policy, ours.known).GarbageCollect(t.Context()))
			same("GarbageCollect", before)
			before = ours.left(t)
			must(t, theirs.kubelet(t, policy, theirs.known).Containers(t.Context(), true))
			must(t, containerGC(t, ours.node(), policy, ours.known).DeleteAllUnusedContainers(t.Context()))
			same("DeleteAllUnusedContainers", before)
		})
	}
}

func TestSourcesNotReady(t *testing.T) {
	s := numbered(t, 1)
	policy := container.GCPolicy{MaxPerPodContainer: -1, MaxContainers: -1}
	asked := func(types.UID) (content, runtime bool) {
		t.Error("the workers were asked before all sources were ready")
		return true, true
	}
	gc, err := NewContainerGC(s.node(), policy, pods(asked), ready(false), nil)
	must(t, err)
	defer gc.Close()
	must(t, gc.DeleteAllUnusedContainers(t.Context()))
	if left := len(s.state(t).Containers); left < 300 {
		t.Errorf("%d containers are left, of pods that are not known yet", left)
	}
}

func TestForgetIsCalledBeforeEachPass(t *testing.T) {
	s := numbered(t, 1)
	calls := 0
	gc, err := NewContainerGC(s.node(), defaults, pods(s.known), ready(true), func(context.Context) {
		if got := len(s.state(t).Containers); calls == 0 && got < 300 {
			t.Errorf("%d containers are left before the first pass", got)
		}
		calls++
	})
	must(t, err)
	defer gc.Close()
	must(t, gc.GarbageCollect(t.Context()))
	must(t, gc.DeleteAllUnusedContainers(t.Context()))
	if calls != 2 {
		t.Errorf("called %d times", calls)
	}
}

func TestContradictionsAreEvents(t *testing.T) {
	s := numbered(t, 1)
	node := s.node()
	gone := func(types.UID) (content, runtime bool) { return true, true }
	if err := containerGC(t, node, defaults, gone).GarbageCollect(t.Context()); !errors.Is(err, crigc.ErrContradiction) {
		t.Errorf("all that runs is gone, and the error is %v", err)
	}
	if made := eventsOf(node); len(made) != 1 || !strings.HasPrefix(made[0], "Warning PodStatesContradicted ") ||
		!strings.Contains(made[0], "kind=Node") {
		t.Errorf("events %q", made)
	}
}

func TestContainerContexts(t *testing.T) {
	s := numbered(t, 1, "--delay", "RemoveContainer=100")
	before := s.left(t)
	// One after another a pass takes far longer than its deadline.
	node := s.node()
	node.Settings = map[string]string{"max-parallel-removals": "1"}
	gc := containerGC(t, node, defaults, s.known)
	cause := errors.New("the kubelet ends")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	err := gc.GarbageCollect(cancelled)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || !errors.Is(err, crigc.ErrCancelled) {
		t.Errorf("a context that was cancelled gives %v", err)
	}
	if !slices.Equal(s.left(t), before) {
		t.Error("something was removed after the cancel")
	}
	short, cancelShort := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancelShort()
	began := time.Now()
	err = gc.GarbageCollect(short)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, crigc.ErrTimeout) {
		t.Errorf("a deadline that passes gives %v", err)
	}
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("it took %v", took)
	}
	if left := len(s.left(t)); left == len(before) || len(s.state(t).Containers) < 100 {
		t.Errorf("%d objects of %d are left", left, len(before))
	}
}

func TestContainerErrorsComeAsTheyAre(t *testing.T) {
	node := nodeAt("unix://" + t.TempDir() + "/nobody")
	gc := containerGC(t, node, defaults, func(types.UID) (content, runtime bool) { return false, false })
	var e *crigc.Error
	if err := gc.GarbageCollect(t.Context()); !errors.As(err, &e) || e.Status != crigc.ErrUnavailable {
		t.Errorf("no runtime gives %v", err)
	}
	gc.Close()
	if err := gc.GarbageCollect(t.Context()); !errors.Is(err, crigc.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// At V(0) stand what was removed and what could not be; why the others stay comes at V(6). A pass's error is in what it returns alone.
func TestWhatIsLogged(t *testing.T) {
	for verbosity, inventory := range map[int]bool{0: false, 5: false, 6: true} {
		s := numbered(t, 1)
		node := s.node()
		var log strings.Builder
		node.Logger = funcr.New(func(_, line string) { log.WriteString(line + "\n") }, funcr.Options{Verbosity: verbosity})
		gc := containerGC(t, node, defaults, s.known)
		must(t, gc.GarbageCollect(t.Context()))
		if !strings.Contains(log.String(), "removed container") {
			t.Errorf("at V(%d) there is nothing of what was removed:\n%s", verbosity, log.String())
		}
		if strings.Contains(log.String(), "kept") != inventory {
			t.Errorf("at V(%d):\n%s", verbosity, log.String())
		}
	}
	var log strings.Builder
	node := nodeAt("unix:///nobody/listens")
	node.Logger = funcr.New(func(_, line string) { log.WriteString(line + "\n") }, funcr.Options{Verbosity: 6})
	gc := containerGC(t, node, defaults, func(types.UID) (content, runtime bool) { return false, false })
	if err := gc.GarbageCollect(t.Context()); err == nil || strings.Contains(log.String(), "nobody") {
		t.Errorf("%v; the log has:\n%s", err, log.String())
	}
	broken := numbered(t, 1).node()
	broken.Logger = node.Logger
	_ = containerGC(t, broken, defaults, func(types.UID) (content, runtime bool) { panic("a bug of the host") }).GarbageCollect(t.Context())
	if !strings.Contains(log.String(), "a bug of the host") {
		t.Errorf("a panic of a callback is not logged:\n%s", log.String())
	}
}

func TestContainerPoliciesThatAreRefused(t *testing.T) {
	policy := defaults
	policy.MinAge = -time.Second
	_, err := NewContainerGC(nodeAt("unix:///nobody"), policy, pods(nil), ready(true), nil)
	if !errors.Is(err, crigc.ErrInvalidArgument) || !strings.Contains(err.Error(), "minimum-container-ttl-duration") {
		t.Errorf("a negative age gives %v", err)
	}
	node := nodeAt("unix:///nobody")
	node.Settings = map[string]string{"max-parallel-removals": "0"}
	if _, err := NewContainerGC(node, defaults, pods(nil), ready(true), nil); !errors.Is(err, crigc.ErrInvalidArgument) {
		t.Errorf("a setting that is wrong gives %v", err)
	}
}
