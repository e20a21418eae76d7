package crigc

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/cgo"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// host has the data of the callbacks of one engine. The library refers to it by a cgo.Handle.
type host struct {
	config Config

	mu     sync.Mutex
	last   uintptr
	passes map[uintptr]*running
	panics limiter
}

// running is a pass under way, by its token: a small number for one that Go called, an address for a periodic one.
type running struct {
	ctx   context.Context
	notes notes
}

func newHost(config Config) *host {
	return &host{config: config, passes: map[uintptr]*running{}}
}

func hostOf(handle C.uintptr_t) *host {
	return cgo.Handle(handle).Value().(*host)
}

// begin makes a token for a call; end frees it.
func (h *host) begin(ctx context.Context) uintptr {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.passes[h.last] = &running{ctx: ctx}
	return h.last
}

// end returns the errors that were noted in the call.
func (h *host) end(token uintptr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	notes := h.passes[token].notes
	delete(h.passes, token)
	return notes.err()
}

// periodic says whether a token is that of a thread of the library.
func (h *host) periodic(token uintptr) bool { return token > h.last }

// note keeps a failure of a callback for the error of its pass; false if nothing will return that error.
func (h *host) note(token uintptr, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	pass := h.passes[token]
	if pass == nil {
		if h.config.Ended == nil {
			return false
		}
		pass = &running{ctx: context.Background()}
		h.passes[token] = pass
	}
	pass.notes.add(err)
	return true
}

// noteCalled is note for a pass that Go called; for a periodic pass it does nothing.
func (h *host) noteCalled(token uintptr, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pass := h.passes[token]; pass != nil && !h.periodic(token) {
		pass.notes.add(err)
	}
}

// ended returns the context of a pass that ends, and the errors that were noted so far. It forgets a periodic pass.
func (h *host) ended(token uintptr) (context.Context, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	pass := h.passes[token]
	if pass == nil {
		return context.Background(), nil
	}
	if h.periodic(token) {
		delete(h.passes, token)
	}
	return pass.ctx, pass.notes.err()
}

// notes are failures of callbacks in one pass. A callback may fail for each object, so only the first few are kept.
type notes struct {
	first []error
	more  int
}

func (n *notes) add(err error) {
	if len(n.first) < 8 {
		n.first = append(n.first, err)
		return
	}
	n.more++
}

func (n *notes) err() error {
	err := errors.Join(n.first...)
	if n.more > 0 {
		err = errors.Join(err, fmt.Errorf("crigc: callbacks failed %d times more in this pass", n.more))
	}
	return err
}

// guard recovers a panic of a callback; to be deferred. The callback's answer is then the zero value, which removes nothing.
func (h *host) guard(token C.uintptr_t, callback string) {
	if value := recover(); value != nil {
		h.panicked(callback, value, func(err error) { h.note(uintptr(token), err) })
	}
}

// guardAfter is guard for callbacks that a periodic pass calls after it has reported its end: nothing returns their errors, and they do
// not belong to the next pass.
func (h *host) guardAfter(token C.uintptr_t, callback string) {
	if value := recover(); value != nil {
		h.panicked(callback, value, func(err error) { h.noteCalled(uintptr(token), err) })
	}
}

// panicked notes a panic, and logs it with its stack, unless many were logged lately: a callback may panic for each object.
func (h *host) panicked(callback string, value any, note func(error)) {
	err := &PanicError{Callback: callback, Value: value, Stack: debug.Stack()}
	note(err)
	h.mu.Lock()
	allowed, missed := h.panics.allow(time.Now())
	h.mu.Unlock()
	if missed > 0 {
		h.tell(fmt.Sprintf("crigc: callbacks panicked %d times more, which was not logged", missed))
	}
	if allowed {
		h.tell(err.Error(), slog.String("stack", string(err.Stack)))
	}
}

// limiter allows a few log messages a minute.
type limiter struct {
	since         time.Time
	passed, stood int
}

// allow returns whether one more may pass, and how many were stopped in a minute that is over.
func (l *limiter) allow(now time.Time) (allowed bool, stopped int) {
	if now.Sub(l.since) >= time.Minute {
		stopped = l.stood
		*l = limiter{since: now}
	}
	if l.passed == 8 {
		l.stood++
		return false, 0
	}
	l.passed++
	return true, stopped
}

// tell logs at error level. The panic may have been in the logger.
func (h *host) tell(message string, attributes ...slog.Attr) {
	defer func() { _ = recover() }()
	logger := h.config.Logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), slog.LevelError, message, attributes...)
}

//export crigcGoPodStates
func crigcGoPodStates(handle, token C.uintptr_t, uids **C.char, states *C.gc_pod_state, count, bytes C.size_t, asOf *C.int64_t) (answer C.int32_t) {
	h := hostOf(handle)
	defer h.guard(token, h.podStatesName())
	given, moment, ready := h.podStates(uidStrings(uids, int(count), int(bytes)))
	*asOf = C.int64_t(asOfNanoseconds(moment))
	if len(given) > int(count) {
		err := fmt.Errorf("crigc: %s gave %d states for %d pods; none of them counts", h.podStatesName(), len(given), int(count))
		h.noteOrTell(token, err)
		return 0
	}
	answers := unsafe.Slice(states, int(count))
	for i, state := range given {
		answers[i] = C.gc_pod_state(state)
	}
	return yes(ready)
}

// podStatesName returns which of the two callbacks is set.
func (h *host) podStatesName() string {
	if h.config.PodStatesAsOf != nil {
		return "PodStatesAsOf"
	}
	return "PodStates"
}

// podStates asks the callback that is set.
func (h *host) podStates(uids []string) (states []PodState, asOf time.Time, ready bool) {
	if h.config.PodStatesAsOf != nil {
		return h.config.PodStatesAsOf(uids)
	}
	states, ready = h.config.PodStates(uids)
	return states, time.Time{}, ready
}

// asOfNanoseconds returns nanoseconds since the epoch: 0 for the zero Time, a negative number if they do not fit.
func asOfNanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if ns := nanoseconds(t); ns > 0 {
		return ns
	}
	return -1
}

// uidStrings copies UIDs into strings that share one allocation.
func uidStrings(uids **C.char, count, bytes int) []string {
	text := make([]byte, bytes)
	lengths := make([]C.uint32_t, count)
	C.crigc_go_copy_uids(uids, C.size_t(count), (*C.char)(unsafe.Pointer(unsafe.SliceData(text))), unsafe.SliceData(lengths))
	all := arena(text)
	out := make([]string, count)
	for i, length := range lengths {
		out[i] = all.take(length)
	}
	return out
}

//export crigcGoApprove
func crigcGoApprove(handle, token C.uintptr_t, planned *C.gc_entry) (answer C.int32_t) {
	h := hostOf(handle)
	defer h.guard(token, "Approve")
	return yes(h.config.Approve(newEntry(planned)))
}

//export crigcGoImageFS
func crigcGoImageFS(handle, token C.uintptr_t, usage *C.gc_fs_usage) (answer C.int32_t) {
	h := hostOf(handle)
	defer h.guard(token, "ImageFS")
	figures, err := h.config.ImageFS()
	if err != nil {
		h.noteOrTell(token, fmt.Errorf("crigc: ImageFS: %w", err))
		return 0
	}
	usage.capacity = C.uint64_t(figures.Capacity)
	usage.available = C.uint64_t(figures.Available)
	usage.inodes = C.uint64_t(figures.Inodes)
	usage.inodes_free = C.uint64_t(figures.InodesFree)
	return 1
}

// noteOrTell notes a failure for the error of its pass, or else logs it.
func (h *host) noteOrTell(token C.uintptr_t, err error) {
	if !h.note(uintptr(token), err) {
		h.tell(err.Error())
	}
}

//export crigcGoLog
func crigcGoLog(handle, token C.uintptr_t, level C.gc_log_level, message *C.char) {
	h := hostOf(handle)
	defer h.guard(token, "Logger")
	mapped, known := logLevels[level]
	if !known {
		mapped = slog.LevelDebug
	}
	h.config.Logger.Log(context.Background(), mapped, inGo.Replace(C.GoString(message)))
}

//export crigcGoEvent
func crigcGoEvent(handle, token C.uintptr_t, reason, message *C.char) {
	h := hostOf(handle)
	event := C.GoString(reason)
	if event == "ContainerGCFailed" || event == "ImageGCFailed" {
		defer h.guardAfter(token, "Event")
	} else {
		defer h.guard(token, "Event")
	}
	h.config.Event(event, inGo.Replace(C.GoString(message)))
}

//export crigcGoProgress
func crigcGoProgress(handle, token C.uintptr_t, kind C.gc_kind, done, total C.size_t) {
	h := hostOf(handle)
	defer h.guard(token, "Progress")
	h.config.Progress(Kind(kind), int(done), int(total))
}

//export crigcGoEnded
func crigcGoEnded(handle, token C.uintptr_t, pass C.gc_pass, status C.gc_status, report *C.gc_report, failed *C.gc_error) {
	h := hostOf(handle)
	defer h.guardAfter(token, "Ended")
	ctx, noted := h.ended(uintptr(token))
	err := errors.Join(lentFailure(ctx, status, failed), noted)
	h.config.Ended(Pass(pass), newReport(Pass(pass), report, failed, h.config.Explain), err)
}

//export crigcGoClock
func crigcGoClock(handle, token C.uintptr_t) (ns C.int64_t) {
	h := hostOf(handle)
	defer h.guard(token, "Clock")
	return C.int64_t(nanoseconds(h.config.Clock()))
}

//export crigcGoConnect
func crigcGoConnect(handle, token C.uintptr_t, service C.gc_service) (answer C.int) {
	h := hostOf(handle)
	answer = -1 // also after a panic
	defer h.guard(token, "Connect")
	connection, err := h.config.Connect(Service(service))
	if err == nil {
		answer, err = descriptorOf(connection)
	}
	if err != nil {
		h.noteOrTell(token, fmt.Errorf("crigc: Connect: %w", err))
	}
	return answer
}

// descriptorOf returns a descriptor of a connection that Go no longer knows, and closes the connection; -1 and an error if there is none.
func descriptorOf(connection io.ReadWriteCloser) (C.int, error) {
	if connection == nil {
		return -1, errors.New("it returned neither a connection nor an error")
	}
	defer func() { _ = connection.Close() }() // the library has its own by then
	socket, ok := connection.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no descriptor; return what net.Dial returns, or an *os.File", connection)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1, err
	}
	duplicate := C.int(-1)
	var failed error
	if err := raw.Control(func(descriptor uintptr) { duplicate, failed = C.crigc_go_duplicate(C.int(descriptor)) }); err != nil {
		return -1, err
	}
	if duplicate < 0 {
		return -1, failed
	}
	return duplicate, nil
}

// nanoseconds returns nanoseconds since the epoch; 0, which the library refuses, if they do not fit.
func nanoseconds(t time.Time) int64 {
	if t.Year() < 1970 || t.Year() >= 2262 {
		return 0
	}
	return t.UnixNano()
}

func yes(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}
