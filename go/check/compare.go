package check

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crigc/crigc/go"
)

// Difference is an object that crigc keeps and the kubelet removes, with the rule that says so.
type Difference struct {
	Object, Rule string
}

// verdict is the comparison of one step.
type verdict struct {
	Differences []Difference
	// Problems are differences that no rule allows.
	Problems []string
}

// comparison knows what is needed to explain a difference.
type comparison struct {
	Case
	folder  string
	pass    Pass
	kubelet Left
	ours    Left
	more    []string // what crigc keeps and the kubelet removes
	entries map[string]crigc.Entry
}

// compare says where two passes over the same node differ.
func compare(c Case, folder string, pass Pass, kubelet, ours Left) verdict {
	with := comparison{Case: c, folder: folder, pass: pass, kubelet: kubelet, ours: ours, entries: map[string]crigc.Entry{}}
	if ours.Report != nil {
		for _, entry := range ours.Report.Entries {
			with.entries[entry.ID] = entry
		}
	}
	k, o := c.classed(kubelet.Objects), c.classed(ours.Objects)
	with.more = beyond(o, k)
	var v verdict
	for _, object := range with.more {
		if rule := with.rule(object); slices.Contains(c.Planted, rule) {
			v.Differences = append(v.Differences, Difference{object, rule})
		} else {
			v.problem("%s: the kubelet removes it, crigc keeps it (%s), and rule %q is not among %q", object, with.why(object),
				rule, c.Planted)
		}
	}
	for _, object := range beyond(k, o) {
		if !with.mayReplace(object) {
			v.problem("%s: crigc removes it (%s), the kubelet keeps it", object, with.why(object))
		}
	}
	if pass != Look && len(v.Problems) == 0 {
		with.ends(&v)
	}
	return v
}

func (v *verdict) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// ends compares how the passes ended, and what was stopped.
func (with *comparison) ends(v *verdict) {
	k, o := with.kubelet.Err, with.ours.Err
	switch {
	case (k == nil) == (o == nil):
	case k == nil && len(with.Planted) > 0:
		// It keeps more, and says so: pods that run (S0.4), images that are not enough (S5.9).
		if !slices.Contains(with.Planted, "S0.4") && len(v.Differences) == 0 {
			v.problem("crigc fails, the kubelet does not: %v", o)
		}
	default:
		v.problem("the kubelet ends with %v, crigc with %v", k, o)
	}
	if len(v.Differences) == 0 && !slices.Equal(with.kubelet.Stops, with.ours.Stops) {
		v.problem("the kubelet stops %q, crigc %q", with.kubelet.Stops, with.ours.Stops)
	}
}

// mayReplace says whether crigc may remove an image that the kubelet leaves: the next in order, for one that crigc protects.
func (with *comparison) mayReplace(object string) bool {
	protects := slices.Contains(with.Planted, "S5.2") || slices.Contains(with.Planted, "S5.3")
	return with.pass == Images && protects && strings.HasPrefix(object, "image ")
}

func (with *comparison) entry(object string) (crigc.Entry, bool) {
	kind, name, _ := strings.Cut(object, " ")
	if kind == "file" {
		name = filepath.Join(with.folder, name)
	}
	entry, found := with.entries[name]
	return entry, found
}

// why is what crigc says of an object.
func (with *comparison) why(object string) string {
	entry, found := with.entry(object)
	if !found {
		return "not in the report"
	}
	return fmt.Sprintf("%v, %s, %s", entry.Outcome, entry.Reason, entry.Error)
}

// rule is the one by which crigc keeps an object that the kubelet removes.
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
		return ruleOfImage(entry)
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

// strange is a pod UID that is none to ask about (S0.3).
func strange(entry crigc.Entry) bool { return strings.Contains(entry.PodUID, `\n`) }

func (with *comparison) ruleOfContainer(entry crigc.Entry) string {
	switch {
	case entry.Reason == crigc.ReasonPodActive || with.ours.contradicted():
		return "S0.4"
	case entry.Reason == crigc.ReasonUnknownState:
		return "S1.1"
	case entry.Outcome == crigc.Failed && strings.Contains(entry.Error, "not below pod-logs-dir"):
		return "S2.4"
	case strange(entry):
		return "S0.3"
	case entry.Outcome == crigc.Kept && with.isBesideUndefined(entry.ID):
		// The kubelet counts that one among the candidates, so another of the unit, or of the node, is one too many.
		return "S1.1"
	}
	return ""
}

// isBesideUndefined says whether a container in a state that CRI does not define counts for the same limit as this one.
func (with *comparison) isBesideUndefined(id string) bool {
	unit := func(c Container) [2]string { return [2]string{c.Labels["io.kubernetes.pod.uid"], c.Name} }
	all := with.ours.node.Containers
	own := slices.IndexFunc(all, func(c Container) bool { return c.ID == id })
	return own >= 0 && slices.ContainsFunc(all, func(c Container) bool {
		_, undefined := c.State.(float64)
		return undefined && (with.Policy.MaxContainers >= 0 || unit(c) == unit(all[own]))
	})
}

func (with *comparison) ruleOfSandbox(entry crigc.Entry) string {
	switch {
	case entry.Reason == crigc.ReasonSourcesNotReady:
		// The kubelet asks for ready sources before it removes containers and logs, but not for sandboxes.
		return "S0.2"
	case entry.Reason == crigc.ReasonPodActive || with.ours.contradicted():
		return "S0.4"
	case entry.Reason == crigc.ReasonUnknownState:
		return "S3.2"
	case strange(entry):
		return "S0.3"
	case entry.Reason == crigc.ReasonActive:
		return with.ruleOfContainersIn(entry.ID)
	}
	return ""
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

func ruleOfImage(entry crigc.Entry) string {
	switch entry.Reason {
	case crigc.ReasonInUse:
		return "S5.2"
	case crigc.ReasonSandboxImage, crigc.ReasonSandboxImageUnknown, crigc.ReasonPinned:
		return "S5.3"
	}
	return ""
}

// ruleOfFile is the rule of the log directory's entry, of the link, or of the container that a file belongs to.
func (with *comparison) ruleOfFile(name string) string {
	parts := strings.Split(name, "/")
	if parts[0] == "links" {
		return with.ruleOfLink(name)
	}
	if strings.Contains(name, "\n") {
		return "S0.3"
	}
	if strings.HasSuffix(name, ".log-kept") || parts[0] == "outside" {
		return "S2.4"
	}
	if owner := with.owner(filepath.Join(with.folder, name)); owner != "" {
		return with.rule("container " + owner)
	}
	entry, found := with.entries[filepath.Join(with.folder, "pods", parts[1])]
	switch {
	case !found:
		return ""
	case entry.Reason == crigc.ReasonPodActive || with.ours.contradicted():
		return "S0.4"
	case strange(entry):
		return "S0.3"
	case entry.Outcome == crigc.Kept:
		return "S4.1"
	}
	return ""
}

// owner is the container that crigc keeps and the kubelet does not, and whose log a file is.
func (with *comparison) owner(path string) string {
	for _, c := range with.ours.node.Containers {
		if c.LogPath != "" && strings.HasPrefix(path, c.LogPath) && with.isMore("container "+c.ID) {
			return c.ID
		}
	}
	return ""
}

func (with *comparison) ruleOfLink(name string) string {
	path := filepath.Join(with.folder, name)
	if entry := with.entries[path]; entry.Reason == crigc.ReasonLinkUnknown {
		return "S4.2"
	}
	for _, c := range with.ours.node.Containers {
		if strings.HasSuffix(name, "-"+c.ID+".log") && with.isMore("container "+c.ID) {
			return with.rule("container " + c.ID)
		}
	}
	// The link's target is among what crigc keeps.
	kept := "file " + strings.TrimPrefix(with.ours.links[name], with.folder+"/")
	if kept != "file "+name && with.isMore(kept) {
		return with.rule(kept)
	}
	return ""
}

// contradicted says whether the pass found the host's picture broken.
func (left Left) contradicted() bool {
	return errors.Is(left.Err, crigc.ErrContradiction)
}
