package latest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	crigc "github.com/crigc/crigc/go"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	published "k8s.io/kubelet/config/v1beta1"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	utilfs "k8s.io/kubernetes/pkg/util/filesystem"
)

// The kubelet's own loader and crigc take the same keys from the same files, or both refuse them. testdata/kubelet-files/README.md
// describes the tables.
func TestFilesOfConfiguration(t *testing.T) {
	quiet()
	cases := readCases(t)
	if len(cases) < 100 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.table+"/"+c.name, func(t *testing.T) {
			// The name is that of the tests of the library.
			c.run(t, filepath.Join(t.TempDir(), "case"))
		})
	}
}

// configCase is a case of a table.
type configCase struct {
	table, name string
	files       []configFile
	outcome     string
	lines       []string
}

// configFile is a file or, with a target, a link.
type configFile struct{ path, content, target string }

const typeOfFile = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

var unescape = strings.NewReplacer(`\t`, "\t", `\r`, "\r", `\\`, `\`)

func readCases(t *testing.T) []configCase {
	var cases []configCase
	tables, err := filepath.Glob("testdata/kubelet-files/*.txt")
	if err != nil || len(tables) < 4 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		text, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\n>>> ")[1:] {
			c := readCase(part)
			c.table = strings.TrimSuffix(filepath.Base(table), ".txt")
			cases = append(cases, c)
		}
	}
	return cases
}

func readCase(text string) configCase {
	parts := strings.Split(text, "\n>> ")
	c := configCase{name: strings.TrimSpace(parts[0])}
	for _, part := range parts[1:] {
		head, rest, _ := strings.Cut(strings.TrimRight(part, "\n"), "\n")
		path, target, isLink := strings.Cut(head, " -> ")
		switch {
		case head == "settings" || head == "error" || strings.HasPrefix(head, "refused by "):
			c.outcome = head
			if rest != "" {
				c.lines = strings.Split(rest, "\n")
			}
		case isLink:
			c.files = append(c.files, configFile{path: path, target: target})
		default:
			c.files = append(c.files, configFile{path: head, content: contentOf(rest)})
		}
	}
	return c
}

func contentOf(lines string) string {
	var content strings.Builder
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		escaped, hasEscapes := strings.CutPrefix(line, "|")
		switch {
		case line == "@":
			content.WriteString(typeOfFile)
		case hasEscapes:
			content.WriteString(unescaped(escaped))
		default:
			content.WriteString(line + "\n")
		}
	}
	return content.String()
}

func unescaped(line string) string {
	line, noLineFeed := strings.CutSuffix(line, `\c`)
	parts := strings.Split(line, `\x`)
	for i, part := range parts {
		if i > 0 {
			number, err := strconv.ParseUint(part[:2], 16, 8)
			if err != nil {
				panic(err)
			}
			part = string([]byte{byte(number)}) + unescape.Replace(part[2:])
		} else {
			part = unescape.Replace(part)
		}
		parts[i] = part
	}
	if noLineFeed {
		return strings.Join(parts, "")
	}
	return strings.Join(parts, "") + "\n"
}

// write makes the files, and returns the file and the directory that are to be loaded.
func (c configCase) write(t *testing.T, folder string) (file, directory string) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.files {
		path := filepath.Join(folder, f.path)
		if strings.HasPrefix(f.path, "kubelet.") {
			file = path
		}
		if strings.HasPrefix(f.path, "conf.d") {
			directory = filepath.Join(folder, "conf.d")
		}
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil && f.target != "" {
			err = os.Symlink(f.target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(f.content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return file, directory
}

func (c configCase) run(t *testing.T, folder string) {
	file, directory := c.write(t, folder)
	kubelet, kubeletErr := kubeletTakes(file, directory)
	ours, oursErr := crigcTakes(file, directory)
	kubeletRefuses := c.outcome == "error" || c.outcome == "refused by the kubelet alone"
	crigcRefuses := c.outcome == "error" || c.outcome == "refused by crigc alone"
	if (kubeletErr != nil) != kubeletRefuses {
		t.Errorf("%s, but the kubelet: %v", c.outcome, kubeletErr)
	}
	if (oursErr != nil) != crigcRefuses {
		t.Errorf("%s, but crigc: %v", c.outcome, oursErr)
	}
	if crigcRefuses {
		for _, line := range c.lines {
			if oursErr != nil && !strings.Contains(oursErr.Error(), line) {
				t.Errorf("%q does not say %q", oursErr, line)
			}
		}
		return
	}
	wanted := settingsOf(nil)
	for _, line := range c.lines {
		key, value, _ := strings.Cut(line, " ")
		value = strings.ReplaceAll(value, "$DIR/..", filepath.Dir(folder))
		wanted[key] = normal(key, strings.ReplaceAll(value, "$DIR", folder))
	}
	if oursErr == nil && !maps.Equal(ours, wanted) {
		t.Errorf("crigc takes %v, not %v", ours, wanted)
	}
	if kubeletErr == nil && !maps.Equal(kubelet, wanted) {
		t.Errorf("the kubelet takes %v, not %v", kubelet, wanted)
	}
}

// crigcTakes is what crigc takes from the files: keys with their values.
func crigcTakes(file, directory string) (map[string]string, error) {
	var config crigc.Config
	for _, path := range []string{file, directory} {
		if path == "" {
			continue
		}
		if err := config.LoadKubeletConfig(path); err != nil {
			return nil, err
		}
	}
	engine, err := crigc.New(config)
	if err != nil {
		return nil, err
	}
	engine.Close()
	return settingsOf(config.Settings), nil
}

// settingsOf is the values of the keys that files set.
func settingsOf(settings map[string]string) map[string]string {
	all := map[string]string{}
	for _, key := range crigc.Keys() {
		value, isSet := settings[key.Name]
		if !isSet {
			value = key.Default
		}
		all[key.Name] = normal(key.Name, value)
	}
	ofFiles := settingsOfKubelet(&kubeletconfig.KubeletConfiguration{})
	maps.DeleteFunc(all, func(key, _ string) bool { _, is := ofFiles[key]; return !is })
	return all
}

// normal writes a duration in one way.
func normal(key, value string) string {
	switch key {
	case "runtime-request-timeout", "minimum-image-ttl-duration", "image-maximum-gc-age":
		duration, err := time.ParseDuration(value)
		if err != nil {
			panic(err)
		}
		return duration.String()
	}
	return value
}

func settingsOfKubelet(kc *kubeletconfig.KubeletConfiguration) map[string]string {
	return map[string]string{
		"container-runtime-endpoint": kc.ContainerRuntimeEndpoint,
		"image-service-endpoint":     kc.ImageServiceEndpoint,
		"runtime-request-timeout":    kc.RuntimeRequestTimeout.Duration.String(),
		"image-gc-high-threshold":    strconv.Itoa(int(kc.ImageGCHighThresholdPercent)),
		"image-gc-low-threshold":     strconv.Itoa(int(kc.ImageGCLowThresholdPercent)),
		"minimum-image-ttl-duration": kc.ImageMinimumGCAge.Duration.String(),
		"image-maximum-gc-age":       kc.ImageMaximumGCAge.Duration.String(),
		"pod-logs-dir":               kc.PodLogsDir,
	}
}

// kubeletTakes does what a kubelet does at its start with --config and --config-dir, and without other flags.
func kubeletTakes(file, directory string) (map[string]string, error) {
	kc, err := kubeletDefaults()
	if file != "" {
		kc, err = kubeletFile(file)
	}
	if err == nil && directory != "" {
		err = kubeletDropIns(kc, directory)
	}
	if err == nil {
		// Whether this machine has cgroup v1 is no matter.
		kc.FailCgroupV1 = false
		err = validation.ValidateKubeletConfiguration(kc, utilfeature.DefaultFeatureGate)
	}
	if err != nil {
		return nil, err
	}
	return settingsOfKubelet(kc), nil
}

// kubeletDefaults is what a kubelet without --config begins with.
func kubeletDefaults() (*kubeletconfig.KubeletConfiguration, error) {
	known, _, err := scheme.NewSchemeAndCodecs()
	if err != nil {
		return nil, err
	}
	var versioned published.KubeletConfiguration
	known.Default(&versioned)
	var kc kubeletconfig.KubeletConfiguration
	return &kc, known.Convert(&versioned, &kc, nil)
}

func kubeletFile(path string) (*kubeletconfig.KubeletConfiguration, error) {
	loader, err := configfiles.NewFsLoader(&utilfs.DefaultFs{}, path)
	if err != nil {
		return nil, err
	}
	return loader.Load(context.Background())
}

var typeOfDropIn = schema.GroupVersionKind{Group: v1beta1.GroupName, Version: "v1beta1", Kind: "KubeletConfiguration"}

// kubeletDropIns merges drop-in files into a configuration. The kubelet's own function for this is not exported; these are its steps, by
// the same parts: the loader, the merge patch, Go's JSON and the defaults.
func kubeletDropIns(kc *kubeletconfig.KubeletConfiguration, directory string) error {
	var base published.KubeletConfiguration
	if err := v1beta1.Convert_config_KubeletConfiguration_To_v1beta1_KubeletConfiguration(kc, &base, nil); err != nil {
		return err
	}
	merged, err := json.Marshal(&base)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(entry.Name()) != ".conf" {
			return err
		}
		loader, err := configfiles.NewFsLoader(&utilfs.DefaultFs{}, path)
		if err != nil {
			return err
		}
		patch, kind, err := loader.LoadIntoJSON()
		if err != nil {
			return err
		}
		if kind == nil || *kind != typeOfDropIn {
			return fmt.Errorf("%s: it is of type %v", path, kind)
		}
		merged, err = jsonpatch.MergePatch(merged, patch)
		return err
	})
	if err != nil {
		return err
	}
	var versioned published.KubeletConfiguration
	if err := json.Unmarshal(merged, &versioned); err != nil {
		return err
	}
	v1beta1.SetDefaults_KubeletConfiguration(&versioned)
	return v1beta1.Convert_v1beta1_KubeletConfiguration_To_config_KubeletConfiguration(&versioned, kc, nil)
}
