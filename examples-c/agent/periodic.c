/* Without --once: passes every period, until a signal. */
#include "periodic.h"
#include "exit_code.h"
#include "output.h"
#include "signals.h"

/* A signal is the ordinary end; on_pass has printed how each pass ended. */
static int collect_until_signal(gc_engine *engine)
{
    gc_error *error = NULL;
    if (gc_start(engine, &error) != GC_OK) {
        say_error(error);
        return EXIT_PASS_FAILED;
    }
    wait_for(-1, NULL);
    gc_stop(engine);
    return EXIT_FINE;
}

int run_periodically(gc_engine *engine, const gc_config *config, const struct options *options,
                     struct pass_printer *printer)
{
    char *endpoint = gc_config_get(config, "container-runtime-endpoint", NULL);
    char *containers = gc_config_get(config, "container-gc-period", NULL);
    char *images = gc_config_get(config, "image-gc-period", NULL);
    say("%s %s: containers every %s, images %s%s", options->apply ? "collecting" : "dry runs of", endpoint, containers,
        options->images ? "every " : "never", options->images ? images : "");
    printer->periods[0] = containers;
    printer->periods[1] = images;
    int code = collect_until_signal(engine);
    gc_string_free(endpoint);
    gc_string_free(containers);
    gc_string_free(images);
    return code;
}
