package comparison

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/crigc/crigc/go"
)

// Tally counts what a run showed of each rule.
type Tally struct {
	mutex   sync.Mutex
	Version string
	Nodes   int
	Rules   map[string]Count
	needs   []need
}

// Count is what nodes showed of one rule.
type Count struct {
	// Nodes in which both decided alike by it, and the objects that both Removed and both Kept by it.
	Nodes, Removed, Kept int
	// MoreNodes are the nodes in which crigc alone kept objects by it, and More is how many objects.
	MoreNodes, More int
}

// counts are those of one node.
type counts map[string]*Count

func (n counts) of(rule string) *Count {
	if n[rule] == nil {
		n[rule] = &Count{}
	}
	return n[rule]
}

// step counts the objects of crigc's report that both treated the same, by the rules that decided about them, and the differences.
func (n counts) step(c Case, step int, kubelet, ours Left, v verdict) {
	for _, difference := range v.Differences {
		n.of(difference.Rule).More++
	}
	if ours.Report == nil || c.Steps[step].Pass == Look {
		return
	}
	s := scene{Case: c, step: c.Steps[step], kubelet: kubelet, ours: ours}
	s.reached = ours.Report.Count(crigc.Image, crigc.Removed) > 0 && slices.ContainsFunc(ours.Report.Entries, func(e crigc.Entry) bool {
		return kept(e, crigc.ReasonEnoughFreed)
	})
	for _, entry := range ours.Report.Entries {
		object, found := ours.Before.object(entry)
		if !found || v.apart[c.named(object)] {
			continue
		}
		gone := !ours.has(object)
		for _, rule := range s.rules(entry) {
			if gone {
				n.of(rule).Removed++
			} else {
				n.of(rule).Kept++
			}
		}
		if gone && entry.Kind == crigc.Container {
			n.of("S2.4").Removed += s.logsGone(entry.ID)
		}
	}
}

// scene is a step to count.
type scene struct {
	Case
	step          Step
	kubelet, ours Left
	// reached says that images were removed for space, and others were kept because enough was free.
	reached bool
}

// words are the reasons that belong to one rule, for each kind of object.
var words = map[crigc.Kind]map[crigc.Reason]string{
	crigc.Container: {crigc.ReasonRunning: "S1.1", crigc.ReasonTooYoung: "S1.2", crigc.ReasonPodRemoved: "S1.4",
		crigc.ReasonPodTerminated: "S1.4", crigc.ReasonUnitLimit: "S1.5", crigc.ReasonTotalLimit: "S1.6",
		crigc.ReasonWithinLimit: "S1.5", crigc.ReasonSourcesNotReady: "S0.2"},
	crigc.Sandbox: {crigc.ReasonActive: "S3.2", crigc.ReasonPodRemoved: "S3.3", crigc.ReasonPodTerminated: "S3.3",
		crigc.ReasonOlderSandbox: "S3.3", crigc.ReasonNewestSandbox: "S3.3"},
	crigc.PodLogs: {crigc.ReasonPodRemoved: "S4.1", crigc.ReasonPodExists: "S4.1", crigc.ReasonSourcesNotReady: "S0.2"},
	crigc.LogLink: {crigc.ReasonDeadLink: "S4.2", crigc.ReasonLinkAlive: "S4.2"},
	crigc.Image: {crigc.ReasonAge: "S5.5", crigc.ReasonSpace: "S5.6", crigc.ReasonBelowThreshold: "S5.6", crigc.ReasonInUse: "S5.2",
		crigc.ReasonPinned: "S5.3", crigc.ReasonSandboxImage: "S5.3", crigc.ReasonEnoughFreed: "S5.8", crigc.ReasonTooYoung: "S5.7", crigc.ReasonUnused: "S5.10"},
}

// rules are the rules that decided about an entry.
func (s scene) rules(entry crigc.Entry) (named []string) {
	if rule := words[entry.Kind][entry.Reason]; rule != "" && entry.Outcome != crigc.Failed {
		named = append(named, rule)
	}
	switch {
	case entry.Outcome == crigc.Failed && entry.Kind == crigc.Container:
		named = append(named, "S1.8")
	case entry.Outcome == crigc.Failed && entry.Kind == crigc.Sandbox:
		named = append(named, "S3.4")
	case entry.Outcome == crigc.Removed && entry.Kind == crigc.Container:
		named = append(named, s.rulesOfRemoval(entry)...)
	case entry.Outcome == crigc.Removed && entry.Reason == crigc.ReasonSpace && s.reached:
		named = append(named, "S5.4", "S5.8")
	}
	if _, waits := s.step.Back[entry.PodUID]; waits && entry.Kind == crigc.PodLogs && entry.Outcome == crigc.Kept {
		named = append(named, "S4.1 back again")
	}
	if s.step.Leap > 0 && kept(entry, crigc.ReasonTooYoung) {
		named = append(named, "S5.7 a leap")
	}
	if _, tied := s.Ties[entry.ID]; tied && entry.Outcome == crigc.Removed {
		named = append(named, "S1.7")
	}
	if entry.Kind == crigc.Image && s.ours.Err != nil && s.kubelet.Err != nil {
		named = append(named, "S5.9")
	}
	return named
}

// rulesOfRemoval are the rules that a removed container shows.
func (s scene) rulesOfRemoval(entry crigc.Entry) []string {
	named := []string{"S2.5"}
	if entry.Reason == crigc.ReasonUnitLimit && s.hasOtherUnit(entry.ID) {
		named = append(named, "S1.3")
	}
	if slices.ContainsFunc(s.ours.Stops, func(stop string) bool { return strings.HasPrefix(stop, entry.ID+" ") }) {
		named = append(named, "S2.3")
	}
	if !slices.Contains(s.ours.Asked, entry.ID) {
		named = append(named, "S2.6")
	}
	return named
}

// hasOtherUnit says whether the pod of a container has dead containers of another name.
func (s scene) hasOtherUnit(id string) bool {
	all := s.ours.Before.node.Containers
	at := slices.IndexFunc(all, func(c Container) bool { return c.ID == id })
	return at >= 0 && slices.ContainsFunc(all, func(c Container) bool {
		return uidOf(c) == uidOf(all[at]) && c.Name != all[at].Name && c.State != Running
	})
}

// logsGone counts the logs and links of a container that both removed with it.
func (s scene) logsGone(id string) (count int) {
	at := slices.IndexFunc(s.ours.Before.node.Containers, func(c Container) bool { return c.ID == id })
	path := s.ours.Before.node.Containers[at].LogPath
	for reported, object := range s.ours.Before.reported {
		log := path != "" && (reported == path || strings.HasPrefix(reported, path+"."))
		if (log || strings.HasSuffix(object, "-"+id+".log")) && !s.ours.has(object) && !s.kubelet.has(object) {
			count++
		}
	}
	return count
}

// need is what a run has to show of a rule: objects that both removed, that both kept, that crigc alone kept.
type need struct {
	rule                string
	removed, kept, more bool
}

// needs are the needs of a run beside a kubelet.
func needs(knows Knows) []need {
	all := []need{
		{rule: "S0.2", kept: true, more: true}, {rule: "S0.3", more: true},
		{rule: "S0.4 one pod", more: true}, {rule: "S0.4 most pods", more: true},
		{rule: "S1.1", kept: true}, {rule: "S1.1 the state", more: true}, {rule: "S1.1 beside it", more: true},
		{rule: newerThanAnswer, more: true}, {rule: "S1.1 just created", more: true}, {rule: "S1.5 the last that ran", more: true},
		{rule: "S1.5 the highest attempt", more: true}, {rule: "S2.4 a link on the way", more: true}, {rule: "S2.4 the link's place", more: true}, {rule: "S2.4 a shared link", more: true},
		{rule: "S3.3 the highest attempt", more: true}, {rule: "S4.1 back again", kept: true}, {rule: "S4.2 a cut name", more: true},
		{rule: "S5.7 a leap", kept: true}, {rule: enoughByFilesystem, more: true}, {rule: stillListed, more: true},
		{rule: "S0.3 asked again", more: true}, {rule: "S2.4 the key", more: true}, {rule: "S1.1 no sandboxes", more: true}, {rule: "S2.3 a negative grace", more: true}, {rule: "S4.1 no lists", more: true},
		{rule: "S1.2", kept: true}, {rule: "S1.3", removed: true}, {rule: "S1.4", removed: true}, {rule: "S1.5", removed: true, kept: true},
		{rule: "S1.6", removed: true}, {rule: "S1.7", removed: true}, {rule: "S1.8", kept: true}, {rule: noCreationTime, more: true},
		{rule: "S2.3", removed: true}, {rule: "S2.4", removed: true},
		{rule: "S2.4 a file beside", more: true}, {rule: "S2.4 a log outside", more: true}, {rule: "S2.5", removed: true}, {rule: "S2.6", removed: true},
		{rule: "S3.2", kept: true, more: true}, {rule: "S3.3", removed: true, kept: true}, {rule: "S3.4", kept: true},
		{rule: "S4.1", removed: true, kept: true, more: true}, {rule: "S4.2", removed: true, kept: true, more: true},
		{rule: "S5.2", kept: true}, {rule: "S5.2 by ID", more: true}, {rule: "S5.2 by tag", more: true}, {rule: "S5.2 by digest", more: true},
		{rule: "S5.3", kept: true}, {rule: "S5.3 by name", more: true}, {rule: "S5.3 of the runtime", more: true},
		{rule: "S5.4", removed: true}, {rule: "S5.6", removed: true, kept: true}, {rule: "S5.7", kept: true},
		{rule: "S5.8", removed: true, kept: true}, {rule: "S5.9", removed: true, kept: true}, {rule: "S5.10", removed: true},
	}
	if !knows.Pinned {
		all = append(all, need{rule: "S5.3 pinned", more: true})
	}
	if knows.LooksFirst {
		all = append(all, need{rule: "S5.2 used since the look", more: true}, need{rule: "S5.2 tagged since the look", more: true},
			need{rule: "S5.2 pinned since the look", more: true})
	}
	if knows.MaxAge {
		all = append(all, need{rule: "S5.5", removed: true}, need{rule: "S5.5 never used", more: true})
	}
	return all
}

func (t *Tally) add(node counts) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.Nodes++
	for rule, n := range node {
		sum := t.Rules[rule]
		sum.Removed, sum.Kept, sum.More = sum.Removed+n.Removed, sum.Kept+n.Kept, sum.More+n.More
		if n.Removed+n.Kept > 0 {
			sum.Nodes++
		}
		if n.More > 0 {
			sum.MoreNodes++
		}
		t.Rules[rule] = sum
	}
}

// Missing are the rules that the run did not show as needed.
func (t *Tally) Missing() (missing []string) {
	for _, need := range t.needs {
		seen := t.Rules[need.rule]
		for _, row := range []struct {
			needed bool
			count  int
			what   string
		}{
			{need.removed, seen.Removed, "removed by both"},
			{need.kept, seen.Kept, "kept by both"},
			{need.more, seen.More, "kept by crigc alone"},
		} {
			if row.needed && row.count == 0 {
				missing = append(missing, need.rule+": nothing "+row.what)
			}
		}
	}
	return missing
}

// Print writes the tally as a table.
func (t *Tally) Print(w io.Writer) {
	fmt.Fprintf(w, "%d nodes, crigc beside the kubelet %s\n\n", t.Nodes, t.Version)
	fmt.Fprintf(w, "%-20s %35s   %24s\n", "", "both alike", "crigc alone keeps")
	fmt.Fprintf(w, "%-20s %11s %11s %11s   %12s %11s\n", "rule", "nodes", "removed", "kept", "nodes", "objects")
	rules := slices.Collect(maps.Keys(t.Rules))
	for _, need := range t.needs {
		rules = append(rules, need.rule)
	}
	slices.SortFunc(rules, inOrder)
	for _, rule := range slices.Compact(rules) {
		n := t.Rules[rule]
		fmt.Fprintf(w, "%-20s %11s %11s %11s   %12s %11s\n", rule, number(n.Nodes), number(n.Removed), number(n.Kept), number(n.MoreNodes),
			number(n.More))
	}
}

// number writes a zero as a dash, so that the others are easy to see.
func number(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// inOrder sorts rules by their numbers: S1.10 behind S1.9.
func inOrder(a, b string) int {
	key := func(rule string) []int {
		var stage, number int
		// A name without a number sorts to the front.
		_, _ = fmt.Sscanf(rule, "S%d.%d", &stage, &number)
		return []int{stage, number}
	}
	if order := slices.Compare(key(a), key(b)); order != 0 {
		return order
	}
	return strings.Compare(a, b)
}
