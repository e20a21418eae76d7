/* Passes with all callbacks, calls from callbacks, threads, cancel, deadlines, close and free during a pass.
 * Arguments: the socket of a crisim, and the socket of one whose removals hang. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "crigc.h"

typedef struct host {
    pthread_t thread;
    gc_engine *engine;
    gc_call *call;
    gc_config *config; /* a live one, which callbacks must not be able to change */
    int states, approvals, usages, logs, progresses, passes, clocks, events, elsewhere;
    int refuse, cancel, close, free, no_figures;
    int64_t told; /* what the clock told last */
    gc_status last;
    gc_pass last_pass;
} host;

/* Passes of two kinds may call back at the same time. */
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static int counted(const int *count)
{
    pthread_mutex_lock(&counting);
    int now = *count;
    pthread_mutex_unlock(&counting);
    return now;
}

/* What callbacks may and may not call (rule 11). */
static void call_back(host *h)
{
    gc_error *error = NULL;
    gc_report *report = NULL;
    CHECK(gc_containers(h->engine, 0, NULL, &report, &error) == GC_ERROR_BUSY && report == NULL);
    CHECK(gc_error_status(error) == GC_ERROR_BUSY && gc_error_message(error) != NULL);
    gc_error_free(error);
    CHECK(gc_images(h->engine, 0, NULL, NULL, NULL) == GC_ERROR_BUSY);
    CHECK(gc_pod(h->engine, "uid", GC_POD_GONE, NULL, NULL, NULL) == GC_ERROR_BUSY);
    CHECK(gc_start(h->engine, NULL) == GC_ERROR_BUSY);
    CHECK(gc_config_new() == NULL && gc_call_new(1) == NULL && gc_engine_new(NULL, NULL) == NULL);
    CHECK(gc_config_get(h->config, "dry-run", NULL) == NULL);
    CHECK(gc_config_set(h->config, "dry-run", "true", NULL) == GC_ERROR_BUSY);
    CHECK(gc_engine_new(h->config, &error) == NULL && gc_error_status(error) == GC_ERROR_BUSY);
    gc_error_free(error);
    gc_config_set_pod_states(h->config, NULL, NULL);
    gc_config_set_approve(h->config, NULL, NULL);
    gc_config_set_image_fs(h->config, NULL, NULL);
    gc_config_set_log(h->config, GC_LOG_ERROR, NULL, NULL);
    gc_config_set_event(h->config, NULL, NULL);
    gc_config_set_progress(h->config, NULL, NULL);
    gc_config_set_pass(h->config, NULL, NULL);
    gc_config_set_clock(h->config, NULL, NULL);
    gc_config_free(h->config); /* it is still there after the passes */
    gc_call_free(h->call);
    gc_stop(h->engine);
    CHECK(gc_metrics(h->engine) == NULL);
    CHECK(gc_abi() == GC_ABI && gc_version() != NULL && gc_config_key(0) != NULL);
    CHECK(gc_config_key_help(gc_config_key(0)) != NULL && gc_status_name(GC_OK) != NULL);
}

/* Every callback comes through here. */
static void seen(host *h, int *count)
{
    pthread_mutex_lock(&counting);
    int first = ++*count == 1;
    if (!pthread_equal(h->thread, pthread_self()))
        h->elsewhere++;
    pthread_mutex_unlock(&counting);
    if (first)
        call_back(h);
}

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    host *h = context;
    CHECK(as_of != NULL && *as_of == 0);
    seen(h, &h->states);
    if (h->close)
        gc_close(h->engine);
    if (h->free)
        gc_engine_free(h->engine); /* closes it, and leaves the memory alone */
    for (size_t i = 0; i < count; i++) {
        CHECK(states[i] == 0 && uids[i] != NULL);
        states[i] = strncmp(uids[i], "gone", 4) == 0 ? GC_POD_CONTENT_REMOVABLE | 0x100u : 0u;
    }
    return 1;
}

static int32_t on_approve(void *context, const gc_entry *planned)
{
    host *h = context;
    seen(h, &h->approvals);
    CHECK(planned->id[0] != '\0' && planned->reason[0] != '\0' && planned->error == NULL);
    if (h->cancel)
        gc_call_cancel(h->call);
    return h->refuse ? 2 : 1; /* only 1 is yes */
}

static int32_t on_usage(void *context, gc_fs_usage *usage)
{
    host *h = context;
    seen(h, &h->usages);
    CHECK(usage->capacity == 0 && usage->available == 0);
    usage->capacity = 1000;
    usage->available = 50;
    return h->no_figures ? 0 : 1;
}

static void on_log(void *context, gc_log_level level, const char *message)
{
    host *h = context;
    seen(h, &h->logs);
    CHECK(level >= GC_LOG_ERROR && level <= GC_LOG_DEBUG && message[0] != '\0');
}

static void on_event(void *context, const char *reason, const char *message)
{
    host *h = context;
    seen(h, &h->events);
    CHECK(reason[0] != '\0' && message[0] != '\0');
}

static void on_progress(void *context, gc_kind kind, size_t done, size_t total)
{
    host *h = context;
    seen(h, &h->progresses);
    CHECK(kind >= GC_CONTAINER && kind <= GC_IMAGE && done > 0 && done <= total);
}

static void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    host *h = context;
    seen(h, &h->passes);
    h->last = status;
    CHECK(pass == GC_PASS_CONTAINERS || pass == GC_PASS_IMAGES || pass == GC_PASS_POD);
    h->last_pass = pass;
    CHECK(report != NULL && (error != NULL) == (status != GC_OK) && gc_error_status(error) == status);
    CHECK(gc_report_started(report) > 0 && gc_report_seconds(report) > 0);
    char *why = gc_report_explain(report, 0);
    CHECK((why != NULL) == (gc_report_len(report) > 0));
    gc_string_free(why);
    gc_report_free((gc_report *)report); /* does nothing in a callback: it is only lent */
}

static int64_t on_clock(void *context)
{
    host *h = context;
    seen(h, &h->clocks);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    pthread_mutex_lock(&counting);
    h->told = ns;
    pthread_mutex_unlock(&counting);
    return ns;
}

static gc_config *config_for(const char *endpoint, host *h)
{
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", endpoint, NULL) == GC_OK);
    CHECK(gc_config_set(config, "pod-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-logs-dir", "", NULL) == GC_OK);
    if (h) {
        h->thread = pthread_self();
        gc_config_set_pod_states(config, on_states, h);
        gc_config_set_approve(config, on_approve, h);
        gc_config_set_image_fs(config, on_usage, h);
        gc_config_set_log(config, GC_LOG_DEBUG, on_log, h);
        gc_config_set_event(config, on_event, h);
        gc_config_set_progress(config, on_progress, h);
        gc_config_set_pass(config, on_pass, h);
        gc_config_set_clock(config, on_clock, h);
    }
    return config;
}

static gc_engine *engine_for(const char *endpoint, host *h)
{
    gc_config *config = config_for(endpoint, h);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    h->engine = engine;
    h->config = config;
    return engine;
}

static void free_host(host *h)
{
    gc_engine_free(h->engine);
    /* No callback could change it: an engine from it still calls back. */
    int states = h->states;
    h->thread = pthread_self();
    h->close = h->free = h->cancel = 0;
    h->engine = gc_engine_new(h->config, NULL);
    CHECK(h->engine != NULL);
    gc_containers(h->engine, GC_DRY_RUN, NULL, NULL, NULL);
    CHECK(h->states > states);
    gc_engine_free(h->engine);
    gc_config_free(h->config);
}

static size_t entries_of(const char *directory)
{
    size_t count = 0;
    DIR *open = opendir(directory);
    CHECK(open != NULL);
    while (readdir(open))
        count++;
    closedir(open);
    return count;
}

/* The pod with the most containers of a report, and how many it has. */
static const char *fullest_pod(const gc_report *report, size_t *most)
{
    const char *fullest = NULL;
    *most = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const char *uid = gc_report_entry(report, i)->pod_uid;
        size_t count = 0;
        for (size_t j = 0; j < gc_report_len(report); j++) {
            const gc_entry *other = gc_report_entry(report, j);
            count += other->kind == GC_CONTAINER && strcmp(other->pod_uid, uid) == 0;
        }
        if (count > *most) {
            *most = count;
            fullest = uid;
        }
    }
    return fullest;
}

static char the_pod[64]; /* all nodes of this program have it */

/* The fullest pod runs, so that GC_POD_GONE removes no more than limits do. */
static void one_pod(const char *endpoint)
{
    host h = { 0 };
    gc_error *error = NULL;
    gc_report *all = NULL, *dry = NULL, *done = NULL, *again = NULL;
    gc_engine *engine = engine_for(endpoint, &h);
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, &all, &error) == GC_OK && h.last_pass == GC_PASS_CONTAINERS);
    size_t containers, of_pod = 0;
    const char *uid = fullest_pod(all, &containers);
    snprintf(the_pod, sizeof the_pod, "%s", uid);
    for (size_t i = 0; i < gc_report_len(all); i++) {
        const gc_entry *entry = gc_report_entry(all, i);
        of_pod += entry->outcome == GC_REMOVED && strcmp(entry->pod_uid, uid) == 0;
    }
    CHECK(of_pod > 0);
    CHECK(gc_pod(engine, uid, GC_POD_GONE | GC_DRY_RUN, NULL, &dry, &error) == GC_OK && error == NULL);
    CHECK(h.last_pass == GC_PASS_POD && h.approvals == 0);
    CHECK(gc_report_count(dry, GC_ANY_KIND, GC_REMOVED) == of_pod && gc_report_dry_run(dry) == 1);
    CHECK(gc_report_count(dry, GC_CONTAINER, GC_ANY_OUTCOME) == containers);
    CHECK(gc_pod(engine, uid, GC_NO_WAIT, NULL, &done, &error) == GC_OK && error == NULL);
    CHECK(gc_report_count(done, GC_ANY_KIND, GC_REMOVED) == of_pod && h.approvals == (int)of_pod);
    for (size_t i = 0; i < gc_report_len(done); i++)
        CHECK(strcmp(gc_report_entry(done, i)->pod_uid, uid) == 0);
    char *json = gc_report_json(done);
    CHECK(json != NULL && strstr(json, "{\"pass\":\"pod\"") == json);
    gc_string_free(json);
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, &again, &error) == GC_OK);
    CHECK(gc_report_count(again, GC_ANY_KIND, GC_REMOVED) + of_pod == gc_report_count(all, GC_ANY_KIND, GC_REMOVED));
    free_host(&h);
    gc_report_free(all);
    gc_report_free(dry);
    gc_report_free(done);
    gc_report_free(again);
}

static gc_status collect_the_pod(gc_engine *engine, uint32_t flags, gc_call *call, gc_report **report, gc_error **error)
{
    return gc_pod(engine, the_pod, flags, call, report, error);
}

/* The value of a metric with these labels, which are the last ones of its line. */
static double metric(gc_engine *engine, const char *name, const char *labels)
{
    char *text = gc_metrics(engine);
    CHECK(text != NULL && strncmp(text, "# HELP crigc_", 13) == 0 && text[strlen(text) - 1] == '\n');
    double value = -1;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *end = strstr(line, "} ");
        if (strncmp(line, name, strlen(name)) != 0 || line[strlen(name)] != '{' || !end)
            continue;
        *end = '\0';
        size_t length = strlen(line);
        if (length >= strlen(labels) && strcmp(line + length - strlen(labels), labels) == 0)
            value = strtod(end + 2, NULL);
    }
    gc_string_free(text);
    return value;
}

/* Whether each entry of a report has an explanation that begins with one of these, and is whole. */
static void check_explanations(const gc_report *report, const char *removed, const char *kept)
{
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        const char *begin = entry->outcome == GC_REMOVED ? removed : entry->outcome == GC_KEPT ? kept : entry->outcome == GC_FAILED ? "Removal failed: " : "Not removed: ";
        const char *reason = strstr(gc_reason_text(entry->reason), ": ");
        char *text = gc_report_explain(report, i);
        CHECK(text != NULL && strncmp(text, begin, strlen(begin)) == 0 && text[strlen(text) - 1] == '.');
        CHECK(reason != NULL && strstr(text, reason + 2) != NULL);
        if (strcmp(entry->reason, "unit-limit") == 0)
            CHECK(strstr(text, "maximum-dead-containers-per-container is ") != NULL);
        if (entry->error)
            CHECK(strstr(text, entry->error) != NULL);
        gc_string_free(text);
    }
    CHECK(gc_report_explain(report, gc_report_len(report)) == NULL && gc_report_explain(report, (size_t)-1) == NULL);
}

/* Reports, JSON, and what outlives the engine. */
static void *read_report(void *report)
{
    size_t removed = 0;
    for (size_t i = 0; i < gc_report_len(report); i++)
        removed += gc_report_entry(report, i)->outcome == GC_REMOVED;
    CHECK(removed == gc_report_count(report, GC_ANY_KIND, GC_REMOVED));
    CHECK(gc_report_entry(report, gc_report_len(report)) == NULL);
    check_explanations(report, "Removed: ", "Kept: ");
    CHECK(gc_report_count(report, 99, GC_ANY_OUTCOME) == 0 && gc_report_count(report, GC_ANY_KIND, 99) == 0);
    return NULL;
}

static void ordinary_passes(const char *endpoint)
{
    host h = { 0 };
    gc_error *error = NULL;
    gc_report *dry = NULL, *refused = NULL, *done = NULL, *again = NULL, *images = NULL;
    gc_engine *engine = engine_for(endpoint, &h);
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, &dry, &error) == GC_OK && error == NULL);
    CHECK(h.approvals == 0 && h.states > 0);
    h.refuse = 1;
    CHECK(gc_containers(engine, 0, NULL, &refused, &error) == GC_OK);
    CHECK(gc_report_count(refused, GC_CONTAINER, GC_REFUSED) == gc_report_count(dry, GC_CONTAINER, GC_REMOVED));
    CHECK(gc_report_count(refused, GC_ANY_KIND, GC_REMOVED) == 0);
    h.refuse = 0;
    CHECK(gc_containers(engine, 0, NULL, &done, &error) == GC_OK);
    CHECK(gc_report_count(done, GC_CONTAINER, GC_REMOVED) > 0);
    for (gc_kind kind = GC_CONTAINER; kind <= GC_IMAGE; kind++)
        CHECK(gc_report_count(done, kind, GC_REMOVED) == gc_report_count(dry, kind, GC_REMOVED));
    CHECK(gc_containers(engine, GC_NO_WAIT, NULL, &again, NULL) == GC_OK);
    CHECK(gc_report_count(again, GC_ANY_KIND, GC_REMOVED) == 0);
    CHECK(gc_report_dry_run(dry) == 1 && gc_report_dry_run(done) == 0);
    CHECK(gc_images(engine, 0, NULL, &images, &error) == GC_OK && error == NULL);
    CHECK(gc_report_bytes_freed(images) > 0);
    CHECK(gc_report_started(images) <= h.told && gc_report_started(images) > gc_report_started(again));
    CHECK(gc_report_seconds(images) > 0);
    CHECK(gc_report_status(images) == GC_OK && gc_report_status(done) == GC_OK);
    CHECK(gc_report_fs_before(done) == NULL && gc_report_fs_after(done) == NULL);
    const gc_pace *pace = gc_report_pace(done, GC_CONTAINER);
    CHECK(pace != NULL && pace->in_flight_most >= 1 && pace->in_flight_mean > 0 && pace->rest_seconds >= 0);
    CHECK(gc_report_pace(dry, GC_CONTAINER) == NULL && gc_report_pace(done, GC_IMAGE) == NULL && gc_report_pace(done, 99) == NULL);
    const gc_fs_usage *before = gc_report_fs_before(images), *after = gc_report_fs_after(images);
    CHECK(before != NULL && after != NULL && before->capacity > 0 && after->capacity == before->capacity);
    char *json = gc_report_json(images);
    CHECK(json != NULL);
    puts(json);
    gc_string_free(json);
    CHECK(h.usages == 1 + (int)gc_report_count(images, GC_IMAGE, GC_REMOVED) && h.logs > 0 && h.progresses > 0 && h.passes == 5 && h.clocks >= 6 && h.elsewhere == 0);
    CHECK(h.last == GC_OK && h.events == 0);
    h.no_figures = 1;
    gc_report *failed = NULL;
    CHECK(gc_images(engine, 0, NULL, &failed, &error) == GC_ERROR_IO && h.events == 1 && h.last == GC_ERROR_IO);
    CHECK(gc_report_status(failed) == GC_ERROR_IO && gc_report_fs_before(failed) == NULL);
    check_explanations(dry, "Would be removed: ", "Kept: ");
    check_explanations(refused, "Removed: ", "Kept: ");
    check_explanations(done, "Removed: ", "Kept: ");
    check_explanations(images, "Removed: ", "Kept: ");
    check_explanations(failed, "Removed: ", "Kept: ");
    gc_report_free(failed);
    gc_error_free(error);
    CHECK(metric(engine, "crigc_passes_total", "pass=\"containers\",status=\"GC_OK\"") > 3.5);
    CHECK(metric(engine, "crigc_passes_total", "pass=\"images\",status=\"GC_ERROR_IO\"") > 0.5);
    gc_close(engine);
    CHECK(metric(engine, "crigc_passes_total", "pass=\"images\",status=\"GC_OK\"") > 0.5);
    free_host(&h);
    pthread_t readers[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&readers[i], NULL, read_report, done) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    gc_report_free(dry);
    gc_report_free(refused);
    gc_report_free(done);
    gc_report_free(again);
    gc_report_free(images);
}

typedef gc_status (*pass_function)(gc_engine *, uint32_t, gc_call *, gc_report **, gc_error **);

typedef struct caller {
    pass_function pass;
    gc_engine *engine;
    gc_call *call;
    gc_status status;
    size_t not_reached;
} caller;

static void *collect(void *argument)
{
    caller *c = argument;
    gc_report *report = NULL;
    gc_error *error = NULL;
    c->status = c->pass(c->engine, GC_ALL_UNUSED, c->call, &report, &error);
    for (size_t i = 0; i < gc_report_len(report); i++)
        c->not_reached += strcmp(gc_report_entry(report, i)->reason, "not-reached") == 0;
    CHECK((error != NULL) == (c->status != GC_OK));
    gc_report_free(report);
    gc_error_free(error);
    return NULL;
}

static void nap(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static int begun; /* removals that were approved of on the runtime that hangs */

static int32_t on_begin(void *context, const gc_entry *planned)
{
    (void)planned;
    pthread_mutex_lock(&counting);
    ++*(int *)context;
    pthread_mutex_unlock(&counting);
    return 1;
}

static gc_engine *hanging_engine(const char *endpoint)
{
    gc_config *config = config_for(endpoint, NULL);
    gc_config_set_approve(config, on_begin, &begun);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    gc_config_free(config);
    return engine;
}

static pthread_t begin(caller *c)
{
    pthread_t thread;
    int before = counted(&begun);
    CHECK(pthread_create(&thread, NULL, collect, c) == 0);
    for (int i = 0; i < 10000 && counted(&begun) == before; i++)
        nap(10);
    CHECK(counted(&begun) > before);
    nap(50); /* it hangs in its removals by now */
    return thread;
}

/* On a runtime whose removals hang: everything that ends a pass. */
static void endings(const char *endpoint, pass_function pass)
{
    gc_engine *engine = hanging_engine(endpoint);
    caller c = { .pass = pass, .engine = engine, .call = gc_call_new(0) };
    pthread_t thread = begin(&c);
    CHECK(pass(engine, GC_NO_WAIT, NULL, NULL, NULL) == GC_ERROR_BUSY);
    CHECK(metric(engine, "crigc_removals_in_flight", "") > 0.5); /* does not wait for the pass */
    gc_call *impatient = gc_call_new(50);
    CHECK(pass(engine, 0, impatient, NULL, NULL) == GC_ERROR_TIMEOUT); /* while it waits for its turn */
    gc_call_free(impatient);
    gc_call_cancel(c.call);
    pthread_join(thread, NULL);
    CHECK(c.status == GC_ERROR_CANCELLED && c.not_reached > 0);
    CHECK(pass(engine, 0, c.call, NULL, NULL) == GC_ERROR_CANCELLED); /* sticky */
    gc_call_free(c.call);

    gc_call *late = gc_call_new(1);
    nap(20);
    CHECK(pass(engine, 0, late, NULL, NULL) == GC_ERROR_TIMEOUT); /* before the call */
    gc_call_free(late);
    caller timed = { .pass = pass, .engine = engine, .call = gc_call_new(15000) };
    collect(&timed); /* during the call */
    CHECK(timed.status == GC_ERROR_TIMEOUT && timed.not_reached > 0);
    gc_call_cancel(timed.call); /* after the call */
    gc_call_free(timed.call);

    caller closed = { .pass = pass, .engine = engine };
    thread = begin(&closed);
    gc_close(engine);
    pthread_join(thread, NULL);
    CHECK(closed.status == GC_ERROR_CLOSED);
    gc_engine_free(engine);

    engine = hanging_engine(endpoint);
    caller freed = { .pass = pass, .engine = engine };
    thread = begin(&freed);
    gc_engine_free(engine); /* waits for it */
    pthread_join(thread, NULL);
    CHECK(freed.status == GC_ERROR_CLOSED);
}

/* The same from callbacks, on a runtime where nothing hangs. */
static void endings_from_callbacks(const char *endpoint)
{
    host cancelling = { .cancel = 1, .call = gc_call_new(0) };
    gc_engine *engine = engine_for(endpoint, &cancelling);
    CHECK(gc_images(engine, GC_ALL_UNUSED, cancelling.call, NULL, NULL) == GC_ERROR_CANCELLED);
    CHECK(cancelling.last == GC_ERROR_CANCELLED && cancelling.approvals > 0);
    free_host(&cancelling);
    gc_call_free(cancelling.call);
    host closing = { .close = 1 };
    CHECK(gc_containers(engine_for(endpoint, &closing), 0, NULL, NULL, NULL) == GC_ERROR_CLOSED);
    free_host(&closing);
    host freeing = { .free = 1 };
    CHECK(gc_containers(engine_for(endpoint, &freeing), 0, NULL, NULL, NULL) == GC_ERROR_CLOSED);
    free_host(&freeing);
}

/* Both kinds of pass at the same time, over and over, in one engine with all callbacks. */
static void two_threads(const char *endpoint)
{
    host h = { .refuse = 1 };
    gc_engine *engine = engine_for(endpoint, &h);
    for (int round = 0; round < 20; round++) {
        caller callers[] = { { .pass = gc_containers, .engine = engine }, { .pass = gc_images, .engine = engine } };
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, collect, &callers[i]) == 0);
        for (int i = 0; i < 20; i++)
            CHECK(metric(engine, "crigc_removals_in_flight", "") >= 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        CHECK(callers[0].status == GC_OK && callers[1].status == GC_OK);
    }
    CHECK(h.passes == 40);
    free_host(&h);
}

/* The kernel takes a thread that was joined off its list a moment later. */
static size_t threads_left(size_t expected)
{
    for (int i = 0; i < 10000 && entries_of("/proc/self/task") > expected; i++)
        nap(10);
    return entries_of("/proc/self/task");
}

static void background(const char *endpoint)
{
    size_t threads = entries_of("/proc/self/task"), descriptors = entries_of("/proc/self/fd");
    host h = { 0 };
    gc_engine *engine = engine_for(endpoint, &h);
    CHECK(threads_left(threads) == threads && entries_of("/proc/self/fd") == descriptors);
    for (int round = 0; round < 3; round++) {
        CHECK(gc_start(engine, NULL) == GC_OK && gc_start(engine, NULL) == GC_OK); /* twice is fine */
        CHECK(entries_of("/proc/self/task") == threads + 2);
        for (int i = 0; i < 10000 && counted(&h.passes) < 2 * (round + 1); i++)
            nap(10);
        gc_stop(engine);
        CHECK(h.passes >= 2 * (round + 1) && h.elsewhere > 0);
        CHECK(threads_left(threads) == threads && entries_of("/proc/self/fd") == descriptors);
    }
    CHECK(gc_start(engine, NULL) == GC_OK);
    gc_close(engine);
    free_host(&h);
    CHECK(threads_left(threads) == threads && entries_of("/proc/self/fd") == descriptors);
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    one_pod(arguments[1]);
    ordinary_passes(arguments[1]);
    endings(arguments[2], gc_containers);
    endings(arguments[2], gc_images);
    endings(arguments[2], collect_the_pod);
    endings_from_callbacks(arguments[1]);
    two_threads(arguments[1]);
    background(arguments[1]);
    return 0;
}
