package comparison

import (
	"slices"
	"strings"
	"testing"

	"github.com/crigc/crigc/go"
)

// Only an object that both removed counts as removed by both, and only one that both kept as kept.
func TestCounts(t *testing.T) {
	node := Node{Containers: []Container{labelled("old", "uid", Exited), labelled("new", "uid", Exited), labelled("odd", "uid", 7.0)}}
	removed := entryOf(crigc.Container, "old", crigc.ReasonUnitLimit)
	removed.Outcome = crigc.Removed
	j := judged{c: planted("S1.1"), pass: Containers, node: node, theirs: []string{"container old", "container odd"},
		ours: []string{"container old"}, report: []crigc.Entry{removed, entryOf(crigc.Container, "new", crigc.ReasonWithinLimit),
			entryOf(crigc.Container, "odd", crigc.ReasonUnknownState)}}
	v := j.verdict()
	if len(v.Problems) > 0 {
		t.Fatal(v.Problems)
	}
	kubelet, ours := j.lefts()
	count := counts{}
	count.step(j.c, 0, kubelet, ours, v)
	tally := Tally{Rules: map[string]Count{}}
	tally.add(count)
	for rule, want := range map[string]Count{
		"S1.5":           {Nodes: 1, Removed: 1, Kept: 1},
		"S2.5":           {Nodes: 1, Removed: 1},
		"S1.1 the state": {MoreNodes: 1, More: 1},
		"S1.1":           {},
	} {
		if got := tally.Rules[rule]; got != want {
			t.Errorf("%s: %+v instead of %+v", rule, got, want)
		}
	}
}

// A rule that was shown in one way only is missing in the others.
func TestMissing(t *testing.T) {
	tally := Tally{Version: "v1", Rules: map[string]Count{}, needs: needs(Knows{Pinned: true})}
	full := Count{Nodes: 1, Removed: 1, Kept: 1, MoreNodes: 1, More: 1}
	for _, need := range tally.needs {
		tally.Rules[need.rule] = full
	}
	if missing := tally.Missing(); len(missing) > 0 {
		t.Errorf("all was seen, and %q is missing", missing)
	}
	tally.Rules["S4.1"] = Count{Nodes: 5, Kept: 7, MoreNodes: 1, More: 1}
	tally.Rules["S5.3 by name"] = Count{Nodes: 5, Kept: 7}
	if missing := tally.Missing(); !slices.Equal(missing, []string{"S4.1: nothing removed by both", "S5.3 by name: nothing kept by crigc alone"}) {
		t.Errorf("missing %q", missing)
	}
	var out strings.Builder
	tally.Print(&out)
	if strings.Index(out.String(), "S5.10") < strings.Index(out.String(), "S5.9") || !strings.Contains(out.String(), "S0.3") {
		t.Error(out.String())
	}
}
