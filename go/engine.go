package crigc

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"sync"
	"time"
)

// Flags of a call. Bits that the library does not know are ErrInvalidArgument.
type Flags uint32

const (
	// DryRun decides and reports, and removes nothing.
	DryRun Flags = C.GC_DRY_RUN
	// AllUnused is the kubelet under disk pressure: containers and sandboxes of terminated pods go too, and all images that
	// are unused and not protected, whatever the disk.
	AllUnused Flags = C.GC_ALL_UNUSED
	// NoWait gives ErrBusy instead of waiting if a pass of the same kind is running. So it is while the periodic passes of Start only
	// look at images between two passes (image-maximum-gc-age).
	NoWait Flags = C.GC_NO_WAIT
)

// Engine is a configured collector. Its methods may be called from any number of goroutines at once; two passes of one kind
// never overlap. Between passes it has no descriptor and, unless started, no thread. It has to be closed.
type Engine struct {
	engine *C.gc_engine
	host   *host
	handle cgo.Handle
	freed  chan struct{}

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // Add with mu held and closed false, so that Close knows all of them
}

// CheckLibrary says whether the linked library has the interface that the package was built for. New checks it as well; a
// program may ask early, before it has done anything.
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

// Version is that of the linked library, such as "0.1.0".
func Version() string {
	return C.GoString(C.gc_version())
}

// New makes an engine. It needs no running runtime yet. Errors are ErrInvalidArgument for a bad key or value, or where PodStates
// and PodStatesAsOf are both set, ErrConfig for values that are wrong together or a library of another version, and ErrBusy in a
// callback.
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

// CollectContainers collects dead containers, pod sandboxes, pod logs and log links. It blocks until the pass is over, and
// waits first for a pass of this kind that runs (unless NoWait). The context's deadline and cancel end the pass soon; one
// that has ended already removes nothing.
//
// The report is not nil if the pass began, also when err is not nil. A nil error says that the pass could look and decide
// and did what it could: single removals that failed are in the report. Else the error is one of ErrUnavailable, ErrRuntime,
// ErrTimeout, ErrCancelled, ErrClosed, ErrBusy, ErrIO, ErrContradiction, ErrInvalidArgument or ErrInternal, joined with a
// PanicError for each callback that panicked.
func (e *Engine) CollectContainers(ctx context.Context, flags Flags) (*Report, error) {
	return e.collect(ctx, PassContainers, flags)
}

// CollectImages collects unused images when the image filesystem is fuller than image-gc-high-threshold, or, with AllUnused,
// whatever the disk. All else is as in CollectContainers; in addition a removal that failed fails the pass (ErrRuntime), and
// so does freeing less than wanted (ErrNotEnoughFreed). What the first look of an engine finds is not protected by
// minimum-image-ttl-duration.
func (e *Engine) CollectImages(ctx context.Context, flags Flags) (*Report, error) {
	return e.collect(ctx, PassImages, flags)
}

// Start begins periodic passes in the background, on one thread of the library for each kind: containers at once and
// container-gc-period after each pass, images likewise with image-gc-period (not at all with image-gc-high-threshold 100,
// unless image-maximum-gc-age is set; where there are no records yet, their first pass only looks). Twice is fine. Config.Ended hears how they end. Errors are ErrClosed, ErrIO (no thread to be
// had) and, in a callback, ErrBusy.
func (e *Engine) Start() error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.calls.Done()
	token := e.host.begin(context.Background())
	end := C.crigc_go_start(e.engine, C.uintptr_t(token))
	return errors.Join(failure(context.Background(), end.status, end.error), e.host.end(token))
}

// Stop cancels the periodic passes and waits for their end; Start starts them again. It does nothing in a callback, and to a
// closed engine.
func (e *Engine) Stop() {
	if e.enter() != nil {
		return
	}
	defer e.calls.Done()
	C.gc_stop(e.engine)
}

// Close ends the passes under way with ErrClosed, waits for them and all calls on other goroutines, and frees the engine.
// Later calls give ErrClosed; later Closes wait for the first and do nothing. Reports stay.
//
// In a callback, where it would wait for itself, Close waits for nothing: the engine is freed in the background. A callback
// must not wait for a Close on another goroutine.
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

// free frees the engine's resources once no call runs any more. It has a goroutine of its own, because a callback cannot wait.
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

func (e *Engine) collect(ctx context.Context, pass Pass, flags Flags) (*Report, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.calls.Done()
	if err := endedBefore(ctx); err != nil {
		return nil, err
	}
	call := newCall(ctx)
	token := e.host.begin(ctx)
	end := C.crigc_go_collect(e.engine, C.gc_pass(pass), C.uint32_t(flags), call.c, C.uintptr_t(token))
	call.free()
	defer C.gc_report_free(end.report)
	report := newReport(pass, end.report, end.error)
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
		// The library ends the call at a deadline by itself, with the status of a timeout.
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
	left := time.Until(deadline) // the longest possible, if it is longer
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
