/* A panic of the library at its nth call out of the process: `panics ENDPOINT NTH WHAT [RECORDS]`, WHAT = containers, images, engine,
 * periodic-containers or periodic-images. Exits with 7 if there are fewer. Needs a library with the feature `panic-points`.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "check.h"
#include "crigc.h"

extern uint64_t gc_test_panic_at(uint64_t nth);

static uint64_t nth;

/* What the threads of the periodic passes saw of the kind that is tried. */
static pthread_mutex_t seeing = PTHREAD_MUTEX_INITIALIZER;
static gc_pass tried;
static int started, panicked, told, good;
static enum { NOT_YET, COUNTS, COUNTED } first_pass;

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)as_of;
    (void)context, (void)uids, (void)states, (void)count;
    return 1;
}

static int32_t on_approve(void *context, const gc_entry *planned)
{
    (void)context;
    /* Images that are in use at the first pass remain in use. */
    return !started || (planned->kind == GC_IMAGE) == (tried == GC_PASS_IMAGES);
}

static void on_log(void *context, gc_log_level level, const char *message)
{
    (void)context;
    /* The first failure of periodic image passes sends no event. */
    if (tried == GC_PASS_IMAGES && level == GC_LOG_WARN && strstr(message, "a panic on purpose before: ")) {
        pthread_mutex_lock(&seeing);
        told++;
        pthread_mutex_unlock(&seeing);
    }
}

static gc_config *config_for(const char *endpoint, const char *records)
{
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", endpoint, NULL) == GC_OK);
    CHECK(gc_config_set(config, "pod-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-gc-period", "50ms", NULL) == GC_OK);
    CHECK(gc_config_set(config, "image-gc-period", "50ms", NULL) == GC_OK);
    CHECK(gc_config_set(config, "image-gc-high-threshold", "100", NULL) == GC_OK); /* only by age, if at all */
    CHECK(gc_config_set(config, "image-gc-low-threshold", "90", NULL) == GC_OK);
    if (records)
        CHECK(gc_config_set(config, "image-records-file", records, NULL) == GC_OK);
    gc_config_set_pod_states(config, on_states, NULL);
    gc_config_set_approve(config, on_approve, NULL);
    gc_config_set_log(config, GC_LOG_DEBUG, on_log, NULL);
    return config;
}

/* One pass with the panic, and one without it. */
static int called(gc_engine *engine, gc_kind kind)
{
    int images = kind == GC_IMAGE;
    uint32_t flags = images ? GC_ALL_UNUSED : 0;
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_test_panic_at(nth);
    gc_status status = (images ? gc_images : gc_containers)(engine, flags, NULL, &report, &error);
    if (gc_test_panic_at(0) < nth) {
        CHECK(status == GC_OK && gc_report_count(report, kind, GC_REMOVED) > 0);
        gc_report_free(report);
        return 7;
    }
    CHECK(status == GC_ERROR_INTERNAL && gc_error_status(error) == status);
    CHECK(strstr(gc_error_message(error), "a panic on purpose before: ") != NULL);
    size_t removed = gc_report_count(report, kind, GC_REMOVED); /* 0 without a report */
    gc_report_free(report);
    gc_error_free(error);
    status = (images ? gc_images : gc_containers)(engine, flags, NULL, &report, &error);
    CHECK(status == GC_OK && error == NULL);
    CHECK(removed + gc_report_count(report, kind, GC_REMOVED) > 0);
    gc_report_free(report);
    /* Nothing is left to do. */
    CHECK((images ? gc_images : gc_containers)(engine, flags, NULL, &report, NULL) == GC_OK);
    CHECK(gc_report_count(report, kind, GC_REMOVED) == 0);
    gc_report_free(report);
    return 0;
}

/* Making an engine. */
static int made(gc_config *config)
{
    gc_error *error = NULL;
    gc_test_panic_at(nth);
    gc_engine *engine = gc_engine_new(config, &error);
    if (gc_test_panic_at(0) < nth) {
        CHECK(engine != NULL && error == NULL);
        gc_engine_free(engine);
        return 7;
    }
    CHECK(engine == NULL && gc_error_status(error) == GC_ERROR_INTERNAL);
    gc_error_free(error);
    engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    gc_engine_free(engine);
    return 0;
}

static int is_of_the_tried_kind(void)
{
    char name[16];
    CHECK(prctl(PR_GET_NAME, name) == 0);
    return (strcmp(name, "crigc-images") == 0) == (tried == GC_PASS_IMAGES);
}

/* The first that a pass calls: on its own thread. */
static int64_t on_clock(void *context)
{
    struct timespec now;
    (void)context;
    pthread_mutex_lock(&seeing);
    if (started && first_pass == NOT_YET && is_of_the_tried_kind()) {
        first_pass = COUNTS;
        gc_test_panic_at(nth);
    }
    pthread_mutex_unlock(&seeing);
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void on_event(void *context, const char *reason, const char *message)
{
    (void)context;
    pthread_mutex_lock(&seeing);
    CHECK(tried == GC_PASS_CONTAINERS && strcmp(reason, "ContainerGCFailed") == 0);
    told += strstr(message, "a panic on purpose before: ") != NULL;
    pthread_mutex_unlock(&seeing);
}

/* The last callback of a pass: calls after the first one are not counted. If the first did not reach this call, it has
 * panicked, and there is nothing to count any more. */
static void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    (void)context, (void)report, (void)error;
    if (!started || pass != tried)
        return;
    pthread_mutex_lock(&seeing);
    if (first_pass == COUNTS) {
        panicked = gc_test_panic_at(0) >= nth;
        first_pass = COUNTED;
    }
    CHECK(status == GC_OK || (status == GC_ERROR_INTERNAL && panicked));
    good += status == GC_OK;
    pthread_mutex_unlock(&seeing);
}

static int threads(void)
{
    DIR *open = opendir("/proc/self/task");
    int count = 0;
    CHECK(open != NULL);
    while (readdir(open))
        count++;
    closedir(open);
    return count;
}

/* A periodic pass: its thread continues, and the passes after it do what it left. */
static int periodic(gc_config *config)
{
    int before = threads();
    gc_config_set_clock(config, on_clock, NULL);
    gc_config_set_event(config, on_event, NULL);
    gc_config_set_pass(config, on_pass, NULL);
    if (tried == GC_PASS_IMAGES)
        CHECK(gc_config_set(config, "image-maximum-gc-age", "2ms", NULL) == GC_OK);
    CHECK(gc_config_set(config, "minimum-image-ttl-duration", "1ms", NULL) == GC_OK);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    /* A periodic pass that is the first to list the images only records. */
    CHECK(gc_images(engine, GC_DRY_RUN, NULL, NULL, NULL) == GC_OK);
    struct timespec nap = { 0, 10000000 };
    nanosleep(&nap, NULL);
    started = 1;
    CHECK(gc_start(engine, NULL) == GC_OK);
    int passes = 0;
    for (int i = 0; i < 10000 && passes < 2; i++) {
        nanosleep(&nap, NULL);
        pthread_mutex_lock(&seeing);
        passes = good;
        pthread_mutex_unlock(&seeing);
    }
    gc_engine_free(engine);
    /* The kernel takes a thread that was joined off its list a moment later. */
    for (int i = 0; i < 10000 && threads() > before; i++)
        nanosleep(&nap, NULL);
    CHECK(good >= 2 && threads() == before);
    /* The line about its object has it, too. */
    CHECK(tried == GC_PASS_IMAGES ? (told > 0) == panicked : told == panicked);
    return panicked ? 0 : 7;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 4);
    nth = strtoull(argv[2], NULL, 10);
    tried = strstr(argv[3], "images") ? GC_PASS_IMAGES : GC_PASS_CONTAINERS;
    gc_config *config = config_for(argv[1], argc > 4 ? argv[4] : NULL);
    int code;
    if (strcmp(argv[3], "engine") == 0)
        code = made(config);
    else if (strncmp(argv[3], "periodic", 8) == 0)
        code = periodic(config);
    else {
        gc_engine *engine = gc_engine_new(config, NULL);
        CHECK(engine != NULL);
        code = called(engine, tried == GC_PASS_IMAGES ? GC_IMAGE : GC_CONTAINER);
        gc_engine_free(engine);
    }
    gc_config_free(config);
    return code;
}
