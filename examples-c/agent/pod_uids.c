/* UIDs of pods: their form, and a sorted list of them. */
#define _POSIX_C_SOURCE 200809L
#include "pod_uids.h"
#include <stdlib.h>
#include <string.h>
#include "duration.h"
#include "exit_code.h"
#include "output.h"

int is_pod_uid(const char *text)
{
    size_t length = strlen(text);
    if (length != 36 && length != 32)
        return 0;
    for (size_t i = 0; i < length; i++) {
        int is_dash = length == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (is_dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
            return 0;
    }
    return 1;
}

int is_api_uid(const char *uid)
{
    return strlen(uid) == 36;
}

int add_pod_uid(struct pod_uids *list, const char *uid)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        char **larger = realloc(list->uids, capacity * sizeof *larger);
        if (!larger)
            return 0;
        list->uids = larger;
        list->capacity = capacity;
    }
    char *copy = strdup(uid);
    if (!copy)
        return 0;
    list->uids[list->count++] = copy;
    return 1;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void sort_pod_uids(struct pod_uids *list)
{
    qsort(list->uids, list->count, sizeof *list->uids, compare);
}

int has_pod_uid(const struct pod_uids *list, const char *uid)
{
    return bsearch(&uid, list->uids, list->count, sizeof *list->uids, compare) != NULL;
}

void free_pod_uids(struct pod_uids *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->uids[i]);
    free(list->uids);
}

int pods_unknown(const char *path, const char *why)
{
    static double last; /* a pass asks several times; one callback runs at a time */
    double now = now_seconds();
    if (last == 0 || now - last > 10) {
        say("cannot tell which pods live: %s: %s; no pod counts as gone; see --kubelet-dir or --live-pods", path, why);
        last = now;
    }
    lock_output();
    note_pods_unknown();
    unlock_output();
    return 0;
}
