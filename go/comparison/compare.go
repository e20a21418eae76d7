package comparison

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/crigc/crigc/go"
)

// Difference is an object that crigc keeps and the kubelet removes, with the rule that allows it: its number, and the case if it has
// several.
type Difference struct {
	Object, Rule string
}

// Problem is a difference that no rule allows.
type Problem struct {
	// Sort is the kind of object and the side: a smaller node that fails in another way is another failure.
	Sort string
	Text string
}

// verdict is the comparison of one step.
type verdict struct {
	Differences []Difference
	Problems    []Problem
	// apart are the objects, or classes of equally old ones, of which the two leave different numbers.
	apart map[string]bool
}

// comparison has all that explains a difference.
type comparison struct {
	Case
	knows   Knows
	folder  string
	step    int
	kubelet Left
	ours    Left
	more    []string // objects that crigc keeps and the kubelet removes
	entries map[string]crigc.Entry
}

// compare finds where two passes of one step over the same node differ.
func compare(c Case, knows Knows, folder string, step int, kubelet, ours Left) verdict {
	with := comparison{Case: c, knows: knows, folder: folder, step: step, kubelet: kubelet, ours: ours,
		entries: map[string]crigc.Entry{}}
	if ours.Report != nil {
		for _, entry := range ours.Report.Entries {
			with.entries[entry.ID] = entry
		}
	}
	k, o := c.classed(kubelet.Objects), c.classed(ours.Objects)
	with.more = beyond(o, k)
	fewer := beyond(k, o)
	v := verdict{apart: map[string]bool{}}
	for _, object := range slices.Concat(with.more, fewer) {
		v.apart[object] = true
	}
	with.keepsMore(&v)
	with.removesMore(&v, fewer)
	if with.isStillListed() && slices.Contains(with.Planted, "S5.12") {
		// From here on crigc knows more than the kubelet.
		v.Differences = append(v.Differences, Difference{"an image that did not go", stillListed})
	}
	with.tellsTheTruth(&v)
	with.tellsAll(&v)
	with.sparesCanaries(&v)
	if with.pass() != Look && len(v.Problems) == 0 {
		with.ends(&v)
		with.events(&v)
		with.stops(&v)
	}
	return v
}

func (v *verdict) problem(sort, format string, args ...any) {
	v.Problems = append(v.Problems, Problem{sort, fmt.Sprintf(format, args...)})
}

func (with *comparison) pass() Pass { return with.Steps[with.step].Pass }

// kindOf is the first word of an object, which is its kind.
func kindOf(object string) string {
	kind, _, _ := strings.Cut(object, " ")
	return kind
}

// numberOf is the number of a rule, without its case.
func numberOf(rule string) string {
	number, _, _ := strings.Cut(rule, " ")
	return number
}

// keepsMore finds the rule for each object that crigc alone keeps.
func (with *comparison) keepsMore(v *verdict) {
	for _, object := range with.more {
		if with.isUsedByTied(object, with.ours, with.kubelet) {
			continue
		}
		if rule := with.rule(object); slices.Contains(with.Planted, numberOf(rule)) {
			v.Differences = append(v.Differences, Difference{object, rule})
		} else {
			v.problem("crigc keeps a "+kindOf(object), "%s: the kubelet removes it, crigc keeps it (%s), and rule %q is not among %q",
				object, with.why(object), rule, with.Planted)
		}
	}
}

// removesMore checks the objects that crigc alone removes: at most the next images in order, in place of one that it protects.
func (with *comparison) removesMore(v *verdict, fewer []string) {
	fewer = slices.DeleteFunc(fewer, func(object string) bool {
		if with.isUsedByTied(object, with.kubelet, with.ours) {
			return true
		}
		rule := with.ruleOfRemoval(object)
		allowed := rule != "" && slices.Contains(with.Planted, numberOf(rule))
		if allowed {
			v.Differences = append(v.Differences, Difference{object, rule})
		}
		return allowed
	})
	if len(fewer) == 0 {
		return
	}
	wrong := with.replace(v.Differences, fewer)
	if wrong == "" {
		return
	}
	for _, object := range fewer {
		v.problem("crigc removes a "+kindOf(object), "%s: crigc removes it (%s), the kubelet keeps it, and %s", object, with.why(object),
			wrong)
	}
}

// isUsedByTied says whether an object is an image of one of several equally old containers, of which one side keeps this one and the other
// another.
func (with *comparison) isUsedByTied(object string, keeps, removes Left) bool {
	id, isImage := strings.CutPrefix(object, "image ")
	return isImage && slices.ContainsFunc(keeps.node.Containers, func(c Container) bool {
		_, tied := with.Ties[c.ID]
		return tied && (c.ImageRef == id || c.ImageID == id) && !removes.has("container "+c.ID)
	})
}

// noCreationTime: the kubelet's client refuses an answer about a container whose created_at is 0, so the kubelet can never remove
// it, nor its sandbox. crigc does.
const noCreationTime = "S1.7 no creation time"

// ruleOfRemoval is the one by which crigc may remove what the kubelet keeps; "" if there is none.
func (with *comparison) ruleOfRemoval(object string) string {
	if kindOf(object) == "one" {
		for _, own := range with.ours.Before.Objects {
			if rule := with.ruleOfRemoval(own); with.named(own) == object && !with.ours.has(own) && rule != "" {
				return rule
			}
		}
		return ""
	}
	switch {
	case with.isRefused(object):
		return noCreationTime
	case with.isGoneLater(object):
		return "S0.3 gone later"
	case with.isInPlace(object):
		return "S0.2 an answer of the future"
	}
	return ""
}

// isGoneLater says whether an object is a sandbox about which crigc decides once more at the end of the pass, because its pod has an
// UNKNOWN container (S2.3), and whose pod the host calls gone by then.
func (with *comparison) isGoneLater(object string) bool {
	all := with.ours.Before.node.Sandboxes
	at := slices.IndexFunc(all, func(s Sandbox) bool { return "sandbox "+s.ID == object })
	if at < 0 || !with.hasUnknown(all[at].UID) {
		return false
	}
	word, says := with.Steps[with.step].Later[OfLogs][all[at].UID]
	content, runtime := word.removable()
	return says && (content || runtime)
}

// isInPlace says whether the total limit removes an object, or the container that it belongs to, in place of containers of pods that do
// not count as gone, because the host's answer is from the future.
func (with *comparison) isInPlace(object string) bool {
	kind, name, _ := strings.Cut(object, " ")
	return with.AsOf > 0 && slices.ContainsFunc(with.ours.Before.node.Containers, func(c Container) bool {
		entry, _ := with.entry("container " + c.ID)
		switch {
		case entry.Reason != crigc.ReasonTotalLimit || entry.Outcome != crigc.Removed:
			return false
		case kind == "container":
			return name == c.ID
		case kind == "sandbox":
			return name == c.SandboxID
		}
		return kind == "file" && (with.owns(c, name) || isLinkOf(c, name))
	})
}

// isRefused says whether the kubelet keeps an object because its client refuses the answer: a container without a creation time, its
// files, its sandbox.
func (with *comparison) isRefused(object string) bool {
	kind, name, _ := strings.Cut(object, " ")
	return slices.ContainsFunc(with.ours.Before.node.Containers, func(c Container) bool {
		entry, _ := with.entry("container " + c.ID)
		if c.CreatedAt != 0 || entry.Outcome != crigc.Removed && entry.Outcome != crigc.Failed {
			return false
		}
		switch kind {
		case "container":
			return name == c.ID
		case "sandbox":
			return name == c.SandboxID
		}
		return with.owns(c, name) || isLinkOf(c, name)
	})
}

// isLinkOf says whether the name of a link has a container's ID, or the beginning of it.
func isLinkOf(c Container, name string) bool {
	name, isLink := strings.CutPrefix(name, "links/")
	id := strings.TrimSuffix(name[strings.LastIndex(name, "-")+1:], ".log")
	return isLink && len(id) >= 6 && strings.HasPrefix(c.ID, id)
}

// replace says why an object that crigc alone removes does not replace a protected image; "" if it does.
func (with *comparison) replace(differences []Difference, fewer []string) (wrong string) {
	protects := slices.ContainsFunc(differences, func(d Difference) bool { return protectsImage(d.Rule) })
	protects = protects || with.isStillListed()
	if with.pass() != Images || !protects {
		return "no image is protected in its place"
	}
	for _, object := range fewer {
		image, found := with.image(strings.TrimPrefix(object, "image "))
		if entry, _ := with.entry(object); !found || entry.Reason != crigc.ReasonSpace {
			return "it is not an image that is removed for space"
		}
		if image.Pinned || isPause(image) || with.uses(image) != "" {
			return "it may not be removed"
		}
	}
	// The last of them in crigc's order was still needed, and the kubelet, which could take one image more, stopped before it.
	wanted := with.wanted()
	last, _ := with.image(with.lastRemoved(fewer))
	if ours := with.ours.freed() - last.Size; ours >= wanted {
		return fmt.Sprintf("%d bytes of %d were free without it", ours, wanted)
	}
	if theirs := with.kubelet.freed() + with.pretended(); theirs < wanted {
		return fmt.Sprintf("the kubelet, which freed %d bytes of %d, did not find it either", theirs, wanted)
	}
	return ""
}

// stillListed is S5.12: RemoveImage succeeded, and the image is still there.
const stillListed = "S5.12 still listed"

// isStillListed says whether crigc reports that for an image that the runtime only pretends to remove.
func (with *comparison) isStillListed() bool {
	return slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		entry, found := with.entries[fault.ID]
		return fault.Action == "nothing" && found && entry.Outcome == crigc.Failed && strings.Contains(entry.Error, "still listed") &&
			with.ours.has("image "+fault.ID)
	})
}

// pretended are the bytes that the kubelet counts as freed, because the runtime says so.
func (with *comparison) pretended() (bytes uint64) {
	for _, fault := range with.Faults {
		if image, found := with.image(fault.ID); found && fault.Action == "nothing" {
			bytes += image.Size
		}
	}
	return bytes
}

func protectsImage(rule string) bool { return numberOf(rule) == "S5.2" || numberOf(rule) == "S5.3" }

// lastRemoved is the ID of the last of some images in the order of crigc's report.
func (with *comparison) lastRemoved(objects []string) (id string) {
	for _, entry := range with.ours.Report.Entries {
		if slices.Contains(objects, "image "+entry.ID) {
			id = entry.ID
		}
	}
	return id
}

// wanted is how many bytes a pass for space has to free; even for one byte an image is removed.
func (with *comparison) wanted() uint64 {
	disk := with.ours.Before.node.Filesystem
	low, available := uint64(with.Policy.LowThreshold), min(disk.Available, disk.Capacity)
	free := disk.Capacity * (100 - low) / 100
	return max(1, free-min(free, available))
}

// freed is the size of the images that a pass removed.
func (left Left) freed() (bytes uint64) {
	for _, image := range left.Before.node.Images {
		if !left.has("image " + image.ID) {
			bytes += image.Size
		}
	}
	return bytes
}

// tellsTheTruth compares crigc's report with the node after the pass.
func (with *comparison) tellsTheTruth(v *verdict) {
	if with.ours.Report == nil || with.ours.Report.DryRun {
		return
	}
	for _, entry := range with.ours.Report.Entries {
		object, found := with.ours.Before.object(entry)
		switch there := with.ours.has(object); {
		case !found:
			v.problem("the report", "%v %s: crigc reports it, and it was not there", entry.Kind, entry.ID)
		case there && entry.Outcome == crigc.Removed:
			v.problem("the report", "%s: crigc reports it as removed, and it is there", object)
		case !there && entry.Outcome != crigc.Removed:
			v.problem("the report", "%s: crigc reports it as %v, and it is gone", object, entry.Outcome)
		}
	}
}

// ends compares how the passes ended. crigc may fail alone where it keeps more, and says so.
func (with *comparison) ends(v *verdict) {
	k, o := with.kubelet.Err, with.ours.Err
	switch {
	case k == nil && o == nil, k == nil && with.mayFail(o, v.Differences):
	case o == nil && errors.Is(likeTheKubelets(k), crigc.ErrRuntime) && with.failsOnNeverUsed():
	case k != nil && o != nil && errors.Is(o, likeTheKubelets(k)):
	case k != nil && likeTheKubelets(k) == crigc.ErrIO && with.asksCapacityFirst():
	// Of several errors the contradiction gives the status.
	case k != nil && errors.Is(o, crigc.ErrContradiction) && with.mayFail(o, v.Differences):
	case k != nil && errors.Is(o, crigc.ErrRuntime) && with.isStillListed():
	case o == nil && with.failsBeyondEnough(likeTheKubelets(k)) && slices.Contains(with.Planted, "S5.8"):
	default:
		v.problem("the end", "the kubelet ends with %v, crigc with %v", k, o)
	}
}

// mayFail says whether crigc may end with an error where the kubelet does not: a contradiction, too few images because it protects
// some, or an image that cannot be removed and that the kubelet did not try.
func (with *comparison) mayFail(err error, differences []Difference) bool {
	protects := slices.ContainsFunc(differences, func(d Difference) bool { return protectsImage(d.Rule) })
	switch {
	case !with.knows.LooksFirst && with.pass() == Images && (with.fails("ListImages") || with.fails("ListContainers")):
		// With enough space that kubelet lists no images, and so records none (S5.1).
		return errors.Is(err, crigc.ErrRuntime) || errors.Is(err, crigc.ErrUnavailable)
	case errors.Is(err, crigc.ErrContradiction):
		return slices.Contains(with.Planted, "S0.4") && with.isContradicted()
	case errors.Is(err, crigc.ErrNotEnoughFreed):
		return protects
	case errors.Is(err, crigc.ErrConfig):
		return slices.ContainsFunc(differences, func(d Difference) bool { return d.Rule == "S2.4 the key" })
	case errors.Is(err, crigc.ErrRuntime) && with.isStillListed():
		return true
	case errors.Is(err, crigc.ErrRuntime):
		return protects && with.ours.Report.Count(crigc.Image, crigc.Failed) > 0
	}
	return false
}

// asksCapacityFirst says whether the kubelet asks for the capacity before it lists, and lists fail.
func (with *comparison) asksCapacityFirst() bool {
	return !with.knows.LooksFirst && (with.fails("ListImages") || with.fails("ListContainers"))
}

// failsBeyondEnough says whether the kubelet fails where enough is free for crigc by the filesystem (S5.8): it frees too little by the
// sizes of images, or it tries an image that cannot be removed.
func (with *comparison) failsBeyondEnough(k error) bool {
	failing := slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		entry, found := with.entries[fault.ID]
		return fault.Method == "RemoveImage" && found && kept(entry, crigc.ReasonEnoughFreed)
	})
	return with.hasEnough() && (errors.Is(k, crigc.ErrNotEnoughFreed) || errors.Is(k, crigc.ErrRuntime) && failing)
}

// failsOnNeverUsed says whether the kubelet fails to remove an image by age that crigc does not try (S5.5).
func (with *comparison) failsOnNeverUsed() bool {
	return slices.Contains(with.Planted, "S5.5") && slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		image, found := with.image(fault.ID)
		return fault.Method == "RemoveImage" && found && with.isUsedByNobody(image) && with.isTooYoungToAge(image)
	})
}

// likeTheKubelets is crigc's status for a pass that ends with this error in the kubelet.
func likeTheKubelets(err error) crigc.Status {
	said := func(text string) bool { return strings.Contains(err.Error(), text) }
	switch {
	case said("code = Unavailable"):
		return crigc.ErrUnavailable
	case said("errors in image deletion"), said("rpc error"):
		return crigc.ErrRuntime
	case said("invalid capacity"):
		return crigc.ErrIO
	}
	return crigc.ErrNotEnoughFreed
}

// events compares the events of passes that ended alike.
func (with *comparison) events(v *verdict) {
	if (with.kubelet.Err == nil) != (with.ours.Err == nil) || with.isStillListed() {
		return
	}
	reasons := func(events []Event) (all []string) {
		for _, event := range events {
			if event.Reason != "PodStatesContradicted" && !(event.Reason == "InvalidDiskCapacity" && with.asksCapacityFirst()) {
				all = append(all, event.Reason)
			}
		}
		return all
	}
	if k, o := reasons(with.kubelet.Events), reasons(with.ours.Events); !slices.Equal(k, o) {
		v.problem("the events", "the kubelet reports %q, crigc %q", with.kubelet.Events, with.ours.Events)
	} else if with.knows.Messages && slices.Equal(with.kubelet.Objects, with.ours.Objects) {
		with.messages(v)
	}
}

// messages compares the messages of the same events about the same images.
func (with *comparison) messages(v *verdict) {
	ours := slices.DeleteFunc(slices.Clone(with.ours.Events), func(e Event) bool { return e.Reason == "PodStatesContradicted" })
	if !slices.Equal(with.kubelet.Events, ours) {
		v.problem("the words of events", "the kubelet reports %q, crigc %q", with.kubelet.Events, ours)
	}
}

// stops compares the stops of containers that both remove or both keep.
func (with *comparison) stops(v *verdict) {
	both := func(stops []string) []string {
		return slices.DeleteFunc(slices.Clone(stops), func(stop string) bool {
			id, _, _ := strings.Cut(stop, " ")
			// If its removal fails in the end, both keep it, but the kubelet does not stop it.
			return v.apart[with.named("container "+id)] || slices.Contains(with.Planted, numberOf(noCreationTime)) && with.isRefused("container "+id)
		})
	}
	k, o := both(with.kubelet.Stops), both(with.ours.Stops)
	k = slices.DeleteFunc(k, func(stop string) bool {
		// If its removal fails, the kubelet keeps it, but crigc does not stop it.
		id, _, _ := strings.Cut(stop, " ")
		entry, _ := with.entry("container " + id)
		rule := with.ruleOfContainer(entry)
		if slices.ContainsFunc(o, func(stop string) bool { return strings.HasPrefix(stop, id+" ") }) {
			return false
		}
		return entry.Outcome == crigc.Kept && rule != "" && slices.Contains(with.Planted, numberOf(rule))
	})
	if slices.Equal(k, o) {
		return
	}
	if len(k) != len(o) || !slices.Contains(with.Planted, "S2.3") {
		v.problem("the stops", "the kubelet stops %q, crigc %q", k, o)
		return
	}
	for i := range k {
		id, _, _ := strings.Cut(k[i], " ")
		switch c, _ := with.container(id); {
		case k[i] == o[i]:
		case k[i] == id+" 2s" && o[i] == fmt.Sprintf("%s %ds", id, graceBehindNegative(c)):
			v.Differences = append(v.Differences, Difference{"the stop of " + id, "S2.3 a negative grace"})
		default:
			v.problem("the stops", "the kubelet stops %q, crigc %q", k[i], o[i])
		}
	}
}

// graceBehindNegative is the grace period in seconds of a container whose pod has a negative one for its deletion, which crigc counts
// as absent: the one of its termination (S2.3). 0 if it has no negative one.
func graceBehindNegative(c Container) int64 {
	deletion, err := strconv.ParseInt(c.Annotations[deletionGrace], 10, 64)
	if err != nil || deletion >= 0 {
		return 0
	}
	termination, err := strconv.ParseInt(c.Annotations[terminationGrace], 10, 64)
	if err != nil {
		return 0
	}
	return max(termination, 2)
}
