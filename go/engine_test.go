package crigc_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

var background = context.Background()

func TestZeroConfigIsTheKubelets(t *testing.T) {
	engine := open(t, crigc.Config{})
	const endpoint = "/run/containerd/containerd.sock"
	if _, err := os.Stat(endpoint); err == nil {
		// The test needs a runtime that does not answer, and the zero Config allows no other endpoint than the default.
		t.Skip("skipped: this machine has a containerd")
	}
	report, err := engine.CollectContainers(background, crigc.DryRun)
	wantIs(t, err, crigc.ErrUnavailable)
	if report == nil || len(report.Entries) > 0 {
		t.Errorf("report %+v of a pass that began and saw nothing", report)
	}
	var failure *crigc.Error
	if !errors.As(err, &failure) || failure.Status != crigc.ErrUnavailable || failure.Status.String() != "GC_ERROR_UNAVAILABLE" {
		t.Errorf("%#v", err)
	}
	if errors.Is(err, crigc.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%q is a timeout", err)
	}
}

func TestDryRunReportsWhatThePassRemoves(t *testing.T) {
	s := startSim(t, "--pods", "40", "--dead-containers", "200")
	config := s.config()
	config.PodStates = s.podStates
	engine := open(t, config)
	for _, flags := range []crigc.Flags{0, crigc.AllUnused} {
		dry, err := engine.CollectContainers(background, flags|crigc.DryRun)
		if err != nil {
			t.Fatal(err)
		}
		done, err := engine.CollectContainers(background, flags)
		if err != nil {
			t.Fatal(err)
		}
		if !dry.DryRun || done.DryRun {
			t.Error("which was the dry run?")
		}
		if !maps.Equal(removedIDs(dry), removedIDs(done)) {
			t.Errorf("%d would be removed, %d were removed", len(removedIDs(dry)), len(removedIDs(done)))
		}
		if flags == 0 && (done.Count(crigc.Container, crigc.Removed) == 0 || done.Count(crigc.Sandbox, crigc.Removed) == 0) {
			t.Error("nothing was removed")
		}
	}
}

func TestImagesAreRemovedUntilEnoughIsFree(t *testing.T) {
	s := startSim(t, "--pods", "10", "--dead-containers", "0")
	config := s.config()
	usage := crigc.FSUsage{Capacity: 1 << 40, Available: 1 << 35}
	config.ImageFS = func() (crigc.FSUsage, error) { return usage, nil }
	engine := open(t, config)
	report, err := engine.CollectImages(background, 0)
	wantIs(t, err, crigc.ErrNotEnoughFreed) // the host's figures do not change
	if report.Pass != crigc.PassImages || report.Count(crigc.Image, crigc.Removed) == 0 {
		t.Errorf("%v: %d were removed", report.Pass, report.Count(crigc.Image, crigc.Removed))
	}
	var bytes uint64
	for _, entry := range report.Entries {
		if entry.Outcome == crigc.Removed {
			bytes += entry.Bytes
		}
	}
	if bytes == 0 || bytes != report.BytesFreed {
		t.Errorf("%d bytes in the entries, %d in the report", bytes, report.BytesFreed)
	}
	usage.Available = usage.Capacity
	if report, err := engine.CollectImages(background, 0); err != nil || report.Count(crigc.AnyKind, crigc.Removed) > 0 {
		t.Errorf("an empty disk: %v", err)
	}
	if report, err := engine.CollectImages(background, crigc.AllUnused|crigc.DryRun); err != nil || !report.DryRun {
		t.Errorf("all that is unused: %v", err)
	}
}

func TestOnePodIsCollected(t *testing.T) {
	s := startSim(t, "--pods", "20", "--deleted-percent", "50", "--dead-containers", "100")
	config := s.config()
	var ended []crigc.Pass
	config.Ended = func(pass crigc.Pass, _ *crigc.Report, _ error) { ended = append(ended, pass) }
	engine := open(t, config)
	before, err := engine.CollectContainers(background, crigc.DryRun)
	if err != nil {
		t.Fatal(err)
	}
	live, err := os.ReadFile(s.livePods())
	if err != nil {
		t.Fatal(err)
	}
	var uid string
	others := map[string]crigc.Reason{}
	for _, entry := range before.Entries {
		if uid == "" && !strings.Contains(string(live), entry.PodUID) {
			uid = entry.PodUID
		}
	}
	for _, entry := range before.Entries {
		if entry.PodUID != uid {
			others[entry.ID] = entry.Reason
		}
	}
	report, err := engine.CollectPod(background, uid, crigc.PodGone)
	if err != nil || report.Count(crigc.Container, crigc.Removed) == 0 || report.Count(crigc.Sandbox, crigc.Removed) == 0 {
		t.Fatalf("%v: %+v", err, report)
	}
	for _, entry := range report.Entries {
		if entry.PodUID != uid || entry.Outcome != crigc.Removed || entry.Reason != crigc.ReasonPodRemoved {
			t.Errorf("%+v", entry)
		}
	}
	if report.Pass != crigc.PassPod || report.Pass.String() != "pod" || ended[1] != crigc.PassPod {
		t.Errorf("%v %v", report.Pass, ended)
	}
	after, err := engine.CollectContainers(background, crigc.DryRun)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]crigc.Reason{}
	for _, entry := range after.Entries {
		left[entry.ID] = entry.Reason
	}
	if !maps.Equal(left, others) {
		t.Errorf("others have changed: %v, %v", left, others)
	}
}

func TestWhatCannotBeAUIDIsRefused(t *testing.T) {
	engine := open(t, crigc.Config{})
	for _, uid := range []string{"", "a/b", "a\nb", "a\x00b", "\xff"} {
		report, err := engine.CollectPod(background, uid, crigc.PodGone)
		wantIs(t, err, crigc.ErrInvalidArgument)
		if report != nil {
			t.Errorf("%q: a report", uid)
		}
	}
	_, err := engine.CollectContainers(background, crigc.PodGone)
	wantIs(t, err, crigc.ErrInvalidArgument)
	_, err = engine.CollectPod(background, "uid", 1<<20)
	wantIs(t, err, crigc.ErrInvalidArgument)
	if strings.Contains(err.Error(), "GC_") || !strings.Contains(err.Error(), "PodGone") {
		t.Error(err)
	}
}

func TestUnknownFlagsAreRefused(t *testing.T) {
	report, err := open(t, crigc.Config{}).CollectContainers(background, 1<<20)
	wantIs(t, err, crigc.ErrInvalidArgument)
	if report != nil {
		t.Error("a report")
	}
}

func TestNoWait(t *testing.T) {
	s := startSim(t)
	config := s.config()
	inside, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	config.Approve = func(*crigc.Entry) bool {
		once.Do(func() { close(inside); <-leave })
		return true
	}
	engine := open(t, config)
	ended := make(chan error)
	go func() {
		_, err := engine.CollectContainers(background, 0)
		ended <- err
	}()
	within(t, "approval", inside)
	report, err := engine.CollectContainers(background, crigc.NoWait)
	wantIs(t, err, crigc.ErrBusy)
	if report != nil {
		t.Error("the pass that did not begin has a report")
	}
	if _, err := engine.CollectImages(background, crigc.NoWait|crigc.DryRun); err != nil {
		t.Errorf("a pass of the other kind: %v", err)
	}
	close(leave)
	if err := within(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

func TestContextsThatHaveEnded(t *testing.T) {
	s := startSim(t)
	engine := open(t, s.config())
	mine := errors.New("mine")
	cancelled, cancel := context.WithCancel(background)
	cancel()
	caused, cause := context.WithCancelCause(background)
	cause(mine)
	late, cancelLate := context.WithDeadline(background, time.Now().Add(-time.Hour))
	defer cancelLate()
	lateCaused, cancelCaused := context.WithTimeoutCause(background, -1, mine)
	defer cancelCaused()
	for name, row := range map[string]struct {
		ctx  context.Context
		want []error
	}{
		"cancelled":             {cancelled, []error{crigc.ErrCancelled, context.Canceled}},
		"with a cause":          {caused, []error{crigc.ErrCancelled, context.Canceled, mine}},
		"deadline":              {late, []error{crigc.ErrTimeout, context.DeadlineExceeded}},
		"deadline with a cause": {lateCaused, []error{crigc.ErrTimeout, context.DeadlineExceeded, mine}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, collect := range []func(context.Context, crigc.Flags) (*crigc.Report, error){
				engine.CollectContainers, engine.CollectImages,
			} {
				report, err := collect(row.ctx, crigc.AllUnused)
				wantIs(t, err, row.want...)
				if report != nil {
					t.Error("the pass began")
				}
			}
		})
	}
	report, err := engine.CollectContainers(background, crigc.DryRun)
	// Of 300 units 8 end with an attempt that was never started, and keep the one before it as well.
	if err != nil || report.Count(crigc.Container, crigc.Removed) != 1692 {
		t.Errorf("something was removed: %v", err)
	}
}

func TestCancelEndsAPass(t *testing.T) {
	s := startSim(t, "--faults", hang(t, "RemoveContainer"))
	config := s.config()
	mine := errors.New("mine")
	ctx, cancel := context.WithCancelCause(background)
	config.Approve = func(*crigc.Entry) bool { cancel(mine); return true }
	heard := make(chan error, 1)
	config.Ended = func(_ crigc.Pass, _ *crigc.Report, err error) { heard <- err }
	engine := open(t, config)
	report, err := engine.CollectContainers(ctx, 0)
	wantIs(t, err, crigc.ErrCancelled, context.Canceled, mine)
	wantIs(t, within(t, "Ended", heard), crigc.ErrCancelled, context.Canceled, mine)
	if report == nil || report.Count(crigc.AnyKind, crigc.Removed) != 0 || len(report.Entries) == 0 {
		t.Error("the report does not say how far the pass came")
	}
}

func TestDeadlineEndsAPassOfAHangingRuntime(t *testing.T) {
	s := startSim(t, "--faults", hang(t, "*"))
	engine := open(t, s.config())
	mine := errors.New("mine")
	ctx, cancel := context.WithTimeoutCause(background, 5*time.Second, mine)
	defer cancel()
	report, err := engine.CollectContainers(ctx, 0)
	wantIs(t, err, crigc.ErrTimeout, context.DeadlineExceeded, mine)
	if report == nil {
		t.Error("no report, though the pass began")
	}
}

// belated is a context whose deadline has passed and whose timer is late.
type belated struct{ context.Context }

func (belated) Deadline() (time.Time, bool) { return time.Now().Add(-time.Hour), true }

func TestCausesOfDeadlinesWhoseTimerIsLate(t *testing.T) {
	mine := errors.New("mine")
	ctx, cancel := context.WithTimeoutCause(background, 20*time.Millisecond, mine)
	defer cancel()
	if causes := crigc.ContextCauses(belated{ctx}); len(causes) != 2 {
		t.Errorf("causes %q", causes)
	}
	_, err := open(t, crigc.Config{}).CollectContainers(belated{ctx}, 0)
	wantIs(t, err, crigc.ErrTimeout, context.DeadlineExceeded, mine)
	// A pass that never ends by itself.
	if causes := crigc.ContextCauses(belated{background}); len(causes) != 1 || causes[0] != context.DeadlineExceeded {
		t.Errorf("causes %q", causes)
	}
}

func TestDeadlineOfARequestIsNotTheContexts(t *testing.T) {
	s := startSim(t, "--faults", hang(t, "*"))
	config := s.config()
	config.Settings["runtime-request-timeout"] = "100ms"
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	_, err := open(t, config).CollectContainers(ctx, 0)
	wantIs(t, err, crigc.ErrTimeout)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%q is the context's", err)
	}
}

func TestCancelMayComeAtAnyTime(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "20")
	engine := open(t, s.config())
	const before, during, after = "before the pass", "during the pass", "after the pass"
	counts := map[string]int{}
	// Until each of them was hit: the time of a pass depends on the machine.
	end := time.Now().Add(watchdog)
	for i := 0; i < 400 || (counts[during] == 0 || counts[after] == 0) && time.Now().Before(end); i++ {
		ctx, cancel := context.WithCancel(background)
		timer := time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
		report, err := engine.CollectContainers(ctx, crigc.DryRun)
		timer.Stop()
		cancel() // after the end
		switch cancelled := errors.Is(err, crigc.ErrCancelled) && errors.Is(err, context.Canceled); {
		case err == nil:
			counts[after]++
		case cancelled && report == nil:
			counts[before]++
		case cancelled:
			counts[during]++
		default:
			t.Fatal(err)
		}
	}
	t.Log(counts)
	if counts[during] == 0 || counts[after] == 0 {
		t.Error("no cancel came during a pass, or all did")
	}
}

// The library's advice for C is translated into Go.
func TestErrorsAdviseInGo(t *testing.T) {
	s := startSim(t, "--faults", hang(t, "RemoveContainer"))
	config := s.config()
	config.ImageFS = func() (crigc.FSUsage, error) { return crigc.FSUsage{}, errors.New("none") }
	inside := make(chan struct{}, 1)
	config.Approve = func(*crigc.Entry) bool {
		select {
		case inside <- struct{}{}:
		default:
		}
		return true
	}
	stopped := make(chan error, 1)
	config.Ended = func(pass crigc.Pass, _ *crigc.Report, err error) {
		if errors.Is(err, crigc.ErrCancelled) && pass == crigc.PassContainers {
			stopped <- err
		}
	}
	errs := map[string]error{}
	_, errs["key"] = crigc.New(crigc.Config{Settings: map[string]string{"no such key": ""}})
	engine := open(t, config)
	_, errs["figures"] = engine.CollectImages(background, 0)
	_, errs["flags"] = engine.CollectImages(background, 1<<20)
	short, cancelShort := context.WithTimeout(background, 10*time.Second)
	defer cancelShort()
	_, errs["deadline"] = engine.CollectContainers(short, 0)
	<-inside
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error, 1)
	go func() {
		_, err := engine.CollectContainers(ctx, 0)
		ended <- err
	}()
	within(t, "an approval", inside)
	_, errs["no wait"] = engine.CollectContainers(background, crigc.NoWait)
	cancel()
	errs["cancel"] = within(t, "the end", ended)
	<-stopped // that was the cancelled call
	select {
	case <-inside: // another approval of that call
	default:
	}
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "an approval", inside)
	engine.Stop()
	errs["stop"] = within(t, "the end", stopped)
	for name, says := range map[string]string{"key": "Keys lists", "figures": "leave it nil", "flags": "DryRun", "deadline": "a later one",
		"no wait": "without NoWait", "cancel": "the context was cancelled", "stop": "ended by Stop"} {
		err := errs[name]
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(strings.ToLower(err.Error()), "gc_") || strings.Contains(err.Error(), "image_fs") {
			t.Errorf("%s: %v does not say %q, or says more", name, err, says)
		}
	}
}

func TestManyGoroutines(t *testing.T) {
	s := startSim(t, "--pods", "20", "--dead-containers", "60")
	config := s.config()
	config.PodStates = s.podStates
	engine := open(t, config)
	var all sync.WaitGroup
	for i := range 24 {
		all.Add(1)
		go func() {
			defer all.Done()
			ctx, cancel := context.WithTimeout(background, watchdog)
			defer cancel()
			collect := engine.CollectContainers
			if i%2 == 1 {
				collect = engine.CollectImages
			}
			for range 5 {
				if report, err := collect(ctx, crigc.Flags(i%3/2)); err != nil || report == nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
}

func TestClosedEngines(t *testing.T) {
	engine := open(t, crigc.Config{})
	engine.Close()
	engine.Close()
	engine.Stop()
	_, containers := engine.CollectContainers(background, 0)
	_, images := engine.CollectImages(background, 0)
	for _, err := range []error{containers, images, engine.Start()} {
		wantIs(t, err, crigc.ErrClosed)
	}
	if text := engine.Metrics(); text != "" {
		t.Errorf("metrics of a closed engine: %s", text)
	}
}

func TestMetrics(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "20")
	config := s.config()
	var inside string
	var engine *crigc.Engine
	config.Approve = func(*crigc.Entry) bool {
		inside += engine.Metrics()
		return true
	}
	engine = open(t, config)
	report, err := engine.CollectContainers(background, 0)
	if err != nil {
		t.Fatal(err)
	}
	removed := report.Count(crigc.Container, crigc.Removed)
	text := engine.Metrics()
	for _, want := range []string{
		`pass="containers",status="GC_OK"} 1` + "\n",
		fmt.Sprintf(`kind="container",outcome="removed",reason="unit-limit"} %d`+"\n", removed),
	} {
		if removed == 0 || !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if inside != "" {
		t.Errorf("a callback read metrics: %s", inside)
	}
}

func TestCloseEndsPassesUnderWay(t *testing.T) {
	s := startSim(t, "--faults", hang(t, "*"))
	for i := range 8 {
		engine := open(t, s.config())
		ended := make(chan error)
		for range 4 {
			go func() {
				_, err := engine.CollectContainers(background, 0)
				ended <- err
			}()
		}
		time.Sleep(time.Duration(2*i) * time.Millisecond)
		for range 2 {
			go engine.Close()
		}
		for range 4 {
			wantIs(t, within(t, "the end", ended), crigc.ErrClosed)
		}
		engine.Close()
	}
}

func TestPeriodicPasses(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "20")
	config := s.config()
	config.PodStates = s.podStates
	config.Settings["container-gc-period"] = "5ms"
	config.Settings["image-gc-period"] = "5ms"
	ended := map[crigc.Pass]chan int{crigc.PassContainers: make(chan int), crigc.PassImages: make(chan int)}
	config.Ended = func(pass crigc.Pass, report *crigc.Report, err error) {
		if (err != nil && !errors.Is(err, crigc.ErrCancelled) && !errors.Is(err, crigc.ErrClosed)) || report.Pass != pass {
			t.Errorf("%v: %v", pass, err)
		}
		select {
		case ended[pass] <- report.Count(crigc.Container, crigc.Removed):
		case <-time.After(20 * time.Millisecond): // the receiver has ended
		}
	}
	engine := open(t, config)
	for range 3 {
		for range 2 {
			if err := engine.Start(); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			within(t, "a container pass", ended[crigc.PassContainers])
			within(t, "an image pass", ended[crigc.PassImages])
		}
		engine.Stop()
		select {
		case <-ended[crigc.PassContainers]:
			t.Error("a pass after Stop")
		case <-ended[crigc.PassImages]:
			t.Error("a pass after Stop")
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "a pass", ended[crigc.PassContainers])
	engine.Close()
}
