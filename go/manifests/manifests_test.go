// Package manifests checks deploy/kubernetes: kustomize builds each variant, the types of k8s.io/api take every field, and the agent gets
// what it needs and no more. What deploy/README.md shows as a kustomization is built, too.
package manifests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

func TestEachVariantCollectsImagesAloneInDryRuns(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			arguments := onDisk(t, v.name).agent().Args
			if !slices.Contains(arguments, "--images") {
				t.Errorf("%v collect containers, too", arguments)
			}
			for _, argument := range arguments {
				for _, word := range []string{"apply", "containers", "dry-run", "now", "all-unused", "listen"} {
					if argument == "--"+word || strings.HasPrefix(argument, "--"+word+"=") {
						t.Errorf("as delivered there is no %s", argument)
					}
				}
			}
			equal(t, "the endpoint", option(arguments, "--container-runtime-endpoint"), v.endpoint)
		})
	}
}

func TestTheAgentKnowsItsOptions(t *testing.T) {
	for _, v := range variants {
		agent := onDisk(t, v.name).agent()
		checkArguments(t, agent.Args)
		checkArguments(t, agent.LivenessProbe.Exec.Command)
		file := option(agent.Args, "--metrics-file")
		wanted := []string{"/crigc-agent", "--healthy", file}
		if !slices.Equal(agent.LivenessProbe.Exec.Command, wanted) || file == "" {
			t.Errorf("the probe is %v, not %v", agent.LivenessProbe.Exec.Command, wanted)
		}
	}
}

func sameMounts(t *testing.T, c *cluster, wanted map[string]string) {
	t.Helper()
	found := mounts(c)
	for path, how := range found {
		equal(t, path, how, wanted[path])
	}
	for path := range wanted {
		if _, is := found[path]; !is {
			t.Errorf("%s is not mounted", path)
		}
	}
}

func wantedMounts(v variant) map[string]string {
	// The directory: a mount of the socket itself would stay with that of a runtime that has ended.
	socket := filepath.Dir(strings.TrimPrefix(v.endpoint, "unix://"))
	return map[string]string{
		socket:                 socket + " Directory read-only HostToContainer",
		v.images:               v.images + " Directory read-only HostToContainer",
		"/var/lib/crigc-agent": "/var/lib/crigc-agent DirectoryOrCreate",
		"/run/crigc-agent":     "emptyDir Memory 4Mi",
	}
}

func TestEachVariantMountsWhatImagesNeedAndNoMore(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			c := onDisk(t, v.name)
			sameMounts(t, c, wantedMounts(v))
			for _, name := range []string{"--image-records-file", "--metrics-file"} {
				directory := filepath.Dir(option(c.agent().Args, name))
				if how := mounts(c)[directory]; how == "" || strings.Contains(how, "read-only") {
					t.Errorf("%s: %s is %q", name, directory, how)
				}
			}
		})
	}
}

func TestThePodHasNoMorePrivilegesThanItNeeds(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			c := onDisk(t, v.name)
			pod, own := c.pod(), c.agent().SecurityContext
			of := pod.SecurityContext
			equal(t, "allowPrivilegeEscalation", isSet(own.AllowPrivilegeEscalation), "false")
			equal(t, "readOnlyRootFilesystem", isSet(own.ReadOnlyRootFilesystem), "true")
			equal(t, "privileged", isSet(own.Privileged), "not said")
			if own.Capabilities == nil || !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(own.Capabilities.Add) > 0 {
				t.Errorf("capabilities: %+v", own.Capabilities)
			}
			if own.SELinuxOptions != nil || own.SeccompProfile != nil || own.RunAsUser != nil {
				t.Error("the container overrides what the pod says")
			}
			equal(t, "runAsUser", *of.RunAsUser, 0)
			equal(t, "seccomp", of.SeccompProfile.Type, corev1.SeccompProfileTypeRuntimeDefault)
			equal(t, "SELinux", of.SELinuxOptions.Type, "spc_t")
			equal(t, "automountServiceAccountToken", isSet(pod.AutomountServiceAccountToken), "false")
			equal(t, "the service account", pod.ServiceAccountName, "")
			equal(t, "enableServiceLinks", isSet(pod.EnableServiceLinks), "false")
			equal(t, "hostNetwork", pod.HostNetwork, false)
			equal(t, "hostPID", pod.HostPID, false)
			equal(t, "hostIPC", pod.HostIPC, false)
			equal(t, "ports", len(c.agent().Ports), 0)
			equal(t, "environment", len(c.agent().Env)+len(c.agent().EnvFrom), 0)
			both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
			if !slices.Equal(c.policy.Spec.PolicyTypes, both) || len(c.policy.Spec.Ingress)+len(c.policy.Spec.Egress) > 0 {
				t.Errorf("the network: %+v", c.policy.Spec)
			}
		})
	}
}

func TestThePodRunsOnEveryLinuxNodeAndIsTheLastToGo(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			c := onDisk(t, v.name)
			pod := c.pod()
			equal(t, "the level", c.namespace.Labels["pod-security.kubernetes.io/enforce"], "privileged")
			equal(t, "the namespace", c.daemons.Namespace, c.namespace.Name)
			equal(t, "the namespace of the policy", c.policy.Namespace, c.namespace.Name)
			equal(t, "the priority", pod.PriorityClassName, "system-node-critical")
			all := corev1.Toleration{Operator: corev1.TolerationOpExists}
			if len(pod.Tolerations) != 1 || pod.Tolerations[0].Operator != all.Operator || pod.Tolerations[0].Key != "" ||
				pod.Tolerations[0].Effect != "" {
				t.Errorf("tolerations: %+v", pod.Tolerations)
			}
			equal(t, "nodes", fmt.Sprint(pod.NodeSelector), "map[kubernetes.io/os:linux]")
			update := c.daemons.Spec.UpdateStrategy
			equal(t, "updates", update.Type, appsv1.RollingUpdateDaemonSetStrategyType)
			equal(t, "two agents on a node", update.RollingUpdate.MaxSurge.String(), "0")
			if update.RollingUpdate.MaxUnavailable.String() == "0" || pod.TerminationGracePeriodSeconds == nil {
				t.Error("an update needs room, and an end")
			}
			for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				limits, requests := c.agent().Resources.Limits, c.agent().Resources.Requests
				if limits.Name(resource, "").IsZero() || requests.Name(resource, "").IsZero() {
					t.Errorf("no limit or request of %s", resource)
				}
			}
			labels := c.daemons.Spec.Template.Labels
			for name, value := range c.daemons.Spec.Selector.MatchLabels {
				equal(t, "the selector", labels[name], value)
			}
			for name, value := range c.policy.Spec.PodSelector.MatchLabels {
				equal(t, "the selector of the policy", labels[name], value)
			}
			equal(t, "the image", c.agent().Image, "localhost/crigc-agent:"+version(t))
		})
	}
}

func TestTheDocumentedKustomizationRemovesImagesAlone(t *testing.T) {
	c := buildDocumented(t, "images are removed")
	arguments := c.agent().Args
	for _, wanted := range []string{"--apply", "--images"} {
		if !slices.Contains(arguments, wanted) {
			t.Errorf("%v lacks %s", arguments, wanted)
		}
	}
	checkArguments(t, arguments)
	sameMounts(t, c, wantedMounts(variants[0]))
	if name := c.agent().Image; strings.HasPrefix(name, "localhost/") || !strings.Contains(name, ":") {
		t.Errorf("the image is not replaced: %s", name)
	}
	if c.quota == nil || c.quota.Namespace != c.namespace.Name {
		t.Errorf("the quota: %+v", c.quota)
	}
}

func TestTheDocumentedMetricsCanBeReached(t *testing.T) {
	c := buildDocumented(t, "metrics by HTTP")
	address := option(c.agent().Args, "--metrics-listen")
	checkArguments(t, c.agent().Args)
	if len(c.agent().Ports) != 1 || !strings.HasSuffix(address, fmt.Sprintf(":%d", c.agent().Ports[0].ContainerPort)) {
		t.Errorf("%s, and ports %+v", address, c.agent().Ports)
	}
	if len(c.policy.Spec.Ingress) != 1 || len(c.policy.Spec.Ingress[0].Ports) != 1 || len(c.policy.Spec.Egress) != 0 {
		t.Errorf("the network: %+v", c.policy.Spec)
	}
	equal(t, "hostNetwork", c.pod().HostNetwork, false)
}

// Strict means that a slip in a field's name is found.
func TestAnUnknownFieldIsFound(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/kubernetes/base/daemonset.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Replace(text, []byte("readOnlyRootFilesystem"), []byte("readonlyRootFileSystem"), 1)
	if bytes.Equal(text, wrong) {
		t.Fatal("nothing was changed")
	}
	if err := strict(text, &appsv1.DaemonSet{}); err != nil {
		t.Error(err)
	}
	if err := strict(wrong, &appsv1.DaemonSet{}); err == nil {
		t.Error("a field that does not exist is taken")
	}
}
