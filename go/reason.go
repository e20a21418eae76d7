package crigc

// Reason says why an object was removed, was to be removed, or was kept: a stable word. Later versions may add words.
type Reason string

// Why objects are removed.
const (
	ReasonPodRemoved    Reason = "pod-removed"    // its pod is gone, or was evicted
	ReasonPodTerminated Reason = "pod-terminated" // its pod has terminated, and the pass has AllUnused
	ReasonUnitLimit     Reason = "unit-limit"     // beyond maximum-dead-containers-per-container
	ReasonTotalLimit    Reason = "total-limit"    // beyond maximum-dead-containers
	ReasonOlderSandbox  Reason = "older-sandbox"  // its pod has a newer sandbox
	ReasonDeadLink      Reason = "dead-link"      // the target of the link does not exist
	ReasonAge           Reason = "age"            // older, or unused for longer, than its key allows
	ReasonSpace         Reason = "space"          // the disk is too full
	ReasonUnused        Reason = "unused"         // no container uses it, and the pass has AllUnused
)

// Why objects are kept.
const (
	ReasonRunning             Reason = "running"               // it runs
	ReasonTooYoung            Reason = "too-young"             // younger than its minimum age
	ReasonWithinLimit         Reason = "within-limit"          // the limits keep it
	ReasonActive              Reason = "active"                // a sandbox that is ready or has containers, or logs of such a pod
	ReasonNewestSandbox       Reason = "newest-sandbox"        // the newest of its pod
	ReasonPodExists           Reason = "pod-exists"            // its pod may still exist
	ReasonPodActive           Reason = "pod-active"            // the host reports its pod as gone, but the pod runs
	ReasonLinkAlive           Reason = "link-alive"            // the target of the link exists
	ReasonInUse               Reason = "in-use"                // a container uses the image
	ReasonPinned              Reason = "pinned"                // the runtime has pinned it
	ReasonSandboxImage        Reason = "sandbox-image"         // sandboxes are made from it
	ReasonExempt              Reason = "exempt"                // image-gc-exempt names it
	ReasonEnoughFreed         Reason = "enough-freed"          // enough is free without it
	ReasonBelowThreshold      Reason = "below-threshold"       // the disk is not full enough
	ReasonFirstLook           Reason = "first-look"            // the first periodic pass only records images
	ReasonSourcesNotReady     Reason = "sources-not-ready"     // PodStates was not ready
	ReasonUnknownState        Reason = "unknown-state"         // its state, or its name, cannot be read
	ReasonChanged             Reason = "changed"               // it changed, or the answer of PodStates did, before its removal
	ReasonListIncomplete      Reason = "list-incomplete"       // a list of the runtime failed
	ReasonHeld                Reason = "held"                  // hold-file exists
	ReasonBackoff             Reason = "backoff"               // its last removal failed; periodic passes wait before the next try
	ReasonNotReached          Reason = "not-reached"           // the pass ended earlier
	ReasonSandboxImageUnknown Reason = "sandbox-image-unknown" // the image of sandboxes is unknown
	ReasonLinkUnknown         Reason = "link-unknown"          // the target of the link cannot be read
	ReasonNewerThanAnswer     Reason = "newer-than-answer"     // its pod has changed since the moment that the answer of PodStatesAsOf describes
	ReasonHeldByShare         Reason = "held-by-share"         // more pods are gone than max-pod-share allows
	ReasonNoEffect            Reason = "no-effect"             // the image filesystem did not show what the removals before it freed
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
		ReasonHeldByShare,
		ReasonNoEffect,
	} {
		known[string(reason)] = reason
	}
	return known
}()
