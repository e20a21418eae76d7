package comparison

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/crigc/crigc/go"
)

// judged is a step in which both begin with the same node, and what each of them removes.
type judged struct {
	c      Case
	pass   Pass
	node   Node
	files  []string
	theirs []string // what the kubelet removes
	ours   []string // what crigc removes
	report []crigc.Entry
	// theirErr and ourErr are how they end.
	theirErr, ourErr     error
	theirStops, ourStops []string
	knows                Knows
}

const folder = "/folder"

// without is a node after the removal of some objects.
func (s Seen) without(removed []string) Seen {
	node := s.node
	has := func(kind string) func(id string) bool {
		return func(id string) bool { return slices.Contains(removed, kind+" "+id) }
	}
	node.Containers = slices.DeleteFunc(slices.Clone(node.Containers), func(c Container) bool { return has("container")(c.ID) })
	node.Sandboxes = slices.DeleteFunc(slices.Clone(node.Sandboxes), func(s Sandbox) bool { return has("sandbox")(s.ID) })
	node.Images = slices.DeleteFunc(slices.Clone(node.Images), func(i Image) bool { return has("image")(i.ID) })
	var files []string
	for _, object := range s.Objects {
		if name, is := strings.CutPrefix(object, "file "); is && !has("file")(name) {
			files = append(files, name)
		}
	}
	return seen(folder, node, files, s.links)
}

// lefts are the nodes after both passes.
func (j judged) lefts() (kubelet, ours Left) {
	before := seen(folder, j.node, j.files, map[string]string{})
	kubelet = Left{Seen: before.without(j.theirs), Before: before, Err: j.theirErr, Stops: j.theirStops}
	ours = Left{Seen: before.without(j.ours), Before: before, Err: j.ourErr, Stops: j.ourStops,
		Report: &crigc.Report{Entries: j.report}}
	return kubelet, ours
}

func (j *judged) verdict() verdict {
	if len(j.c.Steps) == 0 {
		j.c.Steps = []Step{{Pass: j.pass}}
	}
	kubelet, ours := j.lefts()
	return compare(j.c, j.knows, folder, 0, kubelet, ours)
}

// fill sets the outcome of each reported object that the test has not set, by what crigc removes.
func (j *judged) fill() {
	for i := range j.report {
		entry := &j.report[i]
		if entry.Outcome == crigc.Kept && slices.Contains(j.ours, entry.Kind.String()+" "+entry.ID) {
			entry.Outcome = crigc.Removed
		}
	}
}

func planted(rules ...string) Case { return Case{Planted: rules} }

func entryOf(kind crigc.Kind, id string, reason crigc.Reason) crigc.Entry {
	return crigc.Entry{Kind: kind, ID: id, Reason: reason}
}

func imageEntry(id string, reason crigc.Reason) crigc.Entry { return entryOf(crigc.Image, id, reason) }

// shelf is a full disk of 1000 bytes, of which 100 are wanted, with images of 60 bytes: crigc protects a.
func shelf(policy Policy) (Case, Node) {
	c := planted("S5.2")
	c.Policy = policy
	node := Node{Filesystem: Filesystem{Capacity: 1000, Available: 100},
		Containers: []Container{{ID: "user", ImageRef: "registry.example/a:1"}}}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		node.Images = append(node.Images, Image{ID: id, Tags: []string{"registry.example/" + id + ":1"}, Size: 60})
	}
	return c, node
}

var byFifth = Policy{HighThreshold: 85, LowThreshold: 80}

// The images that crigc removes in place of one that it protects have to be the next in order, and no more than are needed.
func TestImagesInPlaceOfOthers(t *testing.T) {
	protected := imageEntry("a", crigc.ReasonInUse)
	space, enough := crigc.ReasonSpace, crigc.ReasonEnoughFreed
	for name, row := range map[string]struct {
		change       func(c *Case, node *Node)
		pass         Pass
		theirs, ours []string
		report       []crigc.Entry
		says         string
	}{
		"one for one": {nil, Images, []string{"a", "b"}, []string{"b", "c"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space), imageEntry("d", enough)}, ""},
		"one too many": {nil, Images, []string{"a", "b"}, []string{"b", "c", "d"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space), imageEntry("d", space)}, "were free without it"},
		"none protected": {nil, Images, []string{"b"}, []string{"b", "c"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space)}, "no image is protected"},
		"nothing planted": {func(c *Case, _ *Node) { c.Planted = nil }, Images, []string{"a", "b"}, []string{"b", "c"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space)}, "no image is protected"},
		"all unused": {nil, AllImages, []string{"a", "b"}, []string{"b", "c"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space)}, "no image is protected"},
		"in use": {func(_ *Case, node *Node) { node.Containers[0].ImageID = "c" }, Images, []string{"a", "b"}, []string{"b", "c"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space)}, "it may not be removed"},
		"pinned": {func(_ *Case, node *Node) { node.Images[2].Pinned = true }, Images, []string{"a", "b"}, []string{"b", "c"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space)}, "it may not be removed"},
		"a sandbox image": {func(_ *Case, node *Node) { node.Images[2].Tags = []string{"registry.example/pause:3"} }, Images,
			[]string{"a", "b"}, []string{"b", "c"}, []crigc.Entry{protected, imageEntry("b", space), imageEntry("c", space)}, "it may not be removed"},
		"the kubelet had no more": {nil, Images, []string{"a"}, []string{"c"},
			[]crigc.Entry{protected, imageEntry("c", space)}, "did not find it either"},
		"for another reason": {nil, Images, []string{"a", "b"}, []string{"b", "c"},
			[]crigc.Entry{protected, imageEntry("b", space), imageEntry("c", crigc.ReasonUnused)}, "removed for space"},
	} {
		t.Run(name, func(t *testing.T) {
			c, node := shelf(byFifth)
			if row.change != nil {
				row.change(&c, &node)
			}
			j := judged{c: c, pass: row.pass, node: node, report: row.report}
			for _, id := range row.theirs {
				j.theirs = append(j.theirs, "image "+id)
			}
			for _, id := range row.ours {
				j.ours = append(j.ours, "image "+id)
			}
			j.fill()
			v := j.verdict()
			if row.says == "" {
				if len(v.Problems) > 0 || !slices.Contains(v.Differences, Difference{"image a", "S5.2 by tag"}) {
					t.Errorf("%+v", v)
				}
				return
			}
			if len(v.Problems) == 0 || !strings.Contains(v.Problems[len(v.Problems)-1].Text, row.says) {
				t.Errorf("%q does not say %q", v.Problems, row.says)
			}
		})
	}
}

// crigc may fail alone only because it keeps more.
func TestEndsOfPasses(t *testing.T) {
	kubelets := errors.New("wanted to free 5 bytes")
	deletion := errors.New("wanted to free 5 bytes, with errors in image deletion: no")
	running := Node{Sandboxes: []Sandbox{{ID: "1", UID: "one", State: Ready}, {ID: "2", UID: "two", State: Ready}}}
	gone, half := map[string]Word{"one": Gone, "two": Gone}, map[string]Word{"one": Gone, "two": Known}
	for name, row := range map[string]struct {
		rule         string
		pods         map[string]Word
		protects     bool
		theirs, ours error
		fine         bool
	}{
		"both well":                     {"", nil, false, nil, nil, true},
		"the kubelet alone":             {"S0.4", gone, false, kubelets, nil, false},
		"a broken picture":              {"S0.4", gone, false, nil, crigc.ErrContradiction, true},
		"a picture that is not broken":  {"S0.4", half, false, nil, crigc.ErrContradiction, false},
		"a broken picture, not planted": {"", gone, false, nil, crigc.ErrContradiction, false},
		"something else, planted":       {"S0.4", gone, false, nil, crigc.ErrIO, false},
		"too little, an image kept":     {"S5.2", half, true, nil, crigc.ErrNotEnoughFreed, true},
		"too little, no image kept":     {"S5.2", half, false, nil, crigc.ErrNotEnoughFreed, false},
		"an image kept, something else": {"S5.2", half, true, nil, crigc.ErrRuntime, false},
		"both too little":               {"", nil, false, kubelets, crigc.ErrNotEnoughFreed, true},
		"both failed removals":          {"", nil, false, deletion, crigc.ErrRuntime, true},
		"one of each":                   {"", nil, false, deletion, crigc.ErrNotEnoughFreed, false},
		"the other way round":           {"", nil, false, kubelets, crigc.ErrRuntime, false},
		"out of reach":                  {"", nil, false, kubelets, crigc.ErrUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, node := shelf(byFifth)
			node.Sandboxes = running.Sandboxes
			c.Planted, c.Pods = []string{row.rule}, row.pods
			j := judged{c: c, pass: Images, node: node, theirErr: row.theirs, ourErr: row.ours}
			if row.protects {
				j.theirs, j.report = []string{"image a"}, []crigc.Entry{imageEntry("a", crigc.ReasonInUse)}
			}
			if v := j.verdict(); (len(v.Problems) == 0) != row.fine {
				t.Errorf("%+v", v)
			}
		})
	}
}

// labelled is a dead container of a pod.
func labelled(id, uid string, state any) Container {
	return Container{ID: id, Name: "app", SandboxID: "s", State: state, Labels: map[string]string{"io.kubernetes.pod.uid": uid},
		LogPath: folder + "/pods/n_p_" + uid + "/app/0.log"}
}

// A difference is allowed if crigc's report gives the rule's reason, and the node shows that it is true.
func TestRulesOfDifferences(t *testing.T) {
	logs := folder + "/pods/n_p_uid"
	inPod := func(entry crigc.Entry, uid string) crigc.Entry { entry.PodUID = uid; return entry }
	failed := func(entry crigc.Entry, text string) crigc.Entry {
		entry.Outcome, entry.Error = crigc.Failed, text
		return entry
	}
	outside := labelled("c", "uid", Exited)
	outside.LogPath = "/elsewhere/0.log"
	linked := labelled("c", "uid", Exited)
	linked.Labels = labels(&pod{uid: "uid", name: "p", namespace: "n"}, "app")
	odd := labelled("c", "uid", 7.0)
	for name, row := range map[string]struct {
		node   Node
		files  []string
		theirs []string
		entry  crigc.Entry
		rule   string
	}{
		"logs of a pod with a container": {Node{Containers: []Container{labelled("c", "uid", Exited)}}, []string{"pods/n_p_uid/"},
			[]string{"file pods/n_p_uid/"}, entryOf(crigc.PodLogs, logs, crigc.ReasonActive), "S4.1"},
		"logs of a pod without one": {Node{Containers: []Container{labelled("c", "other", Exited)}}, []string{"pods/n_p_uid/"},
			[]string{"file pods/n_p_uid/"}, entryOf(crigc.PodLogs, logs, crigc.ReasonActive), ""},
		"logs for no reason": {Node{Containers: []Container{labelled("c", "uid", Exited)}}, []string{"pods/n_p_uid/"},
			[]string{"file pods/n_p_uid/"}, entryOf(crigc.PodLogs, logs, crigc.ReasonListIncomplete), ""},
		"logs that could not be deleted": {Node{Containers: []Container{labelled("c", "uid", Exited)}}, []string{"pods/n_p_uid/"},
			[]string{"file pods/n_p_uid/"}, failed(entryOf(crigc.PodLogs, logs, crigc.ReasonActive), "no"), ""},
		"a pod that runs": {Node{Sandboxes: []Sandbox{{ID: "s", UID: "uid", State: Ready}}, Containers: []Container{labelled("c", "uid", Exited)}},
			nil, []string{"container c"}, inPod(entryOf(crigc.Container, "c", crigc.ReasonPodActive), "uid"), "S0.4 one pod"},
		"a pod that does not run": {Node{Containers: []Container{labelled("c", "uid", Exited)}}, nil, []string{"container c"},
			inPod(entryOf(crigc.Container, "c", crigc.ReasonPodActive), "uid"), ""},
		"a UID that is none": {Node{Containers: []Container{labelled("c", "a\nb", Exited)}}, nil, []string{"container c"},
			inPod(entryOf(crigc.Container, "c", crigc.ReasonWithinLimit), `a\nb`), "S0.3"},
		"a UID that is one": {Node{Containers: []Container{labelled("c", "uid", Exited)}}, nil, []string{"container c"},
			inPod(entryOf(crigc.Container, "c", crigc.ReasonWithinLimit), "uid"), ""},
		"a state that is none": {Node{Containers: []Container{odd}}, nil, []string{"container c"},
			entryOf(crigc.Container, "c", crigc.ReasonUnknownState), "S1.1 the state"},
		"a state that is one": {Node{Containers: []Container{labelled("c", "uid", Exited)}}, nil, []string{"container c"},
			entryOf(crigc.Container, "c", crigc.ReasonUnknownState), ""},
		"a directory for a link": {Node{Containers: []Container{linked}}, []string{"links/p_n_app-c.log/"}, []string{"container c"},
			failed(entryOf(crigc.Container, "c", crigc.ReasonUnitLimit), "it is a directory"), "S2.4 the link's place"},
		"a link for a link": {Node{Containers: []Container{linked}}, []string{"links/p_n_app-c.log"}, []string{"container c"},
			failed(entryOf(crigc.Container, "c", crigc.ReasonUnitLimit), "it is a directory"), ""},
		"a log outside": {Node{Containers: []Container{outside}}, nil, []string{"container c"},
			failed(entryOf(crigc.Container, "c", crigc.ReasonUnitLimit), "no"), ""},
		"a sandbox in no state": {Node{Sandboxes: []Sandbox{{ID: "s", State: 5.0}}}, nil, []string{"sandbox s"},
			entryOf(crigc.Sandbox, "s", crigc.ReasonUnknownState), "S3.2"},
		"a sandbox in a state": {Node{Sandboxes: []Sandbox{{ID: "s", State: NotReady}}}, nil, []string{"sandbox s"},
			entryOf(crigc.Sandbox, "s", crigc.ReasonUnknownState), ""},
		"a link without an answer": {Node{}, []string{"links/p_n_c-0123456789.log"}, []string{"file links/p_n_c-0123456789.log"},
			entryOf(crigc.LogLink, folder+"/links/p_n_c-0123456789.log", crigc.ReasonLinkUnknown), "S4.2"},
		"a link with an answer": {Node{}, []string{"links/p_n_c-9876543210.log"}, []string{"file links/p_n_c-9876543210.log"},
			entryOf(crigc.LogLink, folder+"/links/p_n_c-9876543210.log", crigc.ReasonLinkUnknown), ""},
		"an unused image": {Node{Images: []Image{{ID: "i"}}}, nil, []string{"image i"}, imageEntry("i", crigc.ReasonInUse), ""},
		"an image that is not asked about": {Node{Images: []Image{{ID: "i", Tags: []string{"a/pause"}}}}, nil, []string{"image i"},
			imageEntry("i", crigc.ReasonSandboxImageUnknown), ""},
		"an image called pause": {Node{Images: []Image{{ID: "i", Tags: []string{"a/pause:1"}}}}, nil, []string{"image i"},
			imageEntry("i", crigc.ReasonSandboxImage), "S5.3 by name"},
	} {
		t.Run(name, func(t *testing.T) {
			c := planted("S0.3", "S0.4", "S1.1", "S2.4", "S3.2", "S4.1", "S4.2", "S5.2", "S5.3")
			c.Faults = []Fault{Fails("ContainerStatus", "0123456789", 13, "no")}
			j := judged{c: c, pass: Containers, node: row.node, files: row.files, theirs: row.theirs, report: []crigc.Entry{row.entry}}
			v := j.verdict()
			if row.rule == "" {
				if len(v.Problems) == 0 {
					t.Errorf("allowed by %q", v.Differences)
				}
				return
			}
			if len(v.Problems) > 0 || len(v.Differences) != 1 || v.Differences[0].Rule != row.rule {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestReportsThatLie(t *testing.T) {
	node := Node{Containers: []Container{labelled("c", "uid", Exited)}}
	removed := entryOf(crigc.Container, "c", crigc.ReasonUnitLimit)
	removed.Outcome = crigc.Removed
	for name, row := range map[string]struct {
		removed []string
		entry   crigc.Entry
		says    string
	}{
		"removed and there": {nil, removed, "reports it as removed, and it is there"},
		"kept and gone":     {[]string{"container c"}, entryOf(crigc.Container, "c", crigc.ReasonWithinLimit), "reports it as kept, and it is gone"},
		"never there":       {nil, entryOf(crigc.Container, "d", crigc.ReasonWithinLimit), "was not there"},
		"as it is":          {[]string{"container c"}, removed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := judged{pass: Containers, node: node, theirs: row.removed, ours: row.removed, report: []crigc.Entry{row.entry}}
			said := fmt.Sprint(j.verdict().Problems)
			if said == "[]" {
				said = ""
			}
			if (said == "") != (row.says == "") || !strings.Contains(said, row.says) {
				t.Errorf("%q does not say %q", said, row.says)
			}
		})
	}
}

// The stops of objects that both remove have to be the same, also if the two differ in another object.
func TestStops(t *testing.T) {
	node := Node{Containers: []Container{labelled("c", "uid", Unknown), labelled("odd", "uid", 7.0)}}
	removed := entryOf(crigc.Container, "c", crigc.ReasonUnitLimit)
	removed.Outcome = crigc.Removed
	for name, row := range map[string]struct {
		theirs, ours []string
		fine         bool
	}{
		"alike":          {[]string{"c 2s", "odd 2s"}, []string{"c 2s"}, true},
		"shorter":        {[]string{"c 30s"}, []string{"c 2s"}, false},
		"not at all":     {[]string{"c 2s"}, nil, false},
		"by crigc alone": {nil, []string{"c 2s"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := judged{c: planted("S1.1"), pass: Containers, node: node, theirs: []string{"container c", "container odd"},
				ours: []string{"container c"}, theirStops: row.theirs, ourStops: row.ours,
				report: []crigc.Entry{removed, entryOf(crigc.Container, "odd", crigc.ReasonUnknownState)}}
			if v := j.verdict(); (len(v.Problems) == 0) != row.fine {
				t.Errorf("%+v", v)
			}
		})
	}
}
