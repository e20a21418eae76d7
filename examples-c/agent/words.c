/* Words for kinds of objects, statuses and sizes, and the library's messages in the words of a command line. */
#include "words.h"
#include <string.h>

static const struct phrase {
    const char *library, *agent;
} phrases[] = {
    { "the call was cancelled by gc_call_cancel", "the agent was told to end" },
    { "the periodic passes were stopped by gc_stop", "the agent was told to end" },
    { "unknown key `", "unknown option `--" },
    { "did you mean ", "did you mean --" },
    { "gc_config_key lists all keys", "--help lists all options" },
    { "the host's image_fs callback gave no figures of the image filesystem; see the host, or clear the callback so "
      "that the runtime is asked",
      "--image-fs-file gave no figures of the image filesystem; write them, or leave the option out so that the "
      "runtime is asked" },
    { "free that engine first, or give each engine a file of its own",
      "end that agent first, or give this one another file with --image-records-file FILE (--image-records-file= for none)" },
    { "if the host's list of pods is right, as after a day without the node, raise max-pod-share until a pass has run; if not, see why "
      "pods are missing in it",
      "if --kubelet-dir or --live-pods is right, as after a day without the node, run the agent with --max-pod-share 100 until a pass has "
      "ended; if not, see why pods are missing there" },
    { "give figures by the image_fs callback", "give figures by --image-fs-file" },
};

const char *kind_name(gc_kind kind)
{
    static const char *const names[] = { "containers", "sandboxes", "pod logs", "log links", "images" };
    return kind >= GC_CONTAINER && kind <= GC_IMAGE ? names[kind] : "objects";
}

const char *status_text(gc_status status)
{
    switch (status) {
    case GC_OK:
        return "fine";
    case GC_ERROR_INVALID_ARGUMENT:
        return "a value is wrong";
    case GC_ERROR_CONFIG:
        return "values do not fit together";
    case GC_ERROR_UNAVAILABLE:
        return "no runtime answers";
    case GC_ERROR_RUNTIME:
        return "the runtime reports an error";
    case GC_ERROR_TIMEOUT:
        return "it took too long";
    case GC_ERROR_CANCELLED:
    case GC_ERROR_CLOSED:
        return "ended early";
    case GC_ERROR_IO:
        return "a file or filesystem cannot be used";
    case GC_ERROR_NOT_ENOUGH_FREED:
        return "too little space was freed";
    case GC_ERROR_INTERNAL:
        return "a bug in crigc, please report it";
    case GC_ERROR_BUSY:
        return "another process collects this node";
    case GC_ERROR_CONTRADICTION:
        return "the list of pods is wrong";
    default:
        return "an error that this agent does not know";
    }
}

int is_interrupted(gc_status status)
{
    return status == GC_ERROR_CANCELLED || status == GC_ERROR_CLOSED;
}

/* The phrase at the beginning of a text; NULL if there is none. */
static const struct phrase *phrase_at(const char *text)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (strncmp(text, phrases[i].library, strlen(phrases[i].library)) == 0)
            return &phrases[i];
    return NULL;
}

void write_message(FILE *to, const char *message)
{
    while (*message) {
        const struct phrase *phrase = phrase_at(message);
        if (phrase) {
            fputs(phrase->agent, to);
            message += strlen(phrase->library);
        } else {
            fputc(*message++, to);
        }
    }
}

const char *bytes_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}
