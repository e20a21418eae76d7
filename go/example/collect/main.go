// Collect runs one pass over containers and one over images, and prints what they would remove; with -apply they remove it. Each key of
// the library is a flag as well.
//
//	collect -container-runtime-endpoint /run/containerd/containerd.sock
//	collect -live-pods /run/live-pods -apply
//
// Without -live-pods nothing is removed because its pod is gone: only limits and thresholds apply. With it, everything that a pod left
// behind is removed if the file has no line with the pod's UID, unless the pod is newer than the file. If the file has no UID of a
// static pod (32 hex digits), all static pods count as alive: the file may list only the pods of the API server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/crigc/crigc/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	var config crigc.Config
	flags := flag.NewFlagSet("collect", flag.ExitOnError)
	config.AddFlags(flags)
	apply := flags.Bool("apply", false, "Remove. Without it, only print what would be removed.")
	live := flags.String("live-pods", "", "A `file` with the UIDs of the pods that are alive, one a line.")
	verbose := flags.Bool("verbose", false, "Print every object and the whole log.")
	_ = flags.Parse(arguments) // exits if it fails
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected %q", flags.Args())
	}

	if *live != "" {
		config.PodStatesAsOf = func(uids []string) ([]crigc.PodState, time.Time, bool) { return podStates(*live, uids) }
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelDebug
	}
	config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	engine, err := crigc.New(config)
	if err != nil {
		return err
	}
	defer engine.Close()

	mode := crigc.DryRun
	if *apply {
		mode = 0
	}
	containers, containersErr := engine.CollectContainers(ctx, mode)
	print(containers, *verbose)
	images, imagesErr := engine.CollectImages(ctx, mode)
	print(images, *verbose)
	return errors.Join(containersErr, imagesErr)
}

// uidForm matches the UIDs of Kubernetes: of pods, and of static pods. A pod with another UID is never reported as gone.
var uidForm = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$`)

// asked is the longest time between the request for the list of pods and the writing of the file.
const asked = 10 * time.Second

// podStates reads the file for each question, because the answer has to be fresh, and returns the moment that the list describes. With a
// file that cannot be read, is empty, or ends within a line, the answer is "not ready". (Write a new file and rename it into place.)
func podStates(path string, uids []string) (states []crigc.PodState, asOf time.Time, ready bool) {
	file, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, false
	}
	text, err := io.ReadAll(file)
	if err != nil || len(text) == 0 || text[len(text)-1] != '\n' {
		return nil, time.Time{}, false
	}
	alive, static := map[string]bool{}, false
	for uid := range strings.FieldsSeq(string(text)) {
		if !uidForm.MatchString(uid) {
			return nil, time.Time{}, false
		}
		alive[uid] = true
		static = static || isStatic(uid)
	}
	states = make([]crigc.PodState, len(uids))
	for i, uid := range uids {
		if uidForm.MatchString(uid) && !alive[uid] && (static || !isStatic(uid)) {
			states[i] = crigc.ContentRemovable | crigc.RuntimeRemovable
		}
	}
	return states, info.ModTime().Add(-asked), len(alive) > 0
}

// isStatic returns whether a UID is that of a static pod. The API server only knows its mirror pod, by another UID.
func isStatic(uid string) bool { return !strings.Contains(uid, "-") }

// print prints what a pass did. A pass that did not begin has no report.
func print(report *crigc.Report, verbose bool) {
	if report == nil {
		return
	}
	for i := range report.Entries {
		entry := &report.Entries[i]
		if verbose || entry.Outcome == crigc.Failed {
			fmt.Println(entry.Kind, entry.ID, entry.Name, entry.Outcome, entry.Reason, entry.Error)
		}
	}
	verb := "removed"
	if report.DryRun {
		verb = "would remove"
	}
	count := func(kind crigc.Kind) int { return report.Count(kind, crigc.Removed) }
	switch report.Pass {
	case crigc.PassContainers:
		fmt.Printf("%s %d containers, %d sandboxes, %d pod logs, %d log links", verb,
			count(crigc.Container), count(crigc.Sandbox), count(crigc.PodLogs), count(crigc.LogLink))
	default:
		fmt.Printf("%s %d images with %d MiB", verb, count(crigc.Image), report.BytesFreed>>20)
	}
	fmt.Printf("; %d failed, %d kept\n", report.Count(crigc.AnyKind, crigc.Failed), report.Count(crigc.AnyKind, crigc.Kept))
}
