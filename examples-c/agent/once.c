/* --once: a pass over containers (or over one pod), a pass over images, and the end. A signal cancels the pass that runs. */
#define _POSIX_C_SOURCE 200809L
#include "once.h"
#include <pthread.h>
#include <string.h>
#include "duration.h"
#include "exit_code.h"
#include "explain.h"
#include "log.h"
#include "metrics_file.h"
#include "output.h"
#include "signals.h"

/* What each pass needs. */
struct job {
    gc_engine *engine;
    gc_call *call; /* a signal cancels it */
    uint32_t flags;
    const struct options *options;
    struct pass_printer *printer;
    struct metrics_file *metrics;
    struct looked_at *looked; /* for --explain */
};

static gc_status run_pass(const struct job *job, gc_pass pass, gc_report **report, gc_error **error)
{
    const struct options *options = job->options;
    if (pass == GC_PASS_POD)
        return gc_pod(job->engine, options->pod, job->flags | (options->pod_gone ? GC_POD_GONE : 0u), job->call, report,
                      error);
    if (pass == GC_PASS_IMAGES)
        return gc_images(job->engine, job->flags, job->call, report, error);
    return gc_containers(job->engine, job->flags, job->call, report, error);
}

/* Runs one pass. on_pass prints it; if it never begins, this prints why. */
static void collect(const struct job *job, gc_pass pass)
{
    gc_report *report = NULL;
    gc_error *error = NULL;
    gc_status status = run_pass(job, pass, &report, &error);
    if (!report) {
        note_end(pass, status, NULL, NULL);
        say_error(error);
    } else {
        gc_error_free(error);
    }
    if (job->options->explain && report)
        look_at(job->looked, report);
    else
        gc_report_free(report);
    write_metrics_file(job->metrics, job->engine);
}

/* Says that a signal came before the pass over images. */
static void skip_images(void)
{
    note_end(GC_PASS_IMAGES, GC_ERROR_CANCELLED, NULL, NULL);
    say("collected no images: the agent was told to end");
}

/* Lists the images in a dry run, which is printed only if it fails; 1 = crigc has seen them. */
static int look_at_images(const struct job *job)
{
    gc_report *report = NULL;
    gc_error *error = NULL;
    int log = job->printer->log;
    job->printer->quiet = 1;
    job->printer->log = LOG_NOTHING; /* the pass that collects logs the same */
    gc_status status = gc_images(job->engine, job->flags | GC_DRY_RUN, job->call, &report, &error);
    job->printer->quiet = 0;
    job->printer->log = log;
    int seen = status == GC_OK || status == GC_ERROR_NOT_ENOUGH_FREED;
    if (!seen)
        on_pass(job->printer, GC_PASS_IMAGES, status, report, error);
    gc_report_free(report);
    gc_error_free(error);
    return seen;
}

/* Waits until no image that crigc has seen is younger than the minimum TTL; 1 = a signal came first, or there is no telling how long
 * that is. */
static int wait_for_images(const gc_config *config)
{
    char *ttl = gc_config_get(config, "minimum-image-ttl-duration", NULL);
    say("listed the images; collecting in %s, when none can be younger than minimum-image-ttl-duration (--now: at once)",
        ttl ? ttl : "?");
    long wait = ttl ? milliseconds_of(ttl) : -1;
    gc_string_free(ttl);
    return wait < 0 || wait_for(wait + 1, "images in");
}

/* Lists, waits and collects: an engine counts all images of its first list as old, so that a single pass could remove an
 * image that was pulled a moment ago. A dry run removes none and need not wait. */
static void collect_images(const struct job *job, const gc_config *config)
{
    if (job->options->apply && !job->options->now) {
        if (!look_at_images(job))
            return;
        if (wait_for_images(config)) {
            skip_images();
            return;
        }
    }
    collect(job, GC_PASS_IMAGES);
}

static void collect_all(const struct job *job, const gc_config *config)
{
    if (job->options->containers)
        collect(job, job->options->pod ? GC_PASS_POD : GC_PASS_CONTAINERS);
    if (job->options->images && was_interrupted())
        skip_images();
    else if (job->options->images)
        collect_images(job, config);
}

static void *cancel_on_signal(void *call)
{
    wait_for(-1, NULL);
    gc_call_cancel(call);
    return NULL;
}

/* Prints what is to be explained. That it may be one of several things is for the user to solve; else the passes decide. */
static int explained(struct looked_at *looked, const struct options *options)
{
    int code = explain(looked, options->explain, options->json), of_passes = worst_exit_code();
    return code == EXIT_USAGE || of_passes == EXIT_FINE ? code : of_passes;
}

int run_once(gc_engine *engine, const gc_config *config, const struct options *options, struct pass_printer *printer)
{
    struct metrics_file metrics = { .path = options->metrics_file };
    if (!begin_metrics_file(&metrics, engine)) {
        end_metrics_file(&metrics);
        return EXIT_USAGE;
    }
    struct looked_at looked = { .count = 0 };
    struct job job = {
        .engine = engine,
        .call = gc_call_new(0),
        .flags = options->all_unused ? GC_ALL_UNUSED : 0u,
        .options = options,
        .printer = printer,
        .metrics = &metrics,
        .looked = &looked,
    };
    pthread_t canceller;
    int failure = pthread_create(&canceller, NULL, cancel_on_signal, job.call);
    if (failure == 0) {
        collect_all(&job, config);
        end_waits();
        pthread_join(canceller, NULL);
    } else {
        say("cannot start a thread: %s", strerror(failure));
    }
    gc_call_free(job.call);
    end_metrics_file(&metrics);
    if (failure != 0)
        return EXIT_PASS_FAILED;
    return options->explain ? explained(&looked, options) : worst_exit_code();
}
