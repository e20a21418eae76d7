package comparison

import (
	"errors"
	"strings"
	"testing"

	"github.com/crigc/crigc/go"
)

// Nothing may be removed without an entry, and nothing of a living pod, even if the kubelet does the same.
func TestWhatHoldsOfCrigcAlone(t *testing.T) {
	log := "file pods/n_p_uid/app/0.log"
	went := func(outcome crigc.Outcome) crigc.Entry {
		entry := entryOf(crigc.Container, "c", crigc.ReasonUnitLimit)
		entry.Outcome = outcome
		return entry
	}
	logs := entryOf(crigc.PodLogs, folder+"/pods/n_p_uid", crigc.ReasonPodRemoved)
	logs.Outcome = crigc.Removed
	files := []string{"pods/n_p_uid/", "pods/n_p_uid/app/", "pods/n_p_uid/app/0.log", "pods/n_p_uid/heap", "outside/kept"}
	all := []string{"file pods/n_p_uid/", "file pods/n_p_uid/app/", log, "file pods/n_p_uid/heap"}
	for name, row := range map[string]struct {
		state   any
		words   map[string]Word
		removed []string
		entries []crigc.Entry
		says    string
	}{
		"told":                              {Exited, nil, []string{"container c", log}, []crigc.Entry{went(crigc.Removed)}, ""},
		"a log of a failed removal":         {Exited, nil, []string{log}, []crigc.Entry{went(crigc.Failed)}, ""},
		"a log of a kept one":               {Exited, nil, []string{log}, []crigc.Entry{went(crigc.Kept)}, "does not say so"},
		"a container without a word":        {Exited, nil, []string{"container c"}, nil, "does not say so"},
		"a file of a living pod":            {Exited, nil, []string{"file pods/n_p_uid/heap"}, nil, "nothing to do with"},
		"a file outside":                    {Exited, map[string]Word{"uid": Gone}, []string{"file outside/kept"}, nil, "nothing to do with"},
		"a directory of a pod that is gone": {Exited, map[string]Word{"uid": Gone}, all, []crigc.Entry{logs, went(crigc.Kept)}, ""},
		"a directory of a living pod":       {Exited, nil, all, []crigc.Entry{logs, went(crigc.Kept)}, "nothing to do with"},
		"the log of what runs": {Running, map[string]Word{"uid": Gone}, all, []crigc.Entry{logs, entryOf(crigc.Container, "c", crigc.ReasonRunning)},
			"which runs"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Case{Ready: true, Strange: Known, Pods: row.words, Files: []File{{Path: "pods/n_p_uid/heap", Canary: true},
				{Path: "outside/kept", Canary: true}}}
			j := judged{c: c, pass: Containers, node: Node{Containers: []Container{labelled("c", "uid", row.state)}}, files: files,
				theirs: row.removed, ours: row.removed, report: row.entries}
			said := ""
			for _, problem := range j.verdict().Problems {
				said += problem.Text + "\n"
			}
			if (said == "") != (row.says == "") || !strings.Contains(said, row.says) {
				t.Errorf("%q does not say %q", said, row.says)
			}
		})
	}
}

// Sources that have become ready excuse nothing from that step on.
func TestSourcesThatAreReady(t *testing.T) {
	for step, wanted := range []bool{true, false} {
		c := planted("S0.2")
		c.Steps = []Step{{Pass: Containers}, {Pass: Containers, Before: Changes{Ready: true}}}
		j := judged{c: c, node: Node{Sandboxes: []Sandbox{{ID: "s", UID: "uid", State: NotReady}}}, theirs: []string{"sandbox s"},
			report: []crigc.Entry{entryOf(crigc.Sandbox, "s", crigc.ReasonSourcesNotReady)}}
		kubelet, ours := j.lefts()
		if v := compare(c, Knows{}, folder, step, kubelet, ours); (len(v.Problems) == 0) != wanted {
			t.Errorf("step %d: %+v", step, v)
		}
	}
}

// The events have to be the same if passes end alike.
func TestEvents(t *testing.T) {
	event := Event{Reason: "FreeDiskSpaceFailed", Message: "too little"}
	for name, row := range map[string]struct {
		theirs, ours []Event
		fine         bool
	}{
		"the same":        {[]Event{event}, []Event{event}, true},
		"none":            {nil, nil, true},
		"not told":        {[]Event{event}, nil, false},
		"told for itself": {nil, []Event{event}, false},
		"crigc's own":     {nil, []Event{{Reason: "PodStatesContradicted"}}, true},
		"other words":     {[]Event{event}, []Event{{Reason: event.Reason, Message: "too much"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := judged{pass: Images, theirErr: errors.New("wanted to free 5 bytes"), ourErr: crigc.ErrNotEnoughFreed}
			j.c.Steps = []Step{{Pass: j.pass}}
			j.knows.Messages = true
			kubelet, ours := j.lefts()
			kubelet.Events, ours.Events = row.theirs, row.ours
			if v := compare(j.c, j.knows, folder, 0, kubelet, ours); (len(v.Problems) == 0) != row.fine {
				t.Errorf("%+v", v)
			}
		})
	}
}

// A negative grace period for the deletion of a pod counts as none, and the one for its termination is given.
func TestNegativeGrace(t *testing.T) {
	for name, row := range map[string]struct {
		deletion, termination string
		ours                  string
		fine                  bool
	}{
		"the termination's":    {"-5", "30", "c 30s", true},
		"another":              {"-5", "30", "c 31s", false},
		"none to give instead": {"-5", "soon", "c 30s", false},
		"a positive one":       {"5", "30", "c 30s", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := labelled("c", "uid", Unknown)
			c.Annotations = map[string]string{deletionGrace: row.deletion, terminationGrace: row.termination}
			removed := entryOf(crigc.Container, "c", crigc.ReasonUnitLimit)
			removed.Outcome = crigc.Removed
			j := judged{c: planted("S2.3"), pass: Containers, node: Node{Containers: []Container{c}}, theirs: []string{"container c"},
				ours: []string{"container c"}, theirStops: []string{"c 2s"}, ourStops: []string{row.ours}, report: []crigc.Entry{removed}}
			if v := j.verdict(); (len(v.Problems) == 0) != row.fine {
				t.Errorf("%+v", v)
			}
		})
	}
}
