package comparison

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crigc/crigc/go"
)

const day = 24 * 3600 * second

// pod adds a pod with one sandbox, which is as old as given, in ns.
func (c *Case) pod(name string, word Word, state string, age int64) *pod {
	uid := fmt.Sprintf("%08d-0000-4000-8000-000000000000", len(c.Pods)+1)
	p := &pod{uid: uid, name: name, namespace: "shop", word: word, folder: "shop_" + name + "_" + uid}
	c.Pods[uid] = word
	c.Node.Sandboxes = append(c.Node.Sandboxes, Sandbox{ID: "sandbox-of-" + name, UID: uid, Name: name, Namespace: p.namespace, State: state,
		CreatedAt: -age, LogDirectory: "@/pods/" + p.folder, Labels: labels(p, "")})
	return p
}

// container adds a container of a pod with its log and the link to it: how long ago it was created, and ended (0: it runs), in ns.
func (c *Case) container(p *pod, attempt uint32, created, ended int64) {
	one := Container{ID: fmt.Sprintf("%sx%d", p.name, attempt), SandboxID: "sandbox-of-" + p.name, Name: "app", Attempt: attempt,
		State: Running, CreatedAt: -created, StartedAt: 1, Image: "registry.example/app:v1", ImageRef: "sha256:app", Labels: labels(p, "app"),
		LogPath: fmt.Sprintf("@/pods/%s/app/%d.log", p.folder, attempt)}
	if ended != 0 {
		one.State, one.FinishedAt = Exited, -ended
	}
	c.Node.Containers = append(c.Node.Containers, one)
	c.Files = append(c.Files, File{Path: one.LogPath[2:], ChangedAt: -ended},
		File{Path: "links/" + linkName(p, "app", one.ID), Link: one.LogPath})
}

// left adds a log of the pod that no container has any more.
func (c *Case) left(p *pod, name string, age int64) string {
	path := "pods/" + p.folder + "/app/" + name
	c.Files = append(c.Files, File{Path: path, ChangedAt: -age})
	return "file " + path
}

// withLog are a container, its log and its link.
func withLog(p *pod, attempt int) []string {
	id := fmt.Sprintf("%sx%d", p.name, attempt)
	return []string{"container " + id, fmt.Sprintf("file pods/%s/app/%d.log", p.folder, attempt), "file links/" + linkName(p, "app", id)}
}

// all is everything of a pod with one container.
func all(p *pod) []string {
	objects := slices.DeleteFunc(withLog(p, 0), func(object string) bool { return strings.HasPrefix(object, "file pods/") })
	return append(objects, "sandbox sandbox-of-"+p.name, "file pods/"+p.folder+"/")
}

func podTroubles() []Trouble {
	return []Trouble{shipper(), byHand(), monthsOld(), onePod(), lostList()}
}

// shipper: the pods are gone, and of one of them the shipper has not read the last lines yet. The minimum age is set for both collectors,
// and does not help the kubelet, because it counts from the creation.
func shipper() Trouble {
	c := calm(Step{Pass: Containers})
	c.Policy.MinAge = time.Hour
	now, before := c.pod("now", Gone, NotReady, 3*day), c.pod("before", Gone, NotReady, 3*day)
	c.container(now, 0, 3*day, 5*second)
	c.container(before, 0, 3*day, 2*day)
	both := slices.Concat(all(now), all(before))
	return Trouble{
		Name: "kubernetes#63687: a pod is deleted before the log shipper has read its last lines",
		Case: c, Reason: crigc.ReasonTooYoung,
		Keys:    map[string]string{"minimum-pod-log-ttl-duration": "1h", "container-age-from": "finished"},
		Kubelet: Ending{Removed: both},
		Plain:   Ending{Removed: both},
		Ours:    Ending{Removed: all(before)},
	}
}

// byHand: a pod that lives has logs of attempts whose containers were removed by another program, and the link to one of them.
func byHand() Trouble {
	c := calm(Step{Pass: Containers})
	p := c.pod("crashing", Known, Ready, 9*day)
	c.container(p, 4, 2*day, day)
	c.container(p, 5, day, 0)
	rotated, log := c.left(p, "1.log.20260101-000000.gz", 3*day), c.left(p, "3.log", 3*day)
	c.left(p, "3.log.20260103-000000", 3600*second)
	link := "links/" + linkName(p, "app", "crashingx3")
	c.Files = append(c.Files, File{Path: link, Link: "@/pods/" + p.folder + "/app/3.log"})
	return Trouble{
		Name: "kubernetes#91765, kubernetes#61257: logs and links of containers that were removed by hand stay with the pod",
		Case: c, Reason: crigc.ReasonAge,
		Keys: map[string]string{"orphan-log-ttl-duration": "24h"},
		Ours: Ending{Removed: []string{rotated, log, "file " + link}},
	}
}

// monthsOld: a completed pod whose container ended months ago, and one that lives, of which three attempts are kept.
func monthsOld() Trouble {
	c := calm(Step{Pass: Containers})
	c.Policy.MaxPerContainer = 3
	completed, lives := c.pod("completed", Terminated, NotReady, 91*day), c.pod("lives", Known, Ready, 91*day)
	c.container(completed, 0, 91*day, 90*day)
	c.container(lives, 0, 60*day, 59*day)
	c.container(lives, 1, 2*day, day)
	c.container(lives, 2, day, 0)
	return Trouble{
		Name: "kubernetes#81451: containers that ended months ago are still there",
		Case: c, Reason: crigc.ReasonAge,
		Keys: map[string]string{"maximum-dead-container-age": "720h"},
		Ours: Ending{Removed: slices.Concat(withLog(completed, 0), withLog(lives, 0))},
	}
}

// onePod: two pods are gone, and one of them is collected.
func onePod() Trouble {
	c := calm()
	p, other := c.pod("ended", Gone, NotReady, day), c.pod("other", Gone, NotReady, day)
	c.container(p, 0, day, 3600*second)
	c.container(other, 0, day, 3600*second)
	c.Steps = []Step{{Pass: OnePod, Pod: p.uid}}
	return Trouble{
		Name: "one pod has ended: its sandbox and logs wait for the next passes",
		Case: c, Reason: crigc.ReasonPodRemoved,
		Kubelet: Ending{Removed: withLog(p, 0)},
		Plain:   Ending{Removed: all(p)},
		Ours:    Ending{Removed: all(p)},
	}
}

// lostList: a host that has lost its list calls all pods gone that have ended. Nothing of them runs, so that nothing contradicts it.
func lostList() Trouble {
	c := calm(Step{Pass: Containers})
	c.container(c.pod("runs", Known, Ready, day), 0, day, 0)
	var lost []string
	for number := range 12 {
		p := c.pod(fmt.Sprintf("job%d", number), Gone, NotReady, day)
		c.container(p, 0, day, 3600*second)
		lost = append(lost, all(p)...)
	}
	return Trouble{
		Name: "a host with a wrong list of pods calls nearly all of them gone",
		Case: c, Reason: crigc.ReasonHeldByShare,
		Keys:    map[string]string{"max-pod-share": "50"},
		Kubelet: Ending{Removed: lost},
		Plain:   Ending{Removed: lost},
		Ours:    Ending{Event: "PodShareExceeded"},
	}
}
