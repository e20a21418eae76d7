package latest

import (
	"testing"

	"github.com/crigc/crigc/go/check"
)

var harness = check.Harness{
	Version: Version,
	Knows:   check.Knows{ImageID: true, Pinned: true, ImageVolumes: true, MaxAge: true, LooksFirst: true, Messages: true},
	New:     New,
}

// The newest kubelet and crigc leave the same nodes behind.
func TestSameDecisions(t *testing.T) { check.Test(t, harness) }

func TestMany(t *testing.T) { check.TestMany(t, harness) }
