package comparison

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The directories that are fixed in the kubelet.
const (
	kubeletPodLogs       = "/var/log/pods"
	kubeletContainerLogs = "/var/log/containers"
)

// Files is the filesystem that a kubelet sees, except ReadDir, which the releases declare differently. Its log directories are those of
// the node under test, and its working directory is below its root directory (with an empty log path the kubelet deletes files there).
// Paths from the runtime are real paths and are not changed. It deletes nothing outside of the node under test.
type Files struct {
	moved []move
	// own are the directories in which files may be deleted, without links in their paths.
	own []string
	// plain says that no path of the node has a link in it.
	plain bool
}

// move is a directory that is elsewhere than the kubelet thinks.
type move struct {
	from, to string
}

// NewFiles makes the filesystem for a setting.
func NewFiles(setting Setting) (*Files, error) {
	workingDir := filepath.Join(setting.RootDir, "working-directory")
	if err := os.MkdirAll(workingDir, 0o700); err != nil {
		return nil, err
	}
	f := &Files{plain: setting.PlainPaths, moved: []move{
		{kubeletPodLogs, setting.PodLogsDir},
		{kubeletContainerLogs, setting.ContainerLogsDir},
		{"", workingDir},
	}}
	// The files beside a log directory belong to the test, too.
	for _, dir := range []string{setting.RootDir, filepath.Dir(setting.PodLogsDir), filepath.Dir(setting.ContainerLogsDir)} {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(real) || real == "/" {
			return nil, fmt.Errorf("%q is not a directory for a test", dir)
		}
		f.own = append(f.own, real)
	}
	return f, nil
}

// holds says whether the path is in the directory, and returns the rest of the path. The directory "" is the working directory.
func (m move) holds(path string) (string, bool) {
	if m.from == "" {
		return path, !filepath.IsAbs(path)
	}
	rest, ok := strings.CutPrefix(path, m.from)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// Real is the real path for a path of the kubelet.
func (f *Files) Real(path string) string {
	for _, m := range f.moved {
		if rest, ok := m.holds(path); ok {
			return filepath.Join(m.to, rest)
		}
	}
	return path
}

// deletable is the real path for a path of the kubelet, if it may be deleted.
func (f *Files) deletable(path string) (string, error) {
	path = f.Real(path)
	dir := filepath.Dir(path)
	if !f.plain {
		real, err := filepath.EvalSymlinks(dir)
		if os.IsNotExist(err) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		dir = real
	}
	for _, own := range f.own {
		if dir == own || strings.HasPrefix(dir, own+"/") {
			return path, nil
		}
	}
	return "", fmt.Errorf("the kubelet would delete %q, which does not belong to the node under test", path)
}

// Glob returns names as the kubelet knows them.
func (f *Files) Glob(pattern string) ([]string, error) {
	for _, m := range f.moved {
		rest, ok := m.holds(pattern)
		if !ok {
			continue
		}
		found, err := filepath.Glob(m.to + "/" + rest)
		for i, path := range found {
			relative, err := filepath.Rel(m.to, path)
			if err != nil {
				return nil, err
			}
			found[i] = filepath.Join(m.from, relative)
		}
		return found, err
	}
	return filepath.Glob(pattern)
}

// Remove deletes one file.
func (f *Files) Remove(path string) error {
	path, err := f.deletable(path)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// RemoveAll deletes a tree.
func (f *Files) RemoveAll(path string) error {
	path, err := f.deletable(path)
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// Rename moves a file.
func (f *Files) Rename(from, to string) error {
	from, err := f.deletable(from)
	if err != nil {
		return err
	}
	to, err = f.deletable(to)
	if err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Stat follows links.
func (f *Files) Stat(path string) (os.FileInfo, error) {
	return os.Stat(f.Real(path))
}

// Open opens a file to read.
func (f *Files) Open(path string) (*os.File, error) {
	return os.Open(f.Real(path))
}

// OpenFile opens a file.
func (f *Files) OpenFile(path string, flag int, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(f.Real(path), flag, perm)
}

// Create makes a file.
func (f *Files) Create(path string) (*os.File, error) {
	return os.Create(f.Real(path))
}

// MkdirAll makes a directory.
func (f *Files) MkdirAll(path string, perm os.FileMode) error {
	return os.MkdirAll(f.Real(path), perm)
}

// Symlink makes a link.
func (f *Files) Symlink(to, path string) error {
	return os.Symlink(to, f.Real(path))
}

// Chmod changes the mode.
func (f *Files) Chmod(path string, perm os.FileMode) error {
	return os.Chmod(f.Real(path), perm)
}

// Chtimes changes the times.
func (f *Files) Chtimes(path string, accessed, modified time.Time) error {
	return os.Chtimes(f.Real(path), accessed, modified)
}
