package kubeletgc

import (
	"context"
	"fmt"
	"strconv"

	"github.com/crigc/crigc/go"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
)

var (
	_ container.GC         = (*ContainerGC)(nil)
	_ eviction.ContainerGC = (*ContainerGC)(nil)
)

// PodStateProvider says what of a pod may be removed. The kubelet's pod workers implement it.
type PodStateProvider interface {
	// ShouldPodContentBeRemoved says whether everything that the pod left behind may be removed.
	ShouldPodContentBeRemoved(uid types.UID) bool
	// ShouldPodRuntimeBeRemoved says whether its containers and sandboxes may be removed, though it may still exist.
	ShouldPodRuntimeBeRemoved(uid types.UID) bool
}

// ContainerGC is a container.GC that works through crigc. Its methods may be called at any time from any goroutine; passes
// follow one another.
type ContainerGC struct {
	engine *crigc.Engine
	forget func(context.Context)
}

// NewContainerGC makes a ContainerGC. forget is called before each pass, and does what the runtime manager's GarbageCollect does
// besides collecting: see "The actuated state" in KUBELET.md. It may be nil.
func NewContainerGC(node Node, policy container.GCPolicy, pods PodStateProvider, sources container.SourcesReadyProvider,
	forget func(context.Context)) (*ContainerGC, error) {
	config := node.config(map[string]string{
		"minimum-container-ttl-duration":        policy.MinAge.String(),
		"maximum-dead-containers-per-container": strconv.Itoa(policy.MaxPerPodContainer),
		"maximum-dead-containers":               strconv.Itoa(policy.MaxContainers),
		// Only one engine can hold the file: the image collector's.
		"image-records-file": "",
	})
	config.PodStates = func(uids []string) ([]crigc.PodState, bool) {
		// This is asked first: sources that become ready later may bring pods that the workers did not know before.
		if !sources.AllReady() {
			return nil, false
		}
		states := make([]crigc.PodState, len(uids))
		for i, uid := range uids {
			states[i] = podState(pods, types.UID(uid))
		}
		return states, true
	}
	engine, err := crigc.New(config)
	if err != nil {
		return nil, fmt.Errorf("the container collector cannot be set up: %w", err)
	}
	return &ContainerGC{engine: engine, forget: forget}, nil
}

func podState(pods PodStateProvider, uid types.UID) (state crigc.PodState) {
	if pods.ShouldPodContentBeRemoved(uid) {
		state |= crigc.ContentRemovable
	}
	if pods.ShouldPodRuntimeBeRemoved(uid) {
		state |= crigc.RuntimeRemovable
	}
	return state
}

// GarbageCollect removes dead containers, sandboxes and logs by the policy. As in the kubelet, an error says that the pass
// could not list or decide; single removals that failed are in the log. crigc's errors are returned unchanged.
func (g *ContainerGC) GarbageCollect(ctx context.Context) error {
	return g.collect(ctx, 0)
}

// DeleteAllUnusedContainers does the same, and removes all containers and sandboxes of pods that have terminated.
func (g *ContainerGC) DeleteAllUnusedContainers(ctx context.Context) error {
	return g.collect(ctx, crigc.AllUnused)
}

func (g *ContainerGC) collect(ctx context.Context, flags crigc.Flags) error {
	if g.forget != nil {
		g.forget(ctx)
	}
	_, err := g.engine.CollectContainers(ctx, flags)
	return err
}

// Close ends a running pass and frees the engine; later passes fail with crigc.ErrClosed. A kubelet, which runs until its
// process ends, need not call it.
func (g *ContainerGC) Close() {
	g.engine.Close()
}
