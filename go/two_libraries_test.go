package crigc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// missingTool skips a test, and fails it in CI.
func missingTool(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip("skipped: " + why)
}

// TestBesideAnotherRustLibrary links a program with crigc and with the static library of another rustc run, in the ways that Go links.
func TestBesideAnotherRustLibrary(t *testing.T) {
	sim := startSim(t)
	for _, rustc := range []string{"rustc", "/usr/bin/rustc"} {
		t.Run(rustc, func(t *testing.T) {
			if _, err := exec.LookPath(rustc); err != nil {
				missingTool(t, "there is no "+rustc)
			}
			library := filepath.Join(t.TempDir(), "libother.a")
			run(t, exec.Command(rustc, "--edition", "2021", "-O", "-o", library, "../ffi-tests/linking/other.rs"))
			for _, flags := range []string{"", "-extldflags=-static", "-extldflags=-fuse-ld=lld"} {
				if strings.HasSuffix(flags, "lld") {
					if _, err := exec.LookPath("ld.lld"); err != nil {
						missingTool(t, "there is no ld.lld")
					}
				}
				program := filepath.Join(t.TempDir(), "two")
				build := exec.Command("go", "build", "-ldflags="+flags, "-o", program, "./testdata/two-libraries")
				build.Env = append(os.Environ(), "CGO_LDFLAGS="+library)
				run(t, build)
				if out := run(t, exec.Command(program, sim.endpoint)); !strings.HasSuffix(out, "both work\n") {
					t.Errorf("%s %s: %s", rustc, flags, out)
				}
			}
		})
	}
}

// run runs a command to its end, and returns what it printed.
func run(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}
