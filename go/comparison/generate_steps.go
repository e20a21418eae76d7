package comparison

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// containerSteps are one to three passes, with changes between them.
func (m *maker) containerSteps() {
	count := 1 + m.IntN(3)
	if m.wrongKey {
		count = 1
	}
	for i := range count {
		step := Step{Pass: pick(m, Containers, Containers, Containers, AllContainers)}
		if i > 0 {
			step.Before = m.changes()
		}
		if m.percent(15) {
			m.returns(&step)
		}
		m.Steps = append(m.Steps, step)
	}
}

// returns changes the host's answer about a dead pod during a pass: it comes back under its UID, or is gone.
func (m *maker) returns(step *Step) {
	dead := func(p pod) bool { return len(p.ready) == 0 && len(p.running) == 0 }
	pods := slices.DeleteFunc(slices.Clone(m.made), func(p pod) bool { return !dead(p) })
	if len(pods) == 0 {
		return
	}
	p := pick(m, pods...)
	words := []Word{Known, pick(m, Gone, Evicted, Terminated)}
	if p.word != Known {
		slices.Reverse(words)
	}
	step.Before.Pods = merged(step.Before.Pods, map[string]Word{p.uid: words[0]})
	m.plant("S0.3")
	step.Later = map[Stage]map[string]Word{pick(m, OfSandboxes, OfLogs): {p.uid: words[1]}}
	// Afterwards it is as before: the next pass begins in this way, and the rest of the pod does not change any more.
	p.word = words[0]
	m.young[p.uid] = true
	m.logsMayStay(&pod{uid: p.uid, word: Gone})
}

// changes are pods that end, containers that exit and are added, and sources that become ready.
func (m *maker) changes() Changes {
	c := Changes{States: map[string]string{}, Pods: map[string]Word{}, Ready: m.percent(50)}
	for i := range m.made {
		p := &m.made[i]
		switch {
		case m.percent(20) && p.word == Known:
			p.word = pick(m, Terminated, Evicted, Gone)
			c.Pods[p.uid] = p.word
			m.end(p, &c)
		case m.percent(20) && p.alive:
			m.restart(p, &c)
		case m.percent(10) && p.word != Known:
			// A static pod comes back under its old UID.
			p.word = Known
			c.Pods[p.uid] = Known
		}
	}
	return c
}

// end stops everything of a pod, as a kubelet does before the pod may be removed.
func (m *maker) end(p *pod, c *Changes) {
	p.alive = false
	if len(p.running) > 0 {
		// The attempt that ran is the highest, even if it is not the newest.
		m.plant("S1.5")
	}
	for _, id := range p.running {
		c.States[id] = Exited
	}
	for _, id := range p.ready {
		c.States[id] = NotReady
	}
	m.logsMayStay(p)
}

// restart makes the containers of a pod exit and starts new ones, often in a new sandbox.
func (m *maker) restart(p *pod, c *Changes) {
	m.plant("S1.5")
	ended := p.running
	p.running = nil
	if m.percent(50) {
		m.renew(p, c)
	}
	for i, id := range ended {
		c.States[id] = Exited
		fresh := Container{ID: m.id(), SandboxID: p.ready[len(p.ready)-1], Name: fmt.Sprintf("new-%d", i), State: Running,
			CreatedAt: m.time(), Labels: labels(p, fmt.Sprintf("new-%d", i))}
		m.imageOf(&fresh)
		m.note(p, fresh.CreatedAt)
		fresh.Attempt = uint32(200 + m.IntN(1000))
		fresh.LogPath = fmt.Sprintf("@/pods/%s/%s/%d.log", p.folder, fresh.Name, fresh.Attempt)
		c.Containers = append(c.Containers, fresh)
		c.Files = append(c.Files, File{Path: fresh.LogPath[2:]})
		p.running = append(p.running, fresh.ID)
	}
}

// renew gives a pod another sandbox, as a kubelet does when the sandbox does not run any more.
func (m *maker) renew(p *pod, c *Changes) {
	for _, id := range p.ready {
		c.States[id] = NotReady
	}
	p.ready = nil
	m.plant("S3.3")
	attempt := uint32(len(p.sandboxes))
	s := Sandbox{ID: m.id(), UID: p.uid, Name: p.name, Namespace: p.namespace, Attempt: attempt, State: Ready, CreatedAt: m.time(),
		LogDirectory: "@/pods/" + p.folder, Labels: labels(p, "")}
	c.Sandboxes = append(c.Sandboxes, s)
	p.sandboxes, p.ready = append(p.sandboxes, s.ID), append(p.ready, s.ID)
}

// plantSomething makes one object on which crigc and the kubelet differ on purpose. The kinds take turns, so that a few dozen seeds
// have each of them.
func (m *maker) plantSomething() {
	plants := []func(){m.plantStrangeUID, m.plantRunning, m.plantUndefinedContainer, m.plantUndefinedSandbox, m.plantPathOutside,
		m.plantFileBeside, m.plantBrokenStatus, m.plantAsOf, m.plantLinkOnTheWay, m.plantLinkPlace, m.plantCutLink, m.plantWrongKey}
	plants[m.Seed/3%uint64(len(plants))]()
}

// turn counts how often this kind was planted before.
func (m *maker) turn() uint64 { return m.Seed / 36 }

// plantStrangeUID makes a deleted pod whose UID cannot be asked about.
func (m *maker) plantStrangeUID() {
	m.plant("S0.3")
	// The host is not asked about such a pod, so its containers count in the limits of the others.
	m.Policy.MaxContainers = -1
	p := pod{uid: "strange\nuid", namespace: "default", name: "strange", word: Gone}
	p.folder = "default_strange_" + p.uid
	m.Pods[p.uid] = p.word
	m.sandboxesOf(&p)
	m.containersOf(&p, "app")
	m.file("pods/" + p.folder + "/app/0.log")
}

// plantRunning makes pods that the host calls gone while they run: one among others, or most.
func (m *maker) plantRunning() {
	m.plant("S0.4")
	gone, known := 1, pick(m, 0, 3)
	if m.turn()%2 == 0 {
		gone, known = 4, 0
	}
	for range gone {
		p := pod{uid: m.uid(), namespace: "default", name: "runs", word: Known, alive: true}
		p.folder = "default_runs_" + p.uid
		m.sandboxesOf(&p)
		m.containersOf(&p, "app")
		p.word = pick(m, Gone, Evicted)
		m.Pods[p.uid] = p.word
		m.logsMayStay(&p)
	}
	for range known {
		p := pod{uid: m.uid(), namespace: "default", name: "known", word: Known, alive: true}
		p.folder = "default_known_" + p.uid
		m.sandboxesOf(&p)
		m.Pods[p.uid] = Known
	}
}

// planted makes a pod for something planted.
func (m *maker) planted(name string, word Word) pod {
	p := pod{uid: m.uid(), namespace: "default", name: name, word: word}
	p.folder = "default_" + name + "_" + p.uid
	m.Pods[p.uid] = word
	m.sandboxesOf(&p)
	return p
}

// plantUndefinedContainer makes a container in a state that CRI does not define; it may run.
func (m *maker) plantUndefinedContainer() {
	p := m.planted("odd", pick(m, Known, Gone))
	m.plant("S0.4")
	m.plant("S1.1")
	// What the container uses is kept with it.
	m.plant("S4.1")
	c := m.container(&p, "app", 50, Exited, m.time())
	c.Name, c.Labels, c.State = "app", labels(&p, "app"), 7
	if p.word == Known {
		// The kubelet keeps the newest, which is this one.
		c.CreatedAt = -(200 + m.Int64N(60)) * second
	}
	m.Node.Containers = append(m.Node.Containers, c)
	m.containersOf(&p, "app")
}

// plantUndefinedSandbox makes a sandbox in such a state.
func (m *maker) plantUndefinedSandbox() {
	p := m.planted("odd", Gone)
	m.plant("S0.4")
	m.plant("S3.2")
	m.plant("S3.3")
	m.sandbox(&p, 9, NotReady, m.time())
	m.Node.Sandboxes[len(m.Node.Sandboxes)-1].State = 5
	m.sandbox(&p, 10, NotReady, m.time())
}

// plantPathOutside makes a container whose log is where no log should be: the kubelet trusts the path.
func (m *maker) plantPathOutside() {
	p, c := m.logged()
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool { return strings.HasPrefix(file.Path, c.LogPath[2:]) })
	c.LogPath = "@/outside/" + c.ID[:8] + ".log"
	m.outside(c.ID[:8] + ".log")
	m.Node.Containers = append(m.Node.Containers, c)
	if m.turn()%3 > 0 {
		// So pod-logs-dir is where logs are, though not this one.
		m.file("pods/" + p.folder + "/other/0.log")
	}
	if m.turn()%2 == 0 {
		m.containersOf(&p, "app")
		return
	}
	m.newer(&p)
}

// plantFileBeside makes a file whose name begins like that of a log: it matches the kubelet's pattern for rotated logs.
func (m *maker) plantFileBeside() {
	p, c := m.logged()
	m.file(c.LogPath[2:])
	m.file(c.LogPath[2:] + "-kept")
	m.Node.Containers = append(m.Node.Containers, c)
	m.containersOf(&p, "app")
}

// logged is a pod with a dead container that is older than any other, so that it is removed if its unit has another.
func (m *maker) logged() (pod, Container) {
	m.plant("S2.4")
	p := m.planted("logs", pick(m, Known, Terminated))
	c := m.container(&p, "app", 30, Exited, -(3*86_400+m.Int64N(3600))*second)
	m.plant("S1.5")
	c.Name, c.Labels = "app", labels(&p, "app")
	return p, c
}

// plantBrokenStatus makes a dangling link about whose container the runtime gives no answer.
func (m *maker) plantBrokenStatus() {
	m.plant("S4.2")
	id := m.id()
	m.Faults = append(m.Faults, Fails("ContainerStatus", id, 13, "as ordered"))
	m.Files = append(m.Files, File{Path: "links/broken_default_app-" + id + ".log", Link: "@/pods/nowhere/0.log"})
}

// plantImages makes an image that crigc protects in addition.
func (m *maker) plantImages() {
	image := m.image()
	image.Pinned = false
	switch m.IntN(8) {
	case 0, 1:
		m.plant("S5.3")
		m.protect(&image)
	case 2, 3:
		m.plant("S5.2")
		m.useByName(&image)
	case 4, 5:
		m.plant("S5.2")
		m.meanwhile(&image)
	case 6:
		m.plantEnough()
	case 7:
		m.plantPretended()
	}
	// In a list of its own: no two images are equally old.
	first := slices.IndexFunc(m.Steps, func(step Step) bool { return step.Pass == Look })
	m.Steps = slices.Insert(m.Steps, first+1, Step{Pass: Look, Before: Changes{Images: []Image{image}}})
}

// meanwhile protects it while a pass runs, between its lists and its first removal: a container is added that uses it, it gets a name
// by which a container uses it, or it is pinned.
func (m *maker) meanwhile(image *Image) {
	at := slices.IndexFunc(m.Steps, func(step Step) bool { return step.Pass == Images })
	if at < 0 || m.Policy.ImageMaxAge > 0 {
		// An image that was removed by age would exist again.
		return
	}
	m.Policy.EvidenceMaxAge = time.Second
	// It is old enough, and space is needed.
	m.Steps[at].Age += m.Policy.ImageMinAge + time.Minute
	m.Steps[at].Before.Available = max(1, m.Node.Filesystem.Capacity*uint64(100-m.Policy.HighThreshold)/200)
	p := &pod{uid: m.uid(), name: "late", namespace: "default"}
	c := Container{ID: m.id(), Name: "user", State: Running, CreatedAt: m.time(), Image: "registry.example/app:v1",
		ImageRef: image.ID, Labels: labels(p, "user")}
	if m.knows.ImageID {
		c.ImageID = image.ID
	}
	switch m.IntN(3) {
	case 0:
		m.Steps[at].Meanwhile = &Changes{Containers: []Container{c}}
	case 1:
		c.Image, c.ImageRef, c.ImageID = "registry.example/late:1", "sha256:"+m.id(), ""
		m.Node.Containers = append(m.Node.Containers, c)
		m.Pods[p.uid] = Known
		m.Steps[at].Meanwhile = &Changes{Tags: map[string][]string{image.ID: {c.Image}}}
	case 2:
		m.plant("S5.3")
		m.Steps[at].Meanwhile = &Changes{Pinned: []string{image.ID}}
	}
}

// protect makes it a sandbox image, by its name or by the runtime's answer, or pins it.
func (m *maker) protect(image *Image) {
	ways := 2
	if !m.knows.Pinned {
		ways = 3
	}
	switch m.IntN(ways) {
	case 0:
		image.Tags = []string{pick(m, "registry.example/pause:3.9", "registry.example/team/my-pause:1", "registry.example:5000/pause")}
	case 1:
		image.Tags = []string{"registry.example/infra:1"}
		m.Node.SandboxImage = image.Tags[0]
	case 2:
		image.Pinned = true
	}
}

// useByName makes a container refer to it by a field that this kubelet does not compare.
func (m *maker) useByName(image *Image) {
	image.Tags = []string{"registry.example/by-name:1"}
	image.Digests = []string{"registry.example/by-name@sha256:" + m.id()}
	p := &pod{uid: m.uid(), name: "by-name", namespace: "default"}
	c := Container{ID: m.id(), Name: "user", State: Exited, CreatedAt: m.time(), Image: "registry.example/app:v1",
		ImageRef: "sha256:" + m.id(), Labels: labels(p, "user")}
	switch m.IntN(5) {
	case 0:
		c.ImageRef = image.Tags[0]
	case 1:
		c.ImageRef = image.Digests[0]
	case 2:
		c.Image = image.Tags[0]
	case 3:
		// The newest kubelet compares one of the two.
		if c.ImageID, c.ImageRef = c.ImageRef, image.ID; !m.knows.ImageID {
			c.ImageID, c.ImageRef = c.ImageRef, c.ImageID
		}
	case 4:
		// The newest kubelet compares with the ID only.
		c.MountedImages = []string{image.Tags[0]}
		if !m.knows.ImageVolumes {
			c.MountedImages = []string{image.ID}
		}
	}
	m.Node.Containers = append(m.Node.Containers, c)
	m.Pods[p.uid] = Known
}
