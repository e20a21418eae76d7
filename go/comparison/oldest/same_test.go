package oldest

import (
	"testing"

	"github.com/crigc/crigc/go/comparison"
)

var harness = comparison.Harness{
	Version: Version,
	Knows:   comparison.Knows{SandboxImage: sandboxImage},
	New:     New,
}

// The oldest kubelet and crigc leave the same nodes behind.
func TestSameDecisions(t *testing.T) { comparison.Test(t, harness) }

func TestMany(t *testing.T) { comparison.TestMany(t, harness) }
