/* Which pods live, by the directories of the kubelet: a pod lives as long as pods/UID exists. */
#define _POSIX_C_SOURCE 200809L
#include "kubelet_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "pod_uids.h"

/* Whether the directory can be read and has a pod. If it has none, its filesystem may not be mounted. */
static int has_pods(DIR *directory, const char *path)
{
    struct dirent *entry;
    while ((errno = 0, entry = readdir(directory)) != NULL)
        if (is_pod_uid(entry->d_name))
            return 1;
    return pods_unknown(path, errno ? strerror(errno) : "it is empty");
}

/* Whether a pod is certainly gone: only ENOENT says so. */
static int is_gone(DIR *directory, const char *uid)
{
    struct stat status;
    /* crigc asks about every entry of its log directory, also about one that is not a pod's. */
    if (!is_pod_uid(uid))
        return 0;
    return fstatat(dirfd(directory), uid, &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

/* Leaves `as_of` at 0: the answer is of now. */
int32_t kubelet_dir_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count,
                               int64_t *as_of)
{
    const char *kubelet_dir = context;
    char path[PATH_MAX];
    (void)as_of;
    int length = snprintf(path, sizeof path, "%s/pods", kubelet_dir);
    if (length < 0 || (size_t)length >= sizeof path)
        return pods_unknown(kubelet_dir, strerror(ENAMETOOLONG));
    /* One open directory answers for all pods: if it is unmounted meanwhile, it still has them. */
    DIR *directory = opendir(path);
    if (!directory)
        return pods_unknown(path, strerror(errno));
    int known = has_pods(directory, path);
    for (size_t i = 0; known && i < count; i++)
        if (is_gone(directory, uids[i]))
            states[i] = GC_POD_CONTENT_REMOVABLE;
    closedir(directory);
    return known;
}
