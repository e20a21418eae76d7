package comparison

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/crigc/crigc/go"
)

// What crigc must do, whatever the kubelet does: it removes nothing without an entry in the report, and nothing of a pod that the host
// calls alive.

// tellsAll finds the entry of every object that was removed.
func (with *comparison) tellsAll(v *verdict) {
	for _, object := range with.ours.Before.Objects {
		if !with.ours.has(object) && !with.isTold(object) {
			v.problem("the report", "%s: it went, and crigc's report does not say so", object)
		}
	}
}

// isTold says whether the report has the entry by which an object was removed.
func (with *comparison) isTold(object string) bool {
	name, isFile := strings.CutPrefix(object, "file ")
	if !isFile {
		// The content of the entry is checked elsewhere.
		_, found := with.entry(object)
		return found
	}
	went := func(object string) bool {
		entry, found := with.entry(object)
		return found && (entry.Outcome == crigc.Removed || entry.Outcome == crigc.Failed)
	}
	parts := strings.Split(name, "/")
	if went(object) || parts[0] == "pods" && len(parts) > 1 && went("file pods/"+parts[1]) {
		return true
	}
	return slices.ContainsFunc(with.ours.Before.node.Containers, func(c Container) bool {
		return with.owns(c, name) && went("container "+c.ID)
	})
}

// owns says whether a file is a container's log, a rotated one, or the link to it (S2.4).
func (with *comparison) owns(c Container, name string) bool {
	rest, begins := strings.CutPrefix(filepath.Join(with.folder, name), c.LogPath)
	if c.LogPath != "" && begins && (rest == "" || rest[0] == '.') {
		return true
	}
	return name == linkOf(c)
}

// linkOf is the link that a kubelet makes for a container.
func linkOf(c Container) string {
	label := func(key string) string { return c.Labels["io.kubernetes."+key] }
	p := &pod{name: label("pod.name"), namespace: label("pod.namespace")}
	return "links/" + linkName(p, label("container.name"), c.ID)
}

// sparesCanaries finds removals of files that no pass may touch: of living pods, outside, and logs of containers that run.
func (with *comparison) sparesCanaries(v *verdict) {
	files := slices.Clone(with.Files)
	for _, step := range with.Steps[:with.step+1] {
		files = append(files, step.Before.Files...)
	}
	gone := func(name string) bool {
		return with.ours.Before.has("file "+name) && !with.ours.has("file "+name)
	}
	for _, file := range files {
		if file.Canary && gone(file.Path) && !with.mayGo(file.Path) {
			v.problem("a canary", "file %s: crigc deletes it, and it has nothing to do with the removed objects", file.Path)
		}
	}
	for _, c := range with.ours.Before.node.Containers {
		log := strings.TrimPrefix(c.LogPath, with.folder+"/")
		if c.State == Running && log != "" && gone(log) {
			v.problem("a canary", "file %s: crigc deletes it, and it is the log of %s, which runs", log, c.ID)
		}
	}
}

// mayGo says whether a file is in the log directory of a content-removable pod (S4.1).
func (with *comparison) mayGo(name string) bool {
	parts := strings.Split(name, "/")
	if parts[0] != "pods" || !with.ready(with.step) {
		return false
	}
	content, _ := with.word(uidOfLogs(parts[1]), OfLogs).removable()
	return content
}
