/* Makes the engine, with the agent's own file of image records where the command line names none. An agent that cannot keep records goes on
 * without: a node that fills up is worse than images whose age is forgotten. */
#define _POSIX_C_SOURCE 200809L
#include "engine.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "output.h"

/* Where the agent keeps files, unless systemd says where. */
#ifndef AGENT_STATE_DIRECTORY
#define AGENT_STATE_DIRECTORY "/var/lib/crigc-agent"
#endif

#define KEY "image-records-file"
#define FORGETS "keeps no records of images, so image-maximum-gc-age counts from now: "

/* The directory that systemd made for the unit (StateDirectory=; of several the first), or else the agent's own. */
static const char *state_directory(char *room, size_t size)
{
    const char *named = getenv("STATE_DIRECTORY");
    size_t length = named ? strcspn(named, ":") : 0;
    if (length == 0 || length >= size || *named != '/')
        return AGENT_STATE_DIRECTORY;
    memcpy(room, named, length);
    room[length] = '\0';
    return room;
}

/* Sets the default file; 1 = it is set. Only passes over images have records. A dry run makes no directory, and reads one that is there. */
static int choose_records(gc_config *config, const struct options *options, const char *directory)
{
    char path[PATH_MAX];
    struct stat status;
    if (!options->images || options->records_given || (!options->apply && stat(directory, &status) != 0))
        return 0;
    int length = snprintf(path, sizeof path, "%s/image-records", directory);
    return length > 0 && (size_t)length < sizeof path && gc_config_set(config, KEY, path, NULL) == GC_OK;
}

/* Whether the file cannot be locked. Another agent that holds it is another matter: two of them would collect one node. */
static int is_unusable(const gc_error *error)
{
    return gc_error_status(error) == GC_ERROR_IO;
}

/* Makes the engine anew after its error. */
static gc_engine *try_again(gc_config *config, gc_error **error)
{
    gc_error_free(*error);
    return gc_engine_new(config, error);
}

/* Makes the missing directory and the engine; without the directory, an engine without records. */
static gc_engine *make_despite(gc_config *config, const char *directory, gc_error **error)
{
    if (mkdir(directory, 0700) == 0) {
        gc_engine *engine = try_again(config, error);
        if (engine || !is_unusable(*error))
            return engine;
        say_message(FORGETS, gc_error_message(*error));
    } else if (errno == EEXIST) {
        say_message(FORGETS, gc_error_message(*error));
    } else {
        say(FORGETS "cannot make %s: %s; make it, or name another file with --" KEY " FILE (--" KEY "= for none)", directory,
            strerror(errno));
    }
    gc_config_set(config, KEY, "", NULL);
    return try_again(config, error);
}

/* With --apply, --once waits until no image is too young. Its dry run shows the same without a wait. The keys have been found to fit
 * together by now, as the user gave them. */
static gc_engine *without_wait(gc_config *config, gc_engine *engine, gc_error **error)
{
    gc_engine_free(engine);
    gc_config_set(config, "minimum-image-ttl-duration", "0s", NULL);
    return gc_engine_new(config, error);
}

gc_engine *make_engine(gc_config *config, const struct options *options, gc_error **error)
{
    char room[PATH_MAX];
    const char *directory = state_directory(room, sizeof room);
    int is_default = choose_records(config, options, directory);
    gc_engine *engine = gc_engine_new(config, error);
    if (!engine && is_default && is_unusable(*error))
        engine = make_despite(config, directory, error);
    if (engine && options->once && options->images && !options->apply && !options->now && !options->explain)
        engine = without_wait(config, engine, error);
    return engine;
}
