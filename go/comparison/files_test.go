package comparison

import (
	"os"
	"path/filepath"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A kubelet under test deletes nothing that does not belong to the test.
func TestFiles(t *testing.T) {
	folder, elsewhere := t.TempDir(), filepath.Join(os.TempDir(), "crigc-elsewhere")
	setting := Setting{PodLogsDir: folder + "/pods", ContainerLogsDir: folder + "/containers", RootDir: folder + "/root"}
	for _, dir := range []string{setting.PodLogsDir, setting.ContainerLogsDir, setting.RootDir, elsewhere} {
		must(t, os.MkdirAll(dir, 0o700))
	}
	defer os.RemoveAll(elsewhere)
	files, err := NewFiles(setting)
	must(t, err)
	for _, path := range []string{folder + "/pods/a", folder + "/containers/b-c.log", folder + "/root/working-directory/d", elsewhere + "/e"} {
		must(t, os.WriteFile(path, nil, 0o600))
	}
	must(t, os.Symlink(elsewhere, folder+"/pods/out"))
	for pattern, want := range map[string]string{
		"/var/log/containers/*.log": "/var/log/containers/b-c.log",
		"/var/log/pods/a*":          "/var/log/pods/a",
		folder + "/pods/a*":         folder + "/pods/a",
		"*":                         "d",
	} {
		if got, err := files.Glob(pattern); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, %v", pattern, got, err)
		}
	}
	for _, path := range []string{elsewhere + "/e", elsewhere, folder + "/pods/out/e", "/var/log/pods/out/e"} {
		if err := files.RemoveAll(path); err == nil {
			t.Errorf("%s was deleted", path)
		}
	}
	if _, err := os.Stat(elsewhere + "/e"); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/var/log/containers/b-c.log", folder + "/pods/a", "d", "/var/log/pods/out"} {
		must(t, files.Remove(path))
	}
	if err := files.Remove("/var/log/pods/none/0.log"); !os.IsNotExist(err) {
		t.Error(err)
	}
}
