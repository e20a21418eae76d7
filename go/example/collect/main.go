// Collect looks at a node once and says what would go; with -apply it goes. Each key of the library is a flag as well.
//
//	collect -container-runtime-endpoint /run/containerd/containerd.sock
//	collect -live-pods /run/live-pods -apply
//
// Without -live-pods nothing goes for a pod's sake: only limits and thresholds count. With it, what a pod left goes when its
// UID is no line of the file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

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
	apply := flags.Bool("apply", false, "Remove; otherwise only say what would go.")
	live := flags.String("live-pods", "", "The UIDs of the pods that live are the lines of this `file`.")
	verbose := flags.Bool("verbose", false, "Print every object, and what the library has to say.")
	_ = flags.Parse(arguments) // exits if it fails
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected %q", flags.Args())
	}

	if *live != "" {
		config.PodStates = func(uids []string) ([]crigc.PodState, bool) { return podStates(*live, uids) }
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

// uidForm is what Kubernetes gives as UIDs: of pods, and of static pods. Nothing else is ever taken for gone.
var uidForm = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$`)

// podStates reads the file each time it is asked, because the answer has to be fresh. A file that cannot be read, is empty,
// or was cut off in its last line says nothing. (It should be written anew and renamed into place.)
func podStates(path string, uids []string) ([]crigc.PodState, bool) {
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 || text[len(text)-1] != '\n' {
		return nil, false
	}
	alive := map[string]bool{}
	for uid := range strings.FieldsSeq(string(text)) {
		if !uidForm.MatchString(uid) {
			return nil, false
		}
		alive[uid] = true
	}
	states := make([]crigc.PodState, len(uids))
	for i, uid := range uids {
		if uidForm.MatchString(uid) && !alive[uid] {
			states[i] = crigc.ContentRemovable | crigc.RuntimeRemovable
		}
	}
	return states, len(alive) > 0
}

// print tells what a pass did. A pass that did not begin has no report.
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
