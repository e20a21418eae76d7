package comparison

import (
	"slices"
	"testing"
)

// A smaller node counts only if it fails in the same way.
func TestShrink(t *testing.T) {
	c := Case{Steps: []Step{{Pass: Containers}}, Node: Node{
		Containers: []Container{{ID: "good"}, {ID: "bad"}, {ID: "needed"}},
		Images:     []Image{{ID: "image"}},
	}}
	again := func(c Case) *Failure {
		has := func(id string) bool {
			return slices.ContainsFunc(c.Node.Containers, func(c Container) bool { return c.ID == id })
		}
		switch {
		case !has("needed"):
			// The result of a greedy shrink.
			return &Failure{Case: c, Problems: []Problem{{"crigc removes a container", "another"}}}
		case has("bad"):
			return &Failure{Case: c, Problems: []Problem{{"the end", "too"}, {"crigc keeps a container", "bad"}}}
		}
		return nil
	}
	failure := shrink(&Failure{Case: c, Problems: []Problem{{"crigc keeps a container", "bad"}}}, again)
	var left []string
	for _, c := range failure.Case.Node.Containers {
		left = append(left, c.ID)
	}
	if !slices.Equal(left, []string{"bad", "needed"}) || len(failure.Case.Node.Images) > 0 || !failure.fails("crigc keeps a container") {
		t.Errorf("shrunk to %v", failure.Case)
	}
}
