package crigc

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// Pass is the kind of a pass. Later versions may add kinds.
type Pass int32

const (
	// PassContainers: dead containers, sandboxes, pod logs and log links.
	PassContainers Pass = C.GC_PASS_CONTAINERS
	// PassImages: unused images.
	PassImages Pass = C.GC_PASS_IMAGES
	// PassPod: the dead containers, sandboxes and logs of one pod.
	PassPod Pass = C.GC_PASS_POD
)

// String is the word of the JSON form.
func (p Pass) String() string { return word("pass", int32(p), "containers", "images", "pod") }

// Kind is the kind of an object. Later versions may add kinds.
type Kind int32

const (
	// AnyKind stands for all kinds in Report.Count.
	AnyKind Kind = C.GC_ANY_KIND
	// Container is a container.
	Container Kind = C.GC_CONTAINER
	// Sandbox is a pod sandbox.
	Sandbox Kind = C.GC_SANDBOX
	// PodLogs is the logs of a pod: an entry of pod-logs-dir.
	PodLogs Kind = C.GC_POD_LOGS
	// LogLink is a link to a container's log: an entry of container-logs-dir.
	LogLink Kind = C.GC_LOG_LINK
	// Image is an image.
	Image Kind = C.GC_IMAGE
)

// kinds in the order of their numbers, which is that of the JSON form.
var kinds = []string{"container", "sandbox", "pod-logs", "log-link", "image"}

// String is the word of the JSON form.
func (k Kind) String() string { return word("kind", int32(k), kinds...) }

// Outcome is what happened to an object. Later versions may add outcomes; treat one that you do not know as Kept.
type Outcome int32

const (
	// AnyOutcome stands for all outcomes in Report.Count.
	AnyOutcome Outcome = C.GC_ANY_OUTCOME
	// Kept: it was kept; the reason says why.
	Kept Outcome = C.GC_KEPT
	// Removed: it was removed; in a dry run: it would be removed.
	Removed Outcome = C.GC_REMOVED
	// Failed: its removal failed; Error says why it failed, Reason why it was to be removed.
	Failed Outcome = C.GC_FAILED
	// Refused: it was kept because Config.Approve returned false.
	Refused Outcome = C.GC_REFUSED
)

// String is the word of the JSON form.
func (o Outcome) String() string {
	return word("outcome", int32(o), "kept", "removed", "failed", "refused")
}

// word is the name of a number.
func word(what string, number int32, words ...string) string {
	if number >= 0 && int(number) < len(words) {
		return words[number]
	}
	return fmt.Sprintf("%s-%d", what, number)
}

// Entry is one object that a pass decided on. Names come from workloads, and may be printed: in them U+FFFD stands for bytes that were
// not UTF-8, \n or \u{7f} for control characters, and two backslashes for one.
type Entry struct {
	// Kind is the kind of the object.
	Kind Kind
	// Outcome is what happened to it.
	Outcome Outcome
	// ID is the ID of a container, sandbox or image, or the path of logs or a link.
	ID string
	// Name is namespace/pod/container, namespace/pod, or the image's first tag; "" if none.
	Name string
	// PodUID is the UID of its pod; "" if none.
	PodUID string
	// Reason says why it was removed, was to be removed, or was kept.
	Reason Reason
	// Error says what failed; "" unless the outcome is Failed or Refused.
	Error string
	// Bytes is the size of an image, as the runtime reports it; 0 for other kinds.
	Bytes uint64
	// Explanation says for people what happened to the object and why, with the values that were compared, such as "Kept: it is
	// younger than its minimum age. It was created 35s ago; minimum-container-ttl-duration is 1m0s." It is "" unless Config.Explain
	// is set. Its words may change with each version; it is not in the JSON form.
	Explanation string
}

// Pace is how the runtime's calls that remove objects of one kind ran in a pass.
type Pace struct {
	// InFlightMean is how many were in flight, on average over the time while there was at least one.
	InFlightMean float64
	// InFlightMost is the most that were in flight at once.
	InFlightMost int
	// Rest is for how long nothing was begun because removals had become slow.
	Rest time.Duration
}

// Report is what a pass decided and did. It is plain Go memory, and outlives its engine. The strings of its entries share one
// allocation: to keep one, keep a strings.Clone of it.
type Report struct {
	// Pass is the kind of the pass.
	Pass Pass
	// Status is how the pass ended; 0 if it did not fail.
	Status Status
	// Error is the library's message if the pass failed, else "".
	Error string
	// DryRun: Removed means "would be removed".
	DryRun bool
	// Started is when the pass began, by the engine's clock; the zero time if the pass failed because of its clock.
	Started time.Time
	// Took is how long the pass took.
	Took time.Duration
	// BytesFreed is how many bytes the removed images had (in a dry run: those that would be removed), as the runtime reports them.
	BytesFreed uint64
	// FSBefore is how full the image filesystem was when an image pass first read it; nil if the pass did not read it.
	FSBefore *FSUsage
	// FSAfter is the same when the pass last read it, after its removals.
	FSAfter *FSUsage
	// Pace has each kind of which the runtime was called to remove an object.
	Pace map[Kind]Pace
	// Entries has one entry for each object, in the order of the decisions.
	Entries []Entry
}

// Text is a sentence for people about the reason, such as "kept: it is the newest sandbox of its pod"; "unknown" for a word that the
// library does not know.
func (r Reason) Text() string {
	word := C.CString(string(r))
	defer C.free(unsafe.Pointer(word))
	return C.GoString(C.gc_reason_text(word))
}

// Count returns how many objects have this kind (or AnyKind) and this outcome (or AnyOutcome).
func (r *Report) Count(kind Kind, outcome Outcome) int {
	count := 0
	for i := range r.Entries {
		entry := &r.Entries[i]
		if (kind == AnyKind || entry.Kind == kind) && (outcome == AnyOutcome || entry.Outcome == outcome) {
			count++
		}
	}
	return count
}

// newReport copies a report, with a number of allocations that does not depend on its entries; nil for NULL. err is the
// error of the pass, if it failed. explains asks for the explanations as well, which are an allocation for each entry.
func newReport(pass Pass, report *C.gc_report, err *C.gc_error, explains bool) *Report {
	if report == nil {
		return nil
	}
	r := &Report{
		Pass:       pass,
		Status:     Status(C.gc_report_status(report)),
		FSBefore:   newFSUsage(C.gc_report_fs_before(report)),
		FSAfter:    newFSUsage(C.gc_report_fs_after(report)),
		Pace:       newPace(report),
		DryRun:     C.gc_report_dry_run(report) == 1,
		Took:       seconds(C.gc_report_seconds(report)),
		BytesFreed: uint64(C.gc_report_bytes_freed(report)),
	}
	if ns := C.gc_report_started(report); ns != 0 {
		r.Started = time.Unix(0, int64(ns))
	}
	if message := C.gc_error_message(err); message != nil {
		r.Error = C.GoString(message)
	}
	sizes := C.crigc_go_report_sizes(report)
	rows := make([]C.struct_crigc_go_row, sizes.entries)
	text, words := make([]byte, sizes.text), make([]byte, sizes.words)
	C.crigc_go_report_fill(report, unsafe.SliceData(rows), sizes.entries, bytesOf(text), bytesOf(words))
	r.Entries = entries(rows, text, words)
	if explains {
		r.explain(report)
	}
	return r
}

// explain fills the explanations of a report's copy.
func (r *Report) explain(report *C.gc_report) {
	for i := range r.Entries {
		text := C.gc_report_explain(report, C.size_t(i))
		r.Entries[i].Explanation = C.GoString(text)
		C.gc_string_free(text)
	}
}

// newFSUsage copies figures; nil for NULL.
func newFSUsage(usage *C.gc_fs_usage) *FSUsage {
	if usage == nil {
		return nil
	}
	return &FSUsage{
		Capacity:   uint64(usage.capacity),
		Available:  uint64(usage.available),
		Inodes:     uint64(usage.inodes),
		InodesFree: uint64(usage.inodes_free),
	}
}

// newPace copies the figures of all kinds.
func newPace(report *C.gc_report) map[Kind]Pace {
	paces := map[Kind]Pace{}
	for kind := range kinds {
		if pace := C.gc_report_pace(report, C.gc_kind(kind)); pace != nil {
			paces[Kind(kind)] = Pace{
				InFlightMean: float64(pace.in_flight_mean),
				InFlightMost: int(pace.in_flight_most),
				Rest:         seconds(pace.rest_seconds),
			}
		}
	}
	return paces
}

// seconds is a time that the library gives in seconds.
func seconds(of C.double) time.Duration {
	return time.Duration(math.Round(float64(of) * float64(time.Second)))
}

// newEntry copies one entry.
func newEntry(entry *C.gc_entry) *Entry {
	sizes := C.crigc_go_entry_sizes(entry)
	rows := make([]C.struct_crigc_go_row, 1)
	text, words := make([]byte, sizes.text), make([]byte, sizes.words)
	C.crigc_go_entry_fill(entry, unsafe.SliceData(rows), bytesOf(text), bytesOf(words))
	return &entries(rows, text, words)[0]
}

func bytesOf(b []byte) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(b)))
}

// arena is a text from which strings are cut off at the beginning.
type arena []byte

// take cuts off a string. It shares the memory, which is not written to any more.
func (a *arena) take(length C.uint32_t) string {
	s := unsafe.String(unsafe.SliceData(*a), int(length))
	*a = (*a)[length:]
	return s
}

// entries turns rows into entries whose strings are in text; words are the reasons, which are known or few.
func entries(rows []C.struct_crigc_go_row, text, words arena) []Entry {
	out := make([]Entry, len(rows))
	unknown := map[string]Reason{}
	for i := range rows {
		row := &rows[i]
		out[i] = Entry{
			Kind:    Kind(row.kind),
			Outcome: Outcome(row.outcome),
			ID:      text.take(row.text[0]),
			Name:    text.take(row.text[1]),
			PodUID:  text.take(row.text[2]),
			Error:   text.take(row.text[3]),
			Reason:  intern(words.take(row.word), unknown),
			Bytes:   uint64(row.bytes),
		}
	}
	return out
}

// intern returns the constant of a word, so that the report does not hold the memory of words. A word that the package does not know is
// copied once.
func intern(word string, unknown map[string]Reason) Reason {
	if reason, known := reasons[word]; known {
		return reason
	}
	reason, seen := unknown[word]
	if !seen {
		reason = Reason(strings.Clone(word))
		unknown[string(reason)] = reason
	}
	return reason
}

// JSON returns the report in the library's JSON form (see gc_report_json in crigc.h). Each call makes it from the entries: the library's
// own report would be memory that Go's collector does not see.
func (r *Report) JSON() string {
	size := 512
	for i := range r.Entries {
		e := &r.Entries[i]
		size += len(e.ID) + len(e.Name) + len(e.PodUID) + len(e.Error) + 160 // the JSON around them, and the reason
	}
	b := make([]byte, 0, size)
	b = r.appendHead(b)
	for _, outcome := range []Outcome{Removed, Kept, Failed, Refused} {
		b = r.appendCounts(b, outcome)
	}
	b = append(b, `,"bytes_freed":`...)
	b = strconv.AppendUint(b, r.BytesFreed, 10)
	b = append(r.appendPace(r.appendFS(b)), `,"entries":[`...)
	for i := range r.Entries {
		b = r.Entries[i].appendJSON(comma(b, i))
	}
	b = append(b, "]}"...)
	return unsafe.String(unsafe.SliceData(b), len(b)) // it is not written to any more
}

// appendHead appends the fields before the counts. The seconds are the library's number, but may be written in another way (1e-05 for
// 1e-5); so it is with those of the pace.
func (r *Report) appendHead(b []byte) []byte {
	b = fmt.Appendf(b, `{"pass":%q,"status":%q,"error":`, r.Pass, r.Status.String())
	return fmt.Appendf(appendError(b, r.Error), `,"dry_run":%v,"started":%q,"seconds":%v`,
		r.DryRun, r.Started.UTC().Format("2006-01-02T15:04:05.000Z"), r.Took.Seconds())
}

// appendCounts appends how many objects of each kind have an outcome.
func (r *Report) appendCounts(b []byte, outcome Outcome) []byte {
	b = fmt.Appendf(b, `,%q:{`, outcome)
	for kind, name := range kinds {
		b = append(strconv.AppendQuote(comma(b, kind), name), ':')
		b = strconv.AppendInt(b, int64(r.Count(Kind(kind), outcome)), 10)
	}
	return append(b, '}')
}

// appendFS appends the figures of the image filesystem.
func (r *Report) appendFS(b []byte) []byte {
	if r.FSBefore == nil || r.FSAfter == nil {
		return append(b, `,"fs":null`...)
	}
	b = fmt.Appendf(b, `,"fs":{"capacity":%d,"available_before":%d,"available_after":%d`,
		r.FSAfter.Capacity, r.FSBefore.Available, r.FSAfter.Available)
	return fmt.Appendf(b, `,"inodes":%d,"inodes_free_before":%d,"inodes_free_after":%d}`,
		r.FSAfter.Inodes, r.FSBefore.InodesFree, r.FSAfter.InodesFree)
}

// appendPace appends how removals ran.
func (r *Report) appendPace(b []byte) []byte {
	b = append(b, `,"pace":{`...)
	written := 0
	for kind, name := range kinds {
		if pace, known := r.Pace[Kind(kind)]; known {
			b = fmt.Appendf(comma(b, written), `%q:{"in_flight_mean":%v,"in_flight_most":%d,"rest_seconds":%v}`,
				name, pace.InFlightMean, pace.InFlightMost, pace.Rest.Seconds())
			written++
		}
	}
	return append(b, '}')
}

// MarshalJSON returns the same as JSON.
func (r *Report) MarshalJSON() ([]byte, error) {
	return []byte(r.JSON()), nil
}

// MarshalJSON returns the form that an entry has in the JSON of a report.
func (e Entry) MarshalJSON() ([]byte, error) {
	return e.appendJSON(nil), nil
}

func (e *Entry) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"kind":`...), e.Kind.String())
	b = appendText(append(b, `,"outcome":`...), e.Outcome.String())
	b = appendText(append(b, `,"id":`...), e.ID)
	b = appendText(append(b, `,"name":`...), e.Name)
	b = appendText(append(b, `,"pod_uid":`...), e.PodUID)
	b = appendText(append(b, `,"reason":`...), string(e.Reason))
	b = appendError(append(b, `,"error":`...), e.Error)
	b = strconv.AppendUint(append(b, `,"bytes":`...), e.Bytes, 10)
	return append(b, '}')
}

// appendError appends an error; "" becomes null.
func appendError(b []byte, text string) []byte {
	if text == "" {
		return append(b, "null"...)
	}
	return appendText(b, text)
}

// comma appends a comma before every element except the first.
func comma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

// appendText appends a JSON string. The library's strings are UTF-8 without control characters; other strings may hold some.
func appendText(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
