package oldest

import (
	"os"

	"github.com/crigc/crigc/go/check"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
)

// files is the filesystem that the kubelet sees: what is not in check.Files comes from the real one.
type files struct {
	*check.Files
	rest
}

// rest is one level down, so that the methods of check.Files stand before it.
type rest struct {
	kubecontainer.RealOS
}

func newFiles(setting check.Setting) (*files, error) {
	own, err := check.NewFiles(setting)
	return &files{Files: own}, err
}

func (f *files) ReadDir(path string) ([]os.FileInfo, error) {
	return f.RealOS.ReadDir(f.Real(path))
}
