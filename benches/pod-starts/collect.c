/* One pass of crigc, for the measurement in this folder: `collect containers|images [KEY=VALUE]...`. Only limits count; of images
 * all unused ones are removed. It prints a line before the pass and one after it, so that the reader knows how long it took, and on standard
 * error how many were removed at once. */
#include <stdio.h>
#include <string.h>
#include "crigc.h"

static int set(gc_config *config, char *setting)
{
    gc_error *error = NULL;
    char *equals = strchr(setting, '=');
    if (!equals)
        return 0;
    *equals = '\0';
    gc_status status = gc_config_set(config, setting, equals + 1, &error);
    if (status != GC_OK)
        fprintf(stderr, "%s\n", gc_error_message(error));
    gc_error_free(error);
    return status == GC_OK;
}

int main(int count, char **arguments)
{
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_config *config = gc_config_new();
    for (int i = 2; i < count; i++)
        if (!set(config, arguments[i]))
            return 2;
    int images = count > 1 && strcmp(arguments[1], "images") == 0;
    gc_engine *engine = gc_engine_new(config, &error);
    gc_status status = gc_error_status(error);
    if (engine) {
        puts("begin");
        fflush(stdout);
        status = images ? gc_images(engine, GC_ALL_UNUSED, NULL, &report, &error)
                        : gc_containers(engine, 0, NULL, &report, &error);
        puts("end");
        fflush(stdout);
    }
    if (status != GC_OK)
        fprintf(stderr, "%s\n", gc_error_message(error));
    size_t failed = gc_report_count(report, GC_ANY_KIND, GC_FAILED);
    gc_kind kind = images ? GC_IMAGE : GC_CONTAINER;
    const gc_pace *pace = gc_report_pace(report, kind);
    if (pace)
        fprintf(stderr, "%.1f at once on average, %llu at most, pauses of %.1f s\n", pace->in_flight_mean,
                (unsigned long long)pace->in_flight_most, pace->rest_seconds);
    printf("%zu\n", gc_report_count(report, kind, GC_REMOVED));
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
    return status == GC_OK && failed == 0 ? 0 : 1;
}
