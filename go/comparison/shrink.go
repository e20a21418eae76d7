package comparison

import (
	"maps"
	"slices"
)

// again runs both over a case once more; nil if it does not fail, or cannot be run.
func (h Harness) again(sim *Sim) func(Case) *Failure {
	return func(c Case) *Failure {
		_, failure, err := h.check(sim, c)
		if err != nil {
			return nil
		}
		return failure
	}
}

// shrink removes parts of a failing case as long as the rest fails in the same way.
func shrink(failure *Failure, again func(Case) *Failure) *Failure {
	way := failure.Problems[0].Sort
	for smaller := true; smaller; {
		smaller = false
		for _, part := range parts(len(failure.Case.Steps)) {
			for i := part.len(failure.Case) - 1; i >= 0; i-- {
				if i >= part.len(failure.Case) {
					continue
				}
				c := failure.Case
				part.drop(&c, i)
				if next := again(c); next != nil && next.fails(way) {
					failure, smaller = next, true
				}
			}
		}
	}
	return failure
}

// fails says whether a failure is of a sort.
func (f *Failure) fails(way string) bool {
	return slices.ContainsFunc(f.Problems, func(problem Problem) bool { return problem.Sort == way })
}

// part is a list of a case from which elements can be removed.
type part struct {
	len func(c Case) int
	// drop removes the i-th element from a case.
	drop func(c *Case, i int)
}

// parts are the lists of a case with this number of steps; those that shrink it most come first.
func parts(steps int) []part {
	all := []part{
		{func(c Case) int { return len(c.Steps) }, func(c *Case, i int) { c.Steps = withoutStep(c.Steps, i) }},
		{func(c Case) int { return len(c.Node.Sandboxes) }, func(c *Case, i int) { c.Node.Sandboxes = without(c.Node.Sandboxes, i) }},
		{func(c Case) int { return len(c.Node.Containers) }, func(c *Case, i int) { c.Node.Containers = without(c.Node.Containers, i) }},
		{func(c Case) int { return len(c.Node.Images) }, func(c *Case, i int) { c.Node.Images = without(c.Node.Images, i) }},
		{func(c Case) int { return len(c.Files) }, func(c *Case, i int) { c.Files = without(c.Files, i) }},
		{func(c Case) int { return len(c.Faults) }, func(c *Case, i int) { c.Faults = without(c.Faults, i) }},
	}
	for at := range steps {
		all = append(all, part{func(c Case) int {
			if at < len(c.Steps) && c.Steps[at].Before.brings() {
				return 1
			}
			return 0
		}, func(c *Case, _ int) {
			c.Steps = slices.Clone(c.Steps)
			// The containers of a pod that ends must not run any more: a pod that is gone and runs is another case.
			before := c.Steps[at].Before
			c.Steps[at].Before = Changes{Pods: before.Pods, Ready: before.Ready, States: before.States, Removed: before.Removed}
		}})
	}
	return all
}

// withoutStep removes a step. The containers that ended, and the host's answers before it, move to the next step.
func withoutStep(steps []Step, i int) []Step {
	steps = slices.Clone(steps)
	if i+1 < len(steps) {
		before, next := steps[i].Before, &steps[i+1].Before
		next.States = merged(before.States, next.States)
		next.Pods = merged(before.Pods, next.Pods)
		next.Removed = append(slices.Clone(before.Removed), next.Removed...)
		next.Ready = next.Ready || before.Ready
	}
	return slices.Delete(steps, i, i+1)
}

// merged is both maps; the second one wins.
func merged[V any](first, second map[string]V) map[string]V {
	both := maps.Clone(first)
	if both == nil {
		both = map[string]V{}
	}
	maps.Copy(both, second)
	return both
}

func without[T any](list []T, i int) []T {
	return slices.Delete(slices.Clone(list), i, i+1)
}
