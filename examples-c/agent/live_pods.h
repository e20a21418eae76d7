/* Which pods live, by a file with their UIDs. The README describes it. */
#ifndef AGENT_LIVE_PODS_H
#define AGENT_LIVE_PODS_H

#include "crigc.h"

struct live_pods_file {
    char *path;
    long max_age; /* milliseconds */
};

/* A gc_pod_states_fn. Its context is a live_pods_file. */
int32_t live_pods_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count,
                             int64_t *as_of);

#endif
