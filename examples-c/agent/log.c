/* What crigc logs, and its events, on standard error. */
#include "log.h"
#include <stdio.h>
#include "output.h"

void on_log(void *context, gc_log_level level, const char *message)
{
    const int *verbose = context;
    if (level > GC_LOG_WARN && !*verbose)
        return;
    const char *word = level == GC_LOG_ERROR ? "error" : level == GC_LOG_WARN ? "warning" : "info";
    lock_output();
    fprintf(stderr, "%s: %s\n", word, message);
    unlock_output();
}

/* A kubelet would make an Event of the node here. */
void on_event(void *context, const char *reason, const char *message)
{
    const int *verbose = context;
    (void)message; /* on_log has written it */
    if (*verbose)
        say("event of type Warning: %s", reason);
}
