/* An engine is closed by one thread, and freed by another as soon as that one sees it closed: freed memory must not be used.
 * Run it with MALLOC_PERTURB_ set, so that freed memory is not what it was. Argument: how many rounds. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include "check.h"
#include "crigc.h"

/* Yields to all other threads, so that it is still inside gc_close when they continue. */
static void *closer(void *engine)
{
    struct sched_param none;
    memset(&none, 0, sizeof none);
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
    gc_close(engine);
    return NULL;
}

static void *stopper(void *engine)
{
    gc_stop(engine);
    return NULL;
}

static gc_engine *engine(void)
{
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", "/nonexistent/crigc.sock", NULL) == GC_OK);
    gc_engine *made = gc_engine_new(config, NULL);
    CHECK(made != NULL);
    gc_config_free(config);
    return made;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one); /* one after the other, cut anywhere */
    pthread_t thread;
    for (int round = atoi(arguments[1]); round > 0; round--) {
        gc_engine *e = engine();
        CHECK(pthread_create(&thread, NULL, closer, e) == 0);
        while (gc_containers(e, 0, NULL, NULL, NULL) != GC_ERROR_CLOSED)
            ;
        gc_engine_free(e);
        pthread_join(thread, NULL);
    }
    /* Two threads stop what a third has started: both come back when it is over. */
    for (int round = atoi(arguments[1]) / 20; round > 0; round--) {
        gc_engine *e = engine();
        CHECK(gc_start(e, NULL) == GC_OK);
        CHECK(pthread_create(&thread, NULL, stopper, e) == 0);
        gc_stop(e);
        pthread_join(thread, NULL);
        CHECK(gc_start(e, NULL) == GC_OK);
        gc_engine_free(e);
    }
    return 0;
}
