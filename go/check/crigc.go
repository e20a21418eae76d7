package check

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/crigc/crigc/go"
)

// Ours is crigc as a Collector.
type Ours struct {
	// Two engines: only the images' clock runs ahead.
	containers, images *crigc.Engine
	ahead              atomic.Int64
	// Report of the last pass; nil if it never began.
	Report *crigc.Report
}

// NewOurs makes crigc's engines for a setting.
func NewOurs(setting Setting) (*Ours, error) {
	ours := &Ours{}
	policy := setting.Policy
	config := crigc.Config{
		Settings: map[string]string{
			"container-runtime-endpoint":            setting.Endpoint,
			"pod-logs-dir":                          setting.PodLogsDir,
			"container-logs-dir":                    setting.ContainerLogsDir,
			"minimum-container-ttl-duration":        policy.MinAge.String(),
			"maximum-dead-containers-per-container": strconv.Itoa(policy.MaxPerContainer),
			"maximum-dead-containers":               strconv.Itoa(policy.MaxContainers),
			"image-gc-high-threshold":               strconv.Itoa(policy.HighThreshold),
			"image-gc-low-threshold":                strconv.Itoa(policy.LowThreshold),
			"minimum-image-ttl-duration":            policy.ImageMinAge.String(),
		},
		PodStates: func(uids []string) ([]crigc.PodState, bool) {
			states := make([]crigc.PodState, len(uids))
			for i, uid := range uids {
				content, runtime := setting.Pod(uid)
				if content {
					states[i] |= crigc.ContentRemovable
				}
				if runtime {
					states[i] |= crigc.RuntimeRemovable
				}
			}
			return states, setting.SourcesReady()
		},
		ImageFS: func() (crigc.FSUsage, error) {
			capacity, available := setting.ImageFS()
			return crigc.FSUsage{Capacity: capacity, Available: available}, nil
		},
	}
	var err error
	if ours.containers, err = crigc.New(config); err != nil {
		return nil, fmt.Errorf("crigc for containers: %w", err)
	}
	config.Clock = func() time.Time { return time.Now().Add(time.Duration(ours.ahead.Load())) }
	if ours.images, err = crigc.New(config); err != nil {
		ours.containers.Close()
		return nil, fmt.Errorf("crigc for images: %w", err)
	}
	return ours, nil
}

func flags(allUnused bool) crigc.Flags {
	if allUnused {
		return crigc.AllUnused
	}
	return 0
}

// Containers collects containers, sandboxes and logs.
func (o *Ours) Containers(ctx context.Context, allUnused bool) (err error) {
	o.Report, err = o.containers.CollectContainers(ctx, flags(allUnused))
	return err
}

// Images collects images.
func (o *Ours) Images(ctx context.Context, allUnused bool) (err error) {
	o.Report, err = o.images.CollectImages(ctx, flags(allUnused))
	return err
}

// Look is a dry run: it looks and records (S0.5).
func (o *Ours) Look(ctx context.Context) (err error) {
	o.Report, err = o.images.CollectImages(ctx, crigc.DryRun)
	if o.Report != nil {
		// Whether what would go would suffice is not asked here.
		return nil
	}
	return err
}

// Age sets the clock of the images forward.
func (o *Ours) Age(by time.Duration) { o.ahead.Add(int64(by)) }

// Close frees the engines.
func (o *Ours) Close() error {
	o.containers.Close()
	o.images.Close()
	return nil
}
