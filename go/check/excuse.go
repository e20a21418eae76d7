package check

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/crigc/crigc/go"
)

// Which rule lets crigc keep what the kubelet removes: crigc's report has to give that rule's reason, and the node has to bear it
// out.

func (with *comparison) entry(object string) (crigc.Entry, bool) {
	kind, name, _ := strings.Cut(object, " ")
	if kind == "file" {
		name = visible(filepath.Join(with.folder, name))
	}
	entry, found := with.entries[name]
	return entry, found
}

// visible is a name as a report tells it.
func visible(name string) string { return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(name) }

// why is what crigc says of an object.
func (with *comparison) why(object string) string {
	entry, found := with.entry(object)
	if !found {
		return "not in the report"
	}
	return fmt.Sprintf("%v, %s, %s", entry.Outcome, entry.Reason, entry.Error)
}

// rule is the one by which crigc keeps an object that the kubelet removes; "" if there is none.
func (with *comparison) rule(object string) string {
	kind, name, _ := strings.Cut(object, " ")
	entry, _ := with.entry(object)
	switch kind {
	case "one":
		return with.ruleOfClass(object)
	case "container":
		return with.ruleOfContainer(entry)
	case "sandbox":
		return with.ruleOfSandbox(entry)
	case "image":
		return with.ruleOfImage(entry)
	case "file":
		return with.ruleOfFile(name)
	}
	return ""
}

// ruleOfClass is the rule of one of equally old objects.
func (with *comparison) ruleOfClass(class string) string {
	for _, object := range with.ours.Objects {
		if with.named(object) != class {
			continue
		}
		if rule := with.rule(object); rule != "" {
			return rule
		}
	}
	return ""
}

// isMore says whether crigc keeps an object, or one of its class, that the kubelet removes.
func (with *comparison) isMore(object string) bool {
	return slices.Contains(with.more, with.named(object))
}

// kept says whether crigc reports an object as kept for a reason.
func kept(entry crigc.Entry, reason crigc.Reason) bool {
	return entry.Outcome == crigc.Kept && entry.Reason == reason
}

// isStrange says whether the UID of the entry's pod is none to ask about (S0.3).
func isStrange(entry crigc.Entry) bool { return strings.Contains(entry.PodUID, `\n`) }

func (with *comparison) ruleOfContainer(entry crigc.Entry) string {
	container, found := with.container(entry.ID)
	switch {
	case !found:
		return ""
	case kept(entry, crigc.ReasonPodActive):
		return with.ruleOfActive(entry.PodUID)
	case kept(entry, crigc.ReasonUnknownState) && isUndefined(container.State):
		return "S1.1 the state"
	case entry.Outcome == crigc.Failed && strings.Contains(entry.Error, "not below pod-logs-dir") && with.isOutside(container.LogPath):
		return "S2.4 a path outside"
	case kept(entry, crigc.ReasonWithinLimit) && isStrange(entry):
		return "S0.3"
	case kept(entry, crigc.ReasonTooYoung) && with.isJustCreated(container):
		return "S1.1 just created"
	case kept(entry, crigc.ReasonListIncomplete) && with.fails("ListPodSandbox"):
		// Whether the pod runs is not known (S0.4).
		return "S1.1 no sandboxes"
	}
	return with.ruleOfLimit(entry, container)
}

// fails says whether the runtime fails a call that is about no object.
func (with *comparison) fails(method string) bool {
	return slices.ContainsFunc(with.Faults, func(fault Fault) bool { return fault.Method == method && fault.ID == "" })
}

func (with *comparison) container(id string) (Container, bool) {
	all := with.ours.Before.node.Containers
	if at := slices.IndexFunc(all, func(c Container) bool { return c.ID == id }); at >= 0 {
		return all[at], true
	}
	return Container{}, false
}

// isOutside says whether a log path does not lie in the log directory.
func (with *comparison) isOutside(path string) bool {
	return path != "" && !strings.HasPrefix(path, filepath.Join(with.folder, "pods")+"/")
}

func (with *comparison) ruleOfSandbox(entry crigc.Entry) string {
	all := with.ours.Before.node.Sandboxes
	at := slices.IndexFunc(all, func(s Sandbox) bool { return s.ID == entry.ID })
	switch {
	case at < 0:
		return ""
	case kept(entry, crigc.ReasonSourcesNotReady) && !with.ready(with.step):
		// The kubelet asks for ready sources before it removes containers and logs, but not for sandboxes.
		return "S0.2"
	case kept(entry, crigc.ReasonPodActive):
		return with.ruleOfActive(entry.PodUID)
	case kept(entry, crigc.ReasonUnknownState) && isUndefined(all[at].State):
		return "S3.2"
	case kept(entry, crigc.ReasonNewestSandbox) && isStrange(entry):
		return "S0.3"
	case kept(entry, crigc.ReasonActive):
		return with.ruleOfContainersIn(entry.ID)
	case kept(entry, crigc.ReasonNewestSandbox) && with.isHighestSandbox(all[at]):
		return "S3.3 the highest attempt"
	}
	return ""
}

// isHighestSandbox says whether a pod has no sandbox of a higher attempt, and a newer one.
func (with *comparison) isHighestSandbox(own Sandbox) bool {
	newer := false
	for _, other := range with.ours.Before.node.Sandboxes {
		if other.UID == own.UID && other.Attempt > own.Attempt {
			return false
		}
		newer = newer || other.UID == own.UID && other.CreatedAt > own.CreatedAt
	}
	return newer
}

// ruleOfContainersIn is the rule by which a container of a sandbox, or of none, was kept.
func (with *comparison) ruleOfContainersIn(sandbox string) string {
	for _, c := range with.ours.node.Containers {
		if c.SandboxID == sandbox && with.isMore("container "+c.ID) {
			return with.rule("container " + c.ID)
		}
	}
	return ""
}

// ruleOfActive is S0.4, where the pod runs, or where most of what runs is said to be gone.
func (with *comparison) ruleOfActive(uid string) string {
	switch {
	case errors.Is(with.ours.Err, crigc.ErrContradiction) && with.isContradicted():
		return "S0.4 most pods"
	case with.active()[uid]:
		return "S0.4 one pod"
	}
	return ""
}

// active are the UIDs of pods with a container that runs or a sandbox that is ready, or may be.
func (with *comparison) active() map[string]bool {
	uids, owners := map[string]bool{}, map[string]string{}
	for _, s := range with.ours.Before.node.Sandboxes {
		owners[s.ID] = s.UID
		if s.State == Ready || isUndefined(s.State) {
			uids[s.UID] = true
		}
	}
	for _, c := range with.ours.Before.node.Containers {
		if c.State != Running && !isUndefined(c.State) {
			continue
		}
		uids[uidOf(c)] = true
		if owner, found := owners[c.SandboxID]; found {
			uids[owner] = true
		}
	}
	return uids
}

// isContradicted says whether the host calls more than half of what runs gone, and two at least.
func (with *comparison) isContradicted() bool {
	words := with.words()[with.step]
	all, claimed := 0, 0
	for uid := range with.active() {
		if strings.Contains(uid, "\n") {
			continue
		}
		word, found := words[uid]
		if !found {
			word = with.Strange
		}
		all++
		if content, runtime := word.removable(); content || runtime && with.pass() == AllContainers {
			claimed++
		}
	}
	return claimed >= 2 && claimed*2 > all
}

// uidOf is the UID of the pod that a container belongs to.
func uidOf(c Container) string { return c.Labels["io.kubernetes.pod.uid"] }

// isUndefined says whether a state, as JSON tells it, is one that CRI does not define.
func isUndefined(state any) bool {
	_, number := state.(float64)
	return number
}

func (with *comparison) image(id string) (Image, bool) {
	all := with.ours.Before.node.Images
	if at := slices.IndexFunc(all, func(image Image) bool { return image.ID == id }); at >= 0 {
		return all[at], true
	}
	return Image{}, false
}

func (with *comparison) ruleOfImage(entry crigc.Entry) string {
	image, found := with.image(entry.ID)
	uses := with.uses(image)
	switch {
	case !found:
		return ""
	case kept(entry, crigc.ReasonInUse) && uses != "":
		return "S5.2 " + uses
	case kept(entry, crigc.ReasonSandboxImage) && slices.Contains(image.Tags, with.Node.SandboxImage):
		return "S5.3 of the runtime"
	case kept(entry, crigc.ReasonSandboxImage) && isPause(image):
		return "S5.3 by name"
	case kept(entry, crigc.ReasonPinned) && image.Pinned && !with.knows.Pinned:
		return "S5.3 pinned"
	case kept(entry, crigc.ReasonChanged) && with.isProtectedMeanwhile(image):
		return "S5.2 since the look"
	case entry.Outcome == crigc.Kept && with.isUsedByNobody(image) && with.isTooYoungToAge(image):
		// The kubelet takes it for unused since ever.
		return "S5.5 never used"
	}
	return ""
}

// isProtectedMeanwhile says whether what happens between look and removal protects an image.
func (with *comparison) isProtectedMeanwhile(image Image) bool {
	changes := with.Steps[with.step].Meanwhile
	if changes == nil {
		return false
	}
	after := *with
	after.ours.Before.node = changes.applied(with.ours.Before.node, with.folder, with.ours.At)
	now, found := after.image(image.ID)
	return found && (now.Pinned || after.uses(now) != "")
}

// isUsedByNobody says whether no container ever referred to an image.
func (with *comparison) isUsedByNobody(image Image) bool {
	all := slices.Clone(with.Node.Containers)
	for _, step := range with.Steps[:with.step+1] {
		all = append(all, step.Before.Containers...)
	}
	with = &comparison{ours: Left{Before: Seen{node: Node{Containers: all}}}}
	return with.uses(image) == ""
}

// isTooYoungToAge says whether an image was first seen less than image-maximum-gc-age ago.
func (with *comparison) isTooYoungToAge(image Image) bool {
	var age time.Duration
	for i, step := range with.Steps[:with.step+1] {
		age += step.Age
		if slices.ContainsFunc(step.Before.Images, func(came Image) bool { return came.ID == image.ID }) {
			age = 0
			if i == 0 {
				age = beforeFirstLook
			}
		}
		if i == 0 && slices.ContainsFunc(with.Node.Images, func(there Image) bool { return there.ID == image.ID }) {
			age = beforeFirstLook
		}
	}
	return age < with.Policy.ImageMaxAge
}

// uses says by what a container refers to an image; "" if none does.
func (with *comparison) uses(image Image) string {
	for _, c := range with.ours.Before.node.Containers {
		for _, name := range append([]string{c.ImageID, c.ImageRef, c.Image}, c.MountedImages...) {
			switch {
			case name == "":
			case name == image.ID:
				return "by ID"
			case slices.Contains(image.Tags, name):
				return "by tag"
			case slices.Contains(image.Digests, name):
				return "by digest"
			}
		}
	}
	return ""
}

// isPause says whether an image has the name of one that sandboxes are made from.
func isPause(image Image) bool {
	return slices.ContainsFunc(image.Tags, func(tag string) bool {
		name, _, _ := strings.Cut(tag[strings.LastIndex(tag, "/")+1:], ":")
		return name == "pause" || strings.HasSuffix(name, "-pause")
	})
}

// ruleOfFile is the rule of the log directory's entry, of the link, or of the container that a file belongs to.
func (with *comparison) ruleOfFile(name string) string {
	parts := strings.Split(name, "/")
	if parts[0] == "links" {
		return with.ruleOfLink(name)
	}
	path := filepath.Join(with.folder, name)
	rule := with.ruleOfOwner(func(c Container) bool { return c.LogPath != "" && strings.HasPrefix(path, c.LogPath) })
	if rule != "" {
		return rule
	}
	if rule := with.ruleOfRest(path); rule != "" {
		return rule
	}
	entry, found := with.entry("file pods/" + parts[1])
	switch uid := parts[1][strings.LastIndex(parts[1], "_")+1:]; {
	case !found || parts[0] != "pods":
		return ""
	case kept(entry, crigc.ReasonPodActive):
		return with.ruleOfActive(uid)
	case kept(entry, crigc.ReasonPodExists) && strings.Contains(uid, "\n"):
		return "S0.3"
	case kept(entry, crigc.ReasonActive) && with.holdsContainerOf(uid):
		return "S4.1"
	case kept(entry, crigc.ReasonListIncomplete) && (with.fails("ListContainers") || with.fails("ListPodSandbox")):
		return "S4.1 no lists"
	}
	return ""
}

// ruleOfOwner is the rule by which the container that a log or a link belongs to was kept. The container itself may be there on
// both sides: where its removal fails, the kubelet has deleted its logs before.
func (with *comparison) ruleOfOwner(owns func(Container) bool) string {
	for _, c := range with.ours.node.Containers {
		if owns(c) {
			entry, _ := with.entry("container " + c.ID)
			if rule := with.ruleOfContainer(entry); rule != "" {
				return rule
			}
		}
	}
	return ""
}

// ruleOfRest is the rule of a file that stays behind when both remove its container, or try to: one whose name only begins like that of the
// log, or the log itself where it lies outside. Where S2.6 spares the question for the path, crigc does not even hear of that one.
func (with *comparison) ruleOfRest(path string) string {
	for _, c := range with.ours.Before.node.Containers {
		rest, begins := strings.CutPrefix(path, c.LogPath)
		entry, _ := with.entry("container " + c.ID)
		switch {
		case c.LogPath == "" || !begins || entry.Outcome != crigc.Removed && entry.Outcome != crigc.Failed:
		case rest != "" && rest[0] != '.':
			return "S2.4 a file beside"
		case with.isOutside(path) && !slices.Contains(with.ours.Asked, c.ID):
			return "S2.4 a log outside"
		}
	}
	return ""
}

// holdsContainerOf says whether crigc left a container of a pod.
func (with *comparison) holdsContainerOf(uid string) bool {
	return slices.ContainsFunc(with.ours.node.Containers, func(c Container) bool { return uidOf(c) == uid })
}

func (with *comparison) ruleOfLink(name string) string {
	if entry, _ := with.entry("file " + name); kept(entry, crigc.ReasonLinkUnknown) && with.hasNoAnswer(name) {
		return "S4.2"
	}
	if rule := with.ruleOfOwner(func(c Container) bool { return strings.HasSuffix(name, "-"+c.ID+".log") }); rule != "" {
		return rule
	}
	// The link's target is among what crigc keeps.
	target := "file " + strings.TrimPrefix(with.ours.links[name], with.folder+"/")
	if target != "file "+name && with.isMore(target) {
		return with.rule(target)
	}
	return ""
}

// hasNoAnswer says whether the runtime gives no answer about the container that a link names.
func (with *comparison) hasNoAnswer(name string) bool {
	return slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		return fault.Method == "ContainerStatus" && strings.HasSuffix(name, "-"+fault.ID+".log")
	})
}
