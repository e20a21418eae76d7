// Command bench-kubelet makes one pass of the kubelet's own collectors in a fresh process, and prints what the pass cost this
// process, as a line of JSON. It has the same arguments as the driver of crigc (benches/pass-cost/drivers/crigc.c):
//
//	bench-kubelet containers|images LIVE USAGE ENDPOINT PODS LINKS
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/crigc/crigc/go/comparison"
	"github.com/crigc/crigc/go/comparison/latest"
)

// measured is the line that is printed.
type measured struct {
	Wall           float64 `json:"wall"`
	CPU            float64 `json:"cpu"`
	ResidentKiB    int     `json:"resident_kib"`
	PeakKiB        int     `json:"peak_kib"`
	FailedRemovals int     `json:"failed_removals"` // the kubelet does not report it
	Error          string  `json:"error"`
}

func main() {
	if len(os.Args) != 7 {
		die("usage: bench-kubelet containers|images LIVE USAGE ENDPOINT PODS LINKS")
	}
	setting, err := settingOf(os.Args[2:])
	if err != nil {
		die(err)
	}
	defer os.RemoveAll(setting.RootDir)
	collector, err := latest.New(setting)
	if err != nil {
		die(err)
	}
	defer collector.Close()
	pass := collector.Containers
	if os.Args[1] == "images" {
		pass = collector.Images
	}
	told, err := measure(func() error { return pass(context.Background(), false) })
	if err != nil {
		die(err)
	}
	line, err := json.Marshal(told)
	if err != nil {
		die(err)
	}
	fmt.Println(string(line))
}

func die(what any) {
	fmt.Fprintln(os.Stderr, "bench-kubelet:", what)
	os.Exit(2)
}

// settingOf is a node with the kubelet's defaults; every pod that is not in the file of live ones is gone.
func settingOf(arguments []string) (comparison.Setting, error) {
	live, usage := map[string]bool{}, arguments[1]
	text, err := os.ReadFile(arguments[0])
	if err != nil {
		return comparison.Setting{}, err
	}
	for _, uid := range strings.Fields(string(text)) {
		live[uid] = true
	}
	root, err := os.MkdirTemp("", "bench-kubelet")
	return comparison.Setting{
		Endpoint: arguments[2], PodLogsDir: arguments[3], ContainerLogsDir: arguments[4], RootDir: root, PlainPaths: true,
		Policy:       comparison.Policy{MaxPerContainer: 1, MaxContainers: -1, HighThreshold: 85, LowThreshold: 80},
		Pod:          func(uid string) (bool, bool) { return !live[uid], !live[uid] },
		SourcesReady: func() bool { return true },
		ImageFS: func() (capacity, available uint64) {
			if text, err := os.ReadFile(usage); err == nil {
				fmt.Sscan(string(text), &capacity, &available)
			}
			return capacity, available
		},
	}, err
}

// measure makes the pass and returns what it cost. Memory counts from here: the peak is reset before.
func measure(pass func() error) (measured, error) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return measured{}, err
	}
	resident, err := statusLine("VmRSS:")
	if err != nil {
		return measured{}, err
	}
	cpu, began := used(), time.Now()
	failed := pass()
	told := measured{Wall: time.Since(began).Seconds(), CPU: used() - cpu, ResidentKiB: resident}
	if failed != nil {
		told.Error = failed.Error()
	}
	told.PeakKiB, err = statusLine("VmHWM:")
	return told, err
}

// used is the CPU time of this process so far, in seconds.
func used() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		die(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// statusLine is a line of /proc/self/status, in KiB.
func statusLine(name string) (int, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte(name)); found {
			return strconv.Atoi(strings.Fields(string(rest))[0])
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no %s", name)
}
