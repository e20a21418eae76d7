/* Callbacks that answer nonsense, or take their time (rules 10 and 13 of the interface): `callbacks ENDPOINT`. Nothing goes by an
 * answer that says nothing, and a pass never ends with a defect. */
#define _POSIX_C_SOURCE 200809L
#include <limits.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "crigc.h"

/* What the callbacks answer next. */
static struct {
    int32_t ready, approve, filled;
    gc_pod_state state;
    gc_fs_usage usage;
    int64_t clock, step; /* 0 = the system's */
    long nap_ms;
} says;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void nap(void)
{
    struct timespec time = { says.nap_ms / 1000, says.nap_ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t count)
{
    (void)context, (void)uids;
    nap();
    for (size_t i = 0; i < count; i++)
        states[i] = says.state;
    return says.ready;
}

static int32_t on_approve(void *context, const gc_entry *planned)
{
    (void)context, (void)planned;
    nap();
    return says.approve;
}

static int32_t on_usage(void *context, gc_fs_usage *usage)
{
    (void)context;
    nap();
    usage->capacity = says.usage.capacity;
    usage->available = says.usage.available;
    usage->inodes = says.usage.inodes;
    usage->inodes_free = says.usage.inodes_free;
    return says.filled;
}

static int64_t on_clock(void *context)
{
    (void)context;
    int64_t time = says.clock ? says.clock : now();
    says.clock += says.step;
    return time;
}

static void on_log(void *context, gc_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
    nap();
}

static void reset(void)
{
    memset(&says, 0, sizeof says);
    says.ready = says.approve = says.filled = 1;
    says.usage.capacity = 1000;
    says.usage.available = 500;
}

typedef struct answer {
    gc_status status;
    size_t removed, refused;
} answer;

static answer pass(gc_engine *engine, int images, uint32_t flags, gc_call *call)
{
    answer a;
    gc_report *report = NULL;
    gc_error *error = NULL;
    a.status = (images ? gc_images : gc_containers)(engine, flags, call, &report, &error);
    CHECK(a.status != GC_ERROR_INTERNAL);
    CHECK(gc_error_status(error) == a.status);
    CHECK(report == NULL || (gc_report_started(report) >= 0 && gc_report_seconds(report) >= 0));
    char *json = gc_report_json(report);
    gc_string_free(json);
    a.removed = gc_report_count(report, GC_ANY_KIND, GC_REMOVED);
    a.refused = gc_report_count(report, GC_ANY_KIND, GC_REFUSED);
    gc_report_free(report);
    gc_error_free(error);
    return a;
}

static const int32_t no[] = { 0, -1, 2, 255, 256, 0x101, INT32_MAX, INT32_MIN };
#define EACH(i, of) for (size_t i = 0; i < sizeof(of) / sizeof *(of); i++)

/* What is not 1 is no. */
static void answers_that_are_no_yes(gc_engine *engine)
{
    EACH(i, no)
    {
        reset();
        says.approve = no[i];
        answer a = pass(engine, 0, 0, NULL);
        CHECK(a.status == GC_OK && a.removed == 0 && a.refused > 0);
        a = pass(engine, 1, GC_ALL_UNUSED, NULL);
        CHECK(a.removed == 0 && a.refused > 0);
        reset();
        says.filled = no[i];
        a = pass(engine, 1, 0, NULL);
        CHECK(a.status == GC_ERROR_IO && a.removed == 0);
        reset(); /* sources that are not ready: nothing goes for a pod's sake */
        says.ready = no[i];
        says.state = GC_POD_CONTENT_REMOVABLE;
        says.approve = 0;
        a = pass(engine, 0, 0, NULL);
        CHECK(a.status == GC_OK && a.removed == 0);
    }
}

/* Every pod is said to be gone, or has bits that nobody knows. */
static void states_of_all_sorts(gc_engine *engine)
{
    reset();
    says.state = UINT32_MAX; /* also those that run: the host is not believed at all */
    answer a = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(a.status == GC_ERROR_CONTRADICTION);
    reset();
    answer ordinary = pass(engine, 0, GC_DRY_RUN, NULL);
    says.state = ~(GC_POD_CONTENT_REMOVABLE | GC_POD_RUNTIME_REMOVABLE);
    a = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(a.status == GC_OK && a.removed == ordinary.removed);
}

/* Figures that no filesystem has. */
static void figures_of_all_sorts(gc_engine *engine)
{
    static const gc_fs_usage odd[] = {
        { 0, 0, 0, 0 },
        { 0, 1000, 0, 0 },
        { 1000, 2000, 0, 0 },
        { 1, UINT64_MAX, 0, 0 },
    };
    EACH(i, odd)
    {
        reset();
        says.usage = odd[i];
        answer a = pass(engine, 1, 0, NULL);
        CHECK(a.removed == 0);
    }
    static const gc_fs_usage huge[] = {
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
        { UINT64_MAX, UINT64_MAX / 2, 1, UINT64_MAX },
        { UINT64_MAX, 0, 0, 0 },
    };
    EACH(i, huge)
    {
        reset();
        says.usage = huge[i];
        says.approve = 0;
        CHECK(pass(engine, 1, 0, NULL).removed == 0);
    }
}

/* A clock that stands, jumps, or runs backwards. */
static void clocks_of_all_sorts(gc_engine *engine)
{
    static const int64_t before[] = { -1, INT64_MIN, INT64_MIN + 1 };
    EACH(i, before)
    {
        reset();
        says.clock = before[i];
        CHECK(pass(engine, 0, 0, NULL).status == GC_ERROR_INVALID_ARGUMENT);
        says.clock = before[i];
        CHECK(pass(engine, 1, GC_ALL_UNUSED, NULL).status == GC_ERROR_INVALID_ARGUMENT);
    }
    static const int64_t odd[] = { 1, INT64_MAX, INT64_MAX - 1, INT64_MAX / 2 };
    EACH(i, odd)
    {
        reset();
        says.approve = 0;
        says.clock = odd[i];
        CHECK(pass(engine, 0, 0, NULL).status == GC_OK);
        says.clock = odd[i];
        CHECK(pass(engine, 1, 0, NULL).status == GC_OK);
    }
    reset();
    says.approve = 0;
    says.clock = INT64_MAX;
    says.step = -3600000000000;
    for (int i = 0; i < 20; i++)
        CHECK(pass(engine, i % 2, 0, NULL).status == GC_OK);
}

/* A host that is slow in each callback: its deadline holds all the same, and what it did not get to is not sent. */
static void callbacks_that_take_their_time(gc_engine *engine)
{
    for (int images = 0; images < 2; images++) {
        reset();
        says.nap_ms = 30;
        gc_call *call = gc_call_new(100);
        int64_t began = now();
        answer a = pass(engine, images, GC_ALL_UNUSED, call);
        CHECK(a.status == GC_ERROR_TIMEOUT && a.removed < 4);
        CHECK(now() - began < 20000000000); /* far above what it takes, far below what all of them would */
        gc_call_free(call);
    }
    /* It comes to itself: the rest goes. */
    reset();
    CHECK(pass(engine, 0, 0, NULL).removed > 0);
    CHECK(pass(engine, 1, GC_ALL_UNUSED, NULL).removed > 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", argv[1], NULL) == GC_OK);
    CHECK(gc_config_set(config, "pod-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "image-maximum-gc-age", "1h", NULL) == GC_OK);
    gc_config_set_pod_states(config, on_states, NULL);
    gc_config_set_approve(config, on_approve, NULL);
    gc_config_set_image_fs(config, on_usage, NULL);
    gc_config_set_clock(config, on_clock, NULL);
    gc_config_set_log(config, GC_LOG_DEBUG, on_log, NULL);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    answers_that_are_no_yes(engine);
    states_of_all_sorts(engine);
    figures_of_all_sorts(engine);
    clocks_of_all_sorts(engine);
    callbacks_that_take_their_time(engine);
    gc_engine_free(engine);
    gc_config_free(config);
    return 0;
}
