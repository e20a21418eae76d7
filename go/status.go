package crigc

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Status is the kind of a failure, with the library's numbers. It is an error itself, so that errors.Is(err, crigc.ErrTimeout) works.
// Treat a status that you do not know as a failure.
type Status int32

const (
	// ErrInvalidArgument: a flag or a key is unknown, a value is wrong by itself, or Clock returned a time before 1970 or after 2261.
	ErrInvalidArgument Status = 1
	// ErrConfig: values are wrong only together, such as a low threshold above the high one; or what is in a file of
	// LoadKubeletConfig is wrong; or the library has another version than
	// the package.
	ErrConfig Status = 2
	// ErrUnavailable: no runtime answers at the endpoint.
	ErrUnavailable Status = 3
	// ErrRuntime: the runtime answered with an error, or with something that is not CRI.
	ErrRuntime Status = 4
	// ErrTimeout: a deadline passed: that of the context, of the pass, or of one request.
	ErrTimeout Status = 5
	// ErrCancelled: the context was cancelled. Ended also receives it for a periodic pass that Stop ended.
	ErrCancelled Status = 6
	// ErrIO: a file or filesystem of the host cannot be read, image-records-file cannot be locked, or the process can get no more
	// descriptors or threads.
	ErrIO Status = 7
	// ErrNotEnoughFreed: all removals of images succeeded, but they freed less than image-gc-low-threshold or image-gc-min-available
	// asks for.
	ErrNotEnoughFreed Status = 8
	// ErrInternal: crigc panicked, which is a bug in crigc. Please report the error's message.
	ErrInternal Status = 9
	// ErrBusy: a pass of this kind is running (with NoWait), another engine holds image-records-file, or the engine was called from a
	// callback.
	ErrBusy Status = 10
	// ErrClosed: the engine was closed.
	ErrClosed Status = 11
	// ErrContradiction: PodStates reported more than half of the running pods as gone. Nothing was removed because its pod is gone.
	ErrContradiction Status = 12
)

var statusTexts = map[Status]string{
	ErrInvalidArgument: "invalid argument",
	ErrConfig:          "configuration that does not fit together",
	ErrUnavailable:     "no runtime answers",
	ErrRuntime:         "the runtime failed",
	ErrTimeout:         "a deadline passed",
	ErrCancelled:       "cancelled",
	ErrIO:              "files of the host cannot be read",
	ErrNotEnoughFreed:  "not enough was freed",
	ErrInternal:        "crigc panicked",
	ErrBusy:            "busy",
	ErrClosed:          "the engine is closed",
	ErrContradiction:   "the pod states contradict what runs",
}

// Error says in a few words what the status means.
func (s Status) Error() string { return "crigc: " + s.text() }

func (s Status) text() string {
	if text, known := statusTexts[s]; known {
		return text
	}
	return fmt.Sprintf("status %d", int32(s))
}

// String is the status's name in C, such as "GC_ERROR_TIMEOUT"; "GC_ERROR_UNKNOWN" for a number that the library does not
// know.
func (s Status) String() string {
	return C.GoString(C.gc_status_name(C.gc_status(s)))
}

// Error is a failure: its status and a message. errors.Is finds the Status, and, if a context ended the call, also context.Canceled or
// context.DeadlineExceeded and the context's cause.
type Error struct {
	// Status is the kind of the failure.
	Status Status
	// Message says what failed, on which object, why, and what to do about it. Names in it come from workloads; control
	// characters in them are escaped.
	Message string

	causes []error
}

// Error returns the message.
func (e *Error) Error() string { return "crigc: " + e.Message }

// Unwrap returns the status, and the errors of the context if that ended the call.
func (e *Error) Unwrap() []error {
	return append([]error{e.Status}, e.causes...)
}

// PanicError is the panic of a callback. The panic was recovered, and the library received the answer that removes nothing.
type PanicError struct {
	// Callback is the name of the field of Config.
	Callback string
	// Value is the value of the panic.
	Value any
	// Stack is the stack of the goroutine at the panic.
	Stack []byte
}

// Error returns the callback and the value, without the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("crigc: the callback %s panicked: %v", e.Callback, e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// failure copies an error of the library, and frees it. ctx is the context of the call.
func failure(ctx context.Context, status C.gc_status, err *C.gc_error) error {
	defer C.gc_error_free(err)
	return lentFailure(ctx, status, err)
}

// lentFailure copies an error of the library.
func lentFailure(ctx context.Context, status C.gc_status, err *C.gc_error) error {
	if status == C.GC_OK {
		return nil
	}
	e := &Error{Status: Status(status), Message: Status(status).text()}
	if message := C.gc_error_message(err); message != nil {
		e.Message = inGo.Replace(C.GoString(message))
	}
	if e.Status == ErrTimeout || e.Status == ErrCancelled {
		e.causes = contextCauses(ctx)
	}
	return e
}

// inGo replaces the names of the C interface in messages of the library by those of this package.
var inGo = strings.NewReplacer(
	"call without GC_NO_WAIT", "call without NoWait",
	"GC_DRY_RUN, GC_ALL_UNUSED and GC_NO_WAIT", "DryRun, AllUnused and NoWait",
	"GC_DRY_RUN, GC_ALL_UNUSED, GC_NO_WAIT and GC_POD_GONE", "DryRun, AllUnused, NoWait and PodGone",
	"stopped by gc_stop", "ended by Stop",
	"the call was cancelled by gc_call_cancel", "the context was cancelled",
	"the deadline of the call passed; give gc_call_new a longer one", "the deadline of the context passed; give it a later one",
	"gc_config_key lists", "Keys lists",
	"the host's image_fs callback gave no figures of the image filesystem; see the host, or clear the callback so that the runtime is asked",
	"Config.ImageFS gave no figures of the image filesystem; see its error, or leave it nil so that the runtime is asked",
	"by the image_fs callback", "by Config.ImageFS",
	"the connect callback has no connection; see why the host cannot connect", "Config.Connect gave no connection; see its error",
	"the connect callback", "Config.Connect",
	"(gc_config_set_connect)", "(Config.Connect)",
)

// timerDelay is far longer than the timer of a context is late.
const timerDelay = time.Second

// contextCauses returns why a context has ended; nil if it has not.
func contextCauses(ctx context.Context) []error {
	deadline, limited := ctx.Deadline()
	late := limited && !time.Now().Before(deadline)
	if late && ctx.Err() == nil {
		// Its timer is about to fire, and then it has a cause.
		select {
		case <-ctx.Done():
		case <-time.After(timerDelay):
		}
	}
	switch err := ctx.Err(); {
	case err == nil && late:
		return []error{context.DeadlineExceeded}
	case err == nil:
		return nil
	case errors.Is(err, context.Cause(ctx)):
		return []error{err}
	default:
		return []error{err, context.Cause(ctx)}
	}
}

// endedBefore returns the error of a call whose context ended before the call began; nil if it did not.
func endedBefore(ctx context.Context) error {
	causes := contextCauses(ctx)
	if causes == nil {
		return nil
	}
	status := ErrCancelled
	if errors.Is(causes[0], context.DeadlineExceeded) {
		status = ErrTimeout
	}
	return &Error{
		Status:  status,
		Message: fmt.Sprintf("the context ended before the pass began, nothing was done: %v", causes[len(causes)-1]),
		causes:  causes,
	}
}
