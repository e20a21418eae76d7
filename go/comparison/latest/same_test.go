package latest

import (
	"testing"

	"github.com/crigc/crigc/go/comparison"
)

var harness = comparison.Harness{
	Version: Version,
	Knows:   comparison.Knows{ImageID: true, Pinned: true, ImageVolumes: true, MaxAge: true, LooksFirst: true, Messages: true},
	New:     New,
}

// The newest kubelet and crigc leave the same nodes behind.
func TestSameDecisions(t *testing.T) { comparison.Test(t, harness) }

func TestMany(t *testing.T) { comparison.TestMany(t, harness) }
