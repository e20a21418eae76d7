/* Which pods live, by a file with their UIDs. Only a file that is complete, fresh and not empty is trusted. */
#define _POSIX_C_SOURCE 200809L
#include "live_pods.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "pod_uids.h"
#include "rfc3339.h"

#define BLANKS " \t\r\n"
#define SECOND INT64_C(1000000000)

/* The content of a file. */
struct list {
    struct pod_uids live;
    int has_static; /* the UID of a static pod is among them */
    int64_t as_of;  /* when the list was true, in nanoseconds since the epoch; 0 = it has no such line */
};

/* A line without the blanks around it. */
static char *trim(char *line)
{
    line += strspn(line, BLANKS);
    size_t length = strlen(line);
    while (length > 0 && strchr(BLANKS, line[length - 1]))
        line[--length] = '\0';
    return line;
}

/* The time in a line `# as-of TIME`; NULL for another line. */
static const char *as_of_time(const char *line)
{
    if (*line != '#')
        return NULL;
    line += 1 + strspn(line + 1, " \t");
    if (strncmp(line, "as-of", 5) != 0 || !strchr(" \t", line[5]))
        return NULL;
    return line + 5 + strspn(line + 5, " \t");
}

/* Reads a trimmed line: NULL, or why the file cannot be trusted. */
static const char *read_line(struct list *list, const char *line)
{
    const char *text = as_of_time(line);
    if (text) {
        int64_t time = nanoseconds_of(text);
        if (time <= 0)
            return "has no time such as 2026-01-02T03:04:05Z";
        /* Of several lines the earliest time counts. */
        if (list->as_of == 0 || time < list->as_of)
            list->as_of = time;
    }
    if (*line == '\0' || *line == '#')
        return NULL;
    if (!is_pod_uid(line))
        return "is not the UID of a pod";
    if (!add_pod_uid(&list->live, line))
        return "does not fit into memory";
    list->has_static = list->has_static || !is_api_uid(line);
    return NULL;
}

/* Reads all lines; 0 and a message if the file cannot be trusted. */
static int read_lines(struct list *list, FILE *file, const char *path)
{
    const char *wrong = NULL;
    char *line = NULL, text[80];
    size_t size = 0, number = 0;
    int error = 0;
    while (!wrong && (errno = 0, getline(&line, &size, file)) >= 0) {
        number++;
        wrong = read_line(list, trim(line));
    }
    /* Without memory getline ends before the file does, and sets no error of the file. */
    if (!wrong && (ferror(file) || !feof(file)))
        error = errno;
    free(line);
    if (wrong) {
        snprintf(text, sizeof text, "line %zu %s", number, wrong);
        return pods_unknown(path, text);
    }
    if (error)
        return pods_unknown(path, strerror(error));
    if (list->live.count == 0)
        return pods_unknown(path, "it is empty");
    sort_pod_uids(&list->live);
    return 1;
}

/* Whether the file is fresh. A file from the future shows that a clock is wrong. */
static int is_fresh(const struct live_pods_file *source, const struct stat *status)
{
    double age = difftime(time(NULL), status->st_mtime);
    double limit = (double)source->max_age / 1000;
    char text[128];
    if (age <= limit && -age <= limit)
        return 1;
    snprintf(text, sizeof text, "it was written %.0f s %s, --live-pods-max-age is %.0f s", age < 0 ? -age : age,
             age < 0 ? "in the future" : "ago", limit);
    return pods_unknown(source->path, text);
}

static int64_t nanoseconds(const struct timespec *time)
{
    return time->tv_sec * SECOND + time->tv_nsec;
}

static int read_open_file(struct list *list, FILE *file, const struct live_pods_file *source)
{
    struct stat status;
    if (fstat(fileno(file), &status) != 0)
        return pods_unknown(source->path, strerror(errno));
    if (!is_fresh(source, &status) || !read_lines(list, file, source->path))
        return 0;
    /* The list was asked for some time before it was written. */
    if (list->as_of == 0)
        list->as_of = nanoseconds(&status.st_mtim) - 10 * SECOND;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (list->as_of > nanoseconds(&now))
        return pods_unknown(source->path, "it is as of a time to come; see whether a clock was set back");
    return 1;
}

/* A list without the UID of a static pod comes from a source that does not know them, such as the API server, which knows
 * only their mirror pods: then static pods count as living. */
static int is_gone(const struct list *list, const char *uid)
{
    /* crigc asks about every entry of its log directory, also about one that is not a pod's. */
    if (!is_pod_uid(uid) || (!is_api_uid(uid) && !list->has_static))
        return 0;
    return !has_pod_uid(&list->live, uid);
}

int32_t live_pods_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    const struct live_pods_file *source = context;
    struct list list = { { NULL, 0, 0 }, 0, 0 };
    FILE *file = fopen(source->path, "re");
    if (!file)
        return pods_unknown(source->path, strerror(errno));
    int known = read_open_file(&list, file, source);
    fclose(file);
    for (size_t i = 0; known && i < count; i++)
        if (is_gone(&list, uids[i]))
            states[i] = GC_POD_CONTENT_REMOVABLE;
    *as_of = list.as_of;
    free_pod_uids(&list.live);
    return known;
}
