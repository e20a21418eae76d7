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

// PodStateProvider says what may go of a pod. The kubelet's pod workers do.
type PodStateProvider interface {
	// ShouldPodContentBeRemoved says whether everything that the pod left behind may go.
	ShouldPodContentBeRemoved(uid types.UID) bool
	// ShouldPodRuntimeBeRemoved says whether its containers and sandboxes may go, though it may still exist.
	ShouldPodRuntimeBeRemoved(uid types.UID) bool
}

// ContainerGC is a container.GC that works through crigc. Its methods may be called at any time from any goroutine; passes
// follow one another.
type ContainerGC struct {
	engine *crigc.Engine
	forget func(context.Context)
}

// NewContainerGC makes one. forget is called before each pass, for what the runtime manager's GarbageCollect does beside
// collecting: see "The actuated state" in KUBELET.md. nil: nothing is called.
func NewContainerGC(node Node, policy container.GCPolicy, pods PodStateProvider, sources container.SourcesReadyProvider,
	forget func(context.Context)) (*ContainerGC, error) {
	config := node.config(map[string]string{
		"minimum-container-ttl-duration":        policy.MinAge.String(),
		"maximum-dead-containers-per-container": strconv.Itoa(policy.MaxPerPodContainer),
		"maximum-dead-containers":               strconv.Itoa(policy.MaxContainers),
		// The image collector holds it, if there is one.
		"image-records-file": "",
	})
	config.PodStates = func(uids []string) ([]crigc.PodState, bool) {
		// Asked first: sources that become ready later have brought pods which the workers did not know before.
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

// GarbageCollect removes dead containers, sandboxes and logs as the policy says. As in the kubelet, an error says that the pass
// could not look or decide; single removals that failed are in the log. crigc's errors come as they are.
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

// Close ends a pass under way and frees the engine; later passes fail with crigc.ErrClosed. A kubelet, which runs until its
// process ends, need not call it.
func (g *ContainerGC) Close() {
	g.engine.Close()
}
