package comparison

import (
	"fmt"
	"slices"
	"time"
)

// images makes n images that the node begins with.
func (m *maker) images(n int) {
	for range n {
		m.Node.Images = append(m.Node.Images, m.image())
	}
	m.Node.Filesystem = Filesystem{Mountpoint: "/", Capacity: uint64(1000+m.IntN(9000)) * mib}
	m.Node.Filesystem.Available = m.fill()
	if m.Seed/7%3 == 1 {
		// The images share layers: less is freed than their sizes say.
		m.Node.Filesystem.FreedPercent = 50
	}
}

// fill is how much of the filesystem is available: any value, often nearly full.
func (m *maker) fill() uint64 {
	capacity := m.Node.Filesystem.Capacity
	if m.percent(50) {
		// Some images have to be removed, but not all.
		free := capacity * uint64(100-m.Policy.LowThreshold) / 100
		return max(1, free-min(free, uint64(1+m.IntN(800))*mib))
	}
	if m.percent(2) {
		return capacity * 2
	}
	percent := pick(m, m.IntN(101), m.IntN(25), m.IntN(25), 20, 15, 14, 16, 10, 1, 0)
	return max(1, capacity*uint64(percent)/100)
}

func (m *maker) image() Image {
	number := len(m.imageIDs)
	image := Image{ID: "sha256:" + m.id(), Size: uint64(1+m.IntN(400)) * mib}
	if m.percent(5) {
		image.Size = 0
	}
	if m.percent(15) {
		image.RuntimeHandler = pick(m, "runc", "kata")
	}
	if m.percent(75) {
		image.Tags = []string{fmt.Sprintf("registry.example/app-%d:v1", number)}
	}
	if m.percent(25) {
		image.Tags = append(image.Tags, fmt.Sprintf("registry.example/other-%d:latest", number))
	}
	if m.percent(75) {
		image.Digests = []string{fmt.Sprintf("registry.example/app-%d@sha256:%s", number, m.id())}
	}
	image.Pinned = m.knows.Pinned && m.percent(12)
	if m.knows.SandboxImage != "" && !m.hasSandboxImage && m.percent(10) {
		m.hasSandboxImage = true
		image.Tags = []string{m.knows.SandboxImage}
		// That kubelet's client refuses an answer about an image without a size.
		image.Size = max(image.Size, mib)
	}
	m.imageIDs = append(m.imageIDs, image.ID)
	return image
}

// imageSteps adds images one by one, each with a list of its own, so that no two are equally old; then it collects.
func (m *maker) imageSteps() {
	if m.knows.MaxAge && m.percent(12) {
		m.maxAge()
	}
	if len(m.Node.Images) == 0 {
		m.images(1)
	}
	m.Steps = append(m.Steps, Step{Pass: Look, Before: m.using()})
	for range m.IntN(7) {
		step := Step{Pass: Look, Before: m.using()}
		step.Before.Images = []Image{m.image()}
		if m.percent(50) {
			step.Age = time.Duration(1+m.IntN(90)) * time.Minute
		}
		m.Steps = append(m.Steps, step)
	}
	m.imageFaults()
	for range 1 + m.IntN(3) {
		step := Step{Pass: pick(m, Images, Images, Images, AllImages), Before: m.using()}
		step.Before.Available = m.fill()
		if m.Policy.ImageMaxAge > 0 {
			// Nothing is needed for space; otherwise those removals would depend on the removals by age.
			step.Before.Available = m.Node.Filesystem.Capacity
		}
		if m.percent(50) {
			step.Age = time.Duration(1+m.IntN(90)) * time.Minute
		}
		m.Steps = append(m.Steps, step)
	}
	if m.Policy.ImageMaxAge > 0 && m.Seed/5%2 == 1 {
		m.failByAge()
	}
	if m.planting {
		m.plantImages()
	}
	if m.percent(8) {
		m.leap()
	}
}

// maxAge makes images be removed by age. No sum of the steps' ages is near it.
func (m *maker) maxAge() {
	m.Policy.HighThreshold, m.Policy.LowThreshold = 85, 80
	m.Policy.ImageMaxAge = pick(m, 5*time.Minute, 30*time.Minute, time.Hour, 25*time.Hour) + 30*time.Second
	m.Policy.ImageMinAge = min(m.Policy.ImageMinAge, 2*time.Minute)
	m.plant("S5.5")
}

// failByAge ends with a pass that wants space, but fails to remove an image by age.
func (m *maker) failByAge() {
	old, young := m.image(), m.image()
	old.Pinned, young.Pinned = false, false
	old.Tags, young.Tags = []string{"registry.example/old:1"}, []string{"registry.example/young:1"}
	m.Node.Images = append(m.Node.Images, old)
	m.Faults = append(m.Faults, Fails("RemoveImage", old.ID, 13, "as ordered"))
	age := Step{Pass: Look, Age: m.Policy.ImageMaxAge + 10*time.Minute, Before: Changes{Images: []Image{young}}}
	// The young one is old enough to be removed for space, and too young to be removed by age.
	space := Step{Pass: Images, Age: m.Policy.ImageMinAge + time.Minute}
	space.Before.Available = max(1, m.Node.Filesystem.Capacity/20)
	m.Steps = append(m.Steps, age, space)
}

// using adds a container that uses an image, by a field that the kubelet compares, and removes another.
func (m *maker) using() Changes {
	var gone []string
	if m.percent(50) && len(m.users) > 0 {
		i := m.IntN(len(m.users))
		gone = []string{m.users[i]}
		m.users = slices.Delete(m.users, i, i+1)
	}
	if !m.percent(60) || len(m.imageIDs) == 0 {
		return Changes{Removed: gone}
	}
	c := Container{ID: m.id(), Name: "user", State: pick(m, Running, Exited, Created), CreatedAt: m.time(),
		Image: "registry.example/app:v1", ImageRef: pick(m, m.imageIDs...)}
	p := &pod{uid: m.uid(), name: "user", namespace: "default"}
	c.Labels = labels(p, c.Name)
	if m.knows.ImageID && m.percent(50) {
		c.ImageID = c.ImageRef
	}
	if m.knows.ImageVolumes && m.percent(30) {
		c.ImageRef, c.ImageID = "sha256:"+m.id(), ""
		c.MountedImages = []string{pick(m, m.imageIDs...)}
	}
	m.users = append(m.users, c.ID)
	return Changes{Containers: []Container{c}, Pods: map[string]Word{p.uid: Known}, Removed: gone}
}

func (m *maker) imageFaults() {
	switch {
	case m.percent(20):
		m.Faults = append(m.Faults, Fails("RemoveImage", pick(m, m.imageIDs...), pick(m, 2, 13), "as ordered"))
	case m.percent(1):
		m.hangs("RemoveImage", m.imageIDs)
	}
	if m.percent(2) {
		// As if the filesystem did not exist.
		m.Node.Filesystem.Capacity = 0
	}
}
