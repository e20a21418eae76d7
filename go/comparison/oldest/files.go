package oldest

import (
	"os"

	"github.com/crigc/crigc/go/comparison"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
)

// files is the filesystem that the kubelet sees: functions that are not in comparison.Files use the real one.
type files struct {
	*comparison.Files
	setting comparison.Setting
	rest
}

// rest is one level down, so that the methods of comparison.Files come before it.
type rest struct {
	kubecontainer.RealOS
}

func newFiles(setting comparison.Setting) (*files, error) {
	own, err := comparison.NewFiles(setting)
	return &files{Files: own, setting: setting}, err
}

func (f *files) ReadDir(path string) ([]os.FileInfo, error) {
	if f.Real(path) == f.setting.PodLogsDir {
		f.setting.Reaches(comparison.OfLogs)
	}
	return f.RealOS.ReadDir(f.Real(path))
}
