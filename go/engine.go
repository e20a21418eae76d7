package crigc

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Flags of a call. With an unknown bit the call fails with ErrInvalidArgument.
type Flags uint32

const (
	// DryRun decides and reports, but removes nothing.
	DryRun Flags = C.GC_DRY_RUN
	// AllUnused collects as the kubelet does under disk pressure. A container pass also removes containers and sandboxes of terminated
	// pods. An image pass removes all images that are unused and not protected, however empty the disk is.
	AllUnused Flags = C.GC_ALL_UNUSED
	// NoWait returns ErrBusy instead of waiting if a pass of the same kind is running. With image-maximum-gc-age the thread of Start
	// also reads the list of images between two passes; meanwhile an image pass with this flag returns ErrBusy, too.
	NoWait Flags = C.GC_NO_WAIT
	// PodGone is a flag of CollectPod alone: the host says that everything the pod left behind may be removed.
	PodGone Flags = C.GC_POD_GONE
)

// Engine is a configured collector. Any number of goroutines may call its methods at once; two passes of one kind never overlap.
// Between passes it has no open descriptor but the lock of image-records-file and, unless started, no thread. It has to be closed.
type Engine struct {
	engine *C.gc_engine
	host   *host
	handle cgo.Handle
	freed  chan struct{}

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // Add while mu is held and closed is false, so that Close waits for all of them
}

// CheckLibrary returns an error if the linked library does not have the interface that the package was built for. New checks this as
// well; a program may check it early, before it has done anything.
func CheckLibrary() error {
	return checkABI(C.GC_ABI, uint32(C.gc_abi()))
}

func checkABI(header, library uint32) error {
	if header == library {
		return nil
	}
	return &Error{Status: ErrConfig, Message: fmt.Sprintf(
		"the package was built with a crigc.h of interface version %d, and the linked libcrigc.a (%s) has version %d; "+
			"build with header and library of one release, and with `go build -a` after a change of the library",
		header, Version(), library)}
}

// Version returns the version of the linked library, such as "0.1.0".
func Version() string {
	return C.GoString(C.gc_version())
}

// New makes an engine. The runtime need not be running yet. Errors are ErrInvalidArgument (a bad key or value, or PodStates and
// PodStatesAsOf are both set), ErrConfig (values are wrong only together, or the library has another version), ErrBusy (another engine
// holds image-records-file, or New was called in a callback) and ErrIO (image-records-file cannot be locked).
func New(config Config) (*Engine, error) {
	if err := CheckLibrary(); err != nil {
		return nil, err
	}
	if config.PodStates != nil && config.PodStatesAsOf != nil {
		return nil, &Error{Status: ErrInvalidArgument, Message: "PodStates and PodStatesAsOf are both set; set one of them"}
	}
	c := C.gc_config_new()
	defer C.gc_config_free(c)
	if err := setAll(c, config.Settings); err != nil {
		return nil, err
	}
	host := newHost(config)
	handle := cgo.NewHandle(host)
	bits, upTo := config.callbacks()
	C.crigc_go_register(c, C.uintptr_t(handle), bits, upTo)
	var e *C.gc_error
	engine := C.gc_engine_new(c, &e)
	if engine == nil {
		handle.Delete()
		return nil, failure(context.Background(), C.gc_error_status(e), e)
	}
	return &Engine{engine: engine, host: host, handle: handle, freed: make(chan struct{})}, nil
}

// CollectContainers removes dead containers, pod sandboxes, pod logs and log links. It blocks until the pass is over. If another pass
// of this kind is running, it waits for its turn first (unless NoWait). The context's deadline and cancel end the pass soon; with a
// context that has ended already no pass begins.
//
// The report is not nil if the pass began, even if it failed later. The error is nil if the pass read what it had to know, decided, and
// did what it could; the report lists single removals that failed. Else the error is one of ErrUnavailable, ErrRuntime, ErrTimeout,
// ErrCancelled, ErrClosed, ErrBusy, ErrIO, ErrConfig, ErrContradiction, ErrInvalidArgument or ErrInternal, joined with a PanicError for
// each callback that panicked.
func (e *Engine) CollectContainers(ctx context.Context, flags Flags) (*Report, error) {
	return e.collect(ctx, PassContainers, nil, flags)
}

// CollectImages removes unused images if the image filesystem is at least image-gc-high-threshold full, or if fewer bytes are available
// than image-gc-min-available; with AllUnused however empty it is. Arguments and results are those of CollectContainers. In addition the
// pass fails if a removal failed (ErrRuntime), if less was freed than image-gc-low-threshold or image-gc-min-available asks for
// (ErrNotEnoughFreed), and if image-gc-min-available is more than the filesystem has (ErrConfig). Images that an engine finds in its
// first image pass are not protected by minimum-image-ttl-duration: the first call of a new engine may remove an image that was pulled a second ago. To
// protect it, call CollectImages once with DryRun, wait for minimum-image-ttl-duration, and call it again.
func (e *Engine) CollectImages(ctx context.Context, flags Flags) (*Report, error) {
	return e.collect(ctx, PassImages, nil, flags)
}

// CollectPod removes what one pod left behind: its dead containers, its pod sandboxes, its log directory, and the log links of the
// containers that it removes. It is CollectContainers for one pod, such as one that has just ended, and takes turns with it. It touches no
// other pod. The context, the report and the errors are those of CollectContainers; ErrInvalidArgument also stands for a UID that is empty,
// has a slash or a control character, or is not UTF-8.
//
// With PodGone this call says that everything the pod left behind may be removed, as of the moment of the call: if something of the pod is
// newer, all of it is kept. Config.PodStates, if it is set, is asked as well, and can only keep more. Without PodGone its answer decides. A
// pod with a container that runs or with a ready sandbox is kept whatever the host says.
func (e *Engine) CollectPod(ctx context.Context, uid string, flags Flags) (*Report, error) {
	// C would end the string at the NUL and ignore the rest.
	if strings.Contains(uid, "\x00") {
		return nil, &Error{Status: ErrInvalidArgument, Message: fmt.Sprintf("there is a NUL in the UID %q", uid)}
	}
	name := C.CString(uid)
	defer C.free(unsafe.Pointer(name))
	return e.collect(ctx, PassPod, name, flags)
}

// Start starts periodic passes in the background, on one thread of the library for each kind. They remove, unless the key dry-run is
// true. The first container pass begins at once, and each other one container-gc-period after the end of the one before; image passes
// likewise with image-gc-period. A period of 0 means that there are no passes of this kind. If no image records exist yet, the first
// image pass only records images and removes none. With image-gc-high-threshold 100 there are no image passes, unless
// image-maximum-gc-age or image-gc-min-available is set. If periodic passes run already, Start does nothing. Config.Ended receives the
// end of each pass. Errors are ErrClosed, ErrConfig (there would be no passes of either kind), ErrIO (a thread cannot be started) and,
// in a callback, ErrBusy.
func (e *Engine) Start() error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.calls.Done()
	token := e.host.begin(context.Background())
	end := C.crigc_go_start(e.engine, C.uintptr_t(token))
	return errors.Join(failure(context.Background(), end.status, end.error), e.host.end(token))
}

// Stop cancels the periodic passes and waits until they have ended; Start starts them again. It does nothing in a callback, and if the
// engine is closed.
func (e *Engine) Stop() {
	if e.enter() != nil {
		return
	}
	defer e.calls.Done()
	C.gc_stop(e.engine)
}

// Metrics returns what the engine has counted since it was made, in Prometheus' text format. It never waits for a pass. The package
// documentation shows how to serve it. It is empty in a callback, and if the engine is closed.
func (e *Engine) Metrics() string {
	if e.enter() != nil {
		return ""
	}
	defer e.calls.Done()
	text := C.gc_metrics(e.engine)
	defer C.gc_string_free(text)
	return C.GoString(text)
}

// Close ends running passes with ErrClosed, waits for them and for all calls on other goroutines, and frees the engine. Later calls
// return ErrClosed; a later Close waits for the first one and does nothing else. Reports stay valid.
//
// In a callback Close would wait for itself, so there it does not wait: the engine is freed in the background. A callback must not wait
// for a Close on another goroutine.
func (e *Engine) Close() {
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	e.mu.Unlock()
	if first {
		C.gc_close(e.engine)
		go e.free()
	}
	if C.crigc_go_in_callback() == 0 {
		<-e.freed
	}
}

// free frees the engine once no call is inside any more. It runs on a goroutine of its own, because a callback cannot free an engine.
func (e *Engine) free() {
	e.calls.Wait()
	C.gc_engine_free(e.engine)
	e.handle.Delete() // no callback is called any more
	close(e.freed)
}

// enter keeps the engine alive until calls.Done, or returns ErrClosed.
func (e *Engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return &Error{Status: ErrClosed, Message: "the engine is closed"}
	}
	e.calls.Add(1)
	return nil
}

// collect runs a pass. uid is that of the pod of PassPod.
func (e *Engine) collect(ctx context.Context, pass Pass, uid *C.char, flags Flags) (*Report, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.calls.Done()
	if err := endedBefore(ctx); err != nil {
		return nil, err
	}
	call := newCall(ctx)
	token := e.host.begin(ctx)
	end := C.crigc_go_collect(e.engine, C.gc_pass(pass), uid, C.uint32_t(flags), call.c, C.uintptr_t(token))
	call.free()
	defer C.gc_report_free(end.report)
	report := newReport(pass, end.report, end.error, e.host.config.Explain)
	err := errors.Join(failure(ctx, end.status, end.error), e.host.end(token))
	return report, err
}

// call passes a context's deadline and cancel to one call of the library.
type call struct {
	c    *C.gc_call // NULL for a context that never ends
	stop func() bool
	done chan struct{} // closed when the cancel has returned
}

func newCall(ctx context.Context) *call {
	if ctx.Done() == nil {
		return &call{}
	}
	deadline, limited := ctx.Deadline()
	c := &call{c: C.gc_call_new(timeout(deadline, limited)), done: make(chan struct{})}
	c.stop = context.AfterFunc(ctx, func() {
		defer close(c.done)
		// The library ends the call at its deadline by itself, with ErrTimeout.
		if !limited || time.Now().Before(deadline) {
			C.gc_call_cancel(c.c)
		}
	})
	return c
}

// timeout is the time until the deadline in milliseconds; 0 = none. It is rounded up, so that the context has ended when the
// library reports a timeout.
func timeout(deadline time.Time, limited bool) C.uint64_t {
	if !limited {
		return 0
	}
	left := time.Until(deadline) // at most the longest Duration
	ms := left / time.Millisecond
	if left%time.Millisecond > 0 {
		ms++
	}
	return C.uint64_t(max(1, ms))
}

// free waits for a cancel that has begun.
func (c *call) free() {
	if c.stop == nil {
		return
	}
	if !c.stop() {
		<-c.done
	}
	C.gc_call_free(c.c)
}
