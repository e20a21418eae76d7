package crigc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

func TestPodStates(t *testing.T) {
	s := startSim(t, "--pods", "40", "--dead-containers", "100")
	all := func(state crigc.PodState) func([]string) ([]crigc.PodState, bool) {
		return func(uids []string) ([]crigc.PodState, bool) {
			return slices.Repeat([]crigc.PodState{state}, len(uids)), true
		}
	}
	changed := func(change func([]crigc.PodState) []crigc.PodState, ready bool) func([]string) ([]crigc.PodState, bool) {
		return func(uids []string) ([]crigc.PodState, bool) {
			states, _ := s.podStates(uids)
			return change(states), ready
		}
	}
	as := func(states []crigc.PodState) []crigc.PodState { return states }
	for name, row := range map[string]struct {
		answer func(uids []string) ([]crigc.PodState, bool)
		goes   bool         // something is removed because its pod is gone
		stays  crigc.Reason // something is kept for this reason
		status error
		says   string
	}{
		"as it is":   {s.podStates, true, "", nil, ""},
		"not ready":  {changed(as, false), false, crigc.ReasonSourcesNotReady, nil, ""},
		"nothing":    {all(crigc.Keep), false, "", nil, ""},
		"no states":  {changed(func([]crigc.PodState) []crigc.PodState { return nil }, true), false, "", nil, ""},
		"fewer":      {changed(func(states []crigc.PodState) []crigc.PodState { return states[:len(states)-1] }, true), true, "", nil, ""},
		"too many":   {changed(func(states []crigc.PodState) []crigc.PodState { return append(states, 1) }, true), false, "", nil, "states for"},
		"other bits": {all(1 << 9), false, "", nil, ""},
		"all gone":   {all(crigc.ContentRemovable), false, crigc.ReasonPodActive, crigc.ErrContradiction, ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := s.config()
			config.PodStates = row.answer
			report, err := open(t, config).CollectContainers(background, crigc.DryRun)
			switch {
			case row.says != "":
				if err == nil || !strings.Contains(err.Error(), row.says) {
					t.Errorf("%v does not say %q", err, row.says)
				}
			case !errors.Is(err, row.status):
				t.Error(err)
			}
			goes, stays := false, row.stays == ""
			for _, entry := range report.Entries {
				goes = goes || (entry.Outcome == crigc.Removed && entry.Reason == crigc.ReasonPodRemoved)
				stays = stays || (entry.Outcome == crigc.Kept && entry.Reason == row.stays)
			}
			if goes != row.goes {
				t.Errorf("removed because its pod is gone: %v", goes)
			}
			if !stays {
				t.Errorf("nothing is kept for %q", row.stays)
			}
		})
	}
}

func TestPodStatesAsOf(t *testing.T) {
	s := startSim(t, "--pods", "40", "--dead-containers", "100")
	for name, row := range map[string]struct {
		asOf  time.Time
		goes  bool
		stays crigc.Reason // something is kept for this reason
	}{
		"of now, as PodStates":           {time.Time{}, true, ""},
		"of a moment ago":                {time.Now().Add(-time.Second), true, ""},
		"before all that there is":       {time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC), false, crigc.ReasonNewerThanAnswer},
		"of a time to come":              {time.Now().Add(time.Hour), false, crigc.ReasonSourcesNotReady},
		"the epoch, which is not a zero": {time.Unix(0, 0), false, crigc.ReasonSourcesNotReady},
		"before 1970":                    {time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), false, crigc.ReasonSourcesNotReady},
		"after all times that there are": {time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), false, crigc.ReasonSourcesNotReady},
	} {
		t.Run(name, func(t *testing.T) {
			config := s.config()
			// crisim has just written the files; without logs only the times of the runtime count.
			config.Settings["pod-logs-dir"] = ""
			config.PodStatesAsOf = func(uids []string) ([]crigc.PodState, time.Time, bool) {
				states, ready := s.podStates(uids)
				return states, row.asOf, ready
			}
			report, err := open(t, config).CollectContainers(background, crigc.DryRun)
			if err != nil {
				t.Fatal(err)
			}
			goes, stays := false, row.stays == ""
			for _, entry := range report.Entries {
				goes = goes || (entry.Outcome == crigc.Removed && entry.Reason == crigc.ReasonPodRemoved)
				stays = stays || (entry.Outcome == crigc.Kept && entry.Reason == row.stays)
			}
			if goes != row.goes || !stays {
				t.Errorf("removed because its pod is gone: %v; something is kept for %q: %v", goes, row.stays, stays)
			}
		})
	}
	config := s.config()
	config.PodStates = s.podStates
	config.PodStatesAsOf = func([]string) ([]crigc.PodState, time.Time, bool) { return nil, time.Time{}, true }
	if _, err := crigc.New(config); !errors.Is(err, crigc.ErrInvalidArgument) {
		t.Errorf("both are set: %v", err)
	}
}

func TestUIDsAreTheRuntimesBytes(t *testing.T) {
	// A UID that is not text is not asked about, and its pod keeps everything.
	uids, texts := []string{"\xff\xfe", "täst", "a\nb", `back\slash`, "plain"}, []string{`back\slash`, "plain", "täst"}
	var containers []object
	for i, uid := range uids {
		containers = append(containers, deadContainer(fmt.Sprint("c", i), "p", hex(uid), 0))
	}
	s := startSim(t, "--node", asJSON(t, object{"containers": containers}))
	config := s.config()
	var asked []string
	config.PodStates = func(uids []string) ([]crigc.PodState, bool) {
		asked = append(asked, uids...)
		return nil, true
	}
	report, err := open(t, config).CollectContainers(background, crigc.DryRun)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(asked)
	if asked = slices.Compact(asked); !slices.Equal(asked, texts) {
		t.Errorf("%q were asked about, not %q", asked, texts)
	}
	var told []string
	for _, entry := range report.Entries {
		told = append(told, entry.PodUID)
	}
	slices.Sort(told)
	if want := []string{`a\nb`, `back\\slash`, "plain", "täst", "\uFFFD\uFFFD"}; !slices.Equal(told, want) {
		t.Errorf("the report has %q, not %q", told, want)
	}
}

func TestPodStatesOfAnEmptyNode(t *testing.T) {
	s := startSim(t, "--node", asJSON(t, object{}))
	config := s.config()
	config.PodStates = func(uids []string) ([]crigc.PodState, bool) {
		runtime.GC() // checks the pointers that the callback got
		return make([]crigc.PodState, len(uids)), true
	}
	report, err := open(t, config).CollectContainers(background, 0)
	if err != nil || len(report.Entries) != 0 {
		t.Errorf("%d entries, %v", len(report.Entries), err)
	}
}

func TestApprove(t *testing.T) {
	s := startSim(t, "--pods", "10", "--dead-containers", "40")
	config := s.config()
	var asked []crigc.Entry
	config.Approve = func(planned *crigc.Entry) bool {
		asked = append(asked, *planned)
		return len(asked)%2 == 0
	}
	engine := open(t, config)
	if _, err := engine.CollectContainers(background, crigc.DryRun); err != nil || len(asked) > 0 {
		t.Errorf("asked in a dry run; %v", err)
	}
	report, err := engine.CollectContainers(background, 0)
	if err != nil {
		t.Fatal(err)
	}
	removed, refused := report.Count(crigc.AnyKind, crigc.Removed), report.Count(crigc.AnyKind, crigc.Refused)
	if removed == 0 || removed+refused != len(asked) || refused != (len(asked)+1)/2 {
		t.Errorf("%d removed, %d refused, %d asked", removed, refused, len(asked))
	}
	for _, entry := range asked {
		if entry.Outcome != crigc.Kept || entry.Error != "" || entry.ID == "" || entry.Name == "" || entry.Reason == "" {
			t.Errorf("asked about %+v", entry)
		}
	}
	for _, entry := range report.Entries {
		if (entry.Error != "") != (entry.Outcome == crigc.Refused) {
			t.Errorf("%+v", entry)
		}
	}
}

func TestImageFSWithoutFigures(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "0")
	config := s.config()
	mine := errors.New("no disk")
	config.ImageFS = func() (crigc.FSUsage, error) { return crigc.FSUsage{Capacity: 100, Available: 1}, mine }
	report, err := open(t, config).CollectImages(background, 0)
	wantIs(t, err, crigc.ErrIO, mine)
	if report.Count(crigc.AnyKind, crigc.Removed) > 0 {
		t.Error("something was removed")
	}
}

func TestEvents(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "0")
	config := s.config()
	config.ImageFS = func() (crigc.FSUsage, error) { return crigc.FSUsage{}, nil }
	var events []string
	config.Event = func(reason, message string) { events = append(events, reason+": "+message) }
	if _, err := open(t, config).CollectImages(background, 0); err == nil {
		t.Error("no error")
	}
	if len(events) != 1 || !strings.HasPrefix(events[0], "InvalidDiskCapacity: ") || len(events[0]) < 40 {
		t.Errorf("%q", events)
	}
}

func TestProgress(t *testing.T) {
	s := startSim(t, "--pods", "10", "--dead-containers", "40")
	config := s.config()
	last := map[crigc.Kind][2]int{}
	config.Progress = func(kind crigc.Kind, done, total int) {
		if done < last[kind][0] || done > total {
			t.Errorf("%v: %d of %d after %v", kind, done, total, last[kind])
		}
		last[kind] = [2]int{done, total}
	}
	report, err := open(t, config).CollectContainers(background, 0)
	if err != nil {
		t.Fatal(err)
	}
	removed := report.Count(crigc.Container, crigc.Removed)
	if removed == 0 || last[crigc.Container] != [2]int{removed, removed} {
		t.Errorf("%v at the end, and %d removed", last, removed)
	}
}

func TestEndedGetsWhatTheCallerGets(t *testing.T) {
	s := startSim(t, "--pods", "10", "--dead-containers", "40", "--images", "10")
	config := s.config()
	type end struct {
		pass   crigc.Pass
		report *crigc.Report
		err    error
	}
	var ends []end
	config.Ended = func(pass crigc.Pass, report *crigc.Report, err error) { ends = append(ends, end{pass, report, err}) }
	mine := errors.New("no disk")
	config.ImageFS = func() (crigc.FSUsage, error) { return crigc.FSUsage{}, mine }
	engine := open(t, config)
	containers, _ := engine.CollectContainers(background, 0)
	images, err := engine.CollectImages(background, 0)
	if len(ends) != 2 || ends[0].pass != crigc.PassContainers || ends[1].pass != crigc.PassImages {
		t.Fatalf("%+v", ends)
	}
	engine.Close() // reports are still valid
	if ends[0].err != nil || ends[0].report.JSON() != containers.JSON() || ends[1].report.JSON() != images.JSON() {
		t.Error("other reports")
	}
	wantIs(t, ends[1].err, crigc.ErrIO, mine)
	if ends[1].err.Error() != err.Error() {
		t.Errorf("Ended hears %q, the caller %q", ends[1].err, err)
	}
}

func TestClock(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "10")
	now := time.Date(2100, 1, 2, 3, 4, 5, 6_000_007, time.UTC)
	config := s.config()
	config.Clock = func() time.Time { return now }
	engine := open(t, config)
	report, err := engine.CollectContainers(background, crigc.DryRun)
	if err != nil || !report.Started.Equal(now) || report.Took <= 0 {
		t.Errorf("started %v, took %v, %v", report.Started, report.Took, err)
	}
	now = time.Time{}
	report, err = engine.CollectContainers(background, 0)
	if err == nil || report.Count(crigc.AnyKind, crigc.Removed) > 0 || !report.Started.IsZero() {
		t.Errorf("a clock without a time: %v, started %v", err, report.Started)
	}
}

// lines is a slog.Handler that keeps its records.
type lines struct {
	mu    sync.Mutex
	level slog.Level
	heard map[slog.Level][]string
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *lines) WithGroup(string) slog.Handler                    { return l }
func (l *lines) Handle(_ context.Context, record slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text bytes.Buffer
	text.WriteString(record.Message)
	record.Attrs(func(attribute slog.Attr) bool { text.WriteString(" " + attribute.String()); return true })
	if l.heard == nil {
		l.heard = map[slog.Level][]string{}
	}
	l.heard[record.Level] = append(l.heard[record.Level], text.String())
	return nil
}

func TestLogLevels(t *testing.T) {
	s := startSim(t, "--pods", "10", "--dead-containers", "40",
		"--faults", faults(t, object{"method": "RemoveContainer", "count": 1, "action": object{"code": []any{13, "broken"}}}))
	for _, row := range []struct {
		level  slog.Level
		flags  crigc.Flags
		silent []slog.Level
		heard  []slog.Level
	}{
		{slog.LevelDebug, crigc.DryRun, nil, []slog.Level{slog.LevelDebug}},
		{slog.LevelInfo, 0, []slog.Level{slog.LevelDebug}, []slog.Level{slog.LevelInfo}},
		{slog.LevelWarn, 0, []slog.Level{slog.LevelDebug, slog.LevelInfo}, nil},
		{slog.LevelError + 1, 0, []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}, nil},
	} {
		handler := &lines{level: row.level}
		config := s.config()
		config.Logger = slog.New(handler)
		if _, err := open(t, config).CollectContainers(background, row.flags); err != nil {
			t.Fatal(err)
		}
		for _, level := range row.heard {
			if len(handler.heard[level]) == 0 {
				t.Errorf("from %v: nothing at %v", row.level, level)
			}
		}
		for _, level := range row.silent {
			if len(handler.heard[level]) > 0 {
				t.Errorf("from %v: %q", row.level, handler.heard[level])
			}
		}
	}
}

// panicking is a slog.Handler that panics on the library's lines, and keeps the others.
type panicking struct{ lines }

func (p *panicking) Handle(ctx context.Context, record slog.Record) error {
	if record.Level < slog.LevelError {
		panic("no log today")
	}
	return p.lines.Handle(ctx, record)
}

func (p *panicking) WithAttrs([]slog.Attr) slog.Handler { return p }

// errBroken is the value of panics in callbacks.
var errBroken = errors.New("broken on purpose")

func TestPanicsInCallbacks(t *testing.T) {
	full := func() (crigc.FSUsage, error) { return crigc.FSUsage{Capacity: 1 << 40}, nil }
	for callback, row := range map[string]struct {
		set    func(*crigc.Config)
		images bool
		goes   bool // the pass still does its work
		status error
	}{
		"PodStates": {func(c *crigc.Config) {
			c.PodStates = func([]string) ([]crigc.PodState, bool) { panic(errBroken) }
		}, false, true, nil},
		"PodStatesAsOf": {func(c *crigc.Config) {
			c.PodStatesAsOf = func([]string) ([]crigc.PodState, time.Time, bool) { panic(errBroken) }
		}, false, true, nil},
		"Approve":  {func(c *crigc.Config) { c.Approve = func(*crigc.Entry) bool { panic(errBroken) } }, false, false, nil},
		"ImageFS":  {func(c *crigc.Config) { c.ImageFS = func() (crigc.FSUsage, error) { panic(errBroken) } }, true, false, crigc.ErrIO},
		"Event":    {func(c *crigc.Config) { c.ImageFS = full; c.Event = func(string, string) { panic(errBroken) } }, true, true, nil},
		"Progress": {func(c *crigc.Config) { c.Progress = func(crigc.Kind, int, int) { panic(errBroken) } }, false, true, nil},
		"Ended":    {func(c *crigc.Config) { c.Ended = func(crigc.Pass, *crigc.Report, error) { panic(errBroken) } }, false, true, nil},
		"Clock":    {func(c *crigc.Config) { c.Clock = func() time.Time { panic(errBroken) } }, false, false, crigc.ErrInvalidArgument},
		"Logger":   {func(c *crigc.Config) { c.Logger = slog.New(&panicking{}) }, false, true, nil},
		"Connect": {func(c *crigc.Config) {
			c.Connect = func(crigc.Service) (io.ReadWriteCloser, error) { panic(errBroken) }
		}, false, false, crigc.ErrUnavailable},
	} {
		t.Run(callback, func(t *testing.T) {
			s := startSim(t, "--pods", "10", "--dead-containers", "40")
			config := s.config()
			log := &lines{level: slog.LevelError}
			config.Logger = slog.New(log)
			row.set(&config)
			engine := open(t, config)
			collect := engine.CollectContainers
			if row.images {
				collect = engine.CollectImages
			}
			report, err := collect(background, 0)
			var told *crigc.PanicError
			if !errors.As(err, &told) || told.Callback != callback || !bytes.Contains(told.Stack, []byte("_test.go")) {
				t.Fatalf("%#v", err)
			}
			if callback != "Logger" {
				wantIs(t, err, errBroken)
				checkPanicLog(t, log, callback)
			}
			if row.status != nil {
				wantIs(t, err, row.status)
			}
			removed := removedIDs(report)
			if (len(removed) > 0) != row.goes {
				t.Errorf("removed: %v", removed)
			}
			for id, reason := range removed {
				if reason == crigc.ReasonPodRemoved {
					t.Error(id, "was removed because its pod is gone")
				}
			}
		})
	}
}

// checkPanicLog finds a panic with its stack.
func checkPanicLog(t *testing.T, log *lines, callback string) {
	t.Helper()
	for _, line := range log.heard[slog.LevelError] {
		if strings.Contains(line, callback) && strings.Contains(line, errBroken.Error()) && strings.Contains(line, "_test.go") {
			return
		}
	}
	t.Errorf("the log has no such panic: %q", log.heard[slog.LevelError])
}

func TestManyPanicsAreReportedInAFewErrors(t *testing.T) {
	s := startSim(t, "--pods", "10", "--dead-containers", "400")
	config := s.config()
	log := &lines{level: slog.LevelError}
	config.Logger = slog.New(log)
	config.Approve = func(*crigc.Entry) bool { panic("again") }
	report, err := open(t, config).CollectContainers(background, 0)
	refused := report.Count(crigc.AnyKind, crigc.Refused)
	if said := fmt.Sprintf("%d times more", refused-8); refused < 300 || !strings.Contains(err.Error(), said) {
		t.Errorf("%d refused, and: %v", refused, err)
	}
	// A few a minute; the number of minutes depends on the machine.
	logged := 0
	for _, line := range log.heard[slog.LevelError] {
		logged += strings.Count(line, "again")
	}
	if logged < 8 || logged > refused/2 {
		t.Errorf("%d panics were logged of %d", logged, refused)
	}
}

func TestLoggedPanicsAreLimited(t *testing.T) {
	now := time.Now()
	allow := crigc.Limiter()
	for i := range 20 {
		if allowed, stopped := allow(now.Add(time.Duration(i) * time.Second)); allowed != (i < 8) || stopped > 0 {
			t.Errorf("the %d-th: %v, %d", i, allowed, stopped)
		}
	}
	for i := range 2 {
		if allowed, stopped := allow(now.Add(time.Hour)); !allowed || stopped != 12*(1-i) {
			t.Errorf("an hour later: %v, %d", allowed, stopped)
		}
	}
}

// A panic after a periodic pass has reported its end is logged, and is not the next pass's error.
func TestPanicsAfterTheEndAreNotTheNextPasss(t *testing.T) {
	config := crigc.Config{Settings: map[string]string{
		"container-runtime-endpoint": "unix://" + t.TempDir() + "/nobody",
		"container-gc-period":        "1ms",
		"image-gc-high-threshold":    "100",
	}}
	log := &lines{level: slog.LevelError}
	config.Logger = slog.New(log)
	config.Event = func(string, string) { panic("an event") }
	heard := make(chan error)
	config.Ended = func(_ crigc.Pass, _ *crigc.Report, err error) {
		heard <- err
		panic("an end")
	}
	engine := open(t, config)
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		err := within(t, "a pass", heard)
		wantIs(t, err, crigc.ErrUnavailable)
		if strings.Contains(err.Error(), "panicked") {
			t.Error(err)
		}
	}
	go func() {
		for range heard { // until the engine is closed
		}
	}()
	engine.Close()
	close(heard)
	logged := strings.Join(log.heard[slog.LevelError], "\n")
	if !strings.Contains(logged, "Ended panicked: an end") || !strings.Contains(logged, "Event panicked: an event") {
		t.Errorf("the log has %q", logged)
	}
}

func TestPanicsInPeriodicPassesReachEnded(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "10")
	config := s.config()
	config.Logger = slog.New(slog.DiscardHandler)
	config.Settings["container-gc-period"] = "1ms"
	config.Settings["image-gc-high-threshold"] = "100"
	asked, panics := 0, 3
	config.PodStates = func([]string) ([]crigc.PodState, bool) {
		if asked++; asked <= panics {
			panic(asked)
		}
		return nil, true
	}
	heard := make(chan error)
	config.Ended = func(_ crigc.Pass, _ *crigc.Report, err error) {
		heard <- err
	}
	engine := open(t, config)
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	told := 0
	for {
		err := within(t, "a pass", heard)
		if err == nil {
			break // a panic that was reported once is not reported again
		}
		told += strings.Count(err.Error(), "panicked")
	}
	go func() {
		for range heard { // until the engine is closed
		}
	}()
	engine.Close()
	close(heard)
	if told != panics {
		t.Errorf("%d panics were reported of %d", told, panics)
	}
}

func TestEnginesAreBusyInCallbacks(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "10")
	other := open(t, s.config())
	config := s.config()
	var engine *crigc.Engine
	var errs []error
	config.PodStates = func([]string) ([]crigc.PodState, bool) {
		for _, e := range []*crigc.Engine{engine, other} {
			_, containers := e.CollectContainers(background, 0)
			ctx, cancel := context.WithTimeout(background, time.Hour)
			_, images := e.CollectImages(ctx, crigc.NoWait)
			cancel()
			errs = append(errs, containers, images, e.Start())
			e.Stop()
		}
		_, empty := crigc.New(crigc.Config{})
		_, settings := crigc.New(s.config())
		errs = append(errs, empty, settings, new(crigc.Config).LoadKubeletConfig("/"))
		if len(crigc.Keys()) == 0 || crigc.CheckLibrary() != nil {
			t.Error("what is allowed does not work")
		}
		return nil, true
	}
	engine = open(t, config)
	if _, err := engine.CollectContainers(background, crigc.DryRun); err != nil {
		t.Fatal(err)
	}
	if len(errs) == 0 {
		t.Fatal("nothing was tried")
	}
	for _, err := range errs {
		wantIs(t, err, crigc.ErrBusy)
	}
}

func TestCloseInACallback(t *testing.T) {
	for name, close := range map[string]func(*crigc.Engine){
		"at once":             func(e *crigc.Engine) { e.Close(); e.Close() },
		"on a goroutine":      func(e *crigc.Engine) { go e.Close() },
		"one of them outside": func(e *crigc.Engine) { go e.Close(); e.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := startSim(t, "--faults", hang(t, "RemoveContainer"))
			config := s.config()
			var engine *crigc.Engine
			config.Approve = func(*crigc.Entry) bool { close(engine); return true }
			engine = open(t, config)
			report, err := engine.CollectContainers(background, 0)
			wantIs(t, err, crigc.ErrClosed)
			if report == nil {
				t.Error("no report")
			}
			engine.Close()
		})
	}
}

func TestCloseInACallbackOfAPeriodicPass(t *testing.T) {
	s := startSim(t, "--pods", "5", "--dead-containers", "10")
	config := s.config()
	engines := make(chan *crigc.Engine, 1)
	closed := make(chan struct{})
	var once sync.Once
	config.Ended = func(crigc.Pass, *crigc.Report, error) {
		once.Do(func() { (<-engines).Close(); close(closed) })
	}
	engine := open(t, config)
	engines <- engine
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "Close", closed)
	engine.Close()
	wantIs(t, engine.Start(), crigc.ErrClosed)
}
