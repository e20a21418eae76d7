/* A dry run in C99 to C23 and in C++, for the tests of how programs are linked. Argument: the runtime's socket. */
#include <stdio.h>
#include "crigc.h"

#ifdef __cplusplus
/* A linker that keeps this has to find the C++ library's way to throw. */
void throws(void);
void throws(void) { throw 1; }
#endif

static int dry_run(const char *endpoint)
{
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_config *config = gc_config_new();
    gc_config_set(config, "container-runtime-endpoint", endpoint, NULL);
    gc_config_set(config, "pod-logs-dir", "", NULL);
    gc_config_set(config, "container-logs-dir", "", NULL);
    gc_engine *engine = gc_engine_new(config, &error);
    gc_status status = engine ? gc_containers(engine, GC_DRY_RUN, NULL, &report, &error) : gc_error_status(error);
    printf("%s %s\n", gc_status_name(status), gc_report_len(report) > 0 ? "with entries" : "empty");
    if (error)
        fprintf(stderr, "%s\n", gc_error_message(error));
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
    return status == GC_OK ? 0 : 1;
}

#ifdef IN_A_SHARED_LIBRARY
int collect(const char *endpoint);
int collect(const char *endpoint) { return dry_run(endpoint); }
#else
int main(int argc, char **argv) { return argc == 2 && gc_abi() == GC_ABI ? dry_run(argv[1]) : 2; }
#endif
