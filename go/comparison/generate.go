package comparison

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	second = int64(time.Second)
	mib    = uint64(1) << 20
)

// Knows are the features of a kubelet release that the oldest one does not have.
type Knows struct {
	// ImageID: it reads Container.image_id (Kubernetes 1.30).
	ImageID bool
	// Pinned: it keeps pinned images.
	Pinned bool
	// SandboxImage is the image that it keeps by its configuration; "" = it has no such key.
	SandboxImage string
	// ImageVolumes: images of image volumes are in use.
	ImageVolumes bool
	// MaxAge: it has a maximum age of images.
	MaxAge bool
	// LooksFirst: it lists the images before it asks how full the disk is.
	LooksFirst bool
	// Messages: its events have the same words as crigc's.
	Messages bool
}

// Generate makes the case of a seed. A third of the cases have something on which crigc and the kubelet differ on purpose.
func Generate(seed uint64, knows Knows) Case {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 0x63726967)), knows: knows, used: map[int64]bool{}, young: map[string]bool{}}
	m.Seed = seed
	m.Pods = map[string]Word{}
	m.Ties = map[string]string{}
	m.policy()
	switch m.IntN(10) {
	case 0, 1, 2, 3:
		m.onlyContainers = true
		m.images(1)
		m.pods(1 + m.IntN(8))
		m.containerSteps()
		if m.percent(10) {
			m.backAgain()
		}
		m.failingLists("ListContainers", "ListPodSandbox")
	case 4, 5, 6:
		m.pods(m.IntN(3))
		m.imageSteps()
		m.failingLists("ListContainers", "ListImages")
	default:
		m.images(1)
		m.pods(1 + m.IntN(6))
		m.containerSteps()
		m.imageSteps()
	}
	return m.Case
}

type pod struct {
	uid, name, namespace string
	word                 Word
	alive                bool
	folder               string // below pods/
	sandboxes            []string
	running              []string
	ready                []string
}

type maker struct {
	*rand.Rand
	Case
	knows Knows
	used  map[int64]bool
	made  []pod
	young map[string]bool
	// IDs of everything of a kind so far.
	sandboxIDs, deadIDs []string
	imageIDs            []string
	users               []string // containers that were added to use an image
	planting            bool
	onlyContainers      bool
	wrongKey            bool
	hasSandboxImage     bool
}

func (m *maker) percent(n int) bool { return m.IntN(100) < n }

func pick[T any](m *maker, of ...T) T { return of[m.IntN(len(of))] }

func (m *maker) id() string {
	return fmt.Sprintf("%016x%016x%016x%016x", m.Uint64(), m.Uint64(), m.Uint64(), m.Uint64())
}

func (m *maker) uid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", m.Uint32(), m.Uint32()>>16, m.Uint32()>>20, m.Uint32()>>20,
		m.Uint64()>>16)
}

// plant notes a rule by which crigc may keep more.
func (m *maker) plant(rule string) {
	if !slices.Contains(m.Planted, rule) {
		m.Planted = append(m.Planted, rule)
	}
}

// time is a time that no other object has: ns before now, and not near the minimum age.
func (m *maker) time() int64 {
	for {
		age := 300 + m.Int64N(2*86_400)
		switch {
		case m.percent(3):
			age = -3600 - m.Int64N(3600)
		case m.percent(15):
			age = 300 + m.Int64N(3000)
		}
		if distance := age - int64(m.Policy.MinAge.Seconds()); distance > -120 && distance < 120 || m.used[age] {
			continue
		}
		m.used[age] = true
		return -age * second
	}
}

// note remembers the pods with a container that is too young to be removed: if such a pod is gone, crigc keeps its logs with the container.
func (m *maker) note(p *pod, created int64) {
	if created > -int64(m.Policy.MinAge) {
		m.young[p.uid] = true
	}
	m.logsMayStay(p)
}

func (m *maker) logsMayStay(p *pod) {
	if p.word != Known && (m.young[p.uid] || len(m.Faults) > 0) {
		m.plant("S4.1")
	}
}

func (m *maker) policy() {
	m.planting = m.Seed%3 == 0
	if m.Ready = m.percent(88); !m.Ready {
		m.plant("S0.2")
	}
	m.Strange = pick(m, Gone, Gone, Gone, Known)
	thresholds := pick(m, [2]int{85, 80}, [2]int{85, 80}, [2]int{90, 50}, [2]int{100, 99}, [2]int{1, 0}, [2]int{50, 49})
	m.Policy = Policy{
		MinAge:          pick(m, 0, 0, 0, time.Hour),
		MaxPerContainer: pick(m, 1, 1, 1, 1, 0, 2, 3, -1),
		MaxContainers:   pick(m, -1, -1, -1, 0, 1, 2, 5, 8, 12),
		HighThreshold:   thresholds[0],
		LowThreshold:    thresholds[1],
		ImageMinAge:     pick(m, 2*time.Minute, 2*time.Minute, 0, time.Hour),
	}
}

// pods makes pods with their sandboxes, containers and files, and other entries of the log directories.
func (m *maker) pods(n int) {
	for range n {
		p := m.pod()
		m.made = append(m.made, p)
	}
	m.strangeLogs()
	m.strangeLinks()
	m.faults()
	m.without()
	if m.planting {
		m.plantSomething()
	}
	m.Shuffle(len(m.Node.Containers), func(i, j int) {
		m.Node.Containers[i], m.Node.Containers[j] = m.Node.Containers[j], m.Node.Containers[i]
	})
	m.Shuffle(len(m.Node.Sandboxes), func(i, j int) {
		m.Node.Sandboxes[i], m.Node.Sandboxes[j] = m.Node.Sandboxes[j], m.Node.Sandboxes[i]
	})
}

func (m *maker) pod() pod {
	p := pod{uid: m.uid(), namespace: pick(m, "default", "kube-system", "shop"), name: fmt.Sprintf("app-%d", m.IntN(1000))}
	if m.percent(4) {
		// The longest names: the link's name is cut.
		p.name = fmt.Sprintf("%0200d", m.IntN(1000))
		m.plant("S4.2")
	}
	p.word = pick(m, Known, Known, Known, Known, Known, Gone, Gone, Terminated, Terminated, Evicted)
	p.alive = p.word == Known && m.percent(60)
	p.folder = p.namespace + "_" + p.name + "_" + p.uid
	if m.percent(12) {
		p.folder = p.uid
	}
	m.Pods[p.uid] = p.word
	m.sandboxesOf(&p)
	for _, name := range []string{"app", "side", "init-0"}[:m.IntN(4)] {
		m.containersOf(&p, name)
	}
	if m.percent(25) {
		m.canaries(&p)
	}
	return p
}

// canaries are foreign files in a pod's log directory: they are removed with the pod, and with nothing else.
func (m *maker) canaries(p *pod) {
	for _, name := range []string{"heap.dump", "app/core.1", "side/0.txt"} {
		if m.percent(50) {
			m.Files = append(m.Files, File{Path: "pods/" + p.folder + "/" + name, Canary: true})
		}
	}
}

// outside is a file beside the log directories.
func (m *maker) outside(name string) {
	m.file("outside/" + name)
	for i := range m.Files {
		m.Files[i].Canary = m.Files[i].Canary || m.Files[i].Path == "outside/"+name
	}
}

// longAgo is 1970, or the time 0, with which the kubelet cannot list images.
func (m *maker) longAgo() int64 {
	if m.onlyContainers {
		m.plant("S1.7")
		return Never
	}
	return Epoch
}

// without sets the creation time of at most one container and one sandbox to 0: of two without one, none is older.
func (m *maker) without() {
	if !m.percent(10) {
		return
	}
	ties := func(id string) bool { _, tied := m.Ties[id]; return tied }
	if n := len(m.Node.Containers); n > 0 {
		if c := &m.Node.Containers[m.IntN(n)]; c.State != Running && !ties(c.ID) {
			c.CreatedAt = m.longAgo()
			m.plant("S1.5")
		}
	}
	if n := len(m.Node.Sandboxes); n > 0 {
		if s := &m.Node.Sandboxes[m.IntN(n)]; !ties(s.ID) {
			s.CreatedAt = Never
			m.plant("S3.3")
		}
	}
}

func (m *maker) sandboxesOf(p *pod) {
	count := m.IntN(4)
	if p.alive {
		count = max(count, 1)
	}
	var times []int64
	for range count {
		times = append(times, m.time())
	}
	if m.percent(85) {
		slices.Sort(times)
	} else {
		m.plant("S3.3")
	}
	for i, created := range times {
		state := NotReady
		if p.alive && i == count-1 || p.word == Known && m.percent(8) {
			state = Ready
		}
		p.sandboxes = append(p.sandboxes, m.sandbox(p, uint32(i), state, created))
	}
	if count > 0 && m.percent(6) {
		// Two that are equally old and empty.
		created := m.time()
		if created < slices.Max(times) {
			m.plant("S3.3")
		}
		for range 2 {
			id := m.sandbox(p, uint32(count), NotReady, created)
			m.Ties[id] = "sandboxes of " + p.uid
		}
		// Nothing else may distinguish them, not even a removal that fails.
		m.sandboxIDs = m.sandboxIDs[:len(m.sandboxIDs)-2]
	}
}

func (m *maker) sandbox(p *pod, attempt uint32, state string, created int64) string {
	s := Sandbox{ID: m.id(), UID: p.uid, Name: p.name, Namespace: p.namespace, Attempt: attempt, State: state, CreatedAt: created,
		LogDirectory: "@/pods/" + p.folder, Labels: labels(p, "")}
	if m.percent(3) {
		// The kubelet reads the metadata.
		s.Labels = labels(&pod{uid: m.uid(), name: "other", namespace: "other"}, "")
	}
	m.Node.Sandboxes = append(m.Node.Sandboxes, s)
	m.sandboxIDs = append(m.sandboxIDs, s.ID)
	if state == Ready {
		p.ready = append(p.ready, s.ID)
	}
	return s.ID
}

func labels(p *pod, container string) map[string]string {
	labels := map[string]string{"io.kubernetes.pod.name": p.name, "io.kubernetes.pod.namespace": p.namespace,
		"io.kubernetes.pod.uid": p.uid}
	if container != "" {
		labels["io.kubernetes.container.name"] = container
	}
	return labels
}

// containersOf makes the dead attempts of one evict unit, and the running one of a pod that lives.
func (m *maker) containersOf(p *pod, name string) {
	attempts := m.IntN(6)
	stuck := attempts
	if m.percent(6) {
		// The last attempts were never started.
		stuck = m.IntN(attempts + 1)
	}
	for attempt, created := range m.times(attempts) {
		state := pick(m, Exited, Exited, Exited, Exited, Exited, Exited, Created, Unknown)
		if attempt >= stuck || m.percent(70) && state == Created && attempt == attempts-1 {
			state = pick(m, Exited, Unknown)
		}
		if attempt >= stuck {
			state = Created
		}
		if state == Created {
			m.plant("S1.5")
		}
		c := m.container(p, name, uint32(attempt), state, created)
		m.Node.Containers = append(m.Node.Containers, c)
		m.deadIDs = append(m.deadIDs, c.ID)
		m.note(p, c.CreatedAt)
	}
	if m.percent(8) && len(p.sandboxes) > 0 {
		m.tied(p, name, uint32(attempts))
	}
	if m.percent(3) {
		m.justCreated(p, name)
	}
	if p.alive {
		c := m.container(p, name, 100, Running, m.time())
		c.Labels = labels(p, name)
		c.SandboxID = p.ready[len(p.ready)-1]
		m.Node.Containers = append(m.Node.Containers, c)
		p.running = append(p.running, c.ID)
		m.note(p, c.CreatedAt)
	}
}

// times are the creation times of the attempts, seldom in another order than the attempts.
func (m *maker) times(attempts int) (times []int64) {
	for range attempts {
		times = append(times, m.time())
	}
	if m.percent(90) {
		slices.Sort(times)
	} else {
		m.plant("S1.5")
	}
	return times
}

// justCreated makes a container that is about to be started.
func (m *maker) justCreated(p *pod, name string) {
	m.plant("S1.1")
	c := m.container(p, name, 60, Created, -(5+m.Int64N(35))*second)
	c.Labels = labels(p, name)
	m.Node.Containers = append(m.Node.Containers, c)
	m.young[p.uid] = true
	m.note(p, c.CreatedAt)
}

// tied makes containers of one unit that are equally old.
func (m *maker) tied(p *pod, name string, attempt uint32) {
	created, sandbox := m.time(), p.sandboxes[0]
	m.plant("S1.5")
	for i := range uint32(2 + m.IntN(2)) {
		c := Container{ID: m.id(), SandboxID: sandbox, Name: name, Attempt: attempt + i, State: Exited, CreatedAt: created,
			Labels: labels(p, name)}
		m.imageOf(&c)
		c.LogPath = fmt.Sprintf("@/pods/%s/%s/%d.log", p.folder, name, attempt+i)
		m.Node.Containers = append(m.Node.Containers, c)
		class := "containers " + name + " of " + p.uid
		m.Ties[c.ID] = class
		m.file(c.LogPath[2:])
		m.Ties[c.LogPath[2:]] = "logs of " + class
		m.link(p, &c)
		m.Ties["links/"+linkName(p, name, c.ID)] = "links of " + class
		m.note(p, created)
	}
}

func (m *maker) container(p *pod, name string, attempt uint32, state string, created int64) Container {
	c := Container{ID: m.id(), Name: name, Attempt: attempt, State: state, CreatedAt: created, Labels: labels(p, name)}
	switch {
	case len(p.sandboxes) > 0 && m.percent(94):
		c.SandboxID = pick(m, p.sandboxes...)
	case m.percent(50):
		c.SandboxID = m.id()
	}
	switch {
	case state == Running:
	case m.percent(3):
		// The unit uses the metadata, everything else the label.
		c.Name = "other-" + name
	case m.percent(4):
		c.Labels = nil
		m.note(&pod{word: m.Strange}, created)
	case m.percent(4):
		c.Labels = map[string]string{"io.kubernetes.pod.uid": p.uid}
	}
	if state == Unknown && m.percent(60) {
		c.Annotations = m.grace()
	}
	m.imageOf(&c)
	if state == Created {
		return c
	}
	c.LogPath = fmt.Sprintf("@/pods/%s/%s/%d.log", p.folder, name, attempt)
	if m.percent(90) {
		m.file(c.LogPath[2:])
		if m.percent(30) {
			m.file(c.LogPath[2:] + ".20260101-000000.gz")
		}
	}
	if m.percent(85) {
		m.link(p, &c)
	}
	return c
}

// Annotations with grace periods.
const (
	deletionGrace    = "io.kubernetes.pod.deletionGracePeriod"
	terminationGrace = "io.kubernetes.pod.terminationGracePeriod"
)

// grace are annotations with one grace period or two: valid, negative, huge, or not a number.
func (m *maker) grace() map[string]string {
	period := func() string {
		return pick(m, "0", "1", "30", "7", "-1", "-30", "1000000000", "99999999999999999999", "soon", "")
	}
	annotations := map[string]string{}
	if m.percent(60) {
		annotations[deletionGrace] = period()
	}
	if m.percent(60) {
		annotations[terminationGrace] = period()
	}
	if strings.HasPrefix(annotations[deletionGrace], "-") {
		m.plant("S2.3")
	}
	return annotations
}

// imageOf makes a container use an image, by a field that the kubelet compares, or an image that does not exist.
func (m *maker) imageOf(c *Container) {
	c.Image = "registry.example/app:v1"
	if len(m.imageIDs) == 0 || m.percent(20) {
		c.ImageRef = "sha256:" + m.id()
		return
	}
	c.ImageRef = pick(m, m.imageIDs...)
	if m.knows.ImageID && m.percent(50) {
		c.ImageID = c.ImageRef
	}
}

func (m *maker) file(path string) {
	for _, file := range m.Files {
		if file.Path == path {
			return
		}
	}
	m.Files = append(m.Files, File{Path: path})
}

// linkName is the name that a kubelet gives the link of a container's log: cut to 255 bytes.
func linkName(p *pod, container, id string) string {
	name := p.name + "_" + p.namespace + "_" + container + "-" + id
	return name[:min(len(name), 251)] + ".log"
}

func (m *maker) link(p *pod, c *Container) {
	name, labelled := c.Labels["io.kubernetes.container.name"]
	if !labelled {
		name = c.Name
	}
	m.Files = append(m.Files, File{Path: "links/" + linkName(p, name, c.ID), Link: c.LogPath})
}

// strangeLogs are entries of the log directory without containers.
func (m *maker) strangeLogs() {
	for range m.IntN(4) {
		uid := m.uid()
		if m.percent(30) && len(m.made) > 0 {
			uid = pick(m, m.made...).uid
		}
		switch m.IntN(6) {
		case 0, 1:
			m.file("pods/default_before-" + m.id()[:4] + "_" + uid + "/app/0.log")
		case 2:
			m.file("pods/" + uid + "/app/0.log")
		case 3:
			m.file("pods/file_" + m.id()[:4] + "_" + uid)
		case 4:
			m.Files = append(m.Files, File{Path: "pods/link_" + m.id()[:4] + "_" + uid, Link: "@/outside"})
			m.outside("kept.log")
		case 5:
			m.file("pods/no-uid-" + m.id()[:4] + "_/app/0.log")
		}
	}
}

// strangeLinks are links that dangle or not, with names that have an ID or not.
func (m *maker) strangeLinks() {
	for range m.IntN(5) {
		id := m.id()
		switch {
		case len(m.Node.Containers) > 0 && m.percent(40):
			id = pick(m, m.Node.Containers...).ID
		case m.percent(20):
			id = id[:5]
		}
		if m.percent(20) {
			id = id[:min(len(id), 12)]
		}
		name := "links/" + pick(m, "", "", ".hidden-") + "gone-" + m.id()[:4] + "_default_app-" + id + ".log"
		switch m.IntN(8) {
		case 0:
			m.file(name)
		case 1:
			m.Files = append(m.Files, File{Path: name, Dir: true})
		case 2:
			m.Files = append(m.Files, File{Path: "links/nodash" + m.id()[:4] + ".log", Link: "@/pods/nowhere"})
		case 3:
			m.Files = append(m.Files, File{Path: name[:len(name)-1], Link: "@/pods/nowhere"})
		case 4:
			m.Files = append(m.Files, File{Path: name, Link: "@/links"})
		default:
			m.Files = append(m.Files, File{Path: name, Link: "@/pods/nowhere/0.log"})
		}
	}
}

// hangs makes calls about a few objects hang, which costs real time.
func (m *maker) hangs(method string, ids []string) {
	if len(ids) == 0 {
		return
	}
	m.Policy.RequestTimeout = time.Second
	for range 1 + m.IntN(2) {
		m.Faults = append(m.Faults, Hangs(method, pick(m, ids...)))
	}
	m.plant("S4.1")
}

// faults makes removals fail.
func (m *maker) faults() {
	if m.percent(1) {
		m.hangs("RemoveContainer", m.deadIDs)
		m.hangs(pick(m, "StopPodSandbox", "RemovePodSandbox"), m.sandboxIDs)
		return
	}
	if !m.percent(30) {
		return
	}
	for range 1 + m.IntN(3) {
		code := pick(m, 2, 9, 13)
		switch m.IntN(3) {
		case 0:
			if len(m.deadIDs) > 0 {
				m.failing(pick(m, m.deadIDs...), pick(m, "RemoveContainer", "RemoveContainer", "StopContainer"), code)
			}
		case 1:
			if len(m.sandboxIDs) > 0 {
				m.Faults = append(m.Faults, Fails("StopPodSandbox", pick(m, m.sandboxIDs...), code, "as ordered"))
			}
		case 2:
			if len(m.sandboxIDs) > 0 {
				m.Faults = append(m.Faults, Fails("RemovePodSandbox", pick(m, m.sandboxIDs...), code, "as ordered"))
			}
		}
	}
}

// failingLists makes lists of the runtime fail: the first of each pass, or all.
func (m *maker) failingLists(methods ...string) {
	// Making images older lists them, and an image that a failed list did not find is new to the next one.
	aged := slices.ContainsFunc(m.Steps, func(step Step) bool { return step.Age > 0 })
	if !m.percent(4) || aged {
		return
	}
	method := pick(m, methods...)
	fault := Fails(method, "", pick(m, 2, 13, 14), "as ordered")
	if method == "ListContainers" && m.percent(50) {
		fault.Count = 1
	}
	m.Faults = append(m.Faults, fault)
	m.plant("S4.1")
	m.plant("S1.1")
}

// failing makes calls about a container fail. If its pod is gone, crigc keeps the pod's logs with the container.
func (m *maker) failing(id, method string, code int) {
	m.Faults = append(m.Faults, Fails(method, id, code, "as ordered"))
	m.plant("S4.1")
	m.plant("S2.3")
}
