package comparison

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Word is the host's answer about a pod.
type Word string

// The answers of a host (S0.2).
const (
	// Known: it exists, and nothing of it may be removed.
	Known Word = "known"
	// Terminated: its containers and sandboxes may be removed under disk pressure.
	Terminated Word = "terminated"
	// Evicted: everything that it left behind may be removed, though it still exists.
	Evicted Word = "evicted"
	// Gone: the host does not know it any more.
	Gone Word = "gone"
)

func (w Word) removable() (content, runtime bool) {
	return w == Evicted || w == Gone, w == Terminated || w == Gone
}

// Pass is a call that a step makes.
type Pass string

// The kubelet's four calls, a list of the images that removes none, and what a kubelet does when one pod has ended.
const (
	Containers    Pass = "containers"
	AllContainers Pass = "containers, all unused"
	Images        Pass = "images"
	AllImages     Pass = "images, all unused"
	Look          Pass = "a look at the images"
	// OnePod collects one pod; the collector has to be a PodCollector.
	OnePod Pass = "one pod"
)

// Changes are made to a node between two passes.
type Changes struct {
	Containers []Container         `json:",omitempty"`
	Sandboxes  []Sandbox           `json:",omitempty"`
	Images     []Image             `json:",omitempty"`
	Files      []File              `json:",omitempty"`
	States     map[string]string   `json:",omitempty"` // of containers and sandboxes, by ID
	Pods       map[string]Word     `json:",omitempty"`
	Removed    []string            `json:",omitempty"` // IDs of containers that another program removes
	Tags       map[string][]string `json:",omitempty"` // more of them, of images, by ID
	Pinned     []string            `json:",omitempty"` // IDs of images
	Available  uint64              `json:",omitempty"` // bytes; 0 = as it is
	Ready      bool                `json:",omitempty"` // sources become ready
}

// Step is a pass and the changes before it.
type Step struct {
	Before Changes
	Age    time.Duration `json:",omitempty"`
	Pass   Pass
	// Pod is the UID of the pod that OnePod collects.
	Pod string `json:",omitempty"`
	// Later are the host's answers about some pods from a stage of the pass on.
	Later map[Stage]map[string]Word `json:",omitempty"`
	// Back are pods, by UID, that exist again as soon as a file or directory of the node has been removed, until the pass ends.
	Back map[string]string `json:",omitempty"`
	// Leap sets crigc's clock ahead, and nothing gets older by it: the kubelet uses a clock that cannot leap.
	Leap time.Duration `json:",omitempty"`
	// Meanwhile are changes in a pass over images, between its lists and its first removal. The pass then waits until the lists are too old.
	Meanwhile *Changes `json:",omitempty"`
}

// word is the host's answer about a pod at a stage, if it has one.
func (s Step) word(words map[string]Word, stage Stage, uid string) (word Word, found bool) {
	word, found = words[uid]
	for _, later := range []Stage{OfSandboxes, OfLogs} {
		if said, says := s.Later[later][uid]; says && stage >= later {
			word, found = said, true
		}
	}
	return word, found
}

// Case is a node with its host, and the steps on it. Times in the node are ns relative to now, and paths that begin with @
// are in the node's folder.
type Case struct {
	Seed    uint64
	Node    Node
	Files   []File
	Pods    map[string]Word
	Strange Word // for UIDs that are not among Pods
	Ready   bool // whether the host has seen all its pods
	Policy  Policy
	Faults  []Fault `json:",omitempty"`
	// AsOf is when the host's list of pods was true, which it reports to crigc; 0 = now.
	AsOf  int64 `json:",omitempty"`
	Steps []Step
	// Planted are the rules by which crigc may keep more than the kubelet here.
	Planted []string `json:",omitempty"`
	// Ties are objects that are equally old, by ID or path: only how many of a class are kept is compared, not which.
	Ties map[string]string `json:",omitempty"`
}

// String is the case as text.
func (c Case) String() string {
	text, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// applied is a node, as a pass left it, after the changes; now and folder are those of placed.
func (c Changes) applied(node Node, folder string, now int64) Node {
	more := placed(Node{Containers: c.Containers, Sandboxes: c.Sandboxes, Images: c.Images}, folder, now)
	node.Containers = append(slices.Clone(node.Containers), more.Containers...)
	node.Sandboxes = append(slices.Clone(node.Sandboxes), more.Sandboxes...)
	node.Images = append(slices.Clone(node.Images), more.Images...)
	node.Containers = slices.DeleteFunc(node.Containers, func(one Container) bool { return slices.Contains(c.Removed, one.ID) })
	for i := range node.Containers {
		if state, found := c.States[node.Containers[i].ID]; found {
			node.Containers[i].State = state
		}
	}
	for i := range node.Sandboxes {
		if state, found := c.States[node.Sandboxes[i].ID]; found {
			node.Sandboxes[i].State = state
		}
	}
	for i := range node.Images {
		image := &node.Images[i]
		image.Tags = slices.Concat(image.Tags, c.Tags[image.ID])
		image.Pinned = image.Pinned || slices.Contains(c.Pinned, image.ID)
	}
	if c.Available != 0 {
		node.Filesystem.Available = c.Available
	}
	return node
}

// brings says whether the changes add an object.
func (c Changes) brings() bool {
	return len(c.Containers)+len(c.Sandboxes)+len(c.Images)+len(c.Files) > 0 || c.Available != 0
}

// ready says whether the host has seen all its pods at a step.
func (c Case) ready(step int) bool {
	return c.Ready || slices.ContainsFunc(c.Steps[:step+1], func(s Step) bool { return s.Before.Ready })
}

// words are the host's answers before each step.
func (c Case) words() []map[string]Word {
	var all []map[string]Word
	now := maps.Clone(c.Pods)
	for _, step := range c.Steps {
		now = maps.Clone(now)
		maps.Copy(now, step.Before.Pods)
		all = append(all, now)
	}
	return all
}
