package comparison

import (
	"cmp"
	"slices"

	"github.com/crigc/crigc/go"
)

// What the limits of S1 keep: the kubelet's arithmetic over the candidates of either side, so that a difference is explained by the
// number of containers.

// justCreated is the minimum age of a CREATED container that may be removed (S1.1); ns.
const justCreated = 120 * second

// isUncounted says whether crigc does not count a container as a candidate that the kubelet counts (S1.1).
func (with *comparison) isUncounted(c Container) bool {
	return isUndefined(c.State) || with.isJustCreated(c)
}

func (with *comparison) isJustCreated(c Container) bool {
	return c.State == Created && c.CreatedAt > with.ours.At-justCreated
}

// isCandidate says whether the kubelet counts a container.
func (with *comparison) isCandidate(c Container) bool {
	return c.State != Running && c.CreatedAt <= with.ours.At-int64(with.Policy.MinAge)
}

// isEvicted says whether everything of a container's pod is removed before any limit counts (S1.4).
func (with *comparison) isEvicted(c Container) bool {
	content, runtime := with.word(uidOf(c), OfContainers).removable()
	return with.ready(with.step) && (content || runtime && with.pass() == AllContainers)
}

// word is the host's answer about a pod at a stage of the pass.
func (with *comparison) word(uid string, stage Stage) Word {
	if word, found := with.Steps[with.step].word(with.words()[with.step], stage, uid); found {
		return word
	}
	return with.Strange
}

// unitOf is the evict unit of a container (S0.1).
func unitOf(c Container) [2]string { return [2]string{uidOf(c), c.Name} }

// newestFirst is S1.7.
func newestFirst(a, b Container) int {
	return -cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.ID, b.ID))
}

// units are the evict units of the containers that count, newest first, without those of gone pods.
func (with *comparison) units(counts func(Container) bool) map[[2]string][]Container {
	units := map[[2]string][]Container{}
	for _, c := range with.ours.Before.node.Containers {
		if with.isCandidate(c) && counts(c) && !with.isEvicted(c) {
			units[unitOf(c)] = append(units[unitOf(c)], c)
		}
	}
	for _, unit := range units {
		slices.SortFunc(unit, newestFirst)
	}
	return units
}

// limited are the IDs of the containers that the limits keep (S1.5, S1.6).
func (with *comparison) limited(counts func(Container) bool) map[string]bool {
	units := with.units(counts)
	cut := func(limit int) (left int) {
		for name, unit := range units {
			if limit >= 0 {
				units[name] = unit[:min(len(unit), limit)]
			}
			left += len(units[name])
		}
		return left
	}
	total := with.Policy.MaxContainers
	if left := cut(with.Policy.MaxPerContainer); total >= 0 && left > total {
		cut(max(1, total/len(units)))
	} else {
		total = -1
	}
	var all []Container
	for _, unit := range units {
		all = append(all, unit...)
	}
	slices.SortFunc(all, newestFirst)
	if total >= 0 {
		all = all[:min(len(all), total)]
	}
	kept := map[string]bool{}
	for _, c := range all {
		kept[c.ID] = true
	}
	return kept
}

// ruleOfLimit is the rule by which crigc's limits keep a container that the kubelet's limits do not keep.
func (with *comparison) ruleOfLimit(entry crigc.Entry, c Container) string {
	stays := kept(entry, crigc.ReasonWithinLimit) || kept(entry, crigc.ReasonSourcesNotReady) && !with.ready(with.step)
	every := func(Container) bool { return true }
	counted := func(c Container) bool { return !with.isUncounted(c) }
	switch {
	case !stays || with.limited(every)[c.ID]:
		return ""
	case with.limited(counted)[c.ID]:
		// A container that crigc does not count takes a place in the kubelet's limits.
		return "S1.1 beside it"
	}
	unit := with.units(counted)[unitOf(c)]
	switch {
	case with.Policy.MaxPerContainer <= 0 || len(unit) == 0:
		return ""
	case with.isLastThatRan(unit, c) && highestAttempt(unit).ID == c.ID:
		// Both rules keep it, so it shows neither of them.
		return "S1.5 both"
	case with.isLastThatRan(unit, c):
		return "S1.5 the last that ran"
	case highestAttempt(unit).ID == c.ID:
		return "S1.5 the highest attempt"
	}
	return ""
}

// isLastThatRan says whether a container is the newest of its unit that is not CREATED, and all that the unit may keep are CREATED.
func (with *comparison) isLastThatRan(unit []Container, c Container) bool {
	ran := slices.IndexFunc(unit, func(c Container) bool { return c.State != Created })
	return ran >= min(with.Policy.MaxPerContainer, len(unit)) && unit[ran].ID == c.ID
}

// highestAttempt is the container with the highest attempt of a unit, the newest of equal ones.
func highestAttempt(unit []Container) Container {
	return slices.MaxFunc(unit, func(a, b Container) int {
		return cmp.Or(cmp.Compare(a.Attempt, b.Attempt), -newestFirst(a, b))
	})
}
