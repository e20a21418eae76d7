/* Callbacks that answer nonsense, or take their time (rules 10 and 13 of the interface): `callbacks ENDPOINT GONE`, with the UIDs of
 * the pods that are gone. Nothing is removed because of a useless answer, and no pass ends with a panic. */
#define _POSIX_C_SOURCE 200809L
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "crigc.h"

typedef enum callback { NONE, STATES, APPROVE } callback;

/* What the callbacks answer next. */
static struct {
    int32_t ready, approve, filled;
    gc_pod_state state; /* of the pods that are gone */
    int of_all;         /* of those that live, too */
    gc_fs_usage usage;
    int64_t clock, step; /* 0 = the system's */
    int64_t as_of;
    long nap_ms;
    callback blocks;
} says;
static const char *gone;
static size_t asked; /* how often the host was asked for its approval */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A callback that does not return before the test allows it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside, may_return, came_back, freed;

static void block(void)
{
    pthread_mutex_lock(&lock);
    inside = 1;
    pthread_cond_broadcast(&changed);
    while (!may_return)
        pthread_cond_wait(&changed, &lock);
    came_back = 1;
    pthread_mutex_unlock(&lock);
}

static void sleep_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static void called(callback here)
{
    asked += here == APPROVE;
    sleep_ms(says.nap_ms);
    if (here != NONE && here == says.blocks)
        block();
}

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)context;
    called(STATES);
    CHECK(*as_of == 0);
    *as_of = says.as_of;
    for (size_t i = 0; i < count; i++)
        states[i] = says.of_all || strstr(gone, uids[i]) ? says.state : 0;
    return says.ready;
}

static int32_t on_approve(void *context, const gc_entry *planned)
{
    (void)context, (void)planned;
    called(APPROVE);
    return says.approve;
}

static int32_t on_usage(void *context, gc_fs_usage *usage)
{
    (void)context;
    called(NONE);
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
    called(NONE);
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
    size_t removed, refused, for_pods; /* for_pods: of the removed, those that went because their pod is gone */
    size_t newer;                      /* that stayed because their pod is newer than the answer */
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
    for (size_t i = 0; i < gc_report_len(report); i++) {
        char *why = gc_report_explain(report, i);
        CHECK(why != NULL);
        gc_string_free(why);
    }
    a.removed = gc_report_count(report, GC_ANY_KIND, GC_REMOVED);
    a.refused = gc_report_count(report, GC_ANY_KIND, GC_REFUSED);
    a.for_pods = a.newer = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        a.for_pods += entry->outcome == GC_REMOVED && strncmp(entry->reason, "pod-", 4) == 0;
        a.newer += entry->outcome == GC_KEPT && strcmp(entry->reason, "newer-than-answer") == 0;
    }
    gc_report_free(report);
    gc_error_free(error);
    return a;
}

static const int32_t no[] = { 0, -1, 2, 255, 256, 0x101, INT32_MAX, INT32_MIN };
#define EACH(i, of) for (size_t i = 0; i < sizeof(of) / sizeof *(of); i++)

/* Any value but 1 is a no. */
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
    }
}

/* Before the sources are ready nothing is removed because its pod is gone; limits apply. */
static void sources_that_are_not_ready(gc_engine *engine)
{
    reset();
    says.state = GC_POD_CONTENT_REMOVABLE;
    EACH(i, no)
    {
        says.ready = no[i];
        answer a = pass(engine, 0, 0, NULL);
        CHECK(a.status == GC_OK && a.for_pods == 0);
        CHECK((a.removed > 0) == (i == 0));
    }
    says.ready = 1;
    answer a = pass(engine, 0, 0, NULL);
    CHECK(a.status == GC_OK && a.for_pods > 0);
}

/* An answer about the past does not count for newer pods; one from the future, or from before 1970, does not count. */
static void moments_of_all_sorts(gc_engine *engine)
{
    reset();
    says.state = GC_POD_CONTENT_REMOVABLE;
    answer ordinary = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(ordinary.status == GC_OK && ordinary.for_pods > 0 && ordinary.newer == 0);
    says.as_of = now();
    answer a = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(a.status == GC_OK && a.for_pods == ordinary.for_pods && a.newer == 0);
    says.as_of = 1; /* before all that there is */
    a = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(a.status == GC_OK && a.for_pods == 0 && a.newer > 0);
    const int64_t never[] = { -1, INT64_MIN, INT64_MAX, now() + (int64_t)3600 * 1000000000 };
    EACH(i, never)
    {
        says.as_of = never[i];
        a = pass(engine, 0, GC_DRY_RUN, NULL);
        CHECK(a.status == GC_OK && a.for_pods == 0 && a.newer == 0);
    }
}

/* Every pod counts as gone, or has unknown bits. */
static void states_of_all_sorts(gc_engine *engine)
{
    reset();
    says.of_all = 1;
    says.state = UINT32_MAX; /* also those that run: the host is not believed at all */
    answer a = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(a.status == GC_ERROR_CONTRADICTION);
    reset();
    answer ordinary = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(ordinary.removed > 0);
    says.of_all = 1;
    says.state = ~(GC_POD_CONTENT_REMOVABLE | GC_POD_RUNTIME_REMOVABLE);
    a = pass(engine, 0, GC_DRY_RUN, NULL);
    CHECK(a.status == GC_OK && a.removed == ordinary.removed);
}

/* Figures that no filesystem has. */
static void figures_of_all_sorts(gc_engine *engine)
{
    static const struct {
        gc_fs_usage usage;
        gc_status status;
    } odd[] = {
        { { 0, 0, 0, 0 }, GC_ERROR_IO }, /* S5.6: capacity 0 */
        { { 0, 1000, 0, 0 }, GC_ERROR_IO },
        { { 1000, 2000, 0, 0 }, GC_OK },
        { { 1, UINT64_MAX, 0, 0 }, GC_OK },
        { { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX }, GC_OK },
        { { UINT64_MAX, UINT64_MAX / 2, 1, UINT64_MAX }, GC_OK },
    };
    EACH(i, odd)
    {
        reset();
        says.usage = odd[i].usage;
        answer a = pass(engine, 1, 0, NULL);
        CHECK(a.status == odd[i].status && a.removed == 0);
    }
    reset();
    says.usage.capacity = UINT64_MAX;
    says.usage.available = 0;
    says.approve = 0;
    answer a = pass(engine, 1, 0, NULL);
    CHECK(a.status == GC_ERROR_NOT_ENOUGH_FREED && a.removed == 0 && a.refused > 0);
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
        says.approve = 0;
        asked = 0;
        CHECK(pass(engine, images, GC_ALL_UNUSED, NULL).refused > 0);
        size_t without_deadline = asked;
        reset();
        says.nap_ms = 60;
        asked = 0;
        gc_call *call = gc_call_new(100);
        answer a = pass(engine, images, GC_ALL_UNUSED, call);
        CHECK(a.status == GC_ERROR_TIMEOUT && a.removed < 2);
        CHECK(asked < without_deadline / 2);
        gc_call_free(call);
    }
}

typedef struct passing {
    gc_engine *engine;
    int images;
    answer answer;
} passing;

static void *on_its_thread(void *argument)
{
    passing *p = argument;
    p->answer = pass(p->engine, p->images, GC_ALL_UNUSED, NULL);
    return NULL;
}

static void *freeing(void *engine)
{
    gc_engine_free(engine);
    pthread_mutex_lock(&lock);
    CHECK(came_back);
    freed = 1;
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* A callback that hangs: closing does not wait for it, freeing does, and nothing more is removed. */
static void callbacks_that_block(const gc_config *config)
{
    static const struct {
        int images;
        callback where;
    } cases[] = { { 0, STATES }, { 0, APPROVE }, { 1, APPROVE } };
    EACH(i, cases)
    {
        reset();
        says.blocks = cases[i].where;
        inside = may_return = came_back = freed = 0;
        passing p;
        memset(&p, 0, sizeof p);
        p.images = cases[i].images;
        p.engine = gc_engine_new(config, NULL);
        CHECK(p.engine != NULL);
        pthread_t passes, frees;
        CHECK(pthread_create(&passes, NULL, on_its_thread, &p) == 0);
        pthread_mutex_lock(&lock);
        while (!inside)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        gc_close(p.engine); /* would hang if it waited */
        CHECK(pthread_create(&frees, NULL, freeing, p.engine) == 0);
        sleep_ms(200); /* time to do wrong */
        pthread_mutex_lock(&lock);
        CHECK(!came_back && !freed);
        may_return = 1;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        CHECK(pthread_join(passes, NULL) == 0 && pthread_join(frees, NULL) == 0);
        CHECK(freed && p.answer.status == GC_ERROR_CLOSED && p.answer.removed == 0);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 3 && *argv[2]);
    gone = argv[2];
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
    moments_of_all_sorts(engine);
    figures_of_all_sorts(engine);
    clocks_of_all_sorts(engine);
    reset();
    answer ordinary = pass(engine, 0, GC_DRY_RUN | GC_ALL_UNUSED, NULL);
    callbacks_that_block(config);
    reset();
    CHECK(pass(engine, 0, GC_DRY_RUN | GC_ALL_UNUSED, NULL).removed == ordinary.removed);
    callbacks_that_take_their_time(engine);
    /* The host answers well again: the rest is removed. */
    sources_that_are_not_ready(engine);
    reset();
    CHECK(pass(engine, 1, GC_ALL_UNUSED, NULL).removed > 0);
    gc_engine_free(engine);
    gc_config_free(config);
    return 0;
}
