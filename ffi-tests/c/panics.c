/* A panic of the library at its nth touch of the world: `panics ENDPOINT NTH WHAT [RECORDS]`, WHAT = containers, images, engine or
 * periodic. Exits with 7 if there are fewer than that. Needs a library with the feature `panic-points`. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "crigc.h"

extern uint64_t gc_test_panic_at(uint64_t nth);

static uint64_t nth;

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t count)
{
    (void)context, (void)uids, (void)states, (void)count;
    return 1;
}

static int32_t on_approve(void *context, const gc_entry *planned)
{
    (void)context;
    return planned->id[0] != '\0';
}

static void on_log(void *context, gc_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

static gc_config *config_for(const char *endpoint, const char *records)
{
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", endpoint, NULL) == GC_OK);
    CHECK(gc_config_set(config, "pod-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-gc-period", "50ms", NULL) == GC_OK);
    CHECK(gc_config_set(config, "image-gc-high-threshold", "100", NULL) == GC_OK); /* no periodic image passes */
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

/* What the thread of the periodic passes saw. */
static pthread_mutex_t seeing = PTHREAD_MUTEX_INITIALIZER;
static int begun, failed, good;

/* The first that a pass calls: on its own thread. */
static int64_t on_clock(void *context)
{
    struct timespec now;
    (void)context;
    pthread_mutex_lock(&seeing);
    if (begun++ == 0)
        gc_test_panic_at(nth);
    pthread_mutex_unlock(&seeing);
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void on_event(void *context, const char *reason, const char *message)
{
    (void)context;
    pthread_mutex_lock(&seeing);
    CHECK(strcmp(reason, "ContainerGCFailed") == 0);
    failed += strstr(message, "a panic on purpose before: ") != NULL;
    pthread_mutex_unlock(&seeing);
}

static void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    (void)context, (void)pass, (void)report, (void)error;
    pthread_mutex_lock(&seeing);
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

/* A periodic pass: its thread goes on. */
static int periodic(gc_config *config)
{
    int before = threads();
    gc_config_set_clock(config, on_clock, NULL);
    gc_config_set_event(config, on_event, NULL);
    gc_config_set_pass(config, on_pass, NULL);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL && gc_start(engine, NULL) == GC_OK);
    int passes = 0;
    for (int i = 0; i < 1000 && passes < 2; i++) {
        struct timespec nap = { 0, 10000000 };
        nanosleep(&nap, NULL);
        pthread_mutex_lock(&seeing);
        passes = good;
        pthread_mutex_unlock(&seeing);
    }
    gc_engine_free(engine);
    CHECK(good >= 2 && failed <= 1 && threads() == before);
    return failed ? 0 : 7;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 4);
    nth = strtoull(argv[2], NULL, 10);
    gc_config *config = config_for(argv[1], argc > 4 ? argv[4] : NULL);
    int code;
    if (strcmp(argv[3], "engine") == 0)
        code = made(config);
    else if (strcmp(argv[3], "periodic") == 0)
        code = periodic(config);
    else {
        gc_engine *engine = gc_engine_new(config, NULL);
        CHECK(engine != NULL);
        code = called(engine, strcmp(argv[3], "images") == 0 ? GC_IMAGE : GC_CONTAINER);
        gc_engine_free(engine);
    }
    gc_config_free(config);
    return code;
}
