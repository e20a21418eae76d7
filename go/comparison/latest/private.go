package latest

import (
	"github.com/crigc/crigc/go/comparison"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/kubernetes/pkg/kubelet/logs"
)

// queueOf is how to end the goroutines that the log manager has from its making on, for logs to rotate.
func queueOf(manager logs.ContainerLogManager) (func() error, error) {
	queue, err := comparison.Private[workqueue.TypedRateLimitingInterface[string]](manager, "queue")
	if err != nil {
		return nil, err
	}
	return func() error {
		(*queue).ShutDown()
		return nil
	}, nil
}
