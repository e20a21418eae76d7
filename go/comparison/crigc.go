package comparison

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/crigc/crigc/go"
)

// Ours is crigc as a Collector.
type Ours struct {
	setting            Setting
	containers, images *crigc.Engine
	// stage that a pass has reached, as its questions about pods show; 0 = it has asked none.
	stage Stage
	// Report of the last pass; nil if it never began.
	Report *crigc.Report
}

// NewOurs makes crigc's engines for a setting.
func NewOurs(setting Setting) (*Ours, error) {
	ours := &Ours{setting: setting}
	var err error
	if ours.containers, err = crigc.New(ours.config()); err != nil {
		return nil, fmt.Errorf("crigc for containers: %w", err)
	}
	if ours.images, err = ours.newImages(); err != nil {
		ours.containers.Close()
		return nil, err
	}
	return ours, nil
}

func (o *Ours) config() crigc.Config {
	policy := o.setting.Policy
	config := crigc.Config{
		Settings: map[string]string{
			"container-runtime-endpoint":            o.setting.Endpoint,
			"pod-logs-dir":                          o.setting.PodLogsDir,
			"container-logs-dir":                    o.setting.ContainerLogsDir,
			"minimum-container-ttl-duration":        policy.MinAge.String(),
			"maximum-dead-containers-per-container": strconv.Itoa(policy.MaxPerContainer),
			"maximum-dead-containers":               strconv.Itoa(policy.MaxContainers),
			"image-gc-high-threshold":               strconv.Itoa(policy.HighThreshold),
			"image-gc-low-threshold":                strconv.Itoa(policy.LowThreshold),
			"minimum-image-ttl-duration":            policy.ImageMinAge.String(),
			"image-maximum-gc-age":                  policy.ImageMaxAge.String(),
		},
		PodStates: o.podStates,
		ImageFS: func() (crigc.FSUsage, error) {
			capacity, available := o.setting.ImageFS()
			usage := crigc.FSUsage{Capacity: capacity, Available: available}
			if o.setting.Inodes != nil {
				usage.Inodes, usage.InodesFree = o.setting.Inodes()
			}
			return usage, nil
		},
		Event: o.setting.Tells,
	}
	if asOf := o.setting.AsOf; !asOf.IsZero() {
		config.PodStates = nil
		config.PodStatesAsOf = func(uids []string) ([]crigc.PodState, time.Time, bool) {
			states, ready := o.podStates(uids)
			return states, asOf, ready
		}
	}
	if policy.RequestTimeout > 0 {
		config.Settings["runtime-request-timeout"] = policy.RequestTimeout.String()
	}
	if policy.EvidenceMaxAge > 0 {
		config.Settings["evidence-max-age"] = policy.EvidenceMaxAge.String()
	}
	maps.Copy(config.Settings, o.setting.Keys)
	return config
}

// podStates answers for the host. The first question of a pass is that of S1; those of S4 begin with one about all log directories.
func (o *Ours) podStates(uids []string) ([]crigc.PodState, bool) {
	switch {
	case slices.Contains(uids, onlyLogs):
		o.stage = OfLogs
	case o.stage == 0:
		o.stage = OfContainers
	case o.stage == OfContainers:
		o.stage = OfSandboxes
	}
	o.setting.Reaches(o.stage)
	states := make([]crigc.PodState, len(uids))
	for i, uid := range uids {
		content, runtime := o.setting.Pod(uid)
		if content {
			states[i] |= crigc.ContentRemovable
		}
		if runtime {
			states[i] |= crigc.RuntimeRemovable
		}
	}
	return states, o.setting.SourcesReady()
}

// newImages makes the engine for images, whose records are in a file.
func (o *Ours) newImages() (*crigc.Engine, error) {
	config := o.config()
	config.Settings["image-records-file"] = o.records()
	config.Settings["hold-file"] = o.hold()
	if ahead := o.setting.Ahead; ahead != nil {
		config.Clock = func() time.Time { return time.Now().Add(ahead()) }
	}
	engine, err := crigc.New(config)
	if err != nil {
		return nil, fmt.Errorf("crigc for images: %w", err)
	}
	return engine, nil
}

func (o *Ours) records() string { return filepath.Join(o.setting.RootDir, "image-records.json") }

func (o *Ours) hold() string { return filepath.Join(o.setting.RootDir, "hold") }

func flags(allUnused bool) crigc.Flags {
	if allUnused {
		return crigc.AllUnused
	}
	return 0
}

// Containers collects containers, sandboxes and logs.
func (o *Ours) Containers(ctx context.Context, allUnused bool) (err error) {
	o.stage = 0
	o.Report, err = o.containers.CollectContainers(ctx, flags(allUnused))
	return err
}

// Pod collects one pod, which is gone.
func (o *Ours) Pod(ctx context.Context, uid string) (err error) {
	o.stage = 0
	o.Report, err = o.containers.CollectPod(ctx, uid, crigc.PodGone)
	return err
}

// Images collects images.
func (o *Ours) Images(ctx context.Context, allUnused bool) (err error) {
	o.Report, err = o.images.CollectImages(ctx, flags(allUnused))
	return err
}

// Look is a pass that is held (S0.7): it lists and records.
func (o *Ours) Look(ctx context.Context) (err error) {
	if err := os.WriteFile(o.hold(), nil, 0o600); err != nil {
		return err
	}
	o.Report, err = o.images.CollectImages(ctx, 0)
	if o.Report != nil {
		// It does not matter here whether the removals would free enough.
		err = nil
	}
	if gone := os.Remove(o.hold()); err == nil {
		err = gone
	}
	return err
}

// Age makes the records of the images older. It sets no clock ahead, because crigc does not trust a clock that leaps (S5.7).
func (o *Ours) Age(by time.Duration) error {
	o.images.Close()
	err := aged(o.records(), by)
	images, broken := o.newImages()
	if broken != nil {
		return broken
	}
	o.images = images
	return err
}

// Close frees the engines.
func (o *Ours) Close() error {
	o.containers.Close()
	o.images.Close()
	return nil
}
