/*
 * crigc: the kubelet's garbage collection of dead containers, pod sandboxes, pod logs and unused images, through any
 * container runtime that speaks CRI.
 *
 *     gc_error *error = NULL;
 *     gc_config *config = gc_config_new();
 *     gc_engine *engine = gc_engine_new(config, &error);
 *     gc_report *report = NULL;
 *     gc_status status = engine ? gc_containers(engine, GC_DRY_RUN, NULL, &report, &error) : gc_error_status(error);
 *     if (status != GC_OK) fprintf(stderr, "%s: %s\n", gc_status_name(status), gc_error_message(error));
 *     for (size_t i = 0; i < gc_report_len(report); i++)
 *         printf("%s %s\n", gc_report_entry(report, i)->id, gc_report_entry(report, i)->reason);
 *     gc_report_free(report); gc_error_free(error); gc_engine_free(engine); gc_config_free(config);
 *
 * Ownership. Whoever made a handle frees it with the one _free of its type; _free(NULL) does nothing. Reports and errors
 * outlive their engine and may be read from several threads at once. A `const char *` is borrowed and lives as long as the
 * handle that gave it; a `char *` is owned and freed with gc_string_free. Strings in are NUL-terminated UTF-8 and copied.
 * Names come from workloads: in all strings out, messages too, bytes that were no UTF-8 stand as U+FFFD, control characters
 * as \n or \u{7f}, and in names a backslash is doubled. Only the UIDs given to gc_pod_states_fn are as the runtime gave them.
 *
 * Failures. A function that can fail answers a gc_status or a pointer and takes `gc_error **error` last; NULL = not
 * interested. On return `*error` is an error to be freed, or NULL on success; what it held before is neither read nor freed.
 * A NULL for a required argument and unknown flag bits are GC_ERROR_INVALID_ARGUMENT. Functions without a status answer
 * NULL, 0 or nothing to a NULL handle. Each function names the statuses that it answers; GC_ERROR_INTERNAL, a defect of crigc,
 * may come from any of them.
 *
 * Threads. An engine may be used from any number of threads at once, a config from one at a time. Two passes of one kind
 * never overlap; further callers wait in turn. The library starts threads in gc_start only (named, 1 MiB of stack, all signals
 * blocked but those that faults raise, which the host may want to handle: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS and
 * SIGABRT). No function may be called in a signal handler: write to a pipe there, and close or cancel from a thread. An
 * engine does not survive a fork: daemonise first.
 *
 * Manners. The library installs no signal handler, prints nothing, never exits and raises no SIGPIPE and no SIGXFSZ; its
 * descriptors are close-on-exec, an engine between passes has none, and after gc_engine_free no thread or descriptor is left. What it cannot
 * cancel is a system call on a hung mount. What aborts the process, and only that: allocation failure and stack overflow.
 *
 * Callbacks. They take their `context` first, which is handed through and never dereferenced, and must be usable until config
 * and engine are both freed. A called pass calls back on the caller's thread, a periodic pass on the one thread of its kind;
 * never concurrently for one engine and one kind of callback. What they get is borrowed for the call. They return normally (no
 * longjmp, no C++ exception) and within milliseconds; hold no lock across a call into the library that a callback takes, too.
 * A pass waits for a callback that does not return, past each deadline, cancel and close; a callback of the same kind is not
 * made meanwhile, so that the passes of the other kind wait for it, too. gc_close and gc_call_cancel never wait for a callback;
 * gc_stop and gc_engine_free do.
 * From a callback only gc_call_cancel, gc_close, gc_version, gc_abi, gc_status_name, gc_string_free, gc_error_free,
 * gc_config_key, gc_config_key_help and the readers of reports and errors do their work; everything else answers
 * GC_ERROR_BUSY there (NULL, or nothing, where there is no status). Where a callback answers yes or no, 1 is yes and
 * everything else is no, and "no" removes nothing.
 *
 * Reasons in gc_entry. Removed: pod-removed, pod-terminated, unit-limit, total-limit, older-sandbox, dead-link, age, space,
 * unused.
 * Kept: running, too-young, within-limit, active, newest-sandbox, pod-exists, pod-active (the host says that it is gone, but it
 * runs), link-alive, in-use, pinned, sandbox-image, exempt, enough-freed, below-threshold, first-look, sources-not-ready,
 * unknown-state, changed (asked again, the answer was another), list-incomplete, held (hold-file exists), backoff (its last
 * removal failed; periodic passes leave it alone for a while), not-reached, sandbox-image-unknown, link-unknown,
 * newer-than-answer (its pod has changed since the moment that the host's answer is of).
 *
 * The keys with their defaults and ranges are in docs/configuration.md, the rules that passes follow in docs/rules.md; both
 * name a rule by its number, such as S1.6.
 *
 * Generated from src/ffi/ by `make generate`; do not edit.
 */

#ifndef CRIGC_H
#define CRIGC_H

#include <stddef.h>
#include <stdint.h>

/**
 * Version of this interface: compare with what gc_abi answers before anything else.
 */
#define GC_ABI 1u

/**
 * Decide and report, remove nothing.
 */
#define GC_DRY_RUN 1u

/**
 * The kubelet under disk pressure: containers and sandboxes of terminated pods go too, and all images that are unused and
 * not protected, whatever the disk.
 */
#define GC_ALL_UNUSED 2u

/**
 * If a pass of the same kind is running, return GC_ERROR_BUSY instead of waiting. So it is while the periodic passes of gc_start
 * only look at images between two passes (image-maximum-gc-age).
 */
#define GC_NO_WAIT 4u

/**
 * One call's deadline and its cancel button. Made for one call of gc_containers or gc_images, freed with gc_call_free.
 */
typedef struct gc_call gc_call;

/**
 * Keys and callbacks of an engine to be. Made by gc_config_new, freed by gc_config_free; used from one thread at a time.
 */
typedef struct gc_config gc_config;

/**
 * A configured collector. May be used from any number of threads at once.
 */
typedef struct gc_engine gc_engine;

/**
 * A failure with its story. Whoever received it frees it with gc_error_free. It outlives the engine, and may be read from
 * several threads at once.
 */
typedef struct gc_error gc_error;

/**
 * What a pass decided and did: one entry for each object. Whoever received it frees it with gc_report_free. It outlives the
 * engine, and may be read from several threads at once.
 */
typedef struct gc_report gc_report;

/**
 * How a call ended. Numbers never change; take one that you do not know for a failure.
 */
typedef int32_t gc_status;

/**
 * How much a log message matters.
 */
typedef int32_t gc_log_level;

/**
 * Hears what happens, a line at a time.
 */
typedef void (*gc_log_fn)(void *context, gc_log_level level, const char *message);

/**
 * What may go of a pod: bits. Unknown bits are ignored.
 */
typedef uint32_t gc_pod_state;

/**
 * Which pods may lose something. `states[0..count)` come zeroed ("keep"); set those of `uids[0..count)`, which are the
 * runtime's bytes; one with control characters or bytes that are no UTF-8 is not asked about, and limits alone hold for its
 * pod. 1 = all pod sources have been seen; anything else = not yet: nothing goes for a pod's sake, and limits hold all the same.
 * Asked a few times a pass, more often where a list comes in parts (S7), also about none (both pointers are NULL then); and once
 * right before each log directory is removed, about its pod alone.
 *
 * `*as_of` comes as 0: the answer is of now. A host whose picture of its pods is of the past, such as a list that somebody made
 * 40 seconds ago, sets when the picture was true, in ns since the epoch (the time before it asked for the list, by the node's
 * clock). A pod of which a container or sandbox was created, or something in its log directory changed, after that moment is
 * then not removable in this pass, reason newer-than-answer: the picture may not know it yet. This is judged once for each pod,
 * before anything of it is removed. A moment later than now, or negative, counts as "not yet". `as_of` is never NULL.
 */
typedef int32_t (*gc_pod_states_fn)(void *context,
                                    const char *const *uids,
                                    gc_pod_state *states,
                                    size_t count,
                                    int64_t *as_of);

/**
 * Kind of an object. Grows.
 */
typedef int32_t gc_kind;

/**
 * What became of an object. Grows; take one that you do not know for GC_KEPT.
 */
typedef int32_t gc_outcome;

/**
 * One object that a pass decided on. Allocated by the library, and grows at its end: never embed or allocate one. All
 * strings are borrowed from the report; bytes that were no UTF-8 stand as U+FFFD, control characters as \n or \u{7f}, a
 * backslash doubled.
 */
typedef struct gc_entry {
    /**
     * What it is.
     */
    gc_kind kind;
    /**
     * What became of it.
     */
    gc_outcome outcome;
    /**
     * ID of the container, sandbox or image, or the path. Never NULL.
     */
    const char *id;
    /**
     * namespace/pod/container, namespace/pod, or the image's first tag; "" if none. Never NULL.
     */
    const char *name;
    /**
     * UID of its pod; "" if none. Never NULL.
     */
    const char *pod_uid;
    /**
     * A stable word: why it went, should have gone, or stayed. Grows; the words are listed at the head of this file.
     */
    const char *reason;
    /**
     * What went wrong; NULL unless the outcome is GC_FAILED or GC_REFUSED.
     */
    const char *error;
    /**
     * Size of an image in bytes, as the runtime reports it; else 0.
     */
    uint64_t bytes;
} gc_entry;

/**
 * Whether an object may be removed: 1 = yes, anything else = no. Asked right before the removal, never in a dry run. `planned`
 * is lent for the call: `reason` is why it is to go, `outcome` is GC_KEPT (nothing has happened yet), `error` NULL.
 */
typedef int32_t (*gc_approve_fn)(void *context, const struct gc_entry *planned);

/**
 * Figures of a filesystem. Allocated by the library, and grows at its end: never embed or allocate one.
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
     * How many inodes there are; 0 = unknown.
     */
    uint64_t inodes;
    /**
     * How many of them are free.
     */
    uint64_t inodes_free;
} gc_fs_usage;

/**
 * The host's own figures of the image filesystem: `usage` comes zeroed; 1 = filled, anything else = none, and the pass fails
 * with GC_ERROR_IO (with GC_ALL_UNUSED it goes on: the figures are for the report alone). Asked again after each image that is
 * removed for space: when enough is available, no more are removed.
 */
typedef int32_t (*gc_image_fs_fn)(void *context, struct gc_fs_usage *usage);

/**
 * Hears of events, all of the Kubernetes type Warning: from every pass FreeDiskSpaceFailed, InvalidDiskCapacity and
 * PodStatesContradicted; from periodic passes ContainerGCFailed, and ImageGCFailed from the second failure in a row.
 */
typedef void (*gc_event_fn)(void *context, const char *reason, const char *message);

/**
 * Hears how far the removals of one kind are. `done` counts those that ended, removed or failed; `total` is that and what may
 * still go: it becomes less where objects stay after all (refused, held, changed), so a stage may end below it. Not called in a
 * dry run, and not after a cancel, a close or a deadline.
 */
typedef void (*gc_progress_fn)(void *context, gc_kind kind, size_t done, size_t total);

/**
 * Which pass.
 */
typedef int32_t gc_pass;

/**
 * Hears that a pass has ended, periodic or called. `report` and `error` are lent for the call; `report` is never NULL, `error`
 * is NULL if all went well. Not called for a call whose pass never began (it was closed, cancelled or busy before its turn).
 */
typedef void (*gc_pass_fn)(void *context,
                           gc_pass pass,
                           gc_status status,
                           const struct gc_report *report,
                           const struct gc_error *error);

/**
 * The wall clock: nanoseconds since the epoch. A value that is not above 0 fails the pass
 * (GC_ERROR_INVALID_ARGUMENT).
 */
typedef int64_t (*gc_clock_fn)(void *context);

/**
 * The pass could look and decide, and did what it could. Single removals that failed are in the report.
 */
#define GC_OK 0

/**
 * A NULL for a required argument, an unknown flag bit, an unknown key, a value that is wrong by itself, or a clock that tells no
 * time.
 */
#define GC_ERROR_INVALID_ARGUMENT 1

/**
 * Values that are wrong only together, such as a low threshold above the high one.
 */
#define GC_ERROR_CONFIG 2

/**
 * No runtime answers at the endpoint.
 */
#define GC_ERROR_UNAVAILABLE 3

/**
 * The runtime answered with an error, or with something that is no CRI.
 */
#define GC_ERROR_RUNTIME 4

/**
 * A deadline passed: of the call, of the pass, or of one request.
 */
#define GC_ERROR_TIMEOUT 5

/**
 * The call was cancelled by gc_call_cancel, or a periodic pass was ended by gc_stop.
 */
#define GC_ERROR_CANCELLED 6

/**
 * Files or filesystems of the host cannot be read, the records file cannot be held, or no descriptor or thread is to be had.
 */
#define GC_ERROR_IO 7

/**
 * All removals went well, and still fewer bytes were freed than the low threshold asks for.
 */
#define GC_ERROR_NOT_ENOUGH_FREED 8

/**
 * A defect of crigc.
 */
#define GC_ERROR_INTERNAL 9

/**
 * A pass of this kind runs already (GC_NO_WAIT), another engine holds the records file, or the function was called from a
 * callback.
 */
#define GC_ERROR_BUSY 10

/**
 * The engine was closed.
 */
#define GC_ERROR_CLOSED 11

/**
 * The host said that most of what runs is gone; nothing was removed for a pod's sake.
 */
#define GC_ERROR_CONTRADICTION 12

/**
 * Everything the pod left behind may go: it was evicted, or deleted and terminated, or the host, which knows all its pods,
 * does not know this UID.
 */
#define GC_POD_CONTENT_REMOVABLE 1u

/**
 * Its containers and sandboxes may go (it has terminated), though the pod may still exist. Counts with GC_ALL_UNUSED.
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
 * What was done.
 */
#define GC_LOG_INFO 2

/**
 * Why each object stayed.
 */
#define GC_LOG_DEBUG 3

/**
 * gc_containers: dead containers, sandboxes, pod logs and log links.
 */
#define GC_PASS_CONTAINERS 0

/**
 * gc_images: unused images.
 */
#define GC_PASS_IMAGES 1

/**
 * A container.
 */
#define GC_CONTAINER 0

/**
 * A pod sandbox.
 */
#define GC_SANDBOX 1

/**
 * An entry of pod-logs-dir: the logs of a pod.
 */
#define GC_POD_LOGS 2

/**
 * A link in container-logs-dir.
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
 * It is still there; the reason says why.
 */
#define GC_KEPT 0

/**
 * It is gone; in a dry run: it would go.
 */
#define GC_REMOVED 1

/**
 * It should have gone, and its removal failed; `error` says why.
 */
#define GC_FAILED 2

/**
 * The host's gc_approve_fn did not say yes.
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
 * Makes an engine from a copy of the configuration and its callbacks; needs no running runtime yet. The caller frees it with
 * gc_engine_free. On failure it answers NULL, and the error says GC_ERROR_CONFIG (values that are wrong only together),
 * GC_ERROR_BUSY (another engine holds image-records-file, or this is a callback), GC_ERROR_IO (image-records-file cannot be
 * held, such as in a directory that is missing or cannot be written) or GC_ERROR_INVALID_ARGUMENT (a NULL).
 */
struct gc_engine *gc_engine_new(const struct gc_config *config,
                                struct gc_error **error);

/**
 * Closes an engine: passes under way end soon with GC_ERROR_CLOSED (once a callback that they are in has returned), and so do
 * later calls. Never blocks, also while a callback does; may be called from any thread and from callbacks, not in a signal
 * handler. It is to be freed all the same. NULL does nothing.
 */
void gc_close(struct gc_engine *engine);

/**
 * Closes an engine, waits for its passes, its threads and all calls that are inside, and frees it: when it returns, no thread
 * and no descriptor is left, and image-records-file is free for another engine. No other call may begin from here on: a thread
 * that is just about to call has begun. Reports and errors that came from it stay. In a callback it
 * closes the engine and leaks it. NULL does nothing.
 */
void gc_engine_free(struct gc_engine *engine);

/**
 * Collects dead containers, pod sandboxes, pod logs and log links. Blocks until the pass is over; waits first for a pass of
 * this kind that runs (unless GC_NO_WAIT). `flags`: GC_DRY_RUN, GC_ALL_UNUSED, GC_NO_WAIT or 0. `call`: deadline and cancel
 * button, or NULL. `*report`: on return not NULL if and only if the pass began, also when it failed; the caller frees it with
 * gc_report_free; a NULL `report` is fine. `*error`: on return an error that the caller frees, or NULL.
 * GC_OK says that the pass could look and decide and did what it could; removals that failed are in the report. Else
 * GC_ERROR_UNAVAILABLE, GC_ERROR_RUNTIME, GC_ERROR_TIMEOUT (the deadline of the call, of the pass or of a request),
 * GC_ERROR_CANCELLED, GC_ERROR_CLOSED, GC_ERROR_BUSY (GC_NO_WAIT, or in a callback), GC_ERROR_IO (directories, figures, or no
 * descriptor is left), GC_ERROR_CONFIG (log directories that are, or lie in, one another), GC_ERROR_CONTRADICTION,
 * GC_ERROR_INVALID_ARGUMENT (a NULL, unknown flags, or a clock that tells no time) or GC_ERROR_INTERNAL.
 */
gc_status gc_containers(struct gc_engine *engine,
                        uint32_t flags,
                        struct gc_call *call,
                        struct gc_report **report,
                        struct gc_error **error);

/**
 * Collects unused images when the image filesystem is fuller than image-gc-high-threshold, or, with GC_ALL_UNUSED, whatever
 * the disk. All else is as in gc_containers; in addition a removal that failed fails the pass (GC_ERROR_RUNTIME), and so does
 * freeing less than wanted (GC_ERROR_NOT_ENOUGH_FREED). What the first look of an engine finds is not protected by
 * minimum-image-ttl-duration.
 */
gc_status gc_images(struct gc_engine *engine,
                    uint32_t flags,
                    struct gc_call *call,
                    struct gc_report **report,
                    struct gc_error **error);

/**
 * Starts periodic passes in the background, on one thread for each kind: containers at once and container-gc-period after
 * each pass, images likewise with image-gc-period (not at all with image-gc-high-threshold 100, unless
 * image-maximum-gc-age is set; where there are no records yet, their first pass only looks).
 * Twice is fine. GC_ERROR_CLOSED, GC_ERROR_IO (no thread to be had), GC_ERROR_INVALID_ARGUMENT for NULL, GC_ERROR_BUSY in a
 * callback.
 */
gc_status gc_start(struct gc_engine *engine,
                   struct gc_error **error);

/**
 * Cancels the periodic passes and waits for their end, also when another thread is stopping them; gc_start starts them again.
 * Does nothing for NULL, and in a callback.
 */
void gc_stop(struct gc_engine *engine);

/**
 * The library's version, such as "0.1.0"; valid for ever. May be called from callbacks.
 */
const char *gc_version(void);

/**
 * The GC_ABI of the library. May be called from callbacks.
 */
uint32_t gc_abi(void);

/**
 * Frees a `char *` that the library gave. NULL does nothing. May be called from callbacks.
 */
void gc_string_free(char *string);

/**
 * The name of a status, such as "GC_ERROR_TIMEOUT"; "GC_ERROR_UNKNOWN" for a number that this version does not know. Never
 * NULL, valid for ever. May be called from callbacks.
 */
const char *gc_status_name(gc_status status);

/**
 * The status of a failure; GC_OK for NULL. May be called from callbacks.
 */
gc_status gc_error_status(const struct gc_error *error);

/**
 * What failed, on which object, why, and what to do about it; valid until the error is freed. NULL for NULL. May be called
 * from callbacks.
 */
const char *gc_error_message(const struct gc_error *error);

/**
 * Frees an error. NULL does nothing. May be called from callbacks.
 */
void gc_error_free(struct gc_error *error);

/**
 * Makes a configuration with the kubelet's defaults. The caller frees it with gc_config_free. NULL in a callback.
 */
struct gc_config *gc_config_new(void);

/**
 * Sets a key (a name of the kubelet's flags, see gc_config_key) to a value as on the kubelet's command line; both are
 * copied. GC_ERROR_INVALID_ARGUMENT for an unknown key, a bad value or a NULL, which changes nothing; the error names it
 * and says what would be right. GC_ERROR_BUSY in a callback.
 */
gc_status gc_config_set(struct gc_config *config,
                        const char *key,
                        const char *value,
                        struct gc_error **error);

/**
 * The value of a key: what was set, or its default. The caller frees it with gc_string_free. NULL and an error for an
 * unknown key or a NULL (GC_ERROR_INVALID_ARGUMENT), and in a callback (GC_ERROR_BUSY).
 */
char *gc_config_get(const struct gc_config *config, const char *key, struct gc_error **error);

/**
 * Frees a configuration; engines made from it live on. NULL does nothing; in a callback nothing is freed.
 */
void gc_config_free(struct gc_config *config);

/**
 * The names of all keys in turn: 0, 1, ... until it answers NULL. Valid for ever. May be called from callbacks.
 */
const char *gc_config_key(size_t index);

/**
 * What a key does, its default and range, for a host's own help; valid for ever. NULL for an unknown key and for NULL. May
 * be called from callbacks.
 */
const char *gc_config_key_help(const char *key);

/**
 * Sets the callback for the log: messages up to the level `up_to` (below GC_LOG_ERROR counts as that, above GC_LOG_DEBUG as
 * that); a NULL function clears it. A NULL config does nothing.
 */
void gc_config_set_log(struct gc_config *config,
                       gc_log_level up_to,
                       gc_log_fn function,
                       void *context);

/**
 * Sets the callback for who may lose something. Without it no pod loses anything for its own sake: only limits and
 * thresholds apply. A NULL function clears it. A NULL config does nothing.
 */
void gc_config_set_pod_states(struct gc_config *config, gc_pod_states_fn function, void *context);

/**
 * Sets the callback for the last word on each removal. Without it all is approved. A NULL function clears it. A NULL
 * config does nothing.
 */
void gc_config_set_approve(struct gc_config *config, gc_approve_fn function, void *context);

/**
 * Sets the callback for figures of the image filesystem. Without it the runtime is asked where it is, and the kernel how
 * full. A NULL function clears it. A NULL config does nothing.
 */
void gc_config_set_image_fs(struct gc_config *config,
                            gc_image_fs_fn function,
                            void *context);

/**
 * Sets the callback for events. A NULL function clears it. A NULL config does nothing.
 */
void gc_config_set_event(struct gc_config *config, gc_event_fn function, void *context);

/**
 * Sets the callback for progress. A NULL function clears it. A NULL config does nothing.
 */
void gc_config_set_progress(struct gc_config *config, gc_progress_fn function, void *context);

/**
 * Sets the callback for ended passes. A NULL function clears it. A NULL config does nothing.
 */
void gc_config_set_pass(struct gc_config *config, gc_pass_fn function, void *context);

/**
 * Sets the callback for the wall clock. Without it the system's. A NULL function clears it. A NULL config does nothing.
 */
void gc_config_set_clock(struct gc_config *config, gc_clock_fn function, void *context);

/**
 * Makes a deadline `timeout_ms` milliseconds from now (0 = none). It counts from here, so waiting for the call's turn is
 * included; a call that begins after it ends at once with GC_ERROR_TIMEOUT. The caller frees it with gc_call_free once the
 * call and all its cancels have returned. NULL in a callback.
 */
struct gc_call *gc_call_new(uint64_t timeout_ms);

/**
 * Cancels: the call ends with GC_ERROR_CANCELLED, within a second also where the runtime hangs (requests in flight get 300
 * ms), and its report says how far it came. Sticky: it may come before the call begins. From any thread, signal handlers
 * excepted, and from callbacks; never blocks. NULL does nothing.
 */
void gc_call_cancel(struct gc_call *call);

/**
 * Frees it. NULL does nothing; in a callback nothing is freed.
 */
void gc_call_free(struct gc_call *call);

/**
 * 1 if it is the report of a dry run, where GC_REMOVED means "would be"; else 0, as for NULL. May be called from callbacks.
 */
int32_t gc_report_dry_run(const struct gc_report *report);

/**
 * When the pass began: nanoseconds since the epoch, by gc_clock_fn if there is one. 0 for NULL, and for a pass that failed for
 * want of a clock. May be called from callbacks.
 */
int64_t gc_report_started(const struct gc_report *report);

/**
 * How long the pass took, in seconds. 0 for NULL. May be called from callbacks.
 */
double gc_report_seconds(const struct gc_report *report);

/**
 * How the pass ended: GC_OK, or the status of its error. GC_OK for NULL. May be called from callbacks.
 */
gc_status gc_report_status(const struct gc_report *report);

/**
 * How full the image filesystem was when the pass first read its figures; valid until the report is freed. NULL where it read none:
 * for NULL, in passes over containers, and where an image pass ended before or got none. May be called from callbacks.
 */
const struct gc_fs_usage *gc_report_fs_before(const struct gc_report *report);

/**
 * The same when the pass last read them, after what it removed; as before where it removed nothing.
 */
const struct gc_fs_usage *gc_report_fs_after(const struct gc_report *report);

/**
 * How many objects have this kind (or GC_ANY_KIND) and this outcome (or GC_ANY_OUTCOME). 0 for NULL and for numbers that
 * this version does not know. May be called from callbacks.
 */
size_t gc_report_count(const struct gc_report *report,
                       gc_kind kind,
                       gc_outcome outcome);

/**
 * Bytes of the images that were removed (in a dry run: would be), as the runtime reports their sizes. 0 for NULL. May be
 * called from callbacks.
 */
uint64_t gc_report_bytes_freed(const struct gc_report *report);

/**
 * How many entries there are. 0 for NULL. May be called from callbacks.
 */
size_t gc_report_len(const struct gc_report *report);

/**
 * The entry at `index`, counted from 0; valid until the report is freed. NULL past the end and for NULL. May be called from
 * callbacks.
 */
const struct gc_entry *gc_report_entry(const struct gc_report *report,
                                       size_t index);

/**
 * The report as one JSON object: {"pass": "containers" | "images", "status": "GC_OK" or the name of another status, "error": text
 * or null, "dry_run": bool, "started": RFC 3339 time, "seconds": number, "removed": {"container": n, "sandbox": n, "pod-logs": n,
 * "log-link": n, "image": n}, the same for "kept", "failed" and "refused", "bytes_freed": n, "fs": {"capacity",
 * "available_before", "available_after"} in bytes or null (see gc_report_fs_before), "entries": [{"kind", "outcome", "id", "name",
 * "pod_uid", "reason", "error" (or null), "bytes"}]}. The caller frees it with
 * gc_string_free. NULL for NULL. May be called from callbacks.
 */
char *gc_report_json(const struct gc_report *report);

/**
 * Frees a report. NULL does nothing; in a callback nothing is freed (what a callback gets is only lent).
 */
void gc_report_free(struct gc_report *report);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CRIGC_H */
