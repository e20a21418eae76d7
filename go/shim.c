#include "shim.h"
#include "_cgo_export.h"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* Which pass a callback belongs to: a number that Go gave its own call, or on a thread of the library an address that no
 * other living thread has. */
static _Thread_local uintptr_t called;
static _Thread_local int callbacks;

static uintptr_t token(void)
{
    return called ? called : (uintptr_t)&called;
}

static int32_t pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(uids[i]);
    /* An empty array may have an invalid address, which Go would refuse as a pointer. */
    char **list = count ? (char **)(uintptr_t)uids : NULL;
    callbacks++;
    int32_t answer = crigcGoPodStates((uintptr_t)context, token(), list, count ? states : NULL, count, bytes, as_of);
    callbacks--;
    return answer;
}

static int32_t approve(void *context, const gc_entry *planned)
{
    callbacks++;
    int32_t answer = crigcGoApprove((uintptr_t)context, token(), (gc_entry *)(uintptr_t)planned);
    callbacks--;
    return answer;
}

static int32_t image_fs(void *context, gc_fs_usage *usage)
{
    callbacks++;
    int32_t answer = crigcGoImageFS((uintptr_t)context, token(), usage);
    callbacks--;
    return answer;
}

static void log_line(void *context, gc_log_level level, const char *message)
{
    callbacks++;
    crigcGoLog((uintptr_t)context, token(), level, (char *)(uintptr_t)message);
    callbacks--;
}

static void event(void *context, const char *reason, const char *message)
{
    callbacks++;
    crigcGoEvent((uintptr_t)context, token(), (char *)(uintptr_t)reason, (char *)(uintptr_t)message);
    callbacks--;
}

static void progress(void *context, gc_kind kind, size_t done, size_t total)
{
    callbacks++;
    crigcGoProgress((uintptr_t)context, token(), kind, done, total);
    callbacks--;
}

static void ended(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    callbacks++;
    crigcGoEnded((uintptr_t)context, token(), pass, status, (gc_report *)(uintptr_t)report, (gc_error *)(uintptr_t)error);
    callbacks--;
}

static int64_t clock_now(void *context)
{
    callbacks++;
    int64_t answer = crigcGoClock((uintptr_t)context, token());
    callbacks--;
    return answer;
}

static int connect_to(void *context, gc_service service)
{
    callbacks++;
    int answer = crigcGoConnect((uintptr_t)context, token(), service);
    callbacks--;
    return answer;
}

void crigc_go_register(gc_config *config, uintptr_t host, uint32_t callbacks, gc_log_level up_to)
{
    void *context = (void *)host;
    if (callbacks & CRIGC_GO_POD_STATES)
        gc_config_set_pod_states(config, pod_states, context);
    if (callbacks & CRIGC_GO_APPROVE)
        gc_config_set_approve(config, approve, context);
    if (callbacks & CRIGC_GO_IMAGE_FS)
        gc_config_set_image_fs(config, image_fs, context);
    if (callbacks & CRIGC_GO_LOG)
        gc_config_set_log(config, up_to, log_line, context);
    if (callbacks & CRIGC_GO_EVENT)
        gc_config_set_event(config, event, context);
    if (callbacks & CRIGC_GO_PROGRESS)
        gc_config_set_progress(config, progress, context);
    if (callbacks & CRIGC_GO_ENDED)
        gc_config_set_pass(config, ended, context);
    if (callbacks & CRIGC_GO_CLOCK)
        gc_config_set_clock(config, clock_now, context);
    if (callbacks & CRIGC_GO_CONNECT)
        gc_config_set_connect(config, connect_to, context);
}

struct crigc_go_end crigc_go_collect(gc_engine *engine, gc_pass pass, const char *uid, uint32_t flags, gc_call *call,
                                    uintptr_t token)
{
    struct crigc_go_end end = {0, NULL, NULL};
    /* A callback may call, too, and only gets an error: the token from before has to come back. */
    uintptr_t outer = called;
    called = token;
    if (pass == GC_PASS_POD)
        end.status = gc_pod(engine, uid, flags, call, &end.report, &end.error);
    else if (pass == GC_PASS_IMAGES)
        end.status = gc_images(engine, flags, call, &end.report, &end.error);
    else
        end.status = gc_containers(engine, flags, call, &end.report, &end.error);
    called = outer;
    return end;
}

struct crigc_go_end crigc_go_start(gc_engine *engine, uintptr_t token)
{
    struct crigc_go_end end = {0, NULL, NULL};
    uintptr_t outer = called;
    called = token;
    end.status = gc_start(engine, &end.error);
    called = outer;
    return end;
}

int crigc_go_in_callback(void)
{
    return callbacks > 0;
}

/* The texts of an entry in the order of a row. */
static void texts_of(const gc_entry *entry, const char *texts[4])
{
    texts[0] = entry->id;
    texts[1] = entry->name;
    texts[2] = entry->pod_uid;
    texts[3] = entry->error ? entry->error : "";
}

static void measure(const gc_entry *entry, struct crigc_go_sizes *sizes)
{
    const char *texts[4];
    texts_of(entry, texts);
    for (int i = 0; i < 4; i++)
        sizes->text += strlen(texts[i]);
    sizes->words += strlen(entry->reason);
    sizes->entries++;
}

/* Copies a string without its NUL to `*end`, and moves `*end` behind it. */
static uint32_t copy(const char *string, char **end)
{
    size_t length = strlen(string);
    memcpy(*end, string, length);
    *end += length;
    return (uint32_t)length;
}

static void fill(const gc_entry *entry, struct crigc_go_row *row, char **text, char **words)
{
    const char *texts[4];
    texts_of(entry, texts);
    row->kind = entry->kind;
    row->outcome = entry->outcome;
    row->bytes = entry->bytes;
    for (int i = 0; i < 4; i++)
        row->text[i] = copy(texts[i], text);
    row->word = copy(entry->reason, words);
}

struct crigc_go_sizes crigc_go_report_sizes(const gc_report *report)
{
    struct crigc_go_sizes sizes = {0, 0, 0};
    size_t count = gc_report_len(report);
    for (size_t i = 0; i < count; i++)
        measure(gc_report_entry(report, i), &sizes);
    return sizes;
}

void crigc_go_report_fill(const gc_report *report, struct crigc_go_row *rows, size_t count, char *text, char *words)
{
    for (size_t i = 0; i < count; i++)
        fill(gc_report_entry(report, i), &rows[i], &text, &words);
}

struct crigc_go_sizes crigc_go_entry_sizes(const gc_entry *entry)
{
    struct crigc_go_sizes sizes = {0, 0, 0};
    measure(entry, &sizes);
    return sizes;
}

void crigc_go_entry_fill(const gc_entry *entry, struct crigc_go_row *row, char *text, char *words)
{
    fill(entry, row, &text, &words);
}

int crigc_go_duplicate(int socket)
{
    int type;
    socklen_t length = sizeof type;
    /* The library closes only sockets. */
    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
        return -1;
    return fcntl(socket, F_DUPFD_CLOEXEC, 3);
}

void crigc_go_copy_uids(char **uids, size_t count, char *text, uint32_t *lengths)
{
    for (size_t i = 0; i < count; i++)
        lengths[i] = copy(uids[i], &text);
}
