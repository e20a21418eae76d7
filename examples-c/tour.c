/* A tour of crigc.h: every function once, in the order in which a host meets them. It only reports what it would remove.
 *     tour unix:///run/containerd/containerd.sock
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "crigc.h"

/* Callbacks receive the context that was set with them; here that is the name of this program. */

static void on_log(void *context, gc_log_level level, const char *message)
{
    fprintf(stderr, "%s: %s: %s\n", (const char *)context, level == GC_LOG_ERROR ? "error" : "log", message);
}

static void on_event(void *context, const char *reason, const char *message)
{
    fprintf(stderr, "%s: event %s: %s\n", (const char *)context, reason, message);
}

/* This host knows no pods: 1 is "my list of pods is complete", anything else keeps them all. */
static int32_t on_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)context, (void)uids, (void)states, (void)count, (void)as_of;
    return 0;
}

static int32_t on_approve(void *context, const gc_entry *planned)
{
    return strcmp(planned->name, (const char *)context) != 0; /* 1 = remove it */
}

static int32_t on_image_fs(void *context, gc_fs_usage *usage)
{
    (void)context;
    usage->capacity = 100000000000;
    usage->available = 50000000000;
    return 1; /* filled */
}

static void on_progress(void *context, gc_kind kind, size_t done, size_t total)
{
    fprintf(stderr, "%s: %s %zu/%zu\n", (const char *)context, gc_kind_name(kind), done, total);
}

static void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    fprintf(stderr, "%s: pass %" PRId32 " took %.3f s, %zu entries: %s %s\n", (const char *)context, pass,
            gc_report_seconds(report), gc_report_len(report), gc_status_name(status), error ? gc_error_message(error) : "");
}

static int64_t on_clock(void *context)
{
    (void)context;
    return (int64_t)time(NULL) * 1000000000;
}

/* Without this callback the library connects to the path in the key; a host may connect in any other way, too (connect.c). */
static int on_connect(void *context, gc_service service)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = strstr(context, "/");
    fprintf(stderr, "connects to the %s service\n", service == GC_SERVICE_IMAGE ? "image" : "runtime");
    if (!path || strlen(path) >= sizeof address.sun_path)
        return -1; /* no connection */
    strcpy(address.sun_path, path + strspn(path, "/") - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd; /* now the library's */
}

/* Prints an error and frees it; returns whether there was one. */
static int failed(const char *doing, gc_error *error)
{
    if (!error)
        return 0;
    fprintf(stderr, "%s: %s: %s\n", doing, gc_status_name(gc_error_status(error)), gc_error_message(error));
    gc_error_free(error);
    return 1;
}

/* NULL if the endpoint is refused. */
static gc_config *configure(char *endpoint, char *name)
{
    gc_error *error = NULL;
    const char *key;
    gc_config *config = gc_config_new();
    /* What the kubelet of this node is configured with, if there is one; its flags are set after its file. */
    gc_config_load(config, "/var/lib/kubelet/config.yaml", &error);
    failed("load the kubelet's configuration", error);
    gc_config_set(config, "container-runtime-endpoint", endpoint, &error);
    if (failed("set the endpoint", error)) {
        gc_config_free(config);
        return NULL;
    }
    /* A wrong key changes nothing, and the error says what would be right. */
    gc_config_set(config, "max-parallel-removal", "4", &error);
    failed("set a key that is misspelt", error);
    for (size_t i = 0; (key = gc_config_key(i)) != NULL; i++) {
        char *value = gc_config_get(config, key, NULL);
        printf("%s=%s\n    %s\n", key, value ? value : "", gc_config_key_help(key));
        gc_string_free(value);
    }
    gc_config_set_log(config, GC_LOG_WARN, on_log, name);
    gc_config_set_event(config, on_event, name);
    gc_config_set_pod_states(config, on_pod_states, NULL);
    gc_config_set_approve(config, on_approve, name);
    gc_config_set_image_fs(config, on_image_fs, NULL);
    gc_config_set_progress(config, on_progress, name);
    gc_config_set_pass(config, on_pass, name);
    gc_config_set_clock(config, on_clock, NULL);
    gc_config_set_connect(config, on_connect, endpoint);
    return config;
}

static void print_report(const gc_report *report)
{
    const gc_fs_usage *before = gc_report_fs_before(report), *after = gc_report_fs_after(report);
    const gc_pace *pace = gc_report_pace(report, GC_CONTAINER);
    printf("%s at %" PRId64 ": %s, %zu of %zu images go, %" PRIu64 " bytes\n", gc_report_dry_run(report) ? "dry run" : "pass",
           gc_report_started(report), gc_status_name(gc_report_status(report)), gc_report_count(report, GC_IMAGE, GC_REMOVED),
           gc_report_count(report, GC_IMAGE, GC_ANY_OUTCOME), gc_report_bytes_freed(report));
    if (before && after)
        printf("available: %" PRIu64 " bytes, then %" PRIu64 "\n", before->available, after->available);
    if (pace)
        printf("at once: %.1f on average\n", pace->in_flight_mean);
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        char *why = gc_report_explain(report, i);
        printf("%s %s %s: %s; %s\n", gc_outcome_name(entry->outcome), gc_kind_name(entry->kind), entry->id,
               gc_reason_text(entry->reason), why ? why : "");
        gc_string_free(why);
    }
    char *json = gc_report_json(report);
    printf("%zu bytes as JSON\n", json ? strlen(json) : 0);
    gc_string_free(json);
}

/* One pass of each kind, of which one second is the most that may be spent on all. */
static int run_passes(gc_engine *engine)
{
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_call *call = gc_call_new(1000);
    gc_containers(engine, GC_DRY_RUN, call, &report, &error);
    print_report(report);
    gc_report_free(report);
    int is_bad = failed("collect containers", error);
    gc_images(engine, GC_DRY_RUN | GC_NO_WAIT, call, &report, &error);
    print_report(report);
    gc_report_free(report);
    is_bad |= failed("collect images", error);
    gc_pod(engine, "6f1a3f0e-2c0e-4b5e-9a43-5d2f0c7d9e11", GC_POD_GONE | GC_DRY_RUN, call, &report, &error);
    print_report(report);
    gc_report_free(report);
    is_bad |= failed("collect one pod", error);
    gc_call_cancel(call); /* too late for these, but any other thread may do it */
    gc_call_free(call);
    return is_bad;
}

/* The figures of all passes for Prometheus; a host serves them, or writes them to a file. */
static void print_metrics(gc_engine *engine)
{
    char *text = gc_metrics(engine);
    printf("%s", text ? text : "");
    gc_string_free(text);
}

/* Passes in the background, for as long as nothing happens here. */
static int run_periodically(gc_engine *engine)
{
    gc_error *error = NULL;
    gc_start(engine, &error);
    gc_stop(engine);
    return failed("start", error);
}

int main(int argc, char **argv)
{
    if (argc != 2 || gc_abi() != GC_ABI) {
        fprintf(stderr, "usage: tour ENDPOINT (crigc %s, header %s)\n", gc_version(), GC_VERSION);
        return 2;
    }
    gc_error *error = NULL;
    gc_config *config = configure(argv[1], argv[0]);
    if (!config)
        return 1;
    gc_config_set(config, "dry-run", "true", NULL);
    gc_engine *engine = gc_engine_new(config, &error);
    gc_config_free(config);
    if (failed("make an engine", error))
        return 1;
    int is_bad = run_passes(engine) | run_periodically(engine);
    print_metrics(engine);
    gc_close(engine); /* from any thread: all passes end soon */
    gc_engine_free(engine);
    return is_bad;
}
