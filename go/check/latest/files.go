package latest

import (
	"os"

	"github.com/crigc/crigc/go/check"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
)

// files is the filesystem that the kubelet sees: what is not in check.Files comes from the real one.
type files struct {
	*check.Files
	setting check.Setting
	rest
}

// rest is one level down, so that the methods of check.Files stand before it.
type rest struct {
	kubecontainer.RealOS
}

func newFiles(setting check.Setting) (*files, error) {
	own, err := check.NewFiles(setting)
	return &files{Files: own, setting: setting}, err
}

func (f *files) ReadDir(path string) ([]os.DirEntry, error) {
	if f.Real(path) == f.setting.PodLogsDir {
		f.setting.Reaches(check.OfLogs)
	}
	return f.RealOS.ReadDir(f.Real(path))
}
