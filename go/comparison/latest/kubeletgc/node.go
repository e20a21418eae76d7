package kubeletgc

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/crigc/crigc/go"
	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
)

// Node has what both collectors need to know of their node. Empty strings mean the kubelet's defaults.
type Node struct {
	// RuntimeEndpoint and ImageEndpoint are containerRuntimeEndpoint and imageServiceEndpoint of the kubelet's configuration.
	RuntimeEndpoint, ImageEndpoint string
	// RequestTimeout is its runtimeRequestTimeout; 0 = the default.
	RequestTimeout time.Duration
	// PodLogsDir is its podLogsDir, and ContainerLogsDir the variable of that name in package kubelet.
	PodLogsDir, ContainerLogsDir string
	// Recorder gets the events, about Ref. It may be nil.
	Recorder record.EventRecorder
	// Ref is the node as an object.
	Ref *v1.ObjectReference
	// Logger gets crigc's log, as nodeLog says. Its verbosity is read once, when a collector is made.
	Logger klog.Logger
	// Settings are further keys of crigc, such as max-parallel-removals. They must not set keys that the kubelet configures.
	Settings map[string]string
}

// config is a crigc.Config for this node and a policy. Empty values keep crigc's defaults.
func (n Node) config(policy map[string]string) crigc.Config {
	settings := maps.Clone(n.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, policy)
	for key, value := range map[string]string{
		"container-runtime-endpoint": n.RuntimeEndpoint,
		"image-service-endpoint":     n.ImageEndpoint,
		"pod-logs-dir":               n.PodLogsDir,
		"container-logs-dir":         n.ContainerLogsDir,
	} {
		if value != "" {
			settings[key] = value
		}
	}
	if n.RequestTimeout != 0 {
		settings["runtime-request-timeout"] = n.RequestTimeout.String()
	}
	return crigc.Config{Settings: settings, Event: n.event, Logger: slog.New(nodeLog{logr.ToSlogHandler(n.Logger)})}
}

// toOperators replaces what crigc says to whoever writes a host, by the words of a kubelet, which gives the figures itself.
var toOperators = strings.NewReplacer(
	", by the figures of the host; see whether it is mounted, or give figures by Config.ImageFS", "",
	"Config.ImageFS gave no figures of the image filesystem; see its error, or leave it nil so that the runtime is asked",
	"the kubelet has no statistics of the image filesystem",
)

// operatorError is an error of crigc in the words of a kubelet.
type operatorError struct{ error }

func (e operatorError) Error() string { return inWords(e.error) }

func (e operatorError) Unwrap() error { return e.error }

// inWords is what a kubelet's operator reads of an error of crigc.
func inWords(err error) string {
	text := toOperators.Replace(err.Error())
	if errors.Is(err, crigc.ErrNotEnoughFreed) {
		// The kubelet has the same words in an event, and nothing before them.
		text = strings.TrimPrefix(text, "crigc: ")
	}
	return text
}

// forOperators leaves an error as it is if its words are right.
func forOperators(err error) error {
	if err == nil || inWords(err) == err.Error() {
		return err
	}
	return operatorError{err}
}

// nodeLog is crigc's log among the kubelet's. Why objects are kept, which is a line for each of them in every pass, comes at V(6). Why a pass
// failed is left to the kubelet, which logs the error that a pass returns; other errors, such as panics of callbacks, have attributes.
type nodeLog struct{ slog.Handler }

func (l nodeLog) level(of slog.Level) slog.Level {
	if of <= slog.LevelDebug {
		return -6 // V(6) of logr
	}
	return of
}

// Enabled is the handler's, by the kubelet's levels.
func (l nodeLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.Handler.Enabled(ctx, l.level(level))
}

// Handle gives a record to the handler, with the kubelet's level.
func (l nodeLog) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError && record.NumAttrs() == 0 {
		return nil
	}
	record.Level, record.Message = l.level(record.Level), toOperators.Replace(record.Message)
	return l.Handler.Handle(ctx, record)
}

// event sends an event to the kubelet's recorder; crigc's reasons are the kubelet's.
func (n Node) event(reason, message string) {
	if n.Recorder != nil {
		n.Recorder.Eventf(n.Ref, v1.EventTypeWarning, reason, "%s", toOperators.Replace(message))
	}
}
