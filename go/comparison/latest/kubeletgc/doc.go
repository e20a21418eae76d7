// Package kubeletgc runs crigc inside a kubelet: [ContainerGC] and [ImageGCManager] implement the kubelet's interfaces in place of
// the kubelet's own collectors. A fork of the kubelet copies this package into its tree; ../../../KUBELET.md says which lines change
// then. It is made for Kubernetes v1.37.
//
// crigc decides and removes. The kubelet still does the rest: it starts passes (StartGarbageCollection, the eviction manager), reports
// which pods are gone (its pod workers) and how full the disk is (its statistics), and lists the images for the node's status.
package kubeletgc
