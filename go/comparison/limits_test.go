package comparison

import (
	"fmt"
	"slices"
	"testing"

	"github.com/crigc/crigc/go"
)

// dead is the n-th attempt of a unit, created n seconds after the epoch.
func dead(name string, n int, state any) Container {
	c := labelled(fmt.Sprintf("%s%d", name, n), "uid", state)
	c.Name, c.Attempt, c.CreatedAt = name, uint32(n), int64(n)*second
	return c
}

// crigc may keep as many containers beyond the kubelet's limits as there are containers that it does not count.
func TestLimits(t *testing.T) {
	odd := func(name string, n int) Container { return dead(name, n, 7.0) }
	ended := func(name string, n int) Container { return dead(name, n, Exited) }
	created := func(name string, n int) Container { return dead(name, n, Created) }
	later := func(c Container, by int64) Container { c.CreatedAt += by * second; return c }
	policy := func(unit, total int) Policy { return Policy{MaxPerContainer: unit, MaxContainers: total} }
	for name, row := range map[string]struct {
		policy Policy
		all    []Container
		id     string
		rule   string
	}{
		"an odd one in its place":             {policy(1, -1), []Container{ended("a", 1), odd("a", 2)}, "a1", "S1.1 beside it"},
		"an odd one in another unit":          {policy(1, -1), []Container{ended("a", 1), ended("a", 2), odd("b", 3)}, "a1", ""},
		"one odd one, two too many":           {policy(1, -1), []Container{ended("a", 1), ended("a", 2), odd("a", 3)}, "a1", ""},
		"two odd ones, two more":              {policy(2, -1), []Container{ended("a", 1), ended("a", 2), odd("a", 3), odd("a", 4)}, "a1", "S1.1 beside it"},
		"an odd one, the total is another":    {policy(-1, 5), []Container{ended("a", 1), odd("b", 2)}, "a1", ""},
		"an odd one in the total":             {policy(-1, 1), []Container{ended("a", 1), odd("b", 2)}, "a1", "S1.1 beside it"},
		"an odd one beside a larger total":    {policy(-1, 2), []Container{ended("a", 1), ended("a", 2), ended("a", 3), odd("b", 4)}, "a1", ""},
		"the second of it":                    {policy(-1, 2), []Container{ended("a", 1), ended("a", 2), ended("a", 3), odd("b", 4)}, "a2", "S1.1 beside it"},
		"just created":                        {policy(1, -1), []Container{ended("a", 1), later(created("a", 2), 950)}, "a1", "S1.1 beside it"},
		"created a while ago, the last crash": {policy(1, -1), []Container{ended("a", 1), created("a", 2)}, "a1", "S1.5 the last that ran"},
		"the crash before it":                 {policy(1, -1), []Container{ended("a", 1), ended("a", 2), created("a", 3)}, "a1", ""},
		"one of the kept has run":             {policy(2, -1), []Container{ended("a", 1), ended("a", 2), created("a", 3)}, "a1", ""},
		"no limit of none":                    {policy(0, -1), []Container{ended("a", 1), created("a", 2)}, "a1", ""},
		"the highest attempt":                 {policy(1, -1), []Container{later(ended("a", 9), -8), ended("a", 2)}, "a9", "S1.5 the highest attempt"},
		"a lower attempt":                     {policy(1, -1), []Container{ended("a", 1), ended("a", 2)}, "a1", ""},
		"within the kubelet's limits":         {policy(2, -1), []Container{ended("a", 1), odd("a", 2)}, "a1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			with := comparison{Case: Case{Policy: row.policy, Strange: Known, Ready: true, Steps: []Step{{Pass: Containers}}}}
			with.ours = Left{At: 1000 * second, Before: Seen{node: Node{Containers: row.all}}}
			at := slices.IndexFunc(row.all, func(c Container) bool { return c.ID == row.id })
			if rule := with.ruleOfLimit(entryOf(crigc.Container, row.id, crigc.ReasonWithinLimit), row.all[at]); rule != row.rule {
				t.Errorf("%q instead of %q", rule, row.rule)
			}
		})
	}
}
