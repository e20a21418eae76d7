/* A host whose two callbacks, of passes of two kinds at once, count in one place: with a lock if a third argument says so.
 * Arguments: the socket of a crisim; how many rounds; `locked`. */
#include <pthread.h>
#include "check.h"
#include "crigc.h"

static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static int locked, count;

static void one_more(void)
{
    if (locked)
        pthread_mutex_lock(&counting);
    count++;
    if (locked)
        pthread_mutex_unlock(&counting);
}

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t n, int64_t *as_of)
{
    (void)as_of;
    (void)context, (void)uids, (void)states, (void)n;
    one_more();
    return 0;
}

static int32_t on_usage(void *context, gc_fs_usage *usage)
{
    (void)context, (void)usage;
    one_more();
    return 1;
}

static void *images(void *engine)
{
    gc_images(engine, 0, NULL, NULL, NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    locked = argc > 3;
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", argv[1], NULL) == GC_OK);
    gc_config_set_pod_states(config, on_states, NULL);
    gc_config_set_image_fs(config, on_usage, NULL);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    gc_config_free(config);
    for (int round = atoi(argv[2]); round > 0; round--) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, images, engine) == 0);
        gc_containers(engine, GC_DRY_RUN, NULL, NULL, NULL);
        pthread_join(thread, NULL);
    }
    gc_engine_free(engine);
    CHECK(count > 0);
    return 0;
}
