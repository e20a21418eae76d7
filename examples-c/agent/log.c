/* What crigc logs, and its events, on standard error. */
#include "log.h"
#include <stdio.h>
#include <string.h>
#include "exit_code.h"
#include "output.h"
#include "words.h"

static int begins_with(const char *message, const char *begin)
{
    return strncmp(message, begin, strlen(begin)) == 0;
}

/* Whether the end of the pass says it, too: why it failed, and in a dry run each object. */
static int is_said_at_the_end(gc_log_level level, const char *message)
{
    static const char *const begins[] = { "ContainerGCFailed: ", "ImageGCFailed: ", "would remove " };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (begins_with(message, begins[i]))
            return 1;
    return level == GC_LOG_ERROR;
}

void on_log(void *context, gc_log_level level, const char *message)
{
    const int *much = context;
    if (*much == LOG_NOTHING || (level > GC_LOG_WARN && *much != LOG_ALL))
        return;
    if (is_said_at_the_end(level, message))
        return;
    lock_output();
    /* A dry run sends no event, so the message tells. The reason "held-by-share" would not: single pods may have it. */
    if (begins_with(message, "PodShareExceeded: "))
        note_held_by_share();
    fputs(level == GC_LOG_WARN ? "warning: " : "info: ", stderr);
    write_message(stderr, message);
    fputc('\n', stderr);
    unlock_output();
}

/* A kubelet would make an Event of the node here. */
void on_event(void *context, const char *reason, const char *message)
{
    const int *much = context;
    (void)message; /* on_log has written it */
    if (*much == LOG_ALL)
        say("event of type Warning: %s", reason);
}
