package comparison

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Failure is a seed whose node the two collectors leave differently.
type Failure struct {
	Case     Case
	Step     int
	Problems []Problem
	// Kubelet and Ours are the nodes after each pass, and Report is crigc's.
	Kubelet, Ours Left
}

// Harness runs both collectors over random nodes.
type Harness struct {
	// Version of the kubelet, and the features that it knows.
	Version string
	Knows   Knows
	New     New
	// raw leaves a failing case as large as it is.
	raw bool
}

func newOurs(setting Setting) (Collector, error) { return NewOurs(setting) }

// check runs both over a case. The failure is nil if there is none; the counts are those of this node.
func (h Harness) check(sim *Sim, c Case) (counts, *Failure, error) {
	now := time.Now().UnixNano()
	theirs, err := sim.run(c, h.New, now)
	if err != nil {
		return nil, nil, fmt.Errorf("the kubelet over seed %d: %w", c.Seed, err)
	}
	ours, err := sim.run(c, newOurs, now)
	if err != nil {
		return nil, nil, fmt.Errorf("crigc over seed %d: %w", c.Seed, err)
	}
	count := counts{}
	for i := range c.Steps {
		v := compare(c, h.Knows, sim.Folder, i, theirs[i], ours[i])
		if len(v.Problems) > 0 {
			return nil, &Failure{c, i, v.Problems, theirs[i], ours[i]}, nil
		}
		count.step(c, i, theirs[i], ours[i], v)
		if len(v.Differences) > 0 {
			// From here on the two have different nodes.
			break
		}
	}
	return count, nil, nil
}

// Run runs both over the nodes of seeds from..to-1, with this number of workers below folder, and stops at the first failure, whose
// node is then made smaller.
func (h Harness) Run(folder string, from, to uint64, workers int) (*Tally, *Failure, error) {
	tally := &Tally{Version: h.Version, Rules: map[string]Count{}, needs: needs(h.Knows)}
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
		count, failure, err := h.check(sim, Generate(seed, h.Knows))
		if err != nil {
			return nil, err
		}
		switch {
		case failure != nil && h.raw:
			return failure, nil
		case failure != nil:
			return shrink(failure, h.again(sim)), nil
		}
		tally.add(count)
	}
	return nil, nil
}

// String is the failure as text: the differences, the small node, and both sides.
func (f *Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, step %d (%s):\n", f.Case.Seed, f.Step+1, f.Case.Steps[f.Step].Pass)
	for _, problem := range f.Problems {
		fmt.Fprintf(&b, "  %s\n", problem.Text)
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
