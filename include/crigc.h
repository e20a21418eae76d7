/**
 * @file
 * crigc: the kubelet's garbage collection of dead containers, pod sandboxes, pod logs and unused images, through any
 * container runtime that speaks CRI.
 *
 *     gc_error *error = NULL;
 *     gc_config *config = gc_config_new();
 *     if (gc_abi() != GC_ABI) abort();
 *     gc_engine *engine = gc_engine_new(config, &error);
 *     gc_report *report = NULL;
 *     gc_status status = engine ? gc_containers(engine, GC_DRY_RUN, NULL, &report, &error) : gc_error_status(error);
 *     if (status != GC_OK) fprintf(stderr, "%s: %s\n", gc_status_name(status), gc_error_message(error));
 *     for (size_t i = 0; i < gc_report_len(report); i++)
 *         printf("%s %s\n", gc_report_entry(report, i)->id, gc_report_entry(report, i)->reason);
 *     gc_report_free(report); gc_error_free(error); gc_engine_free(engine); gc_config_free(config);
 *
 * Ownership. Whoever makes a handle frees it with the _free function of its type; _free(NULL) does nothing. Reports and errors
 * outlive their engine, and several threads may read one at once. A `const char *` is borrowed and valid as long as the handle
 * that it came from; a `char *` is owned by the caller, who frees it with gc_string_free. To free a handle twice, or to use it
 * after it was freed, is undefined, as with free(3). Strings that you pass in are NUL-terminated UTF-8, and the library copies
 * them. Names come from workloads. So in every string that the library passes out, messages too, U+FFFD stands for bytes that
 * were not UTF-8, and `\n` or `\u{7f}` for control characters; in names two backslashes stand for one. Only the UIDs that
 * gc_pod_states_fn receives have the runtime's own bytes.
 *
 * Failures. Most functions that can fail return a gc_status or a pointer, and their last argument is `gc_error **error`; pass
 * NULL if you do not want the error. On return `*error` is an error that you free, or NULL on success; the old value is neither
 * read nor freed. If a required argument is NULL, or a flag bit is unknown, the function returns GC_ERROR_INVALID_ARGUMENT.
 * Functions without a status return NULL, 0 or nothing for a NULL handle. Each function names the statuses that it returns. Any
 * of them may also return GC_ERROR_INTERNAL, which means that crigc panicked.
 *
 * Threads. Any number of threads may use an engine at once; use a config from one thread at a time. Two passes of one kind never
 * overlap: other callers wait for their turn. Only gc_start starts threads. They are named, have 1 MiB of stack, and block all
 * signals except those of faults, which the host may want to handle: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS and
 * SIGABRT. Do not call any function in a signal handler: write to a pipe there, and close or cancel from a thread. An engine does
 * not survive a fork: fork (daemonise) first, then make the engine.
 *
 * Stack. Every function runs on a thread with 128 KiB of stack, if your callbacks need little of it.
 *
 * The process. The library installs no signal handler, prints nothing, never exits, and raises neither SIGPIPE nor SIGXFSZ. Its
 * descriptors are close-on-exec. Between passes an engine has no open descriptor but the lock of image-records-file, and after
 * gc_engine_free no thread and no descriptor is left. The library cannot cancel a system call that hangs, such as one on a dead
 * network mount. It aborts the process only if an allocation fails or a stack overflows.
 *
 * Callbacks. A callback receives its `context` first; the library passes it on and never dereferences it. Function and context
 * must be usable until the config and every engine made from it are freed. Two engines of one config may call back at once. A
 * called pass calls back on the caller's thread, a periodic pass on the one thread of its kind; gc_config_load logs on the
 * caller's thread. One engine never makes two callbacks of the same kind at once. What a callback receives is borrowed for the
 * call. A callback has to return normally (no longjmp, no C++ exception) and within milliseconds. Do not hold a lock during a
 * call into the library if a callback takes the same lock. A pass waits for a callback that does not return, even past its
 * deadline, a cancel and a close; while it runs, a pass of the other kind waits before it makes the same callback. gc_close and
 * gc_call_cancel never wait for a callback; gc_stop and gc_engine_free do. In a callback you may call gc_call_cancel, gc_close,
 * gc_version, gc_abi, gc_status_name, gc_string_free, gc_error_free, gc_config_key, gc_config_key_help, gc_kind_name,
 * gc_outcome_name, gc_reason_text and the functions that read reports and errors. Every other function returns GC_ERROR_BUSY
 * there, or, if it has no status, returns NULL or does nothing. If a callback returns yes or no, 1 is yes and every other value
 * is no. Only a yes lets crigc remove.
 *
 * Reasons in gc_entry. Removed: pod-removed, pod-terminated, unit-limit, total-limit, older-sandbox, dead-link, age, space,
 * unused. Kept: running, too-young, within-limit, active, newest-sandbox, pod-exists, pod-active (the host reports the pod as
 * gone, but it runs), link-alive, in-use, pinned, sandbox-image, exempt, enough-freed, below-threshold, first-look,
 * sources-not-ready, unknown-state, changed (it changed, or the host's answer did, before its removal), list-incomplete, held
 * (hold-file exists), backoff (its last removal failed; periodic passes wait before the next try), not-reached (the pass ended,
 * or gave up, before its turn), sandbox-image-unknown, link-unknown, newer-than-answer (its pod has changed since the moment
 * that the host's answer describes), held-by-share (more pods are gone than max-pod-share allows), no-effect (the image filesystem did not show what the removals before it freed).
 *
 * The keys with their defaults and ranges are listed in docs/configuration.md, the reasons with a sentence for each in
 * docs/reasons.md, the rules of a pass in docs/rules.md. Keys and rules are named by the number of the rule, such as S1.6.
 *
 * examples-c/tour.c calls every function once; examples-c/collect.c is a whole program, examples-c/connect.c one that connects
 * to the runtime itself.
 *
 * Generated from src/ffi/ by `make generate`; do not edit.
 */

#ifndef CRIGC_H
#define CRIGC_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of this header; gc_version returns that of the library.
 */
#define GC_VERSION "0.1.0"

/**
 * The first number of GC_VERSION.
 */
#define GC_VERSION_MAJOR 0

/**
 * The second number of GC_VERSION.
 */
#define GC_VERSION_MINOR 1

/**
 * The third number of GC_VERSION.
 */
#define GC_VERSION_PATCH 0

/**
 * The version of this interface. A program works with a library if `gc_abi() == GC_ABI`; compare them before you call anything else,
 * since a shared library may be of another version than the header. The number changes when something in this header changes its
 * meaning or its layout. It stays when a version only adds functions, constants, keys or reasons.
 */
#define GC_ABI 1u

/**
 * Flag: decide and report, but remove nothing.
 */
#define GC_DRY_RUN 1u

/**
 * Flag: collect as the kubelet does under disk pressure. A container pass also removes containers and sandboxes of terminated pods.
 * An image pass removes all images that are unused and not protected, however empty the disk is. See GC_POD_RUNTIME_REMOVABLE.
 */
#define GC_ALL_UNUSED 2u

/**
 * Flag: if a pass of the same kind is running, return GC_ERROR_BUSY instead of waiting. With image-maximum-gc-age the thread of
 * gc_start also reads the list of images between two passes; meanwhile an image pass with this flag returns GC_ERROR_BUSY, too.
 */
#define GC_NO_WAIT 4u

/**
 * Flag of gc_pod alone: the host says that everything the pod left behind may be removed.
 */
#define GC_POD_GONE 8u

/**
 * The deadline of a call of gc_containers, gc_images or gc_pod, and the means to cancel it. Make one with gc_call_new, and free it with
 * gc_call_free. Several calls may share one, one after the other or at once: then they share the deadline and the cancel.
 */
typedef struct gc_call gc_call;

/**
 * The keys and callbacks that engines are made from. Make one with gc_config_new, and free it with gc_config_free. Use it from one
 * thread at a time.
 */
typedef struct gc_config gc_config;

/**
 * A configured collector. Make one with gc_engine_new, and free it with gc_engine_free. Any number of threads may use it at once.
 */
typedef struct gc_engine gc_engine;

/**
 * A failure: its status and a message. Whoever receives it through a `gc_error **` frees it with gc_error_free. It outlives the
 * engine, and several threads may read it at once.
 */
typedef struct gc_error gc_error;

/**
 * What a pass decided and did: one entry for each object. Whoever receives it through a `gc_report **` frees it with gc_report_free.
 * It outlives the engine, and several threads may read it at once.
 */
typedef struct gc_report gc_report;

/**
 * How a call ended. The numbers never change. Treat a number that you do not know as a failure.
 */
typedef int32_t gc_status;

/**
 * The level of a log message.
 */
typedef int32_t gc_log_level;

/**
 * Receives a line of the log. `message` is borrowed for the call.
 */
typedef void (*gc_log_fn)(void *context, gc_log_level level, const char *message);

/**
 * What may be removed of a pod, as bits; 0 = keep everything. Unknown bits are ignored.
 */
typedef uint32_t gc_pod_state;

/**
 * Reports which pods may be collected. Set states[i] for uids[i], where i is below `count`; all states start as 0 (keep). Return 1
 * once your list of pods is complete: those of the API server, static pods and any other source. With any other value every pod
 * counts as existing, and only limits apply.
 *
 * A UID has the bytes that the runtime gave. A pass never asks about a UID that holds control characters or is not UTF-8: only
 * limits apply to such a pod. A pass asks a few times, more often if a list comes in parts (S7), and once more right before it
 * removes a log directory, about that directory's pod only. `count` may be 0; `uids` and `states` are NULL then.
 *
 * `as_of` is never NULL, and `*as_of` starts as 0: the answer describes the moment of the call. If the answer describes the past,
 * such as a list of pods that is 40 seconds old, set `*as_of` to the moment that it describes: the node's wall clock before the
 * list was requested, in nanoseconds since the epoch. A pod counts as existing in this pass (reason newer-than-answer) if one of
 * its containers or sandboxes was created, or something in its log directory changed, after that moment: the answer may not know
 * this pod yet. A pass checks this once for each pod, before it removes anything of it. A moment in the future, and a negative
 * number, count as if the callback did not return 1.
 */
typedef int32_t (*gc_pod_states_fn)(void *context,
                                    const char *const *uids,
                                    gc_pod_state *states,
                                    size_t count,
                                    int64_t *as_of);

/**
 * The kind of an object. Later versions may add kinds.
 */
typedef int32_t gc_kind;

/**
 * What happened to an object. Later versions may add outcomes; treat one that you do not know as GC_KEPT.
 */
typedef int32_t gc_outcome;

/**
 * One object that a pass decided on. The library allocates it, and later versions add fields at the end: do not allocate one, and
 * do not embed one in a struct of yours. All strings are borrowed from the report. In them U+FFFD stands for bytes that were not
 * UTF-8, `\n` or `\u{7f}` for control characters, and two backslashes for one.
 */
typedef struct gc_entry {
    /**
     * The kind of the object.
     */
    gc_kind kind;
    /**
     * What happened to it.
     */
    gc_outcome outcome;
    /**
     * The ID of a container, sandbox or image, or the path of logs or a link. Never NULL.
     */
    const char *id;
    /**
     * namespace/pod/container, namespace/pod, or the image's first tag; "" if none. Never NULL.
     */
    const char *name;
    /**
     * The UID of its pod; "" if none. Never NULL.
     */
    const char *pod_uid;
    /**
     * Why it was removed, was to be removed, or was kept: a stable word of the list at the head of this file; gc_reason_text has a
     * sentence for it. Later versions may add words. Never NULL, and always valid.
     */
    const char *reason;
    /**
     * What failed; NULL unless the outcome is GC_FAILED or GC_REFUSED.
     */
    const char *error;
    /**
     * The size of an image in bytes, as the runtime reports it; 0 for other kinds.
     */
    uint64_t bytes;
} gc_entry;

/**
 * Approves the removal of one object: 1 = remove it, anything else = keep it. A pass calls it right before the removal (of a
 * container that has to be stopped first, before the stop), and never in a dry run. `planned` is borrowed for the call: `reason`
 * says why the object is to be removed, `outcome` is GC_KEPT because nothing has happened yet, `error` is NULL.
 */
typedef int32_t (*gc_approve_fn)(void *context, const struct gc_entry *planned);

/**
 * Size and use of a filesystem. The library allocates it, and later versions add fields at the end: do not allocate one, and do
 * not embed one in a struct of yours.
 */
typedef struct gc_fs_usage {
    /**
     * Size in bytes.
     */
    uint64_t capacity;
    /**
     * Bytes that are available to users without privileges.
     */
    uint64_t available;
    /**
     * Number of inodes; 0 = unknown.
     */
    uint64_t inodes;
    /**
     * Inodes that users without privileges may still use.
     */
    uint64_t inodes_free;
} gc_fs_usage;

/**
 * Reports how full the image filesystem is. Fill `*usage`, which starts with zeros, and return 1. With any other value the pass
 * fails with GC_ERROR_IO; a pass with GC_ALL_UNUSED continues, because it only reports the figures. A pass calls it again after
 * each image that it removes for space, and stops removing once enough is available. With image-free-accounting measured, and for
 * inodes, it calls it several times for each image, up to 2 s long, until the figures show the removal.
 */
typedef int32_t (*gc_image_fs_fn)(void *context, struct gc_fs_usage *usage);

/**
 * Receives an event, always of the Kubernetes type Warning. Every pass may send FreeDiskSpaceFailed, InvalidDiskCapacity,
 * PodStatesContradicted and, if max-pod-share is set, PodShareExceeded. A periodic container pass that fails also sends
 * ContainerGCFailed; a periodic image pass sends ImageGCFailed, but not for its first failure in a row. A dry run sends no events. Both strings are borrowed
 * for the call.
 */
typedef void (*gc_event_fn)(void *context, const char *reason, const char *message);

/**
 * Receives the progress of the removals of one kind. `done` counts the removals that ended, removed or failed. `total` is `done`
 * plus the objects that may still be removed. It shrinks when a planned object is kept (refused, held, changed), and grows when the
 * pass finds more to remove, such as containers that it has stopped. So do not wait for `done` == `total`: the pass has ended when
 * its function returns, or by gc_pass_fn. It is not called in a dry run, nor after a cancel, a close or a deadline.
 */
typedef void (*gc_progress_fn)(void *context, gc_kind kind, size_t done, size_t total);

/**
 * The kind of a pass.
 */
typedef int32_t gc_pass;

/**
 * Receives the end of a pass, periodic or called. `report` and `error` are borrowed for the call: do not free them. `report` is
 * never NULL; `error` is NULL if `status` is GC_OK. It is not called if the pass never began: before its turn came the engine was
 * closed, or the call was cancelled, reached its deadline, or did not wait (GC_NO_WAIT).
 */
typedef void (*gc_pass_fn)(void *context,
                           gc_pass pass,
                           gc_status status,
                           const struct gc_report *report,
                           const struct gc_error *error);

/**
 * Returns the wall clock in nanoseconds since the epoch. If the value is 0 or negative, the pass fails with
 * GC_ERROR_INVALID_ARGUMENT.
 */
typedef int64_t (*gc_clock_fn)(void *context);

/**
 * A service of the runtime.
 */
typedef int32_t gc_service;

/**
 * Connects to a service of the runtime. Returns the descriptor of a stream socket that is connected (unix, vsock or TCP), or -1 if
 * there is no connection; the pass then fails with GC_ERROR_UNAVAILABLE, as it does if the descriptor is not such a socket.
 *
 * The library owns the socket from the moment that the callback returns it, also if it is not one that is connected: it moves it to a
 * descriptor with another number, which is close-on-exec, makes it non-blocking, and closes it at the end of the pass. Do not use or
 * close the returned number again, and return a new one each time. A TCP socket also gets TCP_NODELAY. A descriptor that is not a
 * socket, such as a 0 by mistake, stays the host's: it is neither used nor closed.
 *
 * A container pass, and a pass over one pod, makes one connection, for GC_SERVICE_RUNTIME. An image pass makes two, for GC_SERVICE_IMAGE
 * and then for GC_SERVICE_RUNTIME, also if both services are at one endpoint; so does each look between periodic image passes, which
 * there are with image-maximum-gc-age. If a connection breaks during a pass, the pass asks for another one, until the callback had none
 * 10 times in a row. While the callback connects, no deadline and no cancel ends the pass: give the connect a time limit of its own.
 */
typedef int (*gc_connect_fn)(void *context, gc_service service);

/**
 * How the runtime's calls that remove objects of one kind ran in a pass (those for a sandbox begin with its stop). The library allocates
 * it, and later versions add fields at the end: do not allocate one, and do not rely on its size.
 */
typedef struct gc_pace {
    /**
     * How many were in flight, on average over the time while there was at least one.
     */
    double in_flight_mean;
    /**
     * The most that were in flight at once.
     */
    uint64_t in_flight_most;
    /**
     * For how many seconds nothing was begun because removals had become slow.
     */
    double rest_seconds;
} gc_pace;

/**
 * The pass read what it had to know, decided, and did what it could. In a container pass single removals may have failed; the
 * report lists them.
 */
#define GC_OK 0

/**
 * A required argument is NULL, a flag bit or a key is unknown, a value is wrong by itself, or gc_clock_fn returned 0 or less.
 */
#define GC_ERROR_INVALID_ARGUMENT 1

/**
 * Values are wrong only together, such as a low threshold above the high one; or what is in a file of gc_config_load is wrong; or
 * gc_start has no pass to start.
 */
#define GC_ERROR_CONFIG 2

/**
 * No runtime answers at the endpoint.
 */
#define GC_ERROR_UNAVAILABLE 3

/**
 * The runtime answered with an error, or with something that is not CRI.
 */
#define GC_ERROR_RUNTIME 4

/**
 * A deadline passed: that of the call, of the pass, or of one request.
 */
#define GC_ERROR_TIMEOUT 5

/**
 * The call was cancelled by gc_call_cancel, or a periodic pass was ended by gc_stop.
 */
#define GC_ERROR_CANCELLED 6

/**
 * A file or filesystem of the host cannot be read, image-records-file cannot be locked, or the process can get no more descriptors
 * or threads.
 */
#define GC_ERROR_IO 7

/**
 * No removal of an image failed, but less was freed than image-gc-low-threshold or image-gc-min-available asks for.
 */
#define GC_ERROR_NOT_ENOUGH_FREED 8

/**
 * crigc panicked, which is a bug in crigc. Please report the error's message.
 */
#define GC_ERROR_INTERNAL 9

/**
 * A pass of this kind is running (with GC_NO_WAIT), another engine holds image-records-file, or the function was called from a
 * callback.
 */
#define GC_ERROR_BUSY 10

/**
 * The engine was closed.
 */
#define GC_ERROR_CLOSED 11

/**
 * The host reported more than half of the pods that run, and at least two, as gone. Every pod counted as existing; limits were
 * applied.
 */
#define GC_ERROR_CONTRADICTION 12

/**
 * Everything that the pod left behind may be removed: the pod was evicted, or it was deleted and has terminated, or the host
 * knows all its pods and does not know this UID.
 */
#define GC_POD_CONTENT_REMOVABLE 1u

/**
 * The pod's containers and sandboxes may be removed, because the pod has terminated; it may still exist. This bit has an
 * effect in passes with GC_ALL_UNUSED, and on containers that are older than maximum-dead-container-age. GC_POD_CONTENT_REMOVABLE includes it.
 */
#define GC_POD_RUNTIME_REMOVABLE 2u

/**
 * Something failed.
 */
#define GC_LOG_ERROR 0

/**
 * Something is odd.
 */
#define GC_LOG_WARN 1

/**
 * Something was done.
 */
#define GC_LOG_INFO 2

/**
 * Why each object was kept.
 */
#define GC_LOG_DEBUG 3

/**
 * The RuntimeService: containers and pod sandboxes.
 */
#define GC_SERVICE_RUNTIME 0

/**
 * The ImageService: images.
 */
#define GC_SERVICE_IMAGE 1

/**
 * gc_containers: dead containers, sandboxes, pod logs and log links.
 */
#define GC_PASS_CONTAINERS 0

/**
 * gc_images: unused images.
 */
#define GC_PASS_IMAGES 1

/**
 * gc_pod: the dead containers, sandboxes and logs of one pod.
 */
#define GC_PASS_POD 2

/**
 * A container.
 */
#define GC_CONTAINER 0

/**
 * A pod sandbox.
 */
#define GC_SANDBOX 1

/**
 * The logs of a pod: an entry of pod-logs-dir.
 */
#define GC_POD_LOGS 2

/**
 * A link to a container's log: an entry of container-logs-dir.
 */
#define GC_LOG_LINK 3

/**
 * An image.
 */
#define GC_IMAGE 4

/**
 * For gc_report_count: all kinds.
 */
#define GC_ANY_KIND (-1)

/**
 * It was kept; the reason says why.
 */
#define GC_KEPT 0

/**
 * It was removed; in a dry run: it would be removed.
 */
#define GC_REMOVED 1

/**
 * Its removal failed: `error` says why it failed, `reason` why it was to be removed.
 */
#define GC_FAILED 2

/**
 * It was kept because gc_approve_fn did not return 1.
 */
#define GC_REFUSED 3

/**
 * For gc_report_count: all outcomes.
 */
#define GC_ANY_OUTCOME (-1)

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes an engine from a copy of the configuration and its callbacks. The runtime need not be running yet. The caller frees the engine
 * with gc_engine_free. On failure it returns NULL, and the error has one of these statuses: GC_ERROR_CONFIG (values are wrong only
 * together, or an endpoint is not a unix socket and there is no gc_connect_fn), GC_ERROR_BUSY (another engine holds image-records-file, or
 * this is a callback), GC_ERROR_IO (image-records-file cannot be locked, such as in a directory that does not exist or cannot be written)
 * or GC_ERROR_INVALID_ARGUMENT (`config` is NULL). With the key dry-run the engine only reads image-records-file: it does not lock it, and
 * the file need not exist.
 */
struct gc_engine *gc_engine_new(const struct gc_config *config,
                                struct gc_error **error);

/**
 * Closes an engine: running passes end soon with GC_ERROR_CLOSED (if one is in a callback, once that returns), and later calls fail
 * with GC_ERROR_CLOSED. The engine still has to be freed. Never blocks, not even while a callback does. May be called from any thread
 * and from callbacks, but not in a signal handler. NULL does nothing.
 */
void gc_close(struct gc_engine *engine);

/**
 * Closes an engine, waits for its passes, its threads and all calls of other threads that are inside it, and frees it. When it
 * returns, no thread and no descriptor is left, and another engine can hold image-records-file. No other call for this engine may
 * begin once this one has; make sure that no thread is about to call. Reports and errors of the engine stay valid. Do not call it in
 * a callback: there it only closes the engine, and its memory is never freed. Call gc_close there, and this after the pass; until
 * then the contexts of all callbacks have to stay usable. It blocks for less than a second, even if the runtime hangs; a callback
 * and a system call of crigc that hang keep it waiting. NULL does nothing.
 */
void gc_engine_free(struct gc_engine *engine);

/**
 * Removes dead containers, pod sandboxes, pod logs and log links. Blocks until the pass is over. If another pass of this kind is
 * running, it waits for its turn first (unless GC_NO_WAIT).
 *
 * `flags` is any of GC_DRY_RUN, GC_ALL_UNUSED and GC_NO_WAIT, joined with |, or 0. `call` has the deadline of this call and can cancel
 * it; NULL = neither. `*report` receives the report if the pass began, even if it failed later, else NULL; the caller frees it with
 * gc_report_free. `*error` receives the error, which the caller frees with gc_error_free, or NULL on success. `report` and `error`
 * may be NULL.
 *
 * Returns GC_OK if the pass read what it had to know, decided, and did what it could; single removals may have failed, and the report
 * lists them. Else it returns GC_ERROR_UNAVAILABLE, GC_ERROR_RUNTIME, GC_ERROR_TIMEOUT (the deadline of the call, of the pass or of a
 * request), GC_ERROR_CANCELLED, GC_ERROR_CLOSED, GC_ERROR_BUSY (GC_NO_WAIT, or in a callback), GC_ERROR_IO (a directory or filesystem
 * cannot be read, or no descriptor is left), GC_ERROR_CONFIG (one log directory is, or is inside, the other), GC_ERROR_CONTRADICTION,
 * GC_ERROR_INVALID_ARGUMENT (`engine` is NULL, a flag is unknown, or gc_clock_fn returned 0 or less) or GC_ERROR_INTERNAL.
 */
gc_status gc_containers(struct gc_engine *engine,
                        uint32_t flags,
                        struct gc_call *call,
                        struct gc_report **report,
                        struct gc_error **error);

/**
 * Removes unused images if the image filesystem (with image-gc-inode-thresholds: or its inodes) is at least image-gc-high-threshold full,
 * or if fewer bytes are available than image-gc-min-available; with GC_ALL_UNUSED, and those that have been unused for
 * image-maximum-gc-age, however empty it is. Arguments and statuses are those of gc_containers. In addition the pass fails if a removal
 * failed (GC_ERROR_RUNTIME), if less was freed than image-gc-low-threshold or image-gc-min-available asks for (GC_ERROR_NOT_ENOUGH_FREED),
 * and if image-gc-min-available is more than the filesystem has (GC_ERROR_CONFIG). Images that an engine finds in its first image pass are
 * not protected by minimum-image-ttl-duration: the first call on a new engine may remove an image that was pulled a second ago. To protect
 * it, call this once with GC_DRY_RUN, wait for minimum-image-ttl-duration, and call it again.
 */
gc_status gc_images(struct gc_engine *engine,
                    uint32_t flags,
                    struct gc_call *call,
                    struct gc_report **report,
                    struct gc_error **error);

/**
 * Removes what one pod left behind: its dead containers, its pod sandboxes, its log directory, and the log links of the containers
 * that it removes. It is gc_containers for one pod, such as one that has just ended, and takes turns with it. It touches no other pod.
 * It lists only what the runtime files under the UID (the label io.kubernetes.pod.uid) and what is in these sandboxes, and decides by
 * the same rules and keys, except for those that concern the whole node: maximum-dead-containers, max-pod-share,
 * orphan-log-ttl-duration, and links that dangle already.
 *
 * `uid` is the UID of the pod. `flags` is any of GC_DRY_RUN, GC_ALL_UNUSED, GC_NO_WAIT and GC_POD_GONE, joined with |, or 0. All other
 * arguments and statuses are those of gc_containers; GC_ERROR_INVALID_ARGUMENT also stands for a UID that is NULL or empty, has a
 * slash or a control character, or is not UTF-8.
 *
 * With GC_POD_GONE this call says that everything the pod left behind may be removed, as of the moment of the call: if something of the
 * pod is newer, all of it is kept (newer-than-answer), and its logs are for as long as minimum-pod-log-ttl-duration asks (too-young); call
 * again later. gc_pod_states_fn, if it is set, is asked as well, and can only keep more. Without GC_POD_GONE its answer decides, and
 * without both only limits apply. A pod with a container that runs or with a ready sandbox is kept whatever the host says (pod-active).
 *
 * It makes 3 calls of the runtime to list a pod with one sandbox (1 more for each further sandbox), lists once more if it removes
 * something, and mostly makes 1 call for each container that it removes and 2 for each sandbox. Where the runtime has no streams it also asks
 * for the version.
 */
gc_status gc_pod(struct gc_engine *engine,
                 const char *uid,
                 uint32_t flags,
                 struct gc_call *call,
                 struct gc_report **report,
                 struct gc_error **error);

/**
 * Starts periodic passes in the background, on one thread for each kind. They remove, unless the key dry-run is true. The first container
 * pass begins at once, and each other one container-gc-period after the end of the one before; image passes do the same with
 * image-gc-period. A period of 0 means that there are no passes of this kind. If no image records exist yet, the first image pass only
 * records images and removes none. With image-gc-high-threshold 100 there are no image passes, unless image-maximum-gc-age or
 * image-gc-min-available is set. If periodic passes run already, it does nothing and returns GC_OK. Returns GC_ERROR_CLOSED,
 * GC_ERROR_CONFIG (there would be no passes of either kind), GC_ERROR_IO (a thread cannot be started), GC_ERROR_INVALID_ARGUMENT
 * (`engine` is NULL) or GC_ERROR_BUSY (in a callback).
 */
gc_status gc_start(struct gc_engine *engine,
                   struct gc_error **error);

/**
 * Cancels the periodic passes and waits until they have ended. If another thread already stops them, this call waits as well.
 * gc_start starts them again. It blocks for less than a second, even if the runtime hangs; a callback and a system call of crigc that
 * hang keep it waiting. NULL does nothing. In a callback it does nothing.
 */
void gc_stop(struct gc_engine *engine);

/**
 * Returns what the engine has counted since it was made, as text in Prometheus' format (version 0.0.4, content type
 * "text/plain; version=0.0.4; charset=utf-8"). All names begin with crigc_; docs/metrics.md explains each of them. Every sample has
 * the label `engine`, a number that no other living engine of this process has. No label contains an ID or a name of the node. The
 * caller frees the text with gc_string_free. A pass is counted before gc_pass_fn is called with its end.
 *
 * May be called at any time, from any thread, also after gc_close; never waits for a pass. Returns NULL if `engine` is NULL, and in a
 * callback.
 */
char *gc_metrics(struct gc_engine *engine);

/**
 * Returns the version of the library, such as "0.1.0". The string is always valid; do not free it. May be called from callbacks.
 */
const char *gc_version(void);

/**
 * Returns the GC_ABI that the library was built with. May be called from callbacks.
 */
uint32_t gc_abi(void);

/**
 * Frees a `char *` that the library returned. NULL does nothing. May be called from callbacks.
 */
void gc_string_free(char *string);

/**
 * Returns the name of a status, such as "GC_ERROR_TIMEOUT", or "GC_ERROR_UNKNOWN" for a number that this version does not know.
 * Never NULL. The string is always valid; do not free it. May be called from callbacks.
 */
const char *gc_status_name(gc_status status);

/**
 * Returns the status of a failure; GC_OK for NULL. May be called from callbacks.
 */
gc_status gc_error_status(const struct gc_error *error);

/**
 * Returns what failed, on which object, why, and what to do about it. The string is valid until the error is freed. Returns NULL
 * for NULL. May be called from callbacks.
 */
const char *gc_error_message(const struct gc_error *error);

/**
 * Frees an error. NULL does nothing. May be called from callbacks.
 */
void gc_error_free(struct gc_error *error);

/**
 * Makes a configuration with the kubelet's defaults and no callbacks. The caller frees it with gc_config_free. Returns NULL in a
 * callback.
 */
struct gc_config *gc_config_new(void);

/**
 * Sets a key to a value. Keys are named like the kubelet's flags (gc_config_key lists them), and values are written as on the
 * kubelet's command line. Both strings are copied. Returns GC_ERROR_INVALID_ARGUMENT for an unknown key, a bad value or a NULL;
 * nothing is changed then, and the error names the key and what it takes. Returns GC_ERROR_BUSY in a callback.
 */
gc_status gc_config_set(struct gc_config *config,
                        const char *key,
                        const char *value,
                        struct gc_error **error);

/**
 * Sets the keys that the kubelet's own configuration names: a KubeletConfiguration (kubelet.config.k8s.io/v1beta1), YAML or JSON. `path`
 * is a file, read as that of the kubelet's --config, or a directory, read as that of its --config-dir. Call it for the file first, then
 * for the directory, then set what the kubelet has as flags: flags override files, and crigc does not see them.
 *
 * These fields set keys; all others are ignored: containerRuntimeEndpoint, imageServiceEndpoint, runtimeRequestTimeout,
 * imageGCHighThresholdPercent, imageGCLowThresholdPercent, imageMinimumGCAge (minimum-image-ttl-duration), imageMaximumGCAge
 * (image-maximum-gc-age) and podLogsDir. What the files do not name keeps its value. As in the kubelet, a duration of 0 and an empty text
 * are its default, while a threshold of 0 is 0. A relative podLogsDir in a file begins in the directory of that file. `path` is a path of
 * this process: the key host-root does not count for it. If the file is below host-root, set that key before: then a relative podLogsDir
 * becomes the host's path.
 *
 * Of a directory the names that end in .conf are read, each directory in the order of its names, subdirectories too, but no links to
 * directories. The files are merged before a value is read: a later one replaces an earlier one, and null puts a field back to the
 * kubelet's default.
 *
 * Only what crigc takes is set: the kubelet also starts with an endpoint that is no unix socket, or a negative runtimeRequestTimeout. If
 * anything is wrong, nothing is set. GC_ERROR_CONFIG: a file is not what it should be, or a value is wrong; the error names the file, the
 * line and the column. GC_ERROR_IO: a file or directory cannot be read, is no regular file, or is larger than 1 MiB.
 * GC_ERROR_INVALID_ARGUMENT: NULL, or an empty path. GC_ERROR_BUSY: in a callback.
 *
 * Files with other names, and what the kubelet reads otherwise than its author may think, are told to the log callback as GC_LOG_WARN, on
 * the caller's thread; set it before.
 */
gc_status gc_config_load(struct gc_config *config,
                         const char *path,
                         struct gc_error **error);

/**
 * Returns the value of a key: what was set, or else the default. The caller frees it with gc_string_free. Returns NULL and an error
 * for an unknown key or a NULL (GC_ERROR_INVALID_ARGUMENT), and in a callback (GC_ERROR_BUSY).
 */
char *gc_config_get(const struct gc_config *config,
                    const char *key,
                    struct gc_error **error);

/**
 * Frees a configuration. Engines made from it are not affected. NULL does nothing. In a callback it frees nothing.
 */
void gc_config_free(struct gc_config *config);

/**
 * Returns the name of the key at `index`. To list all keys, count from 0 until it returns NULL. The string is always valid; do not
 * free it. May be called from callbacks.
 */
const char *gc_config_key(size_t index);

/**
 * Returns what a key does, which values it takes and its default, for a help text of the host. The string is always valid; do not
 * free it. Returns NULL for an unknown key and for NULL. May be called from callbacks.
 */
const char *gc_config_key_help(const char *key);

/**
 * Sets the callback for the log. It receives messages up to the level `up_to`, from GC_LOG_ERROR (only errors) to GC_LOG_DEBUG
 * (everything); a number outside of that range counts as the nearer end. A NULL function clears the callback. With a NULL
 * config, and in a callback, it does nothing.
 */
void gc_config_set_log(struct gc_config *config,
                       gc_log_level up_to,
                       gc_log_fn function,
                       void *context);

/**
 * Sets the callback that reports which pods may be collected. Without it every pod counts as existing: only limits and thresholds
 * apply. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
 */
void gc_config_set_pod_states(struct gc_config *config,
                              gc_pod_states_fn function,
                              void *context);

/**
 * Sets the callback that approves each removal. Without it every removal is approved. A NULL function clears it. With a NULL
 * config, and in a callback, it does nothing.
 */
void gc_config_set_approve(struct gc_config *config,
                           gc_approve_fn function,
                           void *context);

/**
 * Sets the callback that reports how full the image filesystem is. Without it the runtime is asked where that filesystem is, and
 * the kernel how full it is. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
 */
void gc_config_set_image_fs(struct gc_config *config,
                            gc_image_fs_fn function,
                            void *context);

/**
 * Sets the callback for events. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
 */
void gc_config_set_event(struct gc_config *config, gc_event_fn function, void *context);

/**
 * Sets the callback for progress. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
 */
void gc_config_set_progress(struct gc_config *config, gc_progress_fn function, void *context);

/**
 * Sets the callback for ended passes. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
 */
void gc_config_set_pass(struct gc_config *config,
                        gc_pass_fn function,
                        void *context);

/**
 * Sets the callback for the wall clock. Without it passes read the system's clock. A NULL function clears it. With a NULL
 * config, and in a callback, it does nothing.
 */
void gc_config_set_clock(struct gc_config *config,
                         gc_clock_fn function,
                         void *context);

/**
 * Sets the callback that connects to the runtime. With it container-runtime-endpoint and image-service-endpoint are only names: they
 * may be any text, stand in messages, and the records in image-records-file belong to the name of the image service. Without it the
 * library connects to the unix sockets that these keys name. A NULL function clears it. With a NULL config, and in a callback, it does
 * nothing.
 */
void gc_config_set_connect(struct gc_config *config,
                           gc_connect_fn function,
                           void *context);

/**
 * Makes a deadline `timeout_ms` milliseconds from now; 0 = no deadline. The time counts from here, so it includes the wait for the
 * call's turn. A call that begins after its deadline fails at once with GC_ERROR_TIMEOUT. The caller frees the handle with
 * gc_call_free once the call and every gc_call_cancel for it have returned. Returns NULL in a callback.
 */
struct gc_call *gc_call_new(uint64_t timeout_ms);

/**
 * Cancels the call: it ends with GC_ERROR_CANCELLED, and its report says what was done. The call ends within a second even if the
 * runtime hangs, but not while a callback or a system call of crigc hangs. Requests in flight get 300 ms of that second. A cancel
 * lasts: a call that begins later ends at once. May be called from any thread and from callbacks, but not in a signal handler.
 * Never blocks. NULL does nothing.
 */
void gc_call_cancel(struct gc_call *call);

/**
 * Frees the handle. NULL does nothing. In a callback it frees nothing.
 */
void gc_call_free(struct gc_call *call);

/**
 * Returns 1 for the report of a dry run, where GC_REMOVED means "would be removed"; else 0. 0 for NULL. May be called from
 * callbacks.
 */
int32_t gc_report_dry_run(const struct gc_report *report);

/**
 * Returns when the pass began, in nanoseconds since the epoch, by gc_clock_fn if it is set. 0 for NULL, and for a pass that failed
 * because gc_clock_fn returned 0 or less. May be called from callbacks.
 */
int64_t gc_report_started(const struct gc_report *report);

/**
 * Returns how long the pass took, in seconds. 0 for NULL. May be called from callbacks.
 */
double gc_report_seconds(const struct gc_report *report);

/**
 * Returns how the pass ended: GC_OK, or the status of its error. GC_OK for NULL. May be called from callbacks.
 */
gc_status gc_report_status(const struct gc_report *report);

/**
 * Returns how full the image filesystem was when the pass first read it. The struct is valid until the report is freed. Returns NULL
 * if the pass did not read it (a container pass, or an image pass that ended earlier or could not read it), and for NULL. May be
 * called from callbacks.
 */
const struct gc_fs_usage *gc_report_fs_before(const struct gc_report *report);

/**
 * The same when the pass last read it, after its removals. If the pass removed nothing, both structs are equal.
 */
const struct gc_fs_usage *gc_report_fs_after(const struct gc_report *report);

/**
 * Returns how the removals of a kind ran: how many at once, and how long nothing was begun because they had become slow. The struct is
 * valid until the report is freed. Returns NULL if the runtime was not called to remove an object of this kind, and for NULL. May be
 * called from callbacks.
 */
const struct gc_pace *gc_report_pace(const struct gc_report *report,
                                     gc_kind kind);

/**
 * Returns how many objects have this kind (or GC_ANY_KIND) and this outcome (or GC_ANY_OUTCOME). 0 for NULL, and for numbers that
 * this version does not know. May be called from callbacks.
 */
size_t gc_report_count(const struct gc_report *report,
                       gc_kind kind,
                       gc_outcome outcome);

/**
 * Returns how many bytes the removed images had (in a dry run: those that would be removed), as the runtime reports their sizes. 0
 * for NULL. May be called from callbacks.
 */
uint64_t gc_report_bytes_freed(const struct gc_report *report);

/**
 * Returns the number of entries. 0 for NULL. May be called from callbacks.
 */
size_t gc_report_len(const struct gc_report *report);

/**
 * Returns the entry at `index`, counted from 0. It is valid until the report is freed. Returns NULL past the end, and for NULL. May
 * be called from callbacks.
 */
const struct gc_entry *gc_report_entry(const struct gc_report *report,
                                       size_t index);

/**
 * Returns the report as one JSON object: {"pass": "containers" | "images" | "pod", "status": "GC_OK" or another status, "error": text
 * or null, "dry_run": bool, "started": RFC 3339 time, "seconds": number, "removed": {"container": n, "sandbox": n, "pod-logs": n,
 * "log-link": n, "image": n}, the same for "kept", "failed" and "refused", "bytes_freed": n, "fs": {"capacity",
 * "available_before", "available_after" in bytes, "inodes", "inodes_free_before", "inodes_free_after"} or null (see
 * gc_report_fs_before), "pace": {"container": {"in_flight_mean", "in_flight_most", "rest_seconds"}, ...} (the kinds for which
 * gc_report_pace is not NULL), "entries": [{"kind", "outcome", "id", "name", "pod_uid", "reason", "error" (or null), "bytes"}]}. The
 * caller frees it with gc_string_free. Returns NULL for NULL. May be called from callbacks.
 */
char *gc_report_json(const struct gc_report *report);

/**
 * Frees a report. NULL does nothing. In a callback it frees nothing; the report that a callback receives is only borrowed.
 */
void gc_report_free(struct gc_report *report);

/**
 * Returns the name of a kind, as in gc_report_json: "container", "sandbox", "pod-logs", "log-link" or "image"; "unknown" for a number
 * that this version does not know. Never NULL. The string is always valid; do not free it. May be called from callbacks.
 */
const char *gc_kind_name(gc_kind kind);

/**
 * Returns the name of an outcome, as in gc_report_json: "kept", "removed", "failed" or "refused"; "unknown" for a number that this
 * version does not know. Never NULL. The string is always valid; do not free it. May be called from callbacks.
 */
const char *gc_outcome_name(gc_outcome outcome);

/**
 * Returns a sentence for people about the `reason` of an entry, such as "kept: it is the newest sandbox of its pod", or "unknown" for
 * a word that this version does not know, and for NULL. For an entry with the outcome GC_FAILED or GC_REFUSED, and in a dry run, it
 * says why the object was to be removed. Never NULL. The string is always valid; do not free it. May be called from callbacks.
 */
const char *gc_reason_text(const char *reason);

/**
 * Explains the entry at `index`, counted from 0, for people: what happened to it, the text of its reason, and the values that were
 * compared, as far as they are known, such as "Kept: it is younger than its minimum age. It was created 35s ago;
 * minimum-container-ttl-duration is 1m0s." For an entry with the outcome GC_FAILED or GC_REFUSED it says what failed as well. The
 * words may change with each version; programs read the fields of gc_entry. The text is made by this call of values that every entry
 * has. The caller frees it with gc_string_free. Returns NULL past the end, and for NULL. May be called from
 * callbacks.
 */
char *gc_report_explain(const struct gc_report *report,
                        size_t index);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CRIGC_H */
