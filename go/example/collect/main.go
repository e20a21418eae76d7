// Collect prints what one pass would remove from a node; with -apply it removes that. Each key of the library is a flag, too.
//
//	collect -container-runtime-endpoint /run/containerd/containerd.sock
//	collect -live-pods /run/live-pods -apply
//
// Without -live-pods nothing is removed because its pod is gone: only limits and thresholds apply. With it, what a pod left is
// removed if its UID is not a line of the file, unless the pod is newer than the file. Static pods (UIDs of 32 hex digits)
// count as living if the file names none of them, such as a file that was made from the API server.
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
	apply := flags.Bool("apply", false, "Remove; without it only print what would be removed.")
	live := flags.String("live-pods", "", "The UIDs of the pods that live are the lines of this `file`.")
	verbose := flags.Bool("verbose", false, "Print every object, and what the library has to say.")
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

// uidForm is the form of Kubernetes' UIDs: of pods, and of static pods. No other UID ever counts as gone.
var uidForm = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$`)

// asked is the longest time between the moment when the list was asked for and the writing of the file.
const asked = 10 * time.Second

// podStates reads the file each time it is asked, because the answer has to be fresh, and says when the list was true. A file that
// cannot be read, is empty, or ends in the middle of a line gives no answer. (Write a new file and rename it into place.)
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

// isStatic says whether a UID is that of a static pod. The API server knows only its mirror pod, by another UID.
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
