/*
 * One pass of crigc in a fresh process, as a C host makes it, and what the pass cost this process, as a line of JSON. The same
 * arguments as the kubelet's driver (go/comparison/latest/cmd/bench-kubelet), and keys of crigc behind them:
 *
 *     crigc containers|images LIVE USAGE ENDPOINT PODS LINKS [KEY VALUE]...
 *
 * LIVE has the UIDs of the pods that live, one a line; USAGE the fill of the image filesystem, capacity and available in bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "crigc.h"

static void die(const char *what, const char *about)
{
    fprintf(stderr, "crigc driver: %s: %s\n", what, about);
    exit(2);
}

/* ------------------------------------------------------------------------------------------------------------ the host */

typedef struct pods {
    char **uids; /* sorted */
    size_t count;
} pods;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static pods read_pods(const char *path)
{
    pods live = { NULL, 0 };
    char line[256];
    FILE *file = fopen(path, "r");
    if (!file)
        die("cannot read the live pods", path);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        live.uids = realloc(live.uids, (live.count + 1) * sizeof *live.uids);
        if (!live.uids || !(live.uids[live.count++] = strdup(line)))
            die("no memory for the live pods", path);
    }
    fclose(file);
    qsort(live.uids, live.count, sizeof *live.uids, compare);
    return live;
}

/* An unknown pod is gone, as for a kubelet that has seen all its pods. */
static int32_t pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)as_of;
    const pods *live = context;
    for (size_t i = 0; i < count; i++)
        if (live->count == 0 || !bsearch(&uids[i], live->uids, live->count, sizeof *live->uids, compare))
            states[i] = GC_POD_CONTENT_REMOVABLE | GC_POD_RUNTIME_REMOVABLE;
    return 1;
}

static int32_t image_fs(void *context, gc_fs_usage *usage)
{
    FILE *file = fopen(context, "r");
    int found = file ? fscanf(file, "%" SCNu64 " %" SCNu64, &usage->capacity, &usage->available) : 0;
    if (file)
        fclose(file);
    return found == 2;
}

/* ---------------------------------------------------------------------------------------------------------- measuring */

typedef struct measure {
    double wall, cpu; /* seconds */
    long resident, peak; /* KiB */
} measure;

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* A line of /proc/self/status, in KiB. */
static long status_line(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = atol(line + strlen(name));
    if (file)
        fclose(file);
    return value;
}

/* Forgets the peak so far: the growth counts from here. */
static void reset_peak(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY);
    if (file < 0 || write(file, "5", 1) != 1)
        die("cannot reset the peak of memory", "/proc/self/clear_refs");
    close(file);
}

static measure now(void)
{
    struct timespec clock;
    struct rusage usage;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    getrusage(RUSAGE_SELF, &usage);
    measure at = {
        .wall = (double)clock.tv_sec + (double)clock.tv_nsec / 1e9,
        .cpu = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
        .resident = status_line("VmRSS:"),
        .peak = status_line("VmHWM:"),
    };
    return at;
}

/* The text as a JSON string. */
static void print_string(const char *text)
{
    putchar('"');
    for (; text && *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

/* ---------------------------------------------------------------------------------------------------------------- pass */

static void set(gc_config *config, const char *key, const char *value)
{
    gc_error *error = NULL;
    if (gc_config_set(config, key, value, &error) != GC_OK)
        die(key, gc_error_message(error));
}

static gc_engine *engine_of(char **arguments, int count, pods *live)
{
    gc_error *error = NULL;
    gc_config *config = gc_config_new();
    set(config, "container-runtime-endpoint", arguments[3]);
    set(config, "pod-logs-dir", arguments[4]);
    set(config, "container-logs-dir", arguments[5]);
    set(config, "minimum-image-ttl-duration", "0");
    for (int i = 6; i + 1 < count; i += 2)
        set(config, arguments[i], arguments[i + 1]);
    gc_config_set_pod_states(config, pod_states, live);
    gc_config_set_image_fs(config, image_fs, arguments[2]);
    gc_engine *engine = gc_engine_new(config, &error);
    if (!engine)
        die("no engine", gc_error_message(error));
    gc_config_free(config);
    return engine;
}

int main(int count, char **arguments)
{
    if (count < 7)
        die("usage", "containers|images|images-again LIVE USAGE ENDPOINT PODS LINKS [KEY VALUE]...");
    pods live = read_pods(arguments[2]);
    gc_engine *engine = engine_of(arguments + 1, count - 1, &live);
    gc_error *error = NULL;
    gc_report *report = NULL;
    int images = strncmp(arguments[1], "images", 6) == 0;
    if (strcmp(arguments[1], "images-again") == 0 && gc_images(engine, GC_DRY_RUN, NULL, NULL, &error) != GC_OK)
        die("the first look", gc_error_message(error));
    reset_peak();
    measure before = now();
    gc_status status = (images ? gc_images : gc_containers)(engine, 0, NULL, &report, &error);
    measure after = now();
    printf("{\"wall\":%.6f,\"cpu\":%.6f,\"resident_kib\":%ld,\"peak_kib\":%ld,\"failed_removals\":%zu,\"error\":", after.wall - before.wall,
           after.cpu - before.cpu, before.resident, after.peak, gc_report_count(report, GC_ANY_KIND, GC_FAILED));
    print_string(status == GC_OK ? "" : gc_error_message(error));
    printf("}\n");
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    return 0;
}
