/* Without --once: passes every period, until a signal. Meanwhile the main thread writes and serves metrics. */
#define _POSIX_C_SOURCE 200809L
#include "periodic.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "duration.h"
#include "exit_code.h"
#include "metrics_file.h"
#include "metrics_http.h"
#include "output.h"
#include "signals.h"

/* How often the file is looked after while a pass runs, and clients while there are some, in milliseconds. A pass may take hours: its
 * file shows how far it is, and that it gets on. */
enum { FILE_TURN = 15000, CLIENT_TURN = 1000 };

struct metrics {
    gc_engine *engine;
    struct metrics_file file;
    struct metrics_server server;
    int ended[2]; /* a pipe with a byte for each pass that has ended */
};

static int open_pipe(int *ends)
{
    if (pipe(ends) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
        return 1;
    say("cannot make a pipe: %s", strerror(errno));
    return 0;
}

static int begin_metrics(struct metrics *metrics, gc_engine *engine, const struct options *options)
{
    *metrics = (struct metrics){ .engine = engine, .file.path = options->metrics_file, .ended = { -1, -1 } };
    return begin_metrics_server(&metrics->server, options->metrics_listen) && open_pipe(metrics->ended) &&
           begin_metrics_file(&metrics->file, engine);
}

static void end_metrics(struct metrics *metrics)
{
    end_metrics_server(&metrics->server);
    end_metrics_file(&metrics->file);
    close(metrics->ended[0]);
    close(metrics->ended[1]);
}

/* Whether passes have ended since the last time. */
static int passes_have_ended(const struct metrics *metrics)
{
    char bytes[64];
    ssize_t count, all = 0;
    while ((count = read(metrics->ended[0], bytes, sizeof bytes)) > 0)
        all += count;
    return all > 0;
}

static void look_after_metrics(struct metrics *metrics)
{
    double written = now_seconds();
    while (!was_interrupted()) {
        struct pollfd polls[2 + 1 + MOST_CLIENTS] = {
            { .fd = signal_descriptor(), .events = POLLIN },
            { .fd = metrics->ended[0], .events = POLLIN },
        };
        size_t count = 2 + poll_metrics_server(&metrics->server, polls + 2);
        poll(polls, (nfds_t)count, is_busy(&metrics->server) ? CLIENT_TURN : FILE_TURN);
        serve_metrics(&metrics->server, metrics->engine);
        if (passes_have_ended(metrics)) {
            write_metrics_file(&metrics->file, metrics->engine);
            written = now_seconds();
        } else if (now_seconds() - written >= FILE_TURN / 1000) {
            refresh_metrics_file(&metrics->file, metrics->engine);
            written = now_seconds();
        }
    }
}

/* A signal is the ordinary end; on_pass has printed how each pass ended. */
static int collect_until_signal(struct metrics *metrics)
{
    gc_error *error = NULL;
    if (gc_start(metrics->engine, &error) != GC_OK) {
        int code = gc_error_status(error) == GC_ERROR_CONFIG ? EXIT_USAGE : EXIT_PASS_FAILED;
        say_error(error);
        return code;
    }
    look_after_metrics(metrics);
    gc_stop(metrics->engine);
    return EXIT_FINE;
}

/* A period that the caller frees; NULL = it is zero, and there are no such passes. */
static char *period(const gc_config *config, const char *key)
{
    char *text = gc_config_get(config, key, NULL);
    if (text && strpbrk(text, "123456789"))
        return text;
    gc_string_free(text);
    return NULL;
}

/* Says what is done, and how often. */
static int collect(const gc_config *config, const struct options *options, struct pass_printer *printer, struct metrics *metrics)
{
    char *endpoint = gc_config_get(config, "container-runtime-endpoint", NULL);
    char *containers = period(config, "container-gc-period");
    char *images = period(config, "image-gc-period");
    say("%s %s: containers %s%s, images %s%s", options->apply ? "collecting" : "dry runs of", endpoint,
        containers ? "every " : "never", containers ? containers : "", images ? "every " : "never", images ? images : "");
    printer->periods[0] = containers;
    printer->periods[1] = images;
    printer->ended = metrics->ended[1];
    int code = collect_until_signal(metrics);
    gc_string_free(endpoint);
    gc_string_free(containers);
    gc_string_free(images);
    return code;
}

int run_periodically(gc_engine *engine, const gc_config *config, const struct options *options,
                     struct pass_printer *printer)
{
    struct metrics metrics;
    int code = begin_metrics(&metrics, engine, options) ? collect(config, options, printer, &metrics) : EXIT_USAGE;
    end_metrics(&metrics);
    return code;
}
