/* Which pods live, by the directories of the kubelet. */
#ifndef AGENT_KUBELET_DIR_H
#define AGENT_KUBELET_DIR_H

#include "crigc.h"

struct kubelet_dir {
    char *path;      /* such as "/var/lib/kubelet"; NULL = not given */
    char *host_root; /* the key host-root: where the host's root is mounted; "" = the agent runs on the host itself */
};

/* Whether the node has a kubelet: its directory is given, or exists where it mostly is. */
int is_kubelet_there(const struct kubelet_dir *kubelet);

/* A gc_pod_states_fn. Its context is a kubelet_dir. */
int32_t kubelet_dir_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count,
                               int64_t *as_of);

#endif
