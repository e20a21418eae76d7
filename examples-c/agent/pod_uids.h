/* UIDs of pods: their form, and a sorted list of them. */
#ifndef AGENT_POD_UIDS_H
#define AGENT_POD_UIDS_H

#include <stddef.h>

struct pod_uids {
    char **uids;
    size_t count, capacity;
};

/* Whether a text has the form of a pod's UID: a UUID, or the 32 hex digits of a static pod. */
int is_pod_uid(const char *text);

/* Whether a pod's UID is one that the API server gave. A static pod has a UID that the kubelet made. */
int is_api_uid(const char *uid);

/* Adds a copy; 0 = out of memory. */
int add_pod_uid(struct pod_uids *list, const char *uid);

/* Sorts the list, which has_pod_uid needs. */
void sort_pod_uids(struct pod_uids *list);

int has_pod_uid(const struct pod_uids *list, const char *uid);
void free_pod_uids(struct pod_uids *list);

/* Says why the agent does not know which pods live, and notes the exit code. Returns 0, as a gc_pod_states_fn then has to: no
 * pod counts as gone. */
int pods_unknown(const char *path, const char *why);

#endif
