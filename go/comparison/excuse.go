package comparison

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/crigc/crigc/go"
)

// Which rule allows crigc to keep an object that the kubelet removes: crigc's report has to give that rule's reason, and the node has
// to show that it is true.

func (with *comparison) entry(object string) (crigc.Entry, bool) {
	kind, name, _ := strings.Cut(object, " ")
	if kind == "file" {
		name = visible(filepath.Join(with.folder, name))
	}
	entry, found := with.entries[name]
	return entry, found
}

// visible is a name as it is in a report.
func visible(name string) string { return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(name) }

// why is the entry of an object in crigc's report.
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

// isStrange says whether the UID of the entry's pod cannot be asked about (S0.3).
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
	case with.isNewer(entry), kept(entry, crigc.ReasonSourcesNotReady) && with.AsOf > 0:
		return newerThanAnswer
	case entry.Outcome == crigc.Failed && with.hasDirectoryForLink(container):
		return "S2.4 the link's place"
	case kept(entry, crigc.ReasonNotReached) && with.saysWrongKey() && with.hasWrongKey():
		return "S2.4 the key"
	case kept(entry, crigc.ReasonWithinLimit) && isStrange(entry):
		return "S0.3"
	case kept(entry, crigc.ReasonTooYoung) && with.isJustCreated(container):
		return "S1.1 just created"
	case entry.Outcome == crigc.Kept && container.State == Unknown && with.isBackLater(uidOf(container)):
		return "S0.3 asked again"
	case kept(entry, crigc.ReasonListIncomplete) && with.fails("ListPodSandbox"):
		// crigc cannot know whether the pod runs (S0.4).
		return "S1.1 no sandboxes"
	}
	return with.ruleOfLimit(entry, container)
}

// hasUnknown says whether a pod has a container that is UNKNOWN, by its label or by its sandbox.
func (with *comparison) hasUnknown(uid string) bool {
	before := with.ours.Before.node
	return slices.ContainsFunc(before.Containers, func(c Container) bool {
		in := func(s Sandbox) bool { return s.ID == c.SandboxID && s.UID == uid }
		return c.State == Unknown && (uidOf(c) == uid || slices.ContainsFunc(before.Sandboxes, in))
	})
}

// isBackLater says whether the host reports at a later stage that a pod exists. An UNKNOWN container is removed after its stop, at the
// end of the pass (S2.3), and the host is asked again before.
func (with *comparison) isBackLater(uid string) bool {
	return slices.ContainsFunc([]Stage{OfSandboxes, OfLogs}, func(stage Stage) bool {
		_, says := with.Steps[with.step].Later[stage][uid]
		return says && with.word(uid, stage) == Known
	})
}

// fails says whether the runtime fails a call that names no object.
func (with *comparison) fails(method string) bool {
	return slices.ContainsFunc(with.Faults, func(fault Fault) bool { return fault.Method == method && fault.ID == "" })
}

// newerThanAnswer is the case of S0.3 in which the host's answer is about the past.
const newerThanAnswer = "S0.3 newer than the answer"

// isNewer says whether something of an entry's pod was created or changed after the moment for which the host answered, and crigc
// keeps the object for that.
func (with *comparison) isNewer(entry crigc.Entry) bool {
	if !kept(entry, crigc.ReasonNewerThanAnswer) || with.AsOf == 0 {
		return false
	}
	before, owners := with.ours.Before, map[string]string{}
	asOf := with.asOf(with.ours.Now).UnixNano()
	newer := func(at int64) bool { return at > asOf && at <= with.ours.At }
	for _, s := range before.node.Sandboxes {
		owners[s.ID] = s.UID
		if s.UID == entry.PodUID && newer(s.CreatedAt) {
			return true
		}
	}
	for _, c := range before.node.Containers {
		if (uidOf(c) == entry.PodUID || owners[c.SandboxID] == entry.PodUID) && newer(c.CreatedAt) {
			return true
		}
	}
	for name, at := range before.changed {
		parts := strings.Split(name, "/")
		if parts[0] == "pods" && len(parts) > 1 && uidOfLogs(parts[1]) == entry.PodUID && newer(at) {
			return true
		}
	}
	return false
}

// uidOfLogs is the UID that an entry of the log directory names (S4.1).
func uidOfLogs(entry string) string { return entry[strings.LastIndex(entry, "_")+1:] }

// hasDirectoryForLink says whether there is a directory in the place of a container's link.
func (with *comparison) hasDirectoryForLink(c Container) bool {
	return with.ours.Before.has("file " + linkOf(c) + "/")
}

func (with *comparison) container(id string) (Container, bool) {
	all := with.ours.Before.node.Containers
	if at := slices.IndexFunc(all, func(c Container) bool { return c.ID == id }); at >= 0 {
		return all[at], true
	}
	return Container{}, false
}

// saysWrongKey says whether the wrong key is among crigc's errors.
func (with *comparison) saysWrongKey() bool {
	return with.ours.Err != nil && strings.Contains(with.ours.Err.Error(), "is likely wrong")
}

// hasWrongKey says whether the log of a dead container is elsewhere, and no pod of a dead container has its directory in the log
// directory.
func (with *comparison) hasWrongKey() bool {
	outside := false
	for _, c := range with.ours.Before.node.Containers {
		label := func(key string) string { return c.Labels["io.kubernetes."+key] }
		if c.State == Running || label("container.name") == "" {
			continue
		}
		uid := label("pod.uid")
		if with.ours.Before.has("file pods/"+uid+"/") || with.ours.Before.has("file pods/"+label("pod.namespace")+"_"+label("pod.name")+"_"+uid+"/") {
			return false
		}
		outside = outside || with.isOutside(c.LogPath)
	}
	return outside
}

// isOutside says whether a log path is not in the log directory.
func (with *comparison) isOutside(path string) bool {
	return path != "" && !strings.HasPrefix(path, filepath.Join(with.folder, "pods")+"/")
}

func (with *comparison) ruleOfSandbox(entry crigc.Entry) string {
	all := with.ours.Before.node.Sandboxes
	at := slices.IndexFunc(all, func(s Sandbox) bool { return s.ID == entry.ID })
	switch {
	case at < 0:
		return ""
	case with.isNewer(entry), kept(entry, crigc.ReasonSourcesNotReady) && with.AsOf > 0:
		return newerThanAnswer
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
	case kept(entry, crigc.ReasonNewestSandbox) && with.isBackLater(all[at].UID) && with.hasUnknown(all[at].UID):
		// The stopped container was removed late, and then S3 decided once more about its pod.
		return "S0.3 asked again"
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

// ruleOfActive is S0.4, if the pod runs, or if the host calls most pods that run gone.
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

// isContradicted says whether the host calls more than half of the pods that run gone, and at least two.
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

// isUndefined says whether a state in JSON is one that CRI does not define.
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
	case entry.Outcome == crigc.Kept && meanwhileReasons[entry.Reason] && with.protectedMeanwhile(image) != "":
		return "S5.2 " + with.protectedMeanwhile(image)
	case kept(entry, crigc.ReasonNotReached) && with.isStillListed():
		// If the runtime removes nothing, crigc does not try the rest.
		return stillListed
	case kept(entry, crigc.ReasonEnoughFreed) && with.hasEnough():
		return enoughByFilesystem
	case entry.Outcome == crigc.Kept && with.isUsedByNobody(image) && with.isTooYoungToAge(image):
		// The kubelet treats it as always unused.
		return "S5.5 never used"
	}
	return ""
}

// meanwhileReasons are crigc's reasons for an image that a later list protects.
var meanwhileReasons = map[crigc.Reason]bool{crigc.ReasonChanged: true, crigc.ReasonInUse: true, crigc.ReasonPinned: true}

// protectedMeanwhile is the change between the lists and the removal that protects an image; "" if none does.
func (with *comparison) protectedMeanwhile(image Image) string {
	changes := with.Steps[with.step].Meanwhile
	if changes == nil {
		return ""
	}
	after := *with
	after.ours.Before.node = changes.applied(with.ours.Before.node, with.folder, with.ours.At)
	now, found := after.image(image.ID)
	switch {
	case !found:
		return ""
	case now.Pinned:
		return "pinned since the look"
	case after.uses(now) != "" && len(now.Tags) > len(image.Tags):
		return "tagged since the look"
	case after.uses(now) != "":
		return "used since the look"
	}
	return ""
}

// enoughByFilesystem is the case of S5.8 in which the filesystem shows that enough is free, whatever the sizes are.
const enoughByFilesystem = "S5.8 enough by the filesystem"

// hasEnough says whether a pass for space has reached its goal.
func (with *comparison) hasEnough() bool {
	disk, low := with.ours.node.Filesystem, uint64(with.Policy.LowThreshold)
	return with.pass() == Images && disk.Available >= disk.Capacity*(100-low)/100
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
	rule := with.ruleOfOwner(func(c Container) bool {
		return c.LogPath != "" && (strings.HasPrefix(path, c.LogPath) || strings.HasPrefix(path, with.behindLinks(c.LogPath)))
	})
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
	case with.isNewer(entry), kept(entry, crigc.ReasonSourcesNotReady) && with.AsOf > 0:
		return newerThanAnswer
	case kept(entry, crigc.ReasonPodExists) && strings.Contains(uid, "\n"):
		return "S0.3"
	case kept(entry, crigc.ReasonActive) && with.holdsContainerOf(uid):
		return "S4.1"
	case kept(entry, crigc.ReasonListIncomplete) && (with.fails("ListContainers") || with.fails("ListPodSandbox")):
		return "S4.1 no lists"
	}
	return ""
}

// ruleOfOwner is the rule that keeps the container that a log or a link belongs to. The container itself may exist on both sides: if
// its removal fails, the kubelet has already deleted its logs.
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

// ruleOfRest is the rule of a file that crigc leaves when both remove its container, or try to: a file whose name only begins like that of
// the log, or the log itself if it is outside or behind a link.
func (with *comparison) ruleOfRest(path string) string {
	for _, c := range with.ours.Before.node.Containers {
		rest, begins := strings.CutPrefix(path, c.LogPath)
		entry, _ := with.entry("container " + c.ID)
		behind := with.behindLinks(c.LogPath)
		switch {
		case c.LogPath == "" || entry.Outcome != crigc.Removed && entry.Outcome != crigc.Failed:
		case begins && rest != "" && rest[0] != '.':
			return "S2.4 a file beside"
		case begins && with.isOutside(path):
			return "S2.4 a log outside"
		case behind != c.LogPath && strings.HasPrefix(path, behind):
			return "S2.4 a link on the way"
		}
	}
	return ""
}

// behindLinks is where a log's path leads when links on the way are followed.
func (with *comparison) behindLinks(path string) string {
	for name, target := range with.ours.Before.links {
		if !filepath.IsAbs(target) {
			target = filepath.Join(with.folder, filepath.Dir(name), target)
		}
		if rest, through := strings.CutPrefix(path, filepath.Join(with.folder, name)+"/"); through {
			return filepath.Join(target, rest)
		}
	}
	return path
}

// holdsContainerOf says whether crigc kept a container of a pod.
func (with *comparison) holdsContainerOf(uid string) bool {
	return slices.ContainsFunc(with.ours.node.Containers, func(c Container) bool { return uidOf(c) == uid })
}

func (with *comparison) ruleOfLink(name string) string {
	if entry, _ := with.entry("file " + name); kept(entry, crigc.ReasonLinkUnknown) && (with.hasNoAnswer(name) || with.isUnlisted(name)) {
		return "S4.2"
	}
	if entry, _ := with.entry("file " + name); kept(entry, crigc.ReasonLinkAlive) && with.isCutLink(name) {
		if with.isLinkOfRemoved(name) {
			return "S2.4 a shared link"
		}
		return "S4.2 a cut name"
	}
	if rule := with.ruleOfOwner(func(c Container) bool { return strings.TrimSuffix(name, "/") == linkOf(c) || isLinkOf(c, name) }); rule != "" {
		return rule
	}
	if entry, _ := with.entry("file " + name); kept(entry, crigc.ReasonLinkAlive) && with.isLinkOfRefused(name) {
		return noCreationTime
	}
	if with.isLinkOfLate(name) {
		return "S2.3 a link left"
	}
	// crigc keeps the link's target.
	target := "file " + strings.TrimPrefix(with.ours.links[name], with.folder+"/")
	if target != "file "+name && with.isMore(target) {
		return with.rule(target)
	}
	return ""
}

// isUnlisted says whether a link has a cut name, and its container is unknown because lists fail.
func (with *comparison) isUnlisted(name string) bool {
	return len(filepath.Base(name)) == 255 && (with.fails("ListContainers") || with.fails("ListPodSandbox"))
}

// isLinkOfRefused says whether a link is that of a container without a creation time that has not exited: the kubelet's client refuses the
// answer about it, so the kubelet treats the link as dead.
func (with *comparison) isLinkOfRefused(name string) bool {
	return slices.ContainsFunc(with.ours.Before.node.Containers, func(c Container) bool {
		return c.CreatedAt == 0 && c.State != Exited && isLinkOf(c, name)
	})
}

// isLinkOfLate says whether a link is that of an UNKNOWN container without labels whose removal failed: crigc removes such a container, with
// its log, at the end of the pass, and the next pass finds that its link dangles.
func (with *comparison) isLinkOfLate(name string) bool {
	return slices.ContainsFunc(with.ours.Before.node.Containers, func(c Container) bool {
		entry, _ := with.entry("container " + c.ID)
		return c.State == Unknown && c.Labels["io.kubernetes.container.name"] == "" && entry.Outcome == crigc.Failed && isLinkOf(c, name)
	})
}

// isLinkOfRemoved says whether a link was also that of a container that crigc removed.
func (with *comparison) isLinkOfRemoved(name string) bool {
	return slices.ContainsFunc(with.ours.Before.node.Containers, func(c Container) bool {
		entry, _ := with.entry("container " + c.ID)
		return entry.Outcome == crigc.Removed && linkOf(c) == name
	})
}

// isCutLink says whether a link is that of a container that has not exited, with a cut ID.
func (with *comparison) isCutLink(name string) bool {
	return slices.ContainsFunc(with.ours.Before.node.Containers, func(c Container) bool {
		return c.State != Exited && name == linkOf(c) && !strings.HasSuffix(name, "-"+c.ID+".log")
	})
}

// hasNoAnswer says whether the runtime gives no answer about the container that a link names.
func (with *comparison) hasNoAnswer(name string) bool {
	return slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		return fault.Method == "ContainerStatus" && strings.HasSuffix(name, "-"+fault.ID+".log")
	})
}
