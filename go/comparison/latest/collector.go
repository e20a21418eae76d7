// Package latest is the garbage collection of the newest kubelet, the real one, behind [comparison.Collector].
//
// Nothing of it is rewritten here: the kubelet's own constructors are called with the kubelet's own CRI client, and the arguments
// replace the rest of a kubelet, as small as possible. The package oldest does the same for the first kubelet that crigc follows; the
// two differ where the constructors do.
package latest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crigc/crigc/go/comparison"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/images"
)

// Version is the release of Kubernetes that the code is from.
const Version = "v1.37.2"

// collector holds the kubelet's two collectors and what they need.
type collector struct {
	containers kubecontainer.GC
	images     images.ImageGCManager
	runtime    kubecontainer.Runtime
	// listed is the runtime as the image collector sees it.
	listed  *listedImages
	records comparison.Records
	// began is the begin of the kubelet, which counts for the maximum age of images.
	began time.Time
	// closers free what was opened, last first.
	closers []func() error
}

// New sets the kubelet's collectors up for a node. The directories of the setting must exist.
func New(setting comparison.Setting) (comparison.Collector, error) {
	quiet()
	c := &collector{began: time.Now()}
	if err := c.open(setting); err != nil {
		return nil, errors.Join(fmt.Errorf("kubelet %s: %w", Version, err), c.Close())
	}
	return c, nil
}

func (c *collector) open(setting comparison.Setting) error {
	files, err := newFiles(setting)
	if err != nil {
		return err
	}
	if c.runtime, err = c.newRuntime(setting, files); err != nil {
		return err
	}
	if c.containers, err = newContainerGC(c.runtime, setting); err != nil {
		return err
	}
	c.listed = &listedImages{Runtime: c.runtime}
	if c.images, err = newImageGC(c.listed, setting, imageFS(setting)); err != nil {
		return err
	}
	c.records, err = comparison.RecordsOf(c.images)
	return err
}

// Containers is the kubelet's pass over containers, sandboxes and logs.
func (c *collector) Containers(ctx context.Context, allUnused bool) error {
	if allUnused {
		return c.containers.DeleteAllUnusedContainers(ctx)
	}
	return c.containers.GarbageCollect(ctx)
}

// Pod does what the kubelet does when one pod has ended: its deletor of containers, which its package does not export, calls
// DeleteContainer for each dead container of the pod's status.
func (c *collector) Pod(ctx context.Context, uid string) error {
	pods, err := c.runtime.GetPods(ctx, true)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if string(pod.ID) != uid {
			continue
		}
		status, err := c.runtime.GetPodStatus(ctx, pod)
		if err != nil {
			return err
		}
		for _, container := range status.ContainerStatuses {
			if container.State == kubecontainer.ContainerStateExited {
				if err := c.runtime.DeleteContainer(ctx, container.ID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Images is the kubelet's pass over images.
func (c *collector) Images(ctx context.Context, allUnused bool) error {
	if allUnused {
		return c.images.DeleteUnusedImages(ctx)
	}
	return c.images.GarbageCollect(ctx, c.began)
}

// Look makes the kubelet list images of which none may be removed. Age then sets how old they are.
func (c *collector) Look(ctx context.Context) error {
	c.listed.pinned.Store(true)
	defer c.listed.pinned.Store(false)
	return c.images.DeleteUnusedImages(ctx)
}

// Age makes the kubelet's records of the images older, and the kubelet itself.
func (c *collector) Age(by time.Duration) error {
	c.records.Age(by)
	c.began = c.began.Add(-by)
	return nil
}

// Close ends the connections and all goroutines.
func (c *collector) Close() error {
	var failed []error
	for len(c.closers) > 0 {
		last := len(c.closers) - 1
		failed = append(failed, c.closers[last]())
		c.closers = c.closers[:last]
	}
	return errors.Join(failed...)
}
