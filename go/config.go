package crigc

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime/cgo"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// Config has the settings and callbacks of an engine. The zero Config has the kubelet's defaults. Without PodStates crigc does not
// know which pods are gone, and only limits and thresholds apply.
//
// The functions are callbacks, see "Callbacks" in the package documentation. New copies the Config.
type Config struct {
	// Settings are keys of the library with values as on the kubelet's command line, see Keys. A key that is not in the map has its
	// default.
	Settings map[string]string

	// PodStates reports which pods may be collected: states[i] belongs to uids[i]. If states is shorter than uids, the other pods
	// are kept; if it is longer, the answer counts as not ready. Return ready = true once the host has seen every pod source. While it
	// is false, no object is removed because its pod is gone; limits and thresholds still apply.
	//
	// A UID has the bytes that the runtime gave. A pass never asks about a UID that holds control characters or is not UTF-8: only
	// limits apply to such a pod. The UIDs share memory: to keep one, keep a strings.Clone of it. A pass asks a few times, and uids
	// may be empty.
	//
	// nil: no object is removed because its pod is gone, only limits and thresholds apply.
	PodStates func(uids []string) (states []PodState, ready bool)

	// PodStatesAsOf is PodStates for a host whose answer describes the past, such as a list of pods that it requests now and then.
	// asOf is the moment that the answer describes: the node's wall clock before the list was requested. A pod counts as existing in
	// this pass (ReasonNewerThanAnswer) if one of its containers or sandboxes was created, or something in its log directory
	// changed, after that moment: the answer may not know this pod yet. The zero Time means that the answer describes this moment,
	// as with PodStates. A time in the future, or before 1970, counts as not ready. Set only one of the two.
	PodStatesAsOf func(uids []string) (states []PodState, asOf time.Time, ready bool)

	// Approve approves the removal of one object: true removes it, false keeps it. A pass calls it right before the removal, and
	// never in a dry run. Reason says why the object is to be removed; Outcome is Kept, because nothing has happened yet. nil: every
	// removal is approved.
	Approve func(planned *Entry) bool

	// ImageFS reports how full the image filesystem is. If it returns an error, the pass fails with ErrIO joined with that error; a
	// pass with AllUnused continues, because it only reports the figures. nil: the runtime is asked where that filesystem is, and the
	// kernel how full it is.
	ImageFS func() (FSUsage, error)

	// Event receives events, always of the Kubernetes type Warning. Every pass may send FreeDiskSpaceFailed, InvalidDiskCapacity,
	// PodStatesContradicted and, if max-pod-share is set, PodShareExceeded. A periodic pass that fails also sends ContainerGCFailed,
	// or, from the second failure in a row on, ImageGCFailed. A dry run sends no events.
	Event func(reason, message string)

	// Progress receives the progress of the removals of one kind. done counts the removals that ended, removed or failed. total is done
	// plus the objects that may still be removed; it shrinks when a planned object is kept, and grows when the pass finds more to
	// remove, so do not wait for done == total. It is not called in a dry run, nor after a
	// cancel, Close or a deadline.
	Progress func(kind Kind, done, total int)

	// Ended receives the end of a pass, periodic or called. report is never nil, and Ended may keep it; err is nil if the pass did not
	// fail. It is not called if the pass never began.
	Ended func(pass Pass, report *Report, err error)

	// Explain fills the Explanation of each entry in a report, which takes the time and the memory of a sentence or two for each object.
	Explain bool

	// Logger receives the log of the library, at the levels that are enabled when New is called. nil: only panics of callbacks are
	// logged, to slog.Default().
	Logger *slog.Logger

	// Clock returns the wall clock. With a time before 1970 or after 2261 the pass fails. nil: passes read the system's clock.
	Clock func() time.Time

	// Connect connects to a service of the runtime, such as one in a virtual machine: return what net.Dial returns for "unix" or
	// "tcp", a connection of a package for vsock, or an *os.File of a connected stream socket. It has to have a method SyscallConn,
	// so that it may not be something on top of a socket, such as a *tls.Conn. The library owns the connection from then on, also if
	// it cannot use it, and closes it at the end of the pass: return a new one each time.
	//
	// A container pass makes one connection, an image pass one for each service, also if both are at one endpoint. If a connection
	// breaks, the pass asks for another one. If Connect returns an error, the pass fails with ErrUnavailable joined with that error; a
	// connection beside an error stays yours.
	// While Connect runs, neither a deadline nor a cancel ends the pass, so give the dial a deadline of its own.
	//
	// With Connect the settings container-runtime-endpoint and image-service-endpoint are only names, and may be any text. nil: crigc
	// connects to the unix sockets that they name.
	Connect func(service Service) (io.ReadWriteCloser, error)
}

// Service is a service of the runtime.
type Service int32

const (
	// RuntimeService has the containers and pod sandboxes.
	RuntimeService Service = C.GC_SERVICE_RUNTIME
	// ImageService has the images.
	ImageService Service = C.GC_SERVICE_IMAGE
)

// PodState says what may be removed of a pod, as bits. Unknown bits are ignored.
type PodState uint32

const (
	// Keep: only limits apply to the pod.
	Keep PodState = 0
	// ContentRemovable: everything that the pod left behind may be removed. The pod was evicted, or it was deleted and has terminated,
	// or the host knows all its pods and does not know this UID.
	ContentRemovable PodState = C.GC_POD_CONTENT_REMOVABLE
	// RuntimeRemovable: the pod's containers and sandboxes may be removed, because the pod has terminated; it may still exist. This
	// bit has an effect in passes with AllUnused, and on containers that are older than maximum-dead-container-age.
	RuntimeRemovable PodState = C.GC_POD_RUNTIME_REMOVABLE
)

// FSUsage is the size and use of a filesystem.
type FSUsage struct {
	// Capacity is its size in bytes.
	Capacity uint64
	// Available is the number of bytes that are available to users without privileges.
	Available uint64
	// Inodes is the number of inodes; 0 = unknown.
	Inodes uint64
	// InodesFree is the number of inodes that users without privileges may still use.
	InodesFree uint64
}

// Key is a key of Config.Settings.
type Key struct {
	// Name is the name of the kubelet's flag, if the kubelet has such a flag.
	Name string
	// Help says what it does, which values it takes, and its default.
	Help string
	// Default is its value if it is not set; it may be "".
	Default string
}

// Keys returns all keys of Config.Settings that the linked library knows. Do not call it in a callback: the defaults are missing there.
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

// AddFlags defines a flag for each of Keys, with the key's name. The library checks the value of a flag at once, and AddFlags stores it
// in c.Settings. New reports values that are wrong only together.
func (c *Config) AddFlags(set *flag.FlagSet) {
	for _, key := range Keys() {
		// The flag package adds the default itself, and uses a word in back quotes as the name of the value.
		usage := strings.TrimSuffix(key.Help, " Default: `"+key.Default+"`.")
		set.Var(&setting{c, key}, key.Name, strings.ReplaceAll(usage, "`", "'"))
	}
}

// setting is a key as a flag.
type setting struct {
	config *Config
	key    Key
}

// String returns what was set, or the default. The flag package calls it on a zero setting, too.
func (s *setting) String() string {
	if s.config != nil {
		if value, set := s.config.Settings[s.key.Name]; set {
			return value
		}
	}
	return s.key.Default
}

// Set checks a value and stores it.
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

// LoadKubeletConfig stores in c.Settings what the kubelet's own configuration names: a KubeletConfiguration (v1beta1), YAML or JSON. path
// is a file, read as that of the kubelet's --config, or a directory, read as that of its --config-dir. Load the file first, then the
// directory, and parse flags after them: the kubelet's flags override its files, and crigc does not see them.
//
// The fields are containerRuntimeEndpoint, imageServiceEndpoint, runtimeRequestTimeout, imageGCHighThresholdPercent,
// imageGCLowThresholdPercent, imageMinimumGCAge, imageMaximumGCAge and podLogsDir; all others are ignored. As in the kubelet, a duration
// of 0 and an empty text are its default, and null in a drop-in file puts a field back to it.
//
// If anything is wrong, nothing is stored. Errors are ErrConfig (what is in a file is wrong; the error names the line and the column),
// ErrIO (a file cannot be read), ErrInvalidArgument (the path, or c.Settings as it was) and, in a callback, ErrBusy. c.Logger receives, as
// warnings, which files of a directory were skipped and what the kubelet reads otherwise than its author may think.
func (c *Config) LoadKubeletConfig(path string) error {
	if strings.ContainsRune(path, 0) {
		return &Error{Status: ErrInvalidArgument, Message: fmt.Sprintf("there is a NUL in the path %q", path)}
	}
	config := C.gc_config_new()
	if config == nil {
		return &Error{Status: ErrBusy, Message: "LoadKubeletConfig cannot be called in a callback; call it after the pass"}
	}
	defer C.gc_config_free(config)
	if err := setAll(config, c.Settings); err != nil {
		return err
	}
	handle := cgo.NewHandle(newHost(*c))
	defer handle.Delete()
	bits, upTo := c.callbacks()
	C.crigc_go_register(config, C.uintptr_t(handle), bits&C.CRIGC_GO_LOG, upTo)
	file := C.CString(path)
	defer C.free(unsafe.Pointer(file))
	var e *C.gc_error
	status := C.gc_config_load(config, file, &e)
	if err := failure(context.Background(), status, e); err != nil {
		return err
	}
	c.takeSettings(config)
	return nil
}

// takeSettings stores the values of all keys that are set or are no defaults.
func (c *Config) takeSettings(config *C.gc_config) {
	settings := map[string]string{}
	for _, key := range Keys() {
		name := C.CString(key.Name)
		text := C.gc_config_get(config, name, nil)
		value := C.GoString(text)
		C.gc_string_free(text)
		C.free(unsafe.Pointer(name))
		if _, isSet := c.Settings[key.Name]; isSet || value != key.Default {
			settings[key.Name] = value
		}
	}
	c.Settings = settings
}

// set passes one key to the library.
func set(config *C.gc_config, key, value string) error {
	// C would end the string at the NUL and ignore the rest.
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

// setAll passes all settings to the library, in the order of their names so that the same mistake gives the same error.
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

// logUpTo returns the lowest level that is enabled in a logger; false if none is.
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

// callbacks returns the callbacks that are set, as bits, and the level of the log.
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
		C.CRIGC_GO_CONNECT:    c.Connect != nil,
	} {
		if isSet {
			bits |= bit
		}
	}
	return bits, upTo
}
