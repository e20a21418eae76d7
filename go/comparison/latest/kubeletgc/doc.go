// Package kubeletgc runs crigc inside a kubelet: [ContainerGC] and [ImageGCManager] take the place of the kubelet's own
// collectors behind the kubelet's own interfaces. A fork of the kubelet copies this package into its tree; ../../../KUBELET.md
// says which lines change then. Made for Kubernetes v1.37.
//
// crigc decides and removes. The kubelet goes on doing the rest: it says when (StartGarbageCollection, the eviction manager),
// which pods are gone (its pod workers), how full the disk is (its statistics), and it lists the images for the node's status.
package kubeletgc
