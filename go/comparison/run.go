package comparison

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/crigc/crigc/go"
)

// Seen is a node as it is at a time.
type Seen struct {
	// Objects are all objects: containers, sandboxes and images by their IDs, files by their paths.
	Objects []string
	there   map[string]bool
	// reported finds an object by its ID in a report.
	reported map[string]string
	node     Node
	links    map[string]string // targets of symlinks
	changed  map[string]int64  // when files were changed; ns since the epoch
}

// Left is a node after a pass.
type Left struct {
	Seen
	// Before is the node before the pass, which began At. The node's times are relative to Now. ns since the epoch.
	Before  Seen
	At, Now int64
	// Stops are the containers that were stopped, with their grace periods.
	Stops []string
	// Asked are the containers about which the runtime was asked one by one.
	Asked []string
	// Events are the events of the pass, except those that only crigc has.
	Events []Event
	// Err is how the pass ended.
	Err error
	// Report is crigc's; nil for the kubelet.
	Report *crigc.Report
}

// New makes a collector for a setting.
type New func(Setting) (Collector, error)

// beforeFirstLook is how long before the first list its images existed.
const beforeFirstLook = 24 * time.Hour

// longBefore is the age of files without another age.
const longBefore = 30 * 24 * time.Hour

// passTimeout is much longer than a pass over such a node takes.
const passTimeout = time.Minute

// run makes the case's node, runs a collector over it, and returns the node after each step. The time is in ns since the epoch.
func (s *Sim) run(c Case, create New, now int64) (all []Left, err error) {
	for _, top := range []string{"pods", "links", "outside", "root"} {
		if err := os.RemoveAll(s.path(top)); err != nil {
			return nil, err
		}
	}
	for _, top := range []string{"pods", "links", "root"} {
		if err := os.Mkdir(s.path(top), 0o755); err != nil {
			return nil, err
		}
	}
	if err := lay(s.Folder, slices.Concat(c.Files, []File{{Path: folderOfOnlyLogs, Dir: true}})); err != nil {
		return nil, err
	}
	if err := s.settle(c.Files, now); err != nil {
		return nil, err
	}
	node := placed(c.Node, s.Folder, now)
	node.Filesystem.UsageFile = s.path("usage")
	h := &hosted{Case: c, sim: s, now: now, ready: c.Ready}
	collector, err := create(Setting{
		Endpoint: s.Endpoint(), PodLogsDir: s.path("pods"), ContainerLogsDir: s.path("links"), RootDir: s.path("root"),
		AsOf: c.asOf(now), Ahead: func() time.Duration { return h.ahead },
		Policy: c.Policy, Pod: h.pod, SourcesReady: func() bool { return h.ready }, ImageFS: h.imageFS,
		Inodes:  func() (uint64, uint64) { return inodes(s.path("usage")) },
		Reached: func(stage Stage) { h.stage = stage },
		Event:   func(event Event) { h.events = append(h.events, event) },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, collector.Close()) }()
	looked := false
	for i, step := range c.Steps {
		if err := lay(s.Folder, step.Before.Files); err != nil {
			return nil, err
		}
		if step.Age > 0 {
			if err := collector.Age(step.Age); err != nil {
				return nil, err
			}
		}
		node = step.Before.applied(node, s.Folder, now)
		if err := s.Load(node, c.Faults); err != nil {
			return nil, err
		}
		before, err := s.see(node)
		if err != nil {
			return nil, err
		}
		h.begin(i, node)
		left, err := s.pass(collector, step)
		if err = errors.Join(err, h.err); err != nil {
			return nil, err
		}
		left.Before, left.Now, left.Events = before, now, h.events
		if step.Pass == Look && !looked {
			// The images of the first list existed long before (S5.1).
			looked = true
			if err := collector.Age(beforeFirstLook); err != nil {
				return nil, err
			}
		}
		all, node = append(all, left), left.node
	}
	return all, nil
}

// hosted is the host that a collector under test belongs to.
type hosted struct {
	Case
	sim  *Sim
	now  int64
	step Step
	node Node // before the pass
	// words of the step, and the stage that the pass has reached.
	words     map[string]Word
	stage     Stage
	ready     bool
	ahead     time.Duration
	meanwhile *Changes // changes that are still to be made in this pass
	events    []Event
	err       error
}

// begin prepares it for a pass.
func (h *hosted) begin(step int, node Node) {
	h.step, h.node, h.words = h.Steps[step], node, h.Case.words()[step]
	h.ahead += h.step.Leap
	h.stage, h.ready, h.meanwhile, h.events = OfContainers, h.Case.ready(step), h.Steps[step].Meanwhile, nil
}

func (h *hosted) pod(uid string) (content, runtime bool) {
	word, found := h.step.word(h.words, h.stage, uid)
	switch {
	case uid == onlyLogs:
		word = Known
	case h.isBack(uid):
		word = Known
	case !found:
		word = h.Strange
	}
	return word.removable()
}

// isBack says whether the file that a pod waits for has been removed.
func (h *hosted) isBack(uid string) bool {
	path, waits := h.step.Back[uid]
	if !waits {
		return false
	}
	_, err := os.Lstat(h.sim.path(path))
	return os.IsNotExist(err)
}

// asOf is when the host's answer was true.
func (c Case) asOf(now int64) time.Time {
	if c.AsOf == 0 {
		return time.Time{}
	}
	return time.Unix(0, now+c.AsOf)
}

// settle gives files the age of the case, and directories the same age as other files.
func (s *Sim) settle(files []File, now int64) error {
	old := time.Unix(0, now).Add(-longBefore)
	for _, top := range []string{"pods", "links", "outside"} {
		err := filepath.WalkDir(s.path(top), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.Type()&os.ModeSymlink != 0 {
				return ignoreMissing(err)
			}
			return os.Chtimes(path, old, old)
		})
		if err != nil {
			return err
		}
	}
	for _, file := range files {
		if file.ChangedAt != 0 && file.Link == "" {
			at := time.Unix(0, now+file.ChangedAt)
			if err := os.Chtimes(s.path(file.Path), at, at); err != nil {
				return err
			}
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// imageFS gives the figures of the filesystem. Both collectors ask for them between their lists and their first removal.
func (h *hosted) imageFS() (capacity, available uint64) {
	if changes := h.meanwhile; changes != nil {
		h.meanwhile = nil
		h.err = h.sim.Load(changes.applied(h.node, h.sim.Folder, h.now), h.Faults)
		time.Sleep(h.Policy.EvidenceMaxAge + h.Policy.EvidenceMaxAge/5)
	}
	return usage(h.sim.path("usage"))
}

// usage reads crisim's figures of its filesystem.
func usage(path string) (capacity, available uint64) {
	text, err := os.ReadFile(path)
	if err == nil {
		_, err = fmt.Sscan(string(text), &capacity, &available)
	}
	if err != nil {
		panic(fmt.Sprintf("crisim gives no usage: %v", err))
	}
	return capacity, available
}

// inodes reads crisim's figures of the inodes of its filesystem; 0 if it does not say.
func inodes(path string) (inodes, free uint64) {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(fmt.Sprintf("crisim gives no usage: %v", err))
	}
	var capacity, available uint64
	if _, err := fmt.Sscan(string(text), &capacity, &available, &inodes, &free); err != nil {
		return 0, 0
	}
	return inodes, free
}

// pass runs the pass of a step, and reads the node after it.
func (s *Sim) pass(collector Collector, step Step) (left Left, err error) {
	pass := step.Pass
	left.At = time.Now().UnixNano()
	ctx, cancel := context.WithTimeout(context.Background(), passTimeout)
	defer cancel()
	switch pass {
	case Containers, AllContainers:
		left.Err = collector.Containers(ctx, pass == AllContainers)
	case Images, AllImages:
		left.Err = collector.Images(ctx, pass == AllImages)
	case Look:
		left.Err = collector.Look(ctx)
	case OnePod:
		one, can := collector.(PodCollector)
		if !can {
			return left, fmt.Errorf("%T collects no single pod", collector)
		}
		left.Err = one.Pod(ctx, step.Pod)
	default:
		return left, fmt.Errorf("%q is not a pass", pass)
	}
	if ours, is := collector.(*Ours); is {
		left.Report = ours.Report
	}
	node, trace, err := s.State()
	if err != nil {
		return left, err
	}
	for _, call := range trace {
		switch call.Method {
		case "StopContainer":
			left.Stops = append(left.Stops, fmt.Sprintf("%s %ds", call.ID, call.Argument))
		case "ContainerStatus":
			left.Asked = append(left.Asked, call.ID)
		}
	}
	sort.Strings(left.Stops)
	left.Seen, err = s.see(node)
	return left, err
}

// see reads the files of a node.
func (s *Sim) see(node Node) (Seen, error) {
	files, links, changed, err := listing(s.Folder)
	seen := seen(s.Folder, node, files, links)
	seen.changed = changed
	return seen, err
}

func seen(folder string, node Node, files []string, links map[string]string) Seen {
	s := Seen{there: map[string]bool{}, reported: map[string]string{}, node: node, links: links}
	add := func(kind, name, id string) {
		object := kind + " " + name
		s.Objects = append(s.Objects, object)
		s.there[object], s.reported[id] = true, object
	}
	for _, name := range files {
		add("file", name, visible(filepath.Join(folder, name)))
	}
	for _, c := range node.Containers {
		add("container", c.ID, c.ID)
	}
	for _, sandbox := range node.Sandboxes {
		add("sandbox", sandbox.ID, sandbox.ID)
	}
	for _, image := range node.Images {
		add("image", image.ID, image.ID)
	}
	return s
}

// has says whether an object exists.
func (s Seen) has(object string) bool { return s.there[object] }

// object is the object of an entry of a report, if it exists.
func (s Seen) object(entry crigc.Entry) (string, bool) {
	object, found := s.reported[entry.ID]
	return object, found
}

// classed puts the class of equally old objects in place of each, and sorts.
func (c Case) classed(objects []string) []string {
	out := slices.Clone(objects)
	for i, object := range out {
		out[i] = c.named(object)
	}
	sort.Strings(out)
	return out
}

// named is an object, or the class of equally old ones that it belongs to.
func (c Case) named(object string) string {
	_, name, _ := strings.Cut(object, " ")
	if class, found := c.Ties[name]; found {
		return "one of " + class
	}
	return object
}

// beyond are the elements of sorted a that sorted b does not have, or has less often.
func beyond(a, b []string) (more []string) {
	for len(a) > 0 {
		switch {
		case len(b) == 0 || a[0] < b[0]:
			more, a = append(more, a[0]), a[1:]
		case a[0] == b[0]:
			a, b = a[1:], b[1:]
		default:
			b = b[1:]
		}
	}
	return more
}

// Folder makes a folder for one node below top.
func Folder(top string, number int) (string, error) {
	folder := filepath.Join(top, fmt.Sprint(number))
	return folder, os.MkdirAll(folder, 0o755)
}
