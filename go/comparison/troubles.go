package comparison

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

// Trouble is a node on which users of the kubelet were in trouble. The kubelet's code and crigc collect it, and what each of them
// removes in the last step is known.
type Trouble struct {
	// Name begins with the issue that tells of it.
	Name string
	Case Case
	// Keys are those of crigc that help. Without any the trouble is solved by a call.
	Keys map[string]string
	// Kubelet, Plain and Ours are what the kubelet leaves, crigc without the keys, and crigc with them.
	Kubelet, Plain, Ours Ending
	// Reason is that of an entry in crigc's report with the keys, by which one sees them.
	Reason crigc.Reason
}

// Ending is how the last step of a case ends.
type Ending struct {
	// Removed are the objects that are gone, as in Seen. What is in a directory that is gone is not named.
	Removed []string
	// Event is the reason of the only event; "" = there is none.
	Event string
	// Fails: the pass ends with an error.
	Fails bool
}

// removed are the objects of a node that a pass has removed, without what is in directories that are gone.
func (l Left) removed() []string {
	gone := []string{}
	for _, object := range l.Before.Objects {
		if !l.has(object) {
			gone = append(gone, object)
		}
	}
	inside := func(object string) bool {
		return slices.ContainsFunc(gone, func(folder string) bool {
			return strings.HasSuffix(folder, "/") && object != folder && strings.HasPrefix(object, folder)
		})
	}
	gone = slices.DeleteFunc(slices.Clone(gone), inside)
	slices.Sort(gone)
	return gone
}

// differs says where a pass ended in another way; "" = nowhere.
func (e Ending) differs(left Left) string {
	expected := slices.Sorted(slices.Values(e.Removed))
	events := []string{}
	for _, event := range left.Events {
		events = append(events, event.Reason)
	}
	var wrong []string
	if gone := left.removed(); !slices.Equal(gone, expected) {
		wrong = append(wrong, fmt.Sprintf("removes %q instead of %q", gone, expected))
	}
	if told := strings.Join(events, " "); told != e.Event {
		wrong = append(wrong, fmt.Sprintf("tells %q instead of %q", told, e.Event))
	}
	if fails := left.Err != nil; fails != e.Fails {
		wrong = append(wrong, fmt.Sprintf("ends with %v", left.Err))
	}
	return strings.Join(wrong, "; ")
}

// last runs a collector over the case and returns the end.
func (t Trouble) last(sim *Sim, create New, now int64) (Left, error) {
	all, err := sim.run(t.Case, create, now)
	if err != nil {
		return Left{}, err
	}
	return all[len(all)-1], nil
}

// withKeys makes crigc with the keys of a trouble.
func (t Trouble) withKeys(setting Setting) (Collector, error) {
	setting.Keys = t.Keys
	return NewOurs(setting)
}

// check runs the kubelet and crigc over the node, and returns what is not as expected.
func (t Trouble) check(sim *Sim, kubelet New) (wrong []string, err error) {
	now := time.Now().UnixNano()
	sides := []struct {
		name   string
		create New
		end    Ending
	}{{"the kubelet", kubelet, t.Kubelet}, {"crigc without the keys", newOurs, t.Plain}, {"crigc", t.withKeys, t.Ours}}
	for _, side := range sides {
		left, err := t.last(sim, side.create, now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", side.name, err)
		}
		if differs := side.end.differs(left); differs != "" {
			wrong = append(wrong, side.name+" "+differs)
		}
		if side.name == "crigc" && !left.gives(t.Reason) {
			wrong = append(wrong, fmt.Sprintf("crigc's report has no entry with the reason %s", t.Reason))
		}
	}
	return wrong, nil
}

// gives says whether an entry of crigc's report has the reason.
func (l Left) gives(reason crigc.Reason) bool {
	return l.Report != nil && slices.ContainsFunc(l.Report.Entries, func(entry crigc.Entry) bool { return entry.Reason == reason })
}

// TestTroubles runs the kubelet and crigc over each node of Troubles.
func TestTroubles(t *testing.T, h Harness) {
	needProgram(t)
	sim, err := Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	for _, trouble := range slices.Concat(imageTroubles(), podTroubles()) {
		t.Run(trouble.Name, func(t *testing.T) {
			wrong, err := trouble.check(sim, h.New)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range wrong {
				t.Error(text)
			}
		})
	}
}

// NeedProgram skips a test if crisim has not been built; in CI it fails then.
func NeedProgram(t *testing.T) { needProgram(t) }

// calm is a case with the kubelet's defaults and a host that has seen all its pods.
func calm(steps ...Step) Case {
	return Case{
		Pods: map[string]Word{}, Strange: Gone, Ready: true, Steps: steps,
		Policy: Policy{MaxPerContainer: 1, MaxContainers: -1, HighThreshold: 85, LowThreshold: 80, ImageMinAge: 2 * time.Minute},
	}
}
