package comparison

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What the safer rules of late are about: answers of the past, links and directories where none should be, pods that come back, images
// that change under way or do not go.

// plantAsOf lets the host's picture be of the past: some pods are older than it, and of some something is newer.
func (m *maker) plantAsOf() {
	m.plant("S0.3")
	m.plant("S4.1")
	if m.turn()%6 == 0 {
		// A picture of the future is none at all.
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

// plantLinkOnTheWay lets the log directory of a dead container be a link: to that of another pod, whose container runs, or around
// inside its own.
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
	switch m.turn() % 3 {
	case 0:
		m.Files = append(m.Files, File{Path: "pods/" + p.folder + "/app", Link: "@/pods/" + other.folder + "/app"})
	case 1:
		m.Files = append(m.Files, File{Path: "pods/" + p.folder, Link: "@/pods/" + other.folder})
	case 2:
		m.file("pods/" + p.folder + "/real/" + fmt.Sprint(c.Attempt) + ".log")
		m.Files = append(m.Files, File{Path: "pods/" + p.folder + "/app", Link: "@/pods/" + p.folder + "/real"})
	}
}

// plantWrongKey lets the runtime keep all logs elsewhere than in the log directory, in which no pod has a directory then.
func (m *maker) plantWrongKey() {
	if !m.onlyContainers {
		// What crigc keeps would keep images.
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

// newer makes a container of a unit for which another has to go, with neither log nor link.
func (m *maker) newer(p *pod) {
	c := m.container(p, "app", 31, Exited, m.time())
	c.Name, c.Labels = "app", labels(p, "app")
	m.Node.Containers = append(m.Node.Containers, c)
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool {
		return strings.HasPrefix(file.Path, c.LogPath[2:]) || strings.HasSuffix(file.Path, "-"+c.ID+".log")
	})
}

// plantLinkPlace puts something else where the link of a dead container's log should be.
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

// plantCutLink makes a container that runs, whose log is just being rotated, with so long a name that its link does not hold its ID.
func (m *maker) plantCutLink() {
	m.plant("S4.2")
	p := pod{uid: m.uid(), namespace: "default", name: fmt.Sprintf("%0240d", m.IntN(1000)), word: Known, alive: true}
	p.folder = p.uid
	m.Pods[p.uid] = Known
	m.sandboxesOf(&p)
	c := m.container(&p, "app", 0, pick(m, Running, Running, Unknown), m.time())
	c.Name, c.Labels = "app", labels(&p, "app")
	m.Node.Containers = append(m.Node.Containers, c)
	m.Files = slices.DeleteFunc(m.Files, func(file File) bool { return file.Path == c.LogPath[2:] || file.Path == linkOf(c) })
	m.link(&p, &c)
}

// backAgain are logs of a pod that comes back under its UID while those of another are removed.
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

// leap sets crigc's clock ahead right after an image came.
func (m *maker) leap() {
	if m.Policy.ImageMinAge == 0 || m.Policy.ImageMaxAge > 0 {
		return
	}
	came := Step{Pass: Look, Before: Changes{Images: []Image{m.image()}}}
	last := Step{Pass: pick(m, Images, AllImages), Leap: 48 * time.Hour}
	last.Before.Available = m.fill()
	m.Steps = append(m.Steps, came, last)
}

// plantEnough lets the filesystem show more space than the sizes of images say.
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

// plantPretended lets the runtime only say that it removes an image.
func (m *maker) plantPretended() {
	m.plant("S5.12")
	m.Faults = append(m.Faults, Pretends("RemoveImage", pick(m, m.imageIDs...)))
}
