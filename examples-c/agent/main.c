/* agent: a node agent to start from. It collects dead containers, sandboxes, logs and unused images of a node through
 * crigc, once or every period, and reports what it removed, what failed, what it kept, and why. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "crigc.h"
#include "duration.h"
#include "engine.h"
#include "exit_code.h"
#include "healthy.h"
#include "image_fs.h"
#include "kubelet_dir.h"
#include "live_pods.h"
#include "log.h"
#include "once.h"
#include "options.h"
#include "output.h"
#include "passes.h"
#include "periodic.h"
#include "progress.h"
#include "signals.h"

static void set_callbacks(gc_config *config, struct options *options, struct pass_printer *printer)
{
    if (options->kubelet.path)
        gc_config_set_pod_states(config, kubelet_dir_pod_states, &options->kubelet);
    if (options->live_pods.path)
        gc_config_set_pod_states(config, live_pods_pod_states, &options->live_pods);
    if (options->image_fs_file)
        gc_config_set_image_fs(config, image_fs_from_file, options->image_fs_file);
    gc_config_set_log(config, GC_LOG_INFO, on_log, &printer->log);
    gc_config_set_event(config, on_event, &printer->log);
    gc_config_set_pass(config, on_pass, printer);
    if (options->apply)
        gc_config_set_progress(config, on_progress, &options->once);
}

/* Makes an engine and runs it; returns the exit code. */
static int run_engine(gc_config *config, struct options *options, struct pass_printer *printer)
{
    gc_error *error = NULL;
    set_callbacks(config, options, printer);
    if (!catch_signals()) {
        say("cannot catch signals: %s", strerror(errno));
        return EXIT_USAGE;
    }
    gc_engine *engine = make_engine(config, options, &error);
    if (!engine) {
        gc_status status = gc_error_status(error);
        say_error(error);
        return status == GC_ERROR_CONFIG || status == GC_ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_PASS_FAILED;
    }
    int code =
        options->once ? run_once(engine, config, options, printer) : run_periodically(engine, config, options, printer);
    gc_engine_free(engine);
    return code;
}

/* The value of a key that takes a number. */
static uint64_t number(const gc_config *config, const char *key)
{
    char *text = gc_config_get(config, key, NULL);
    uint64_t value = text ? strtoull(text, NULL, 10) : 0;
    gc_string_free(text);
    return value;
}

static struct thresholds thresholds_of(const gc_config *config)
{
    char *inodes = gc_config_get(config, "image-gc-inode-thresholds", NULL);
    struct thresholds thresholds = {
        .high = (unsigned)number(config, "image-gc-high-threshold"),
        .low = (unsigned)number(config, "image-gc-low-threshold"),
        .min_available = number(config, "image-gc-min-available"),
        .inodes = inodes && strcmp(inodes, "true") == 0,
    };
    gc_string_free(inodes);
    return thresholds;
}

/* Logs wait for a shipper only where nobody else removes them. */
static void warn_of_logs(const gc_config *config)
{
    char *ttl = gc_config_get(config, "minimum-pod-log-ttl-duration", NULL);
    if (ttl && milliseconds_of(ttl) > 0)
        say("minimum-pod-log-ttl-duration binds crigc alone: a kubelet that collects this node removes the logs of a pod with the pod");
    gc_string_free(ttl);
}

static int run(gc_config *config, struct options *options)
{
    if (options->healthy)
        return check_health(options->healthy, config);
    struct pass_printer printer = {
        .json = options->json,
        .changes_only = options->changes_only,
        .verbose = options->verbose,
        .dry_run = !options->apply,
        .explains = options->explain != NULL,
        .thresholds = thresholds_of(config),
        .to_apply = options->held_back ? "without --dry-run" : "with --apply",
        .log = options->verbose ? LOG_ALL : LOG_WARNINGS,
        .ended = -1,
    };
    options->kubelet.host_root = gc_config_get(config, "host-root", NULL);
    printer.beside_kubelet = is_kubelet_there(&options->kubelet);
    if (printer.beside_kubelet && options->containers && !options->explain)
        warn_of_logs(config);
    int code = run_engine(config, options, &printer);
    gc_string_free(options->kubelet.host_root);
    return code;
}

int main(int count, char **arguments)
{
    occupy_streams();
    if (gc_abi() != GC_ABI) {
        say("the library has ABI %u, this program needs ABI %u; build both from one release", gc_abi(), GC_ABI);
        return EXIT_USAGE;
    }
    int code;
    gc_config *config = gc_config_new();
    struct options *options = read_options(config, count, arguments, &code);
    if (options)
        code = run(config, options);
    gc_config_free(config);
    return !output_is_written() && code == EXIT_FINE ? EXIT_OUTPUT_LOST : code;
}
