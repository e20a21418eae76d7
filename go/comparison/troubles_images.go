package comparison

import (
	"fmt"
	"time"

	"github.com/crigc/crigc/go"
)

const gib = uint64(1) << 30

// byAge is a node with these images, of which the first is the oldest, on a filesystem, and a pass over its images.
func byAge(filesystem Filesystem, images ...Image) Case {
	c := calm(Step{Pass: Look})
	filesystem.Mountpoint = "/"
	c.Node = Node{Images: images[:1], Filesystem: filesystem}
	for _, image := range images[1:] {
		c.Steps = append(c.Steps, Step{Pass: Look, Age: time.Hour, Before: Changes{Images: []Image{image}}})
	}
	c.Steps = append(c.Steps, Step{Pass: Images, Age: time.Hour})
	return c
}

// unused are images that no container uses: what they report as their size, and what they have on the filesystem.
func unused(count int, size uint64, layers ...Layer) (images []Image) {
	for number := range count {
		name := fmt.Sprintf("image-%d", number)
		image := Image{ID: "sha256:" + name, Tags: []string{"registry.example/" + name + ":v1"}, Size: size}
		for _, layer := range layers {
			if layer.Name == "" {
				layer.Name = name
			}
			image.Layers = append(image.Layers, layer)
		}
		images = append(images, image)
	}
	return images
}

// gone are the objects of images of unused.
func gone(numbers ...int) (objects []string) {
	for _, number := range numbers {
		objects = append(objects, fmt.Sprintf("image sha256:image-%d", number))
	}
	return objects
}

// full is 86 percent full: for 80 percent 600 MiB have to be freed.
var full = Filesystem{Capacity: 10_000 * mib, Available: 1_400 * mib}

func imageTroubles() []Trouble {
	measured := map[string]string{"image-free-accounting": "measured"}
	base, own := Layer{Name: "base", Bytes: 200 * mib}, Layer{Bytes: 100 * mib}
	airgap := unused(4, 300*mib)
	airgap[0].Tags = []string{"docker.io/rancher/klipper-helm:v0.8.4"}
	return []Trouble{{
		// Two images report 600 MiB, and free 200.
		Name: "kubernetes#68203: images share layers, so that less is freed than their sizes say",
		Case: byAge(full, unused(9, 300*mib, base, own)...),
		Keys: measured, Reason: crigc.ReasonEnoughFreed,
		Kubelet: Ending{Removed: gone(0, 1)},
		Plain:   Ending{Removed: gone(0, 1)},
		Ours:    Ending{Removed: gone(0, 1, 2, 3, 4, 5)},
	}, {
		// Six images report 600 MiB; three of them free more. crigc reads the figures after each removal, with and without the key (S5.8).
		Name: "containerd#9261: images report compressed sizes, so that more are removed than it takes",
		Case: byAge(full, unused(9, 100*mib, Layer{Bytes: 250 * mib})...),
		Keys: measured, Reason: crigc.ReasonEnoughFreed,
		Kubelet: Ending{Removed: gone(0, 1, 2, 3, 4, 5)},
		Plain:   Ending{Removed: gone(0, 1, 2)},
		Ours:    Ending{Removed: gone(0, 1, 2)},
	}, {
		// The kubelet counts 600 MiB as freed and is content. With the key the pass stops, and says that the disk is still full.
		Name: "stargz-snapshotter#1349: the disk fills, whatever sizes the images report",
		Case: byAge(full, unused(9, 300*mib, Layer{})...),
		Keys: measured, Reason: crigc.ReasonNoEffect,
		Kubelet: Ending{Removed: gone(0, 1)},
		Plain:   Ending{Removed: gone(0, 1)},
		Ours:    Ending{Removed: gone(0, 1, 2, 3, 4), Event: "FreeDiskSpaceFailed", Fails: true},
	}, {
		Name: "a large disk: 160 GiB of 1000 are free, the next build needs 200, and 84 percent are below the threshold",
		Case: byAge(Filesystem{Capacity: 1000 * gib, Available: 160 * gib}, unused(5, 30*gib)...),
		Keys: map[string]string{"image-gc-min-available": "200Gi"}, Reason: crigc.ReasonSpace,
		Ours: Ending{Removed: gone(0, 1)},
	}, {
		Name: "kubernetes#41033: 97 percent of the inodes are used, and half of the bytes are free",
		Case: byAge(Filesystem{Capacity: 1000 * gib, Available: 500 * gib, Inodes: 1_000_000, InodesFree: 30_000},
			unused(9, gib, Layer{Bytes: gib, Inodes: 50_000})...),
		Keys: map[string]string{"image-gc-inode-thresholds": "true"}, Reason: crigc.ReasonSpace,
		Ours: Ending{Removed: gone(0, 1, 2, 3)},
	}, {
		Name: "k3s#8781: images of an air-gapped node that no registry has are removed",
		Case: byAge(full, airgap...),
		Keys: map[string]string{"image-gc-exempt": "docker.io/rancher/*"}, Reason: crigc.ReasonExempt,
		Kubelet: Ending{Removed: gone(0, 1)},
		Plain:   Ending{Removed: gone(0, 1)},
		Ours:    Ending{Removed: gone(1, 2)},
	}}
}
