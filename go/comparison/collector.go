// Package comparison runs the kubelet's collectors and crigc over the same random nodes and compares what is left.
//
// The kubelet's own code implements [Collector] in modules of their own (latest, oldest), so that this module builds without
// Kubernetes.
package comparison

import (
	"context"
	"time"
)

// Policy is the configuration of both collectors, in the kubelet's terms.
type Policy struct {
	// MinAge is the kubelet's minimum-container-ttl-duration.
	MinAge time.Duration
	// MaxPerContainer is maximum-dead-containers-per-container; negative = no limit.
	MaxPerContainer int
	// MaxContainers is maximum-dead-containers; negative = no limit.
	MaxContainers int
	// HighThreshold and LowThreshold are image-gc-high-threshold and image-gc-low-threshold, in percent.
	HighThreshold, LowThreshold int
	// ImageMinAge is minimum-image-ttl-duration.
	ImageMinAge time.Duration
	// ImageMaxAge is image-maximum-gc-age, which not every kubelet has; 0 = none.
	ImageMaxAge time.Duration `json:",omitempty"`
	// RequestTimeout is runtime-request-timeout; 0 = the default.
	RequestTimeout time.Duration `json:",omitempty"`
	// EvidenceMaxAge is crigc's evidence-max-age; 0 = the default.
	EvidenceMaxAge time.Duration `json:",omitempty"`
}

// Stage is a part of a pass over containers, named by its rules.
type Stage int

// The stages at which a host is asked about its pods.
const (
	OfContainers Stage = 1
	OfSandboxes  Stage = 3
	OfLogs       Stage = 4
)

// onlyLogs is a UID that has only logs, below folderOfOnlyLogs: a collector that asks about it has reached the stage of logs.
const (
	onlyLogs         = "only-logs"
	folderOfOnlyLogs = "pods/check_check_" + onlyLogs
)

// Event is an event that a collector reports to the host.
type Event struct {
	Reason, Message string
}

// Setting is the node that a collector works on, and the host it belongs to.
type Setting struct {
	// Endpoint of the runtime: unix:///path.
	Endpoint string
	// PodLogsDir and ContainerLogsDir replace /var/log/pods and /var/log/containers.
	PodLogsDir, ContainerLogsDir string
	// RootDir is an empty directory that the collector may use for state of its own.
	RootDir string
	// PlainPaths says that no directory of the node is a link, so that the text of a path is enough: a measurement must not pay
	// for resolving every part of it.
	PlainPaths bool
	// Policy of this node.
	Policy Policy
	// Pod says what of a pod may be removed: S0.2's content removable and runtime removable.
	Pod func(uid string) (content, runtime bool)
	// SourcesReady says whether the host has seen all its pods.
	SourcesReady func() bool
	// AsOf is when the answers of Pod were true; the zero Time = now. The kubelet has no such value.
	AsOf time.Time
	// Ahead is how far crigc's clock runs ahead. nil: it does not.
	Ahead func() time.Duration
	// ImageFS gives the figures of the image filesystem in bytes.
	ImageFS func() (capacity, available uint64)
	// Inodes gives the figures of its inodes; 0 = unknown. It may be nil.
	Inodes func() (inodes, free uint64)
	// Keys are keys of crigc that the kubelet does not have, with their values.
	Keys map[string]string
	// Reached is called when a pass over containers begins a stage, before the host is asked in it. It may be nil.
	Reached func(Stage)
	// Event is called with the events of passes over images. It may be nil.
	Event func(Event)
}

// Reaches calls Reached.
func (s Setting) Reaches(stage Stage) {
	if s.Reached != nil {
		s.Reached(stage)
	}
}

// Tells calls Event.
func (s Setting) Tells(reason, message string) {
	if s.Event != nil {
		s.Event(Event{reason, message})
	}
}

// PodCollector is a Collector that can also collect one pod which has ended for good.
type PodCollector interface {
	Collector
	Pod(ctx context.Context, uid string) error
}

// Collector is a node's garbage collection: the kubelet's, or crigc.
type Collector interface {
	// Containers collects containers, sandboxes and logs; with allUnused as the kubelet does under disk pressure.
	Containers(ctx context.Context, allUnused bool) error
	// Images collects images; with allUnused as the kubelet does under disk pressure.
	Images(ctx context.Context, allUnused bool) error
	// Look lists the images and removes none.
	Look(ctx context.Context) error
	// Age makes the records of the images older, as if this time had passed.
	Age(by time.Duration) error
	// Close frees what the collector holds.
	Close() error
}
