package check

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/crigc/crigc/go"
)

// Tally counts what a run showed: for each rule the nodes in which it spoke, and the objects.
type Tally struct {
	mutex sync.Mutex
	Nodes int
	// Same are rules by which both collectors did the same; Kept those by which crigc kept more.
	Same, Kept map[string]Count
}

// Count of one rule.
type Count struct{ Nodes, Objects int }

// Failure is a seed whose node the two collectors leave differently.
type Failure struct {
	Case     Case
	Step     int
	Problems []string
	// Kubelet and Ours are what each left, and Report what crigc says.
	Kubelet, Ours Left
}

// Harness leads both collectors over random nodes.
type Harness struct {
	// Version of the kubelet, and what it knows.
	Version string
	Knows   Knows
	New     New
	// raw leaves a failing case as large as it is.
	raw bool
}

func newOurs(setting Setting) (Collector, error) { return NewOurs(setting) }

// check leads both over a case. The failure is nil where all is well; the counts are those of this node.
func (h Harness) check(sim *Sim, c Case) (same, kept map[string]int, failure *Failure, err error) {
	now := time.Now().UnixNano()
	theirs, err := sim.run(c, h.New, now)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the kubelet over seed %d: %w", c.Seed, err)
	}
	ours, err := sim.run(c, newOurs, now)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("crigc over seed %d: %w", c.Seed, err)
	}
	same, kept = map[string]int{}, map[string]int{}
	for i, step := range c.Steps {
		v := compare(c, sim.Folder, step.Pass, theirs[i], ours[i])
		if len(v.Problems) > 0 {
			return nil, nil, &Failure{c, i, v.Problems, theirs[i], ours[i]}, nil
		}
		spoke(c, step.Pass, ours[i], same)
		for _, difference := range v.Differences {
			kept[difference.Rule]++
		}
		if len(v.Differences) > 0 {
			// From here on the two have different nodes.
			break
		}
	}
	return same, kept, nil, nil
}

// spoke counts the objects of a report by the rules that decided about them.
func spoke(c Case, pass Pass, ours Left, count map[string]int) {
	if ours.Report == nil || pass == Look {
		return
	}
	if pass == Images && ours.Err != nil {
		count["S5.9"]++
	}
	count["S2.3"] += len(ours.Stops)
	for _, entry := range ours.Report.Entries {
		for _, rule := range rules(c, pass, entry) {
			count[rule]++
		}
	}
}

// words that stand for one rule, for each kind of object.
var words = map[crigc.Kind]map[crigc.Reason]string{
	crigc.Container: {crigc.ReasonRunning: "S1.1", crigc.ReasonTooYoung: "S1.2", crigc.ReasonPodRemoved: "S1.4",
		crigc.ReasonPodTerminated: "S1.4", crigc.ReasonUnitLimit: "S1.5", crigc.ReasonTotalLimit: "S1.6",
		crigc.ReasonWithinLimit: "S1.5"},
	crigc.Sandbox: {crigc.ReasonActive: "S3.2", crigc.ReasonPodRemoved: "S3.3", crigc.ReasonPodTerminated: "S3.3",
		crigc.ReasonOlderSandbox: "S3.3", crigc.ReasonNewestSandbox: "S3.3"},
	crigc.PodLogs: {crigc.ReasonPodRemoved: "S4.1", crigc.ReasonPodExists: "S4.1", crigc.ReasonSourcesNotReady: "S0.2"},
	crigc.LogLink: {crigc.ReasonDeadLink: "S4.2", crigc.ReasonLinkAlive: "S4.2"},
	crigc.Image: {crigc.ReasonSpace: "S5.6", crigc.ReasonBelowThreshold: "S5.6", crigc.ReasonInUse: "S5.2",
		crigc.ReasonPinned: "S5.3", crigc.ReasonSandboxImage: "S5.3", crigc.ReasonEnoughFreed: "S5.8", crigc.ReasonTooYoung: "S5.7", crigc.ReasonUnused: "S5.10"},
}

// rules are those that decided about an entry.
func rules(c Case, pass Pass, entry crigc.Entry) (named []string) {
	if rule := words[entry.Kind][entry.Reason]; rule != "" {
		named = append(named, rule)
	}
	switch {
	case entry.Outcome == crigc.Failed && entry.Kind == crigc.Container:
		named = append(named, "S1.8")
	case entry.Outcome == crigc.Failed && entry.Kind == crigc.Sandbox:
		named = append(named, "S3.4")
	case entry.Outcome == crigc.Removed && entry.Kind == crigc.Container:
		named = append(named, "S2.4", "S2.5")
	case entry.Outcome == crigc.Removed && entry.Reason == crigc.ReasonSpace:
		named = append(named, "S5.4")
	}
	if _, tied := c.Ties[entry.ID]; tied && entry.Outcome == crigc.Removed {
		named = append(named, "S1.7")
	}
	return named
}

// Same are the rules that a run has to have seen at work in both, and Kept those by which crigc has to have kept more.
var (
	Same = []string{"S0.2", "S1.1", "S1.2", "S1.4", "S1.5", "S1.6", "S1.7", "S1.8", "S2.3", "S2.4", "S2.5", "S3.2", "S3.3", "S3.4",
		"S4.1", "S4.2", "S5.2", "S5.3", "S5.4", "S5.6", "S5.7", "S5.8", "S5.9", "S5.10"}
	Kept = []string{"S0.2", "S0.3", "S0.4", "S1.1", "S2.4", "S3.2", "S4.1", "S4.2", "S5.2", "S5.3"}
)

func (t *Tally) add(same, kept map[string]int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.Nodes++
	for rule, n := range same {
		t.Same[rule] = t.Same[rule].plus(n)
	}
	for rule, n := range kept {
		t.Kept[rule] = t.Kept[rule].plus(n)
	}
}

func (c Count) plus(objects int) Count {
	if objects == 0 {
		return c
	}
	return Count{c.Nodes + 1, c.Objects + objects}
}

// Missing are the rules that no node exercised.
func (t *Tally) Missing() (missing []string) {
	for _, rule := range Same {
		if t.Same[rule].Nodes == 0 {
			missing = append(missing, rule)
		}
	}
	for _, rule := range Kept {
		if t.Kept[rule].Nodes == 0 {
			missing = append(missing, rule+" (crigc keeps more)")
		}
	}
	return missing
}

// Print writes the tally as a table.
func (t *Tally) Print(w io.Writer, version string) {
	fmt.Fprintf(w, "%d nodes, crigc beside the kubelet %s\n%-6s %18s %18s\n", t.Nodes, version, "rule", "both alike", "crigc keeps more")
	all := map[string]bool{}
	for rule := range t.Same {
		all[rule] = true
	}
	for rule := range t.Kept {
		all[rule] = true
	}
	for _, rule := range sorted(all) {
		fmt.Fprintf(w, "%-6s %7d %10d %7d %10d\n", rule, t.Same[rule].Nodes, t.Same[rule].Objects, t.Kept[rule].Nodes,
			t.Kept[rule].Objects)
	}
	fmt.Fprintf(w, "each pair of numbers: nodes, objects\n")
}

// sorted are rules in their order: S1.10 behind S1.9.
func sorted(all map[string]bool) (rules []string) {
	for rule := range all {
		rules = append(rules, rule)
	}
	key := func(rule string) (stage, number int) {
		// A rule that is none sorts to the front.
		_, _ = fmt.Sscanf(rule, "S%d.%d", &stage, &number)
		return stage, number
	}
	sort.Slice(rules, func(i, j int) bool {
		a, b := key(rules[i])
		c, d := key(rules[j])
		return a < c || a == c && b < d
	})
	return rules
}

// Run leads both over the nodes of seeds from..to-1, with so many workers below folder, and stops at the first failure, which is
// then made small.
func (h Harness) Run(folder string, from, to uint64, workers int) (*Tally, *Failure, error) {
	tally := &Tally{Same: map[string]Count{}, Kept: map[string]Count{}}
	seeds := make(chan uint64)
	stop := make(chan struct{})
	var once sync.Once
	var failed *Failure
	var broken error
	end := func(f *Failure, err error) {
		once.Do(func() {
			failed, broken = f, err
			close(stop)
		})
	}
	var group sync.WaitGroup
	for number := range workers {
		group.Go(func() {
			if failure, err := h.work(folder, number, seeds, tally); failure != nil || err != nil {
				end(failure, err)
			}
		})
	}
feeding:
	for seed := from; seed < to; seed++ {
		select {
		case seeds <- seed:
		case <-stop:
			break feeding
		}
	}
	close(seeds)
	group.Wait()
	return tally, failed, broken
}

// work is one worker with a crisim of its own.
func (h Harness) work(top string, number int, seeds <-chan uint64, tally *Tally) (failure *Failure, err error) {
	folder, err := Folder(top, number)
	if err != nil {
		return nil, err
	}
	sim, err := Start(folder)
	if err != nil {
		return nil, err
	}
	defer sim.Close()
	for seed := range seeds {
		same, kept, failure, err := h.check(sim, Generate(seed, h.Knows))
		if err != nil {
			return nil, err
		}
		switch {
		case failure != nil && h.raw:
			return failure, nil
		case failure != nil:
			return h.shrink(sim, failure), nil
		}
		tally.add(same, kept)
	}
	return nil, nil
}

// String is the failure as one would read it: what differs, the small node, and both sides.
func (f *Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, step %d (%s):\n", f.Case.Seed, f.Step+1, f.Case.Steps[f.Step].Pass)
	for _, problem := range f.Problems {
		fmt.Fprintf(&b, "  %s\n", problem)
	}
	fmt.Fprintf(&b, "the node, made small:\n%v\n", f.Case)
	fmt.Fprintf(&b, "the kubelet ended with %v and left\n  %s\n", f.Kubelet.Err, strings.Join(f.Kubelet.Objects, "\n  "))
	fmt.Fprintf(&b, "crigc ended with %v and reports\n", f.Ours.Err)
	if f.Ours.Report != nil {
		for _, entry := range f.Ours.Report.Entries {
			fmt.Fprintf(&b, "  %v %s (%s): %v, %s %s\n", entry.Kind, entry.ID, entry.Name, entry.Outcome, entry.Reason, entry.Error)
		}
	}
	return b.String()
}
