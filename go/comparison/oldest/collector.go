// Package oldest is the garbage collection of the first kubelet that crigc follows, the real one, behind [comparison.Collector].
//
// Nothing of it is rewritten here: the kubelet's own constructors are called with the kubelet's own CRI client, and the arguments
// replace the rest of a kubelet, as small as possible. The package latest does the same for the newest kubelet; the two differ where
// the constructors do. This kubelet has no contexts: a pass cannot be cancelled.
package oldest

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
const Version = "v1.23.1"

// collector holds the kubelet's two collectors and what they need.
type collector struct {
	containers kubecontainer.GC
	images     images.ImageGCManager
	// listed is the runtime as the image collector sees it.
	listed  *listedImages
	records comparison.Records
	// closers free what was opened, last first.
	closers []func() error
}

// New sets the kubelet's collectors up for a node. The directories of the setting must exist.
func New(setting comparison.Setting) (comparison.Collector, error) {
	quiet()
	c := &collector{}
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
	runtime, err := c.newRuntime(setting, files)
	if err != nil {
		return err
	}
	if c.containers, err = newContainerGC(runtime, setting); err != nil {
		return err
	}
	c.listed = &listedImages{Runtime: runtime}
	if c.images, err = newImageGC(c.listed, setting); err != nil {
		return err
	}
	c.records, err = comparison.RecordsOf(c.images)
	return err
}

// Containers is the kubelet's pass over containers, sandboxes and logs.
func (c *collector) Containers(_ context.Context, allUnused bool) error {
	if allUnused {
		return c.containers.DeleteAllUnusedContainers()
	}
	return c.containers.GarbageCollect()
}

// Images is the kubelet's pass over images. A pass that finds enough space does not list the images; a running kubelet lists them
// every 5 minutes beside its passes. So they are listed here after each pass, and as in the kubelet an error of that list is not an
// error of the pass.
func (c *collector) Images(ctx context.Context, allUnused bool) error {
	if allUnused {
		return c.images.DeleteUnusedImages()
	}
	err := c.images.GarbageCollect()
	_ = c.Look(ctx)
	return err
}

// Look makes the kubelet list images of which none may be removed. Age then sets how old they are.
func (c *collector) Look(context.Context) error {
	c.listed.pinned.Store(true)
	defer c.listed.pinned.Store(false)
	return c.images.DeleteUnusedImages()
}

// Age makes the kubelet's records of the images older.
func (c *collector) Age(by time.Duration) error {
	c.records.Age(by)
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
