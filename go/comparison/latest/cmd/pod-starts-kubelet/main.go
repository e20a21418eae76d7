// Command pod-starts-kubelet is one pass of the kubelet's own collector, for the measurement in benches/pod-starts:
//
//	pod-starts-kubelet containers|images KEEP ENDPOINT POD-LOGS-DIR CONTAINER-LOGS-DIR ROOT-DIR
//
// KEEP is the number of dead containers of one name in one pod that are kept. Only limits count, because no pod was deleted; all unused
// images are removed. It prints a line before the pass and one after it, so that the reader knows how long it took.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/crigc/crigc/go/comparison"
	"github.com/crigc/crigc/go/comparison/latest"
)

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: pod-starts-kubelet containers|images KEEP ENDPOINT POD-LOGS-DIR CONTAINER-LOGS-DIR ROOT-DIR")
		os.Exit(2)
	}
	keep, err := strconv.Atoi(os.Args[2])
	if err == nil {
		err = pass(os.Args[1] == "images", setting(keep, os.Args[3:]))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// setting has the kubelet's defaults, but for the age of images, which are as new as the measurement.
func setting(keep int, paths []string) comparison.Setting {
	return comparison.Setting{
		Endpoint:         paths[0],
		PodLogsDir:       paths[1],
		ContainerLogsDir: paths[2],
		RootDir:          paths[3],
		Policy:           comparison.Policy{MaxPerContainer: keep, MaxContainers: -1, HighThreshold: 85, LowThreshold: 80},
		Pod:              func(string) (content, runtime bool) { return false, false },
		SourcesReady:     func() bool { return true },
		ImageFS:          func() (capacity, available uint64) { return 100, 100 },
		PlainPaths:       true, // a measurement must not pay for resolving paths
	}
}

func pass(images bool, setting comparison.Setting) error {
	collector, err := latest.New(setting)
	if err != nil {
		return err
	}
	ctx := context.Background()
	fmt.Println("begin")
	if images {
		err = collector.Images(ctx, true)
	} else {
		err = collector.Containers(ctx, false)
	}
	fmt.Println("end")
	if closing := collector.Close(); err == nil {
		err = closing
	}
	return err
}
