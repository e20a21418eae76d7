package manifests

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const root = "../.."

// What a variant consists of.
type cluster struct {
	namespace corev1.Namespace
	daemons   appsv1.DaemonSet
	policy    networkingv1.NetworkPolicy
	quota     *corev1.ResourceQuota
}

func (c *cluster) pod() corev1.PodSpec { return c.daemons.Spec.Template.Spec }

func (c *cluster) agent() corev1.Container { return c.pod().Containers[0] }

// A variant, and what is its own.
type variant struct {
	name, endpoint, images string
}

var variants = []variant{
	{"containerd", "unix:///run/containerd/containerd.sock", "/var/lib/containerd"},
	{"crio", "unix:///run/crio/crio.sock", "/var/lib/containers/storage"},
}

// strict decodes as an API server with strict validation does: case counts, and each field has to be there once.
func strict(text []byte, into any) error {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	wrong, err := json.UnmarshalStrict(text, into)
	return errors.Join(append(wrong, err)...)
}

func build(t *testing.T, files filesys.FileSystem, path string) *cluster {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	all := &cluster{}
	kinds := map[string]int{}
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		kind := resource.GetKind()
		kinds[kind]++
		into := map[string]any{"Namespace": &all.namespace, "DaemonSet": &all.daemons, "NetworkPolicy": &all.policy}[kind]
		if kind == "ResourceQuota" {
			all.quota = &corev1.ResourceQuota{}
			into = all.quota
		}
		if into == nil {
			t.Fatalf("%s: the agent needs no %s", path, kind)
		}
		if err := strict(text, into); err != nil {
			t.Fatalf("%s: %s: %v", path, kind, err)
		}
	}
	for _, kind := range []string{"Namespace", "DaemonSet", "NetworkPolicy"} {
		if kinds[kind] != 1 {
			t.Fatalf("%s: %d of %s", path, kinds[kind], kind)
		}
	}
	if len(all.pod().Containers) != 1 || len(all.pod().InitContainers) != 0 {
		t.Fatalf("%s: one container is enough", path)
	}
	return all
}

func onDisk(t *testing.T, name string) *cluster {
	t.Helper()
	return build(t, filesys.MakeFsOnDisk(), filepath.Join(root, "deploy/kubernetes", name))
}

// The value of an option, which the manifests join to its name.
func option(arguments []string, name string) string {
	for _, argument := range arguments {
		if value, found := strings.CutPrefix(argument, name+"="); found {
			return value
		}
	}
	return ""
}

func equal[T comparable](t *testing.T, what string, found, wanted T) {
	t.Helper()
	if found != wanted {
		t.Errorf("%s: %v, not %v", what, found, wanted)
	}
}

func isSet(value *bool) string {
	if value == nil {
		return "not said"
	}
	return fmt.Sprint(*value)
}

// The names of options and keys, by the tables that the agent and the library are made from.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for path, pattern := range map[string]string{
		"examples-c/agent/options.c": `(?m)^ {4}\{ "([a-z-]+)",`,
		"docs/configuration.md":      "(?m)^\\| `([a-z-]+)` \\|",
	} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
		if len(found) < 10 {
			t.Fatalf("%s: %d names", path, len(found))
		}
		for _, match := range found {
			names["--"+match[1]] = true
		}
	}
	return names
}

func checkArguments(t *testing.T, arguments []string) {
	t.Helper()
	names := known(t)
	for _, argument := range arguments {
		if !strings.HasPrefix(argument, "--") {
			continue // the value of an option, or the program
		}
		if name, _, _ := strings.Cut(argument, "="); !names[name] {
			t.Errorf("the agent has no option %s", name)
		}
	}
}

// Every mount of the agent: where it is, what of the node it is, and how.
func mounts(c *cluster) map[string]string {
	volumes := map[string]corev1.Volume{}
	for _, volume := range c.pod().Volumes {
		volumes[volume.Name] = volume
	}
	found := map[string]string{}
	for _, mount := range c.agent().VolumeMounts {
		of := []string{}
		switch volume := volumes[mount.Name]; {
		case volume.HostPath != nil:
			of = append(of, volume.HostPath.Path, string(*volume.HostPath.Type))
		case volume.EmptyDir != nil:
			of = append(of, "emptyDir", string(volume.EmptyDir.Medium), volume.EmptyDir.SizeLimit.String())
		}
		if mount.ReadOnly {
			of = append(of, "read-only")
		}
		if mount.MountPropagation != nil {
			of = append(of, string(*mount.MountPropagation))
		}
		if mount.SubPath != "" || mount.SubPathExpr != "" {
			of = append(of, "a part of it") // it would stay with an old directory
		}
		found[mount.MountPath] = strings.Join(of, " ")
		delete(volumes, mount.Name)
	}
	for name := range volumes {
		found[name] = "not mounted"
	}
	return found
}

// The version that `make image` gives its image.
func version(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Cargo.toml"))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^version = "(.*)"$`).FindSubmatch(text)
	if match == nil {
		t.Fatal("Cargo.toml has no version")
	}
	return string(match[1])
}

// The kustomizations in deploy/README.md, by the comment in their first line.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n# kustomization.yaml: ([^\n]*)\n(.*?)```").FindAllSubmatch(text, -1)
	found := map[string]string{}
	for _, block := range blocks {
		found[string(block[1])] = string(block[2])
	}
	return found
}

// Builds a documented kustomization in a folder beside those of the project.
func buildDocumented(t *testing.T, name string) *cluster {
	t.Helper()
	text, found := documented(t)[name]
	if !found {
		t.Fatalf("deploy/README.md has no kustomization %q", name)
	}
	files := filesys.MakeFsInMemory()
	for _, folder := range []string{"base", "containerd", "crio", "priority-quota"} {
		paths, err := filepath.Glob(filepath.Join(root, "deploy/kubernetes", folder, "*.yaml"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(paths), err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := files.WriteFile(filepath.Join("/deploy/kubernetes", folder, filepath.Base(path)), content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := files.WriteFile("/mine/kustomization.yaml", []byte(text)); err != nil {
		t.Fatal(err)
	}
	return build(t, files, "/mine")
}
