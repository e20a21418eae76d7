/* The agent's exit codes, which --help and the README list, and which of them the passes come to. */
#ifndef AGENT_EXIT_CODE_H
#define AGENT_EXIT_CODE_H

#include "crigc.h"
#include "space.h"

enum {
    EXIT_FINE = 0,
    EXIT_PASS_FAILED = 1,
    EXIT_NOT_HEALTHY = 1,
    EXIT_NOT_FOUND = 1,
    EXIT_USAGE = 2,
    EXIT_SOME_FAILED = 3,
    EXIT_NO_RUNTIME = 4,
    EXIT_INTERRUPTED = 5,
    EXIT_PODS_UNKNOWN = 6,
    EXIT_OUTPUT_LOST = 7,
    EXIT_HELD_BY_SHARE = 8
};

/* Notes how a pass ended. Without a report, both pointers are NULL. Only one thread at a time may call this. */
void note_end(gc_pass pass, gc_status status, const gc_report *report, const struct thresholds *thresholds);

/* Notes that the agent did not know which pods live. The same holds for threads. */
void note_pods_unknown(void);

/* Notes that max-pod-share held a pass back. The same holds for threads. */
void note_held_by_share(void);

/* The code of the first pass that failed; if none did, EXIT_PODS_UNKNOWN, EXIT_HELD_BY_SHARE, EXIT_SOME_FAILED or EXIT_FINE. */
int worst_exit_code(void);

#endif
