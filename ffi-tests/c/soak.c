/* An engine whose periodic passes follow one another at once, for a number of seconds: each second a line has its passes, those that
 * failed, and what the process holds. `soak SECONDS ENDPOINT FOLDER` */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crigc.h"

static atomic_ulong passes, failed;

/* The UIDs show what became of the pods: those that begin with `gone` are deleted. */
static int32_t pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)as_of;
    (void)context;
    for (size_t i = 0; i < count; i++)
        if (strncmp(uids[i], "gone", 4) == 0)
            states[i] = GC_POD_CONTENT_REMOVABLE | GC_POD_RUNTIME_REMOVABLE;
    return 1;
}

static void ended(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    (void)context, (void)pass, (void)report, (void)error;
    passes++;
    failed += status != GC_OK;
}

static int32_t full(void *context, gc_fs_usage *usage)
{
    (void)context;
    usage->capacity = 1000000;
    usage->available = 100000;
    return 1;
}

static long number_in(const char *path, const char *name)
{
    char line[256];
    long number = -1;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            number = strtol(line + strlen(name), NULL, 10);
    if (file)
        fclose(file);
    return number;
}

static long descriptors(void)
{
    long number = -3; /* . and .., and the one that reads it */
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        number++;
    if (folder)
        closedir(folder);
    return number;
}

static void set(gc_config *config, const char *key, const char *value)
{
    gc_error *error = NULL;
    if (gc_config_set(config, key, value, &error) != GC_OK) {
        fprintf(stderr, "%s\n", gc_error_message(error));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    char pods[4096], links[4096], records[4096];
    gc_error *error = NULL;
    if (argc != 4)
        return 2;
    snprintf(pods, sizeof pods, "%s/pods", argv[3]);
    snprintf(links, sizeof links, "%s/links", argv[3]);
    snprintf(records, sizeof records, "%s/records", argv[3]);
    gc_config *config = gc_config_new();
    set(config, "container-runtime-endpoint", argv[2]);
    set(config, "pod-logs-dir", pods);
    set(config, "container-logs-dir", links);
    set(config, "image-records-file", records);
    set(config, "runtime-request-timeout", "200ms");
    set(config, "container-gc-period", "5ms");
    set(config, "image-gc-period", "5ms");
    set(config, "minimum-image-ttl-duration", "0");
    gc_config_set_pod_states(config, pod_states, NULL);
    gc_config_set_image_fs(config, full, NULL);
    gc_config_set_pass(config, ended, NULL);
    long before = descriptors();
    gc_engine *engine = gc_engine_new(config, &error);
    if (!engine || gc_start(engine, &error) != GC_OK) {
        fprintf(stderr, "%s\n", gc_error_message(error));
        return 1;
    }
    printf("begin: descriptors %ld\n", before);
    for (long second = strtol(argv[1], NULL, 10); second > 0; second--) {
        struct timespec nap = {1, 0};
        nanosleep(&nap, NULL);
        printf("passes %lu failed %lu kB %ld threads %ld descriptors %ld\n", passes, failed,
               number_in("/proc/self/status", "VmRSS:"), number_in("/proc/self/status", "Threads:"), descriptors());
        fflush(stdout);
    }
    gc_engine_free(engine);
    gc_config_free(config);
    /* The kernel takes a thread that was joined off its list a moment later. */
    struct timespec moment = {0, 10000000};
    for (int i = 0; i < 10000 && number_in("/proc/self/status", "Threads:") > 1; i++)
        nanosleep(&moment, NULL);
    printf("end: threads %ld descriptors %ld\n", number_in("/proc/self/status", "Threads:"), descriptors());
    return 0;
}
