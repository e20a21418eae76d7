package crigc

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// Config is what an engine is made from. The zero Config collects as the kubelet does with its defaults, as far as limits
// and thresholds go: nobody says then which pods are gone.
//
// The functions are callbacks, see "Callbacks" in the package documentation. New copies the Config.
type Config struct {
	// Settings are the library's keys with values as on the kubelet's command line, see Keys; what is missing has its
	// default.
	Settings map[string]string

	// PodStates says what may go of the pods with these UIDs: states[i] belongs to uids[i], and pods behind the end of a
	// shorter slice lose nothing for their own sake; a longer slice counts as not ready. ready says that all sources of pods
	// have been seen; while it is false, nothing goes for a pod's sake. Limits and thresholds apply to all pods all the same.
	// The UIDs are byte by byte what the runtime gave; one that has control characters or is no UTF-8 is not asked about, and
	// limits alone apply to its pod. They share memory, so keep a strings.Clone of one rather than the one. Asked a few times
	// a pass, also about none: uids may be empty.
	//
	// nil: nothing goes for a pod's sake, only limits and thresholds apply.
	PodStates func(uids []string) (states []PodState, ready bool)

	// PodStatesAsOf is PodStates for a host whose picture of its pods is of the past, such as a list that it gets now and
	// then: asOf is when the picture was true, which is the time before the list was asked for, by the clock of the node. A pod
	// of which a container or sandbox was created, or something in its log directory changed, after that moment then loses
	// nothing for its own sake in this pass (ReasonNewerThanAnswer), because the picture may not know it yet. The zero Time
	// says that the picture is of now, as with PodStates; a time to come, or one before 1970, counts as not ready. Set one of
	// the two.
	PodStatesAsOf func(uids []string) (states []PodState, asOf time.Time, ready bool)

	// Approve has the last word on each removal: only true removes. Its Entry tells in Reason why the object is to go; the
	// Outcome is Kept, because nothing has happened yet. Not asked in a dry run. nil: all is approved.
	Approve func(planned *Entry) bool

	// ImageFS tells how full the image filesystem is; an error fails the pass with ErrIO, and is found in its error. nil:
	// the runtime is asked where it is, and the kernel how full.
	ImageFS func() (FSUsage, error)

	// Event hears of events, all of the Kubernetes type Warning. Reasons are ContainerGCFailed, ImageGCFailed,
	// FreeDiskSpaceFailed, InvalidDiskCapacity and PodStatesContradicted.
	Event func(reason, message string)

	// Progress hears how far the removals of one kind are. done counts those that ended, removed or failed; total is that and what may
	// still go: it becomes less where objects stay after all. It hears nothing in a dry run, and nothing after a cancel, Close or a deadline.
	Progress func(kind Kind, done, total int)

	// Ended hears that a pass has ended, a periodic one or one that was called. The report is never nil, and is Ended's to
	// keep; err is nil if all went well. Not called for a call whose pass never began.
	Ended func(pass Pass, report *Report, err error)

	// Logger gets what the library has to say, at the levels that are enabled in it when New is called. nil: nothing is
	// logged but panics of callbacks, which go to slog.Default().
	Logger *slog.Logger

	// Clock is the wall clock. A time before 1970 or after 2262 fails the pass. nil: the system's.
	Clock func() time.Time
}

// PodState says in bits what may go of a pod; bits that the library does not know are ignored.
type PodState uint32

const (
	// Keep: the pod keeps what it has, as far as limits allow.
	Keep PodState = 0
	// ContentRemovable: everything that the pod left behind may go. It was evicted, or deleted and terminated, or the host,
	// which knows all its pods, does not know this UID.
	ContentRemovable PodState = C.GC_POD_CONTENT_REMOVABLE
	// RuntimeRemovable: its containers and sandboxes may go, because it has terminated, though the pod may still exist.
	// Counts with AllUnused.
	RuntimeRemovable PodState = C.GC_POD_RUNTIME_REMOVABLE
)

// FSUsage is how full a filesystem is.
type FSUsage struct {
	// Capacity is its size in bytes.
	Capacity uint64
	// Available counts the bytes that are available to users without privileges.
	Available uint64
	// Inodes is how many there are; 0 = unknown.
	Inodes uint64
	// InodesFree is how many of them are free.
	InodesFree uint64
}

// Key is a key of Config.Settings.
type Key struct {
	// Name is that of the kubelet's flag, where the kubelet has one.
	Name string
	// Help says what it does, which values it takes, and its default.
	Help string
	// Default is the value that it has when nothing is set; it may be "".
	Default string
}

// Keys lists all keys of Config.Settings, as the linked library knows them. In a callback it does not know the defaults.
func Keys() []Key {
	config := C.gc_config_new()
	defer C.gc_config_free(config)
	var keys []Key
	for i := C.size_t(0); ; i++ {
		name := C.gc_config_key(i)
		if name == nil {
			return keys
		}
		value := C.gc_config_get(config, name, nil)
		keys = append(keys, Key{
			Name:    C.GoString(name),
			Help:    C.GoString(C.gc_config_key_help(name)),
			Default: C.GoString(value),
		})
		C.gc_string_free(value)
	}
}

// AddFlags defines a flag for each of Keys, with the key's name. The library checks a flag that is given at once, and it is set in
// c.Settings; other flags do not change them. New reports values that are wrong only together.
func (c *Config) AddFlags(set *flag.FlagSet) {
	for _, key := range Keys() {
		// The flag package adds the default itself, and uses the words in back quotes as the name of the value.
		usage := strings.TrimSuffix(key.Help, " Default: `"+key.Default+"`.")
		set.Var(&setting{c, key}, key.Name, strings.ReplaceAll(usage, "`", "'"))
	}
}

// setting is a key as a flag.
type setting struct {
	config *Config
	key    Key
}

// String is the value that was set, or the default. The flag package calls it on a zero setting, too.
func (s *setting) String() string {
	if s.config != nil {
		if value, set := s.config.Settings[s.key.Name]; set {
			return value
		}
	}
	return s.key.Default
}

// Set checks a value and keeps it.
func (s *setting) Set(value string) error {
	config := C.gc_config_new()
	defer C.gc_config_free(config)
	if err := set(config, s.key.Name, value); err != nil {
		return err
	}
	if s.config.Settings == nil {
		s.config.Settings = map[string]string{}
	}
	s.config.Settings[s.key.Name] = value
	return nil
}

// IsBoolFlag allows a flag of a yes-or-no key without a value.
func (s *setting) IsBoolFlag() bool {
	return s.key.Default == "true" || s.key.Default == "false"
}

// set gives the library one key.
func set(config *C.gc_config, key, value string) error {
	// C would end the string there, and the rest would be lost.
	if strings.ContainsRune(key, 0) || strings.ContainsRune(value, 0) {
		return &Error{Status: ErrInvalidArgument, Message: fmt.Sprintf("there is a NUL in the setting %q=%q", key, value)}
	}
	k, v := C.CString(key), C.CString(value)
	defer C.free(unsafe.Pointer(k))
	defer C.free(unsafe.Pointer(v))
	var err *C.gc_error
	status := C.gc_config_set(config, k, v, &err)
	return failure(context.Background(), status, err)
}

// setAll gives the library all settings, in the order of their names so that the same mistake gives the same error.
func setAll(config *C.gc_config, settings map[string]string) error {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := set(config, name, settings[name]); err != nil {
			return err
		}
	}
	return nil
}

var logLevels = map[C.gc_log_level]slog.Level{
	C.GC_LOG_ERROR: slog.LevelError,
	C.GC_LOG_WARN:  slog.LevelWarn,
	C.GC_LOG_INFO:  slog.LevelInfo,
	C.GC_LOG_DEBUG: slog.LevelDebug,
}

// logUpTo is the lowest level that is enabled in a logger; false if none is.
func logUpTo(logger *slog.Logger) (C.gc_log_level, bool) {
	if logger == nil {
		return 0, false
	}
	for level := C.gc_log_level(C.GC_LOG_DEBUG); level >= C.GC_LOG_ERROR; level-- {
		if logger.Enabled(context.Background(), logLevels[level]) {
			return level, true
		}
	}
	return 0, false
}

// callbacks are the callbacks that are set, as bits, and the log level.
func (c *Config) callbacks() (bits C.uint32_t, upTo C.gc_log_level) {
	upTo, logs := logUpTo(c.Logger)
	for bit, isSet := range map[C.uint32_t]bool{
		C.CRIGC_GO_POD_STATES: c.PodStates != nil || c.PodStatesAsOf != nil,
		C.CRIGC_GO_APPROVE:    c.Approve != nil,
		C.CRIGC_GO_IMAGE_FS:   c.ImageFS != nil,
		C.CRIGC_GO_LOG:        logs,
		C.CRIGC_GO_EVENT:      c.Event != nil,
		C.CRIGC_GO_PROGRESS:   c.Progress != nil,
		C.CRIGC_GO_ENDED:      c.Ended != nil,
		C.CRIGC_GO_CLOCK:      c.Clock != nil,
	} {
		if isSet {
			bits |= bit
		}
	}
	return bits, upTo
}
