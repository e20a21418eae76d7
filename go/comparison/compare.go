package comparison

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/crigc/crigc/go"
)

// Difference is an object that crigc keeps and the kubelet removes, with the rule that says so. Behind the rule's number may stand
// which of its cases it is.
type Difference struct {
	Object, Rule string
}

// Problem is a difference that no rule allows.
type Problem struct {
	// Sort is what it is about and on which side: a smaller node that fails in another way is another failure.
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

// comparison knows what is needed to explain a difference.
type comparison struct {
	Case
	knows   Knows
	folder  string
	step    int
	kubelet Left
	ours    Left
	more    []string // what crigc keeps and the kubelet removes
	entries map[string]crigc.Entry
}

// compare says where two passes of one step over the same node differ.
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
		// From here on crigc knows what the kubelet does not.
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

// kindOf is the first word of an object, which says what it is.
func kindOf(object string) string {
	kind, _, _ := strings.Cut(object, " ")
	return kind
}

// numberOf is the number of a rule, without which of its cases it is.
func numberOf(rule string) string {
	number, _, _ := strings.Cut(rule, " ")
	return number
}

// keepsMore looks for a rule behind each object that crigc alone keeps.
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

// removesMore judges what crigc alone removes: at most the next images in order, in place of one that it protects.
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

// noCreationTime is the one case in which crigc removes and the kubelet does not: its client takes no answer about a container whose
// created_at is 0, so that it can never remove one, nor the sandbox around it.
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

// isGoneLater says whether an object is a sandbox to which crigc comes once more at the end of the pass, since its pod has an UNKNOWN
// container (S2.3), and whose pod the host calls gone by then.
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

// isInPlace says whether an object goes for the limit of all, or with what goes for it, in place of containers of pods that the host, by an
// answer of the future, cannot call gone.
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

// isRefused says whether the kubelet's client keeps an object back: a container without a creation time, its files, its sandbox.
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

// isLinkOf says whether the name of a link holds a container's ID, or what is left of it.
func isLinkOf(c Container, name string) bool {
	name, isLink := strings.CutPrefix(name, "links/")
	id := strings.TrimSuffix(name[strings.LastIndex(name, "-")+1:], ".log")
	return isLink && len(id) >= 6 && strings.HasPrefix(c.ID, id)
}

// replace says why what crigc alone removes is not there in place of a protected image; "" where it is.
func (with *comparison) replace(differences []Difference, fewer []string) (wrong string) {
	protects := slices.ContainsFunc(differences, func(d Difference) bool { return protectsImage(d.Rule) })
	protects = protects || with.isStillListed()
	if with.pass() != Images || !protects {
		return "no image is protected in its place"
	}
	for _, object := range fewer {
		image, found := with.image(strings.TrimPrefix(object, "image "))
		if entry, _ := with.entry(object); !found || entry.Reason != crigc.ReasonSpace {
			return "it is no image that goes for space"
		}
		if image.Pinned || isPause(image) || with.uses(image) != "" {
			return "nobody may remove it"
		}
	}
	// The last of them in crigc's order was still needed, and the kubelet, which had one more to take, could stop before.
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

// stillListed is S5.12: RemoveImage answered well, and the image is still there.
const stillListed = "S5.12 still listed"

// isStillListed says whether crigc reports that of an image of which the runtime only pretends to remove it.
func (with *comparison) isStillListed() bool {
	return slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		entry, found := with.entries[fault.ID]
		return fault.Action == "nothing" && found && entry.Outcome == crigc.Failed && strings.Contains(entry.Error, "still listed") &&
			with.ours.has("image "+fault.ID)
	})
}

// pretended are the bytes that the kubelet takes for freed, because the runtime says so.
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

// wanted is how many bytes a pass for space has to free; one image goes however few they are.
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

// tellsTheTruth compares crigc's report with what it left.
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

// mayFail says whether crigc may end with an error where the kubelet does not: a broken picture, or too few images because it
// protects some, or one that cannot be removed, to which the kubelet did not come.
func (with *comparison) mayFail(err error, differences []Difference) bool {
	protects := slices.ContainsFunc(differences, func(d Difference) bool { return protectsImage(d.Rule) })
	switch {
	case !with.knows.LooksFirst && with.pass() == Images && (with.fails("ListImages") || with.fails("ListContainers")):
		// With enough space that kubelet does not list, and what it does not see it does not record (S5.1).
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

// asksCapacityFirst says whether the kubelet asks for the capacity before its lists, and lists fail.
func (with *comparison) asksCapacityFirst() bool {
	return !with.knows.LooksFirst && (with.fails("ListImages") || with.fails("ListContainers"))
}

// failsBeyondEnough says whether the kubelet fails where crigc has enough by the filesystem (S5.8): it frees too little by the sizes of
// images, or it goes on to one that cannot be removed.
func (with *comparison) failsBeyondEnough(k error) bool {
	failing := slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		entry, found := with.entries[fault.ID]
		return fault.Method == "RemoveImage" && found && kept(entry, crigc.ReasonEnoughFreed)
	})
	return with.hasEnough() && (errors.Is(k, crigc.ErrNotEnoughFreed) || errors.Is(k, crigc.ErrRuntime) && failing)
}

// failsOnNeverUsed says whether the kubelet fails to remove an image by age that crigc has not come to (S5.5).
func (with *comparison) failsOnNeverUsed() bool {
	return slices.Contains(with.Planted, "S5.5") && slices.ContainsFunc(with.Faults, func(fault Fault) bool {
		image, found := with.image(fault.ID)
		return fault.Method == "RemoveImage" && found && with.isUsedByNobody(image) && with.isTooYoungToAge(image)
	})
}

// likeTheKubelets is the status that crigc gives a pass that the kubelet fails with this error.
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

// events compares what the passes told the host, where they ended alike.
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
		v.problem("the events", "the kubelet tells %q, crigc %q", with.kubelet.Events, with.ours.Events)
	} else if with.knows.Messages && slices.Equal(with.kubelet.Objects, with.ours.Objects) {
		with.messages(v)
	}
}

// messages compares what the same events say of the same images.
func (with *comparison) messages(v *verdict) {
	ours := slices.DeleteFunc(slices.Clone(with.ours.Events), func(e Event) bool { return e.Reason == "PodStatesContradicted" })
	if !slices.Equal(with.kubelet.Events, ours) {
		v.problem("the words of events", "the kubelet tells %q, crigc %q", with.kubelet.Events, ours)
	}
}

// stops compares what was stopped of what both remove or both keep.
func (with *comparison) stops(v *verdict) {
	both := func(stops []string) []string {
		return slices.DeleteFunc(slices.Clone(stops), func(stop string) bool {
			id, _, _ := strings.Cut(stop, " ")
			// Where its removal fails in the end, both keep what the kubelet does not even stop.
			return v.apart[with.named("container "+id)] || slices.Contains(with.Planted, numberOf(noCreationTime)) && with.isRefused("container "+id)
		})
	}
	k, o := both(with.kubelet.Stops), both(with.ours.Stops)
	k = slices.DeleteFunc(k, func(stop string) bool {
		// Where its removal fails, the kubelet keeps what crigc does not even stop.
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

// graceBehindNegative is the grace period in seconds of a container whose pod has a negative one for its deletion, which the kubelet
// takes for none at all: the one of its termination (S2.3). 0 where that is not so.
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
