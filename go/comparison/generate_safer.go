package comparison

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Nodes for further safer rules: answers about the past, links and directories where none should be, pods that come back, images that
// change during a pass or are not removed.

// plantAsOf makes the host's answer one about the past: some pods are older than it, and some have something newer.
func (m *maker) plantAsOf() {
	m.plant("S0.3")
	m.plant("S4.1")
	if m.turn()%6 == 0 {
		// An answer from the future counts as no answer.
		m.AsOf = 3600 * second
		m.plant("S0.2")
		return
	}
	m.AsOf = -(600 + m.Int64N(86_400)) * second
	p := m.planted("late", Gone)
	m.containersOf(&p, "app")
	m.Files = append(m.Files, File{Path: "pods/" + p.folder + "/app/9.log", ChangedAt: m.AsOf / 2})
	m.file("pods/" + p.folder + "x/app/0.log")
}

// plantLinkOnTheWay makes the log directory of a dead container a link: to that of another pod, whose container runs, or to another
// directory of its own pod.
func (m *maker) plantLinkOnTheWay() {
	p, c := m.logged()
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool { return strings.HasPrefix(file.Path, c.LogPath[2:]) })
	m.Node.Containers = append(m.Node.Containers, c)
	m.newer(&p)
	other := pod{uid: m.uid(), namespace: "default", name: "other", word: Known, alive: true}
	other.folder = "default_other_" + other.uid
	m.Pods[other.uid] = Known
	m.sandboxesOf(&other)
	runs := m.container(&other, "app", c.Attempt, Running, m.time())
	m.Node.Containers = append(m.Node.Containers, runs)
	m.file(runs.LogPath[2:])
	m.file(runs.LogPath[2:] + ".20260101-000000.gz")
	turn := m.turn()
	// An absolute target leads out of the log directory's tree first, a relative one never leaves it.
	target := func(absolute, relative string) string {
		if turn/3%2 == 0 {
			return "@/pods/" + absolute
		}
		return relative
	}
	link := File{Path: "pods/" + p.folder + "/app"}
	switch turn % 3 {
	case 0:
		link.Link = target(other.folder+"/app", "../"+other.folder+"/app")
	case 1:
		link = File{Path: "pods/" + p.folder, Link: target(other.folder, other.folder)}
	case 2:
		m.file("pods/" + p.folder + "/real/" + fmt.Sprint(c.Attempt) + ".log")
		link.Link = target(p.folder+"/real", "real")
	}
	m.Files = append(m.Files, link)
}

// plantWrongKey puts all logs of the runtime elsewhere; then no pod has a directory in the log directory.
func (m *maker) plantWrongKey() {
	if !m.onlyContainers {
		// The containers that crigc keeps would keep images.
		m.plantPathOutside()
		return
	}
	p, c := m.logged()
	m.Node.Containers = append(m.Node.Containers, c)
	m.newer(&p)
	m.wrongKey = true
	m.plant("S4.1")
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool { return strings.HasPrefix(file.Path, "pods/") })
	for i := range m.Node.Containers {
		c := &m.Node.Containers[i]
		if c.LogPath == "" {
			continue
		}
		class, tied := m.Ties[c.LogPath[2:]]
		c.LogPath = "@/outside/" + c.ID[:8] + ".log"
		m.outside(c.ID[:8] + ".log")
		if tied {
			m.Ties[c.LogPath[2:]] = class
		}
		for i := range m.Files {
			if m.Files[i].Path == linkOf(*c) {
				m.Files[i].Link = c.LogPath
			}
		}
	}
}

// newer makes a container of a unit, without log and link, so that the older one of the unit has to be removed.
func (m *maker) newer(p *pod) {
	c := m.container(p, "app", 31, Exited, m.time())
	c.Name, c.Labels = "app", labels(p, "app")
	m.Node.Containers = append(m.Node.Containers, c)
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool {
		return strings.HasPrefix(file.Path, c.LogPath[2:]) || strings.HasSuffix(file.Path, "-"+c.ID+".log")
	})
}

// plantLinkPlace puts a file or a directory in the place of the link of a dead container's log.
func (m *maker) plantLinkPlace() {
	p, c := m.logged()
	m.file(c.LogPath[2:])
	m.Node.Containers = append(m.Node.Containers, c)
	m.containersOf(&p, "app")
	link := linkOf(c)
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool { return file.Path == link })
	switch m.turn() % 3 {
	case 0:
		m.file(link)
	case 1:
		// The kubelet removes an empty one.
		m.Files = append(m.Files, File{Path: link, Dir: true})
	case 2:
		m.file(link + "/kept")
	}
}

// plantCutLink makes a container that runs, whose log is just being rotated, with a name so long that its link's name does not have its ID.
// In every other node its earlier attempts have the same link.
func (m *maker) plantCutLink() {
	m.plant("S2.4")
	m.plant("S4.2")
	p := pod{uid: m.uid(), namespace: "default", name: fmt.Sprintf("%0240d", m.IntN(1000)), word: Known, alive: true}
	p.folder = p.uid
	m.Pods[p.uid] = Known
	m.sandboxesOf(&p)
	c := m.container(&p, "app", 2, pick(m, Running, Running, Unknown), m.time())
	c.Name, c.Labels = "app", labels(&p, "app")
	m.Node.Containers = append(m.Node.Containers, c)
	for attempt := range uint32(m.turn() % 2 * 2) {
		dead := m.container(&p, "app", attempt, Exited, -int64(3-attempt)*86_400*second)
		dead.Name, dead.Labels = c.Name, c.Labels
		m.Node.Containers = append(m.Node.Containers, dead)
	}
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool { return file.Path == c.LogPath[2:] || file.Path == linkOf(c) })
	m.link(&p, &c)
}

// backAgain makes logs of a pod that comes back under its UID while the logs of another pod are removed.
func (m *maker) backAgain() {
	first, last := m.uid(), m.uid()
	m.file("pods/a_first_" + first + "/app/0.log")
	m.file("pods/z_last_" + last + "/app/0.log")
	m.Pods[first], m.Pods[last] = Gone, Gone
	for i := range m.Steps {
		if pass := m.Steps[i].Pass; pass == Containers || pass == AllContainers {
			m.Steps[i].Back = map[string]string{last: "pods/a_first_" + first}
			return
		}
	}
}

// leap sets crigc's clock ahead right after an image was added.
func (m *maker) leap() {
	if m.Policy.ImageMinAge == 0 || m.Policy.ImageMaxAge > 0 {
		return
	}
	came := Step{Pass: Look, Before: Changes{Images: []Image{m.image()}}}
	last := Step{Pass: pick(m, Images, AllImages), Leap: 48 * time.Hour}
	last.Before.Available = m.fill()
	m.Steps = append(m.Steps, came, last)
}

// plantEnough makes the filesystem show more space than the sizes of the removed images.
func (m *maker) plantEnough() {
	if m.Policy.ImageMaxAge > 0 {
		return
	}
	m.plant("S5.8")
	for i := range m.Steps {
		if m.Steps[i].Pass == Images {
			m.Steps[i].Before.Available = max(1, m.Node.Filesystem.Capacity*uint64(100-m.Policy.HighThreshold)/200)
		}
	}
	m.Node.Filesystem.FreedPercent = 300
}

// plantPretended makes the runtime only pretend to remove an image.
func (m *maker) plantPretended() {
	m.plant("S5.12")
	m.Faults = append(m.Faults, Pretends("RemoveImage", pick(m, m.imageIDs...)))
}
