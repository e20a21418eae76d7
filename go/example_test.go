package crigc_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/crigc/crigc/go"
)

// settings are those of a simulated runtime; a host leaves them out, or takes them from its flags.
func settings(s *sim) map[string]string { return s.config().Settings }

// start starts the simulated runtime of an example.
func start(options ...string) *sim {
	s, err := simulate(options...)
	if err != nil {
		log.Fatal(err)
	}
	return s
}

func Example() {
	s := start("--pods", "10", "--dead-containers", "30")
	defer s.stop()

	engine, err := crigc.New(crigc.Config{Settings: settings(s)})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	report, err := engine.CollectContainers(ctx, crigc.DryRun)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("would remove", report.Count(crigc.Container, crigc.Removed), "containers")

	report, err = engine.CollectContainers(ctx, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("removed", report.Count(crigc.Container, crigc.Removed), "containers")
	// Output:
	// would remove 20 containers
	// removed 20 containers
}

// A host that knows its pods says which are gone.
func ExampleConfig_podStates() {
	s := start("--pods", "10", "--deleted-percent", "20", "--dead-containers", "30")
	defer s.stop()
	text, err := os.ReadFile(s.livePods())
	if err != nil {
		log.Fatal(err)
	}
	alive := map[string]bool{}
	for _, uid := range strings.Fields(string(text)) {
		alive[uid] = true
	}

	engine, err := crigc.New(crigc.Config{
		Settings: settings(s),
		PodStates: func(uids []string) ([]crigc.PodState, bool) {
			states := make([]crigc.PodState, len(uids))
			for i, uid := range uids {
				if !alive[uid] {
					states[i] = crigc.ContentRemovable | crigc.RuntimeRemovable
				}
			}
			return states, true
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	report, err := engine.CollectContainers(context.Background(), 0)
	if err != nil {
		log.Fatal(err)
	}
	gone := map[string]bool{}
	for _, entry := range report.Entries {
		if entry.Outcome == crigc.Removed && entry.Reason == crigc.ReasonPodRemoved {
			gone[entry.PodUID] = true
		}
	}
	fmt.Println(len(alive), "pods live; what", len(gone), "others left behind was removed")
	// Output:
	// 8 pods live; what 2 others left behind was removed
}

func ExampleConfig_AddFlags() {
	var config crigc.Config
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse([]string{"--image-gc-high-threshold=90", "--minimum-image-ttl-duration=10m"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(config.Settings)
	// Output:
	// map[image-gc-high-threshold:90 minimum-image-ttl-duration:10m]
}

func ExampleKeys() {
	for _, key := range crigc.Keys() {
		if strings.HasPrefix(key.Name, "image-gc-") {
			fmt.Printf("%s (%s)\n", key.Name, key.Default)
		}
	}
	// Output:
	// image-gc-high-threshold (85)
	// image-gc-low-threshold (80)
	// image-gc-min-available (0)
	// image-gc-inode-thresholds (false)
	// image-gc-exempt ()
	// image-gc-period (5m0s)
}

func ExampleError() {
	engine, err := crigc.New(crigc.Config{Settings: map[string]string{"container-runtime-endpoint": "/nowhere.sock"}})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	_, err = engine.CollectContainers(context.Background(), 0)
	fmt.Println(errors.Is(err, crigc.ErrUnavailable))
	var failure *crigc.Error
	fmt.Println(errors.As(err, &failure), failure.Status)
	// Output:
	// true
	// true crigc: no runtime answers
}

// A kubelet under disk pressure: objects that only the limits kept are removed, too.
func ExampleEngine_CollectImages() {
	s := start("--pods", "10", "--dead-containers", "0", "--images", "20")
	defer s.stop()
	engine, err := crigc.New(crigc.Config{
		Settings: settings(s),
		ImageFS: func() (crigc.FSUsage, error) {
			return crigc.FSUsage{Capacity: 100 << 30, Available: 60 << 30}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	for _, flags := range []crigc.Flags{0, crigc.AllUnused} {
		report, err := engine.CollectImages(context.Background(), flags)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(report.Count(crigc.Image, crigc.Removed) > 0)
	}
	// Output:
	// false
	// true
}
