/* Which pods live, by the directories of the kubelet: a pod lives as long as pods/UID exists. */
#define _GNU_SOURCE
#include "kubelet_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
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

/* Opens a directory of the host. Its links lead where they lead on the host: an absolute one begins at the host's root, and
 * none leads out of it. -1 and errno if there is no such directory; ENOSYS where the kernel is older than Linux 5.6. */
static int open_on_host(const char *host_root, const char *path)
{
    struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
    if (*host_root == '\0')
        return open(path, (int)how.flags);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    int root = open(host_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -1;
    int found = (int)syscall(SYS_openat2, root, path, &how, sizeof how), error = errno;
    close(root);
    errno = error;
    return found;
}

int is_kubelet_there(const struct kubelet_dir *kubelet)
{
    /* A pod need not see the directories of the kubelet that runs it. */
    if (kubelet->path || getenv("KUBERNETES_SERVICE_HOST"))
        return 1;
    int found = open_on_host(kubelet->host_root, "/var/lib/kubelet");
    if (found >= 0)
        close(found);
    return found >= 0;
}

/* Leaves `as_of` at 0: the answer is of now. */
int32_t kubelet_dir_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count,
                               int64_t *as_of)
{
    const struct kubelet_dir *kubelet = context;
    char path[PATH_MAX];
    (void)as_of;
    int length = snprintf(path, sizeof path, "%s/pods", kubelet->path);
    if (length < 0 || (size_t)length >= sizeof path)
        return pods_unknown(kubelet->path, strerror(ENAMETOOLONG));
    /* One open directory answers for all pods: if it is unmounted meanwhile, it still has them. */
    int opened = open_on_host(kubelet->host_root, path);
    DIR *directory = opened < 0 ? NULL : fdopendir(opened);
    if (!directory) {
        const char *why = strerror(errno);
        if (opened >= 0)
            close(opened);
        return pods_unknown(path, why);
    }
    int known = has_pods(directory, path);
    for (size_t i = 0; known && i < count; i++)
        if (is_gone(directory, uids[i]))
            states[i] = GC_POD_CONTENT_REMOVABLE;
    closedir(directory);
    return known;
}
