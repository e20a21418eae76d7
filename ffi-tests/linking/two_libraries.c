/* crigc and another Rust library in one program; both unwind. Argument: the runtime's socket. With CRIGC_PANICS the crigc library has
 * the feature `panic-points`, and its first place to panic does so.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "../c/check.h"
#include "crigc.h"

extern uint32_t other_catches(uint32_t times);

static unsigned lines;

/* While crigc runs: what unwinds in the other library stops at the other library. */
static void on_log(void *context, gc_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
    if (lines++ >= 5)
        return;
    CHECK(other_catches(lines) == 2);
    CHECK(other_catches(0) == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    CHECK(other_catches(3) == 2);
    gc_error *error = NULL;
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", argv[1], NULL) == GC_OK);
    CHECK(gc_config_set(config, "pod-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-logs-dir", "", NULL) == GC_OK);
    gc_config_set_log(config, GC_LOG_DEBUG, on_log, NULL);
    gc_engine *engine = gc_engine_new(config, &error);
    CHECK(engine != NULL);
#ifdef CRIGC_PANICS
    extern uint64_t gc_test_panic_at(uint64_t nth);
    gc_test_panic_at(1);
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, NULL, &error) == GC_ERROR_INTERNAL);
    CHECK(strstr(gc_error_message(error), "a panic on purpose") != NULL);
    gc_error_free(error);
    gc_test_panic_at(0);
#endif
    CHECK(other_catches(1) == 2);
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, NULL, &error) == GC_OK);
    CHECK(lines > 0);
    gc_engine_free(engine);
    gc_config_free(config);
    CHECK(other_catches(1) == 2);
    puts("both work");
    return 0;
}
