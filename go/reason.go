package crigc

// Reason is a stable word: why an object went, should have gone, or stayed. Grows.
type Reason string

// Why objects go.
const (
	ReasonPodRemoved    Reason = "pod-removed"    // its pod is gone, or was evicted
	ReasonPodTerminated Reason = "pod-terminated" // its pod has terminated, and the pass has AllUnused
	ReasonUnitLimit     Reason = "unit-limit"     // beyond maximum-dead-containers-per-container
	ReasonTotalLimit    Reason = "total-limit"    // beyond maximum-dead-containers
	ReasonOlderSandbox  Reason = "older-sandbox"  // its pod has a newer sandbox
	ReasonDeadLink      Reason = "dead-link"      // what the link leads to is gone
	ReasonAge           Reason = "age"            // unused for longer than image-maximum-gc-age
	ReasonSpace         Reason = "space"          // the disk is too full
	ReasonUnused        Reason = "unused"         // nobody uses it, and the pass has AllUnused
)

// Why objects stay.
const (
	ReasonRunning             Reason = "running"               // it runs
	ReasonTooYoung            Reason = "too-young"             // younger than its minimum age
	ReasonWithinLimit         Reason = "within-limit"          // the limits leave it
	ReasonActive              Reason = "active"                // a sandbox that is ready or has containers, or logs of such a pod
	ReasonNewestSandbox       Reason = "newest-sandbox"        // the newest of its pod
	ReasonPodExists           Reason = "pod-exists"            // its pod may still exist
	ReasonPodActive           Reason = "pod-active"            // the host says that its pod is gone, but the pod runs
	ReasonLinkAlive           Reason = "link-alive"            // what the link leads to is there
	ReasonInUse               Reason = "in-use"                // a container refers to the image
	ReasonPinned              Reason = "pinned"                // the runtime has pinned it
	ReasonSandboxImage        Reason = "sandbox-image"         // sandboxes are made from it
	ReasonExempt              Reason = "exempt"                // image-gc-exempt names it
	ReasonEnoughFreed         Reason = "enough-freed"          // enough is free without it
	ReasonBelowThreshold      Reason = "below-threshold"       // the disk is not full enough
	ReasonFirstLook           Reason = "first-look"            // a periodic pass only looks at first
	ReasonSourcesNotReady     Reason = "sources-not-ready"     // PodStates is not ready
	ReasonUnknownState        Reason = "unknown-state"         // its state, or its name, cannot be read
	ReasonChanged             Reason = "changed"               // asked again, the answer was another
	ReasonListIncomplete      Reason = "list-incomplete"       // a list of the runtime failed
	ReasonHeld                Reason = "held"                  // hold-file exists
	ReasonBackoff             Reason = "backoff"               // its last removal failed; periodic passes leave it alone for a while
	ReasonNotReached          Reason = "not-reached"           // the pass ended before
	ReasonSandboxImageUnknown Reason = "sandbox-image-unknown" // the image of sandboxes is unknown
	ReasonLinkUnknown         Reason = "link-unknown"          // where the link leads cannot be found out
	ReasonNewerThanAnswer     Reason = "newer-than-answer"     // its pod has changed since the moment that PodStatesAsOf answered for
)

// reasons finds the constant of a word.
var reasons = func() map[string]Reason {
	known := map[string]Reason{}
	for _, reason := range []Reason{
		ReasonPodRemoved,
		ReasonPodTerminated,
		ReasonUnitLimit,
		ReasonTotalLimit,
		ReasonOlderSandbox,
		ReasonDeadLink,
		ReasonAge,
		ReasonSpace,
		ReasonUnused,
		ReasonRunning,
		ReasonTooYoung,
		ReasonWithinLimit,
		ReasonActive,
		ReasonNewestSandbox,
		ReasonPodExists,
		ReasonPodActive,
		ReasonLinkAlive,
		ReasonInUse,
		ReasonPinned,
		ReasonSandboxImage,
		ReasonExempt,
		ReasonEnoughFreed,
		ReasonBelowThreshold,
		ReasonFirstLook,
		ReasonSourcesNotReady,
		ReasonUnknownState,
		ReasonChanged,
		ReasonListIncomplete,
		ReasonHeld,
		ReasonBackoff,
		ReasonNotReached,
		ReasonSandboxImageUnknown,
		ReasonLinkUnknown,
		ReasonNewerThanAnswer,
	} {
		known[string(reason)] = reason
	}
	return known
}()
