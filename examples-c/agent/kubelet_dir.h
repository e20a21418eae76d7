/* Which pods live, by the directories of the kubelet. */
#ifndef AGENT_KUBELET_DIR_H
#define AGENT_KUBELET_DIR_H

#include "crigc.h"

/* A gc_pod_states_fn. Its context is a path, such as "/var/lib/kubelet". */
int32_t kubelet_dir_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count,
                               int64_t *as_of);

#endif
