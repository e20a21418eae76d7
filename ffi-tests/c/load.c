/* Loads a file of the kubelet's configuration and a drop-in directory, and prints what is logged and two keys. Arguments: both, and a file
 * with a wrong value. */
#include <string.h>
#include "check.h"
#include "crigc.h"

static gc_config *config;

static void on_log(void *context, gc_log_level level, const char *message)
{
    int *calls = context;
    CHECK(level == GC_LOG_WARN);
    puts(message);
    CHECK(gc_config_load(config, "/", NULL) == GC_ERROR_BUSY);
    ++*calls;
}

int main(int argc, char **argv)
{
    int calls = 0;
    gc_error *error = NULL;
    CHECK(argc == 4);
    config = gc_config_new();
    gc_config_set_log(config, GC_LOG_INFO, on_log, &calls);
    CHECK(gc_config_load(config, argv[1], &error) == GC_OK && error == NULL && calls == 0);
    CHECK(gc_config_load(config, argv[2], &error) == GC_OK && error == NULL && calls == 1);
    CHECK(gc_config_load(config, argv[3], &error) == GC_ERROR_CONFIG);
    CHECK(strstr(gc_error_message(error), "bad.yaml:3:30: imageGCHighThresholdPercent is the number 101") != NULL);
    gc_error_free(error);
    char *threshold = gc_config_get(config, "image-gc-high-threshold", NULL);
    char *age = gc_config_get(config, "minimum-image-ttl-duration", NULL);
    printf("%s %s\n", threshold, age);
    gc_string_free(threshold);
    gc_string_free(age);
    gc_config_free(config);
    return 0;
}
