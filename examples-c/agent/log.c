/* What crigc logs, and its events, on standard error. */
#include "log.h"
#include <stdio.h>
#include "output.h"
#include "words.h"

void on_log(void *context, gc_log_level level, const char *message)
{
    const int *much = context;
    if (*much == LOG_NOTHING || (level > GC_LOG_WARN && *much != LOG_ALL))
        return;
    lock_output();
    fputs(level == GC_LOG_ERROR ? "error: " : level == GC_LOG_WARN ? "warning: " : "info: ", stderr);
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
