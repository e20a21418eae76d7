/*
 * agent: a node agent to start from. It collects dead containers, sandboxes, logs and images of a node through crigc, once or
 * every period, and tells a person (or a program, with --json) what went, why, how much, what failed and what stays.
 *
 * Read it from the bottom: main, printing, callbacks, who lives, options.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "crigc.h"

/* Exit codes, also in --help. */
enum { EXIT_FINE = 0, EXIT_PASS_FAILED = 1, EXIT_USAGE = 2, EXIT_SOME_FAILED = 3, EXIT_NO_RUNTIME = 4, EXIT_INTERRUPTED = 5 };

/* ------------------------------------------------------------------------------------------------------------ options */

typedef struct options {
    int once, now, apply, containers, images, only_containers, only_images, all_unused, verbose, json, help, version;
    const char *kubelet_dir, *live_pods, *image_fs_file;
    char *container_period, *image_period; /* as Go writes durations */
    long live_pods_max_age; /* milliseconds */
} options;

static options opt = { .containers = 1, .images = 1, .live_pods_max_age = 60000 };

/* Writes to a signal handler's pipe end a wait of ours. */
static int signal_pipe[2] = { -1, -1 };
static volatile sig_atomic_t interrupted;

/* Periodic passes over containers and over images tell from a thread each: who writes holds this. */
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static int bar_is_open; /* the cursor stands behind a bar */

static void lock_output(void)
{
    pthread_mutex_lock(&output);
    if (bar_is_open)
        fputc('\n', stderr);
    bar_is_open = 0;
}

static void unlock_output(void)
{
    pthread_mutex_unlock(&output);
}

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lock_output();
    fputs("agent: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    unlock_output();
    va_end(arguments);
}

static void help(void)
{
    printf("usage: agent [OPTION]... [--KEY VALUE]...\n\n"
           "Collects dead containers, sandboxes, logs and unused images of this node. Without --apply it is a dry run.\n\n"
           "  --apply                remove; otherwise only say what would go\n"
           "  --once                 one pass of each kind, then exit; otherwise every period until SIGTERM\n"
           "  --now                  with --once: images at once, without waiting out minimum-image-ttl-duration\n"
           "  --containers           only containers, sandboxes and logs\n"
           "  --images               only images\n"
           "  --all-unused           with --once: as the kubelet under disk pressure, all that is unused\n"
           "  --kubelet-dir DIR      pods live that have a directory DIR/pods/UID, such as /var/lib/kubelet\n"
           "  --live-pods FILE       pods live whose UID is a line of FILE (write a new one and rename it into place). A line\n"
           "                         `# as-of 2026-01-02T03:04:05Z` says when the list was true; without it that is 10 s before\n"
           "                         FILE was written. What is newer stays. Static pods count as living unless FILE has one\n"
           "  --live-pods-max-age T  FILE is refused when it is older (such as 90s or 5m; default 1m)\n"
           "  --image-fs-file FILE   the fill of the image filesystem: a line with capacity and available in bytes\n"
           "  --verbose              every object, not only the numbers\n"
           "  --json                 reports as JSON on standard output, a line each; all else on standard error\n"
           "  --help, --version\n\n"
           "Without --kubelet-dir and --live-pods nothing goes for a pod's sake: only limits and thresholds count. With them\n"
           "what a pod left goes when its UID, of the form that Kubernetes gives, is not among those that live. examples-c/README.md\n"
           "shows how to make FILE, and which UIDs static pods have.\n\n"
           "Keys of crigc, as the kubelet's flags:\n");
    const char *key;
    for (size_t i = 0; (key = gc_config_key(i)) != NULL; i++)
        printf("  --%s\n      %s\n", key, gc_config_key_help(key));
    printf("\nExit codes: 0 fine, 1 a pass failed, 2 wrong usage, 3 some objects could not be removed, 4 no runtime answers,\n"
           "5 interrupted before a pass was over. Without --once: 0 when told to end, whatever single passes met.\n");
}

/* Milliseconds of a duration as Go writes it, such as "1m30s"; -1 for anything else. */
static long milliseconds(const char *text)
{
    const struct { const char *unit; double milliseconds; } units[] = {
        { "ms", 1 }, { "us", 1e-3 }, { "ns", 1e-6 }, { "h", 3600e3 }, { "m", 60e3 }, { "s", 1e3 },
    };
    double total = 0;
    if (strcmp(text, "0") == 0)
        return 0;
    for (const char *at = text; *at || at == text;) {
        char *end = NULL;
        double value = *at >= '0' && *at <= '9' ? strtod(at, &end) : -1;
        size_t unit = 0, count = sizeof units / sizeof *units;
        while (value >= 0 && unit < count && strncmp(end, units[unit].unit, strlen(units[unit].unit)) != 0)
            unit++;
        if (value < 0 || unit == count)
            return -1;
        total += value * units[unit].milliseconds;
        at = end + strlen(units[unit].unit);
    }
    return total > (double)(LONG_MAX / 2) ? LONG_MAX / 2 : (long)total;
}

static int usage_error(const char *what, const char *name)
{
    say("%s %s; see --help", what, name);
    return EXIT_USAGE;
}

/* What the library says of a failure, and the end of its story. */
static void tell_error(gc_error *error)
{
    say("%s: %s", gc_status_name(gc_error_status(error)), gc_error_message(error));
    gc_error_free(error);
}

/* Where a flag without a value is kept; NULL = it is none. */
static int *plain_flag(const char *name)
{
    const struct { const char *name; int *target; } flags[] = {
        { "apply", &opt.apply }, { "once", &opt.once }, { "now", &opt.now }, { "all-unused", &opt.all_unused },
        { "verbose", &opt.verbose }, { "json", &opt.json }, { "containers", &opt.only_containers },
        { "images", &opt.only_images }, { "help", &opt.help }, { "version", &opt.version },
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(name, flags[i].name) == 0)
            return flags[i].target;
    return NULL;
}

/* An option with a value: ours, else a key of crigc. */
static int set_option(gc_config *config, const char *name, const char *value)
{
    if (strcmp(name, "kubelet-dir") == 0) {
        opt.kubelet_dir = value;
    } else if (strcmp(name, "live-pods") == 0) {
        opt.live_pods = value;
    } else if (strcmp(name, "image-fs-file") == 0) {
        opt.image_fs_file = value;
    } else if (strcmp(name, "live-pods-max-age") == 0) {
        opt.live_pods_max_age = milliseconds(value);
        if (opt.live_pods_max_age < 0)
            return usage_error("--live-pods-max-age takes a duration such as 90s or 5m, not", value);
    } else {
        gc_error *error = NULL;
        if (gc_config_set(config, name, value, &error) != GC_OK) {
            say("--%s: %s; --help lists all options", name, gc_error_message(error));
            gc_error_free(error);
            return EXIT_USAGE;
        }
    }
    return 0;
}

/* One argument and perhaps its value: how many were used; 0 = wrong, and said. */
static int read_option(gc_config *config, const char *argument, const char *next)
{
    char name[64];
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    if (strncmp(argument, "--", 2) != 0 || length < 3 || length - 2 >= sizeof name)
        return usage_error("unexpected argument", argument), 0;
    memcpy(name, argument + 2, length - 2);
    name[length - 2] = '\0';
    int *flag = plain_flag(name);
    if (flag && equals)
        return usage_error("this option takes no value:", argument), 0;
    if (flag)
        return *flag = 1;
    if (!equals && !next)
        return usage_error("unknown, or a value is missing behind it:", argument), 0;
    if (set_option(config, name, equals ? equals + 1 : next) != 0)
        return 0;
    return equals ? 1 : 2;
}

/* Reads the command line; -1 = go on, else the exit code. */
static int read_options(gc_config *config, int count, char **arguments)
{
    for (int used, i = 1; i < count; i += used) {
        used = read_option(config, arguments[i], i + 1 < count ? arguments[i + 1] : NULL);
        if (used == 0)
            return EXIT_USAGE;
    }
    if (opt.help) {
        help();
        return EXIT_FINE;
    }
    if (opt.version) {
        printf("agent, crigc %s\n", gc_version());
        return EXIT_FINE;
    }
    if (opt.only_containers != opt.only_images) {
        opt.containers = opt.only_containers;
        opt.images = opt.only_images;
    }
    if (!opt.once && !opt.containers)
        return usage_error("without --once containers are collected too; leave out", "--images");
    if (!opt.once && (opt.all_unused || opt.now))
        return usage_error("only with --once:", opt.now ? "--now" : "--all-unused");
    if (!opt.once && !opt.images)
        gc_config_set(config, "image-gc-high-threshold", "100", NULL); /* switches periodic images off */
    if (opt.kubelet_dir && opt.live_pods)
        return usage_error("give one of --kubelet-dir and --live-pods, not both:", opt.live_pods);
    return -1;
}

/* -------------------------------------------------------------------------------------------------------- who lives */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct uid_list {
    char **uids;
    size_t count, room;
    int has_static; /* the UID of a static pod is among them */
    int64_t as_of;  /* when the list was true, in nanoseconds since the epoch */
} uid_list;

static void free_list(uid_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->uids[i]);
    free(list->uids);
}

static int add_uid(uid_list *list, const char *uid)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        char **larger = realloc(list->uids, room * sizeof *larger);
        if (!larger)
            return 0;
        list->uids = larger;
        list->room = room;
    }
    list->uids[list->count] = strdup(uid);
    return list->uids[list->count] != NULL && ++list->count;
}

/* Whether it has the form of a pod's UID: a UUID, or the 32 hex digits of a static pod. Nothing else counts as gone, such as
 * a file in the log directory that never was a pod's. */
static int is_a_uid(const char *text)
{
    size_t length = strlen(text);
    if (length != 36 && length != 32)
        return 0;
    for (size_t i = 0; i < length; i++) {
        int dash = length == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
            return 0;
    }
    return 1;
}

/* Whether a UID is one that the API server gave; static pods of a kubelet have other ones. */
static int is_an_api_uid(const char *uid)
{
    return strlen(uid) == 36;
}

/* Reads that many digits. */
static int digits(const char **at, int count, int *value)
{
    for (*value = 0; count > 0; count--, (*at)++) {
        if (**at < '0' || **at > '9')
            return 0;
        *value = *value * 10 + (**at - '0');
    }
    return 1;
}

/* Reads one of the characters of `set`. */
static int one_of(const char **at, const char *set)
{
    return **at && strchr(set, **at) && (*at)++;
}

static int is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Seconds since the epoch of a UTC time; -1 = there is no such time. */
static int64_t seconds_of(int year, int month, int day, int hour, int minute, int second)
{
    static const int days_of[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (year < 1970 || year > 2261 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60)
        return -1;
    if (day < 1 || day > days_of[month - 1] + (month == 2 && is_leap(year)))
        return -1;
    int64_t days = day - 1;
    for (int y = 1970; y < year; y++)
        days += 365 + is_leap(y);
    for (int m = 1; m < month; m++)
        days += days_of[m - 1] + (m == 2 && is_leap(year));
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

/* Nanoseconds since the epoch of a time as RFC 3339 writes it, such as 2026-01-02T03:04:05Z; -1 for anything else. */
static int64_t nanoseconds_of(const char *at)
{
    int year, month, day, hour, minute, second, digit, zone_hour = 0, zone_minute = 0;
    int64_t fraction = 0, unit = 100000000;
    if (!(digits(&at, 4, &year) && one_of(&at, "-") && digits(&at, 2, &month) && one_of(&at, "-") && digits(&at, 2, &day) && one_of(&at, "Tt")))
        return -1;
    if (!(digits(&at, 2, &hour) && one_of(&at, ":") && digits(&at, 2, &minute) && one_of(&at, ":") && digits(&at, 2, &second)))
        return -1;
    if (one_of(&at, ".")) {
        if (!strchr("0123456789", *at) || !*at)
            return -1;
        for (; *at >= '0' && *at <= '9'; unit /= 10) {
            digits(&at, 1, &digit);
            fraction += digit * unit;
        }
    }
    int east = *at == '+' ? 1 : -1;
    if (!one_of(&at, "Zz") && !(one_of(&at, "+-") && digits(&at, 2, &zone_hour) && one_of(&at, ":") && digits(&at, 2, &zone_minute)))
        return -1;
    int64_t seconds = seconds_of(year, month, day, hour, minute, second);
    if (*at || seconds < 0 || zone_hour > 23 || zone_minute > 59)
        return -1;
    seconds -= east * (zone_hour * 3600 + zone_minute * 60);
    return seconds < 0 ? -1 : seconds * 1000000000 + fraction;
}

/* The time of a line `# as-of TIME`; NULL = it is another line. */
static const char *as_of_line(const char *line)
{
    if (*line != '#')
        return NULL;
    line += 1 + strspn(line + 1, " \t");
    if (strncmp(line, "as-of", 5) != 0 || !strchr(" \t", line[5]))
        return NULL;
    return line + 5 + strspn(line + 5, " \t");
}

/* Says why nobody knows which pods live; 0, so that no pod counts as gone. */
static int nobody_knows(const char *path, const char *why)
{
    say("%s: %s; no pod counts as gone", path, why);
    return 0;
}

/* A line without blanks around it. */
static char *trimmed(char *line)
{
    line += strspn(line, " \t\r\n");
    size_t length = strlen(line);
    while (length > 0 && strchr(" \t\r\n", line[length - 1]))
        line[--length] = '\0';
    return line;
}

/* The UIDs of an open file, sorted, and when they were true; 0 and a message if it cannot be trusted. */
static int read_uids(uid_list *list, FILE *file)
{
    char *line = NULL, text[64];
    size_t room = 0, number = 0;
    int good = 1;
    int64_t as_of = 0;
    while (good && (errno = 0, getline(&line, &room, file)) >= 0) {
        char *uid = trimmed(line);
        const char *time = as_of_line(uid);
        number++;
        if (time) {
            int64_t told = nanoseconds_of(time);
            if (told <= 0) {
                snprintf(text, sizeof text, "line %zu has no time such as 2026-01-02T03:04:05Z", number);
                good = nobody_knows(opt.live_pods, text);
            }
            as_of = as_of == 0 || told < as_of ? told : as_of; /* of several the earliest */
        }
        if (uid[0] == '\0' || uid[0] == '#')
            continue;
        if (!is_a_uid(uid)) {
            snprintf(text, sizeof text, "line %zu is no UID of a pod", number);
            good = nobody_knows(opt.live_pods, text);
        } else if (!add_uid(list, uid)) {
            good = nobody_knows(opt.live_pods, strerror(ENOMEM));
        } else {
            list->has_static = list->has_static || !is_an_api_uid(uid);
        }
    }
    if (as_of > 0)
        list->as_of = as_of;
    if (good && ferror(file))
        good = nobody_knows(opt.live_pods, strerror(errno));
    free(line);
    if (good && list->count == 0)
        good = nobody_knows(opt.live_pods, "it is empty");
    if (good)
        qsort(list->uids, list->count, sizeof *list->uids, compare);
    return good;
}

static int read_live_pods(uid_list *list)
{
    struct stat status;
    char text[128];
    FILE *file = fopen(opt.live_pods, "re");
    if (!file)
        return nobody_knows(opt.live_pods, strerror(errno));
    int good = fstat(fileno(file), &status) == 0 || nobody_knows(opt.live_pods, strerror(errno));
    /* Whoever writes a list asks for it before. */
    list->as_of = good ? ((int64_t)status.st_mtim.tv_sec - 10) * 1000000000 + status.st_mtim.tv_nsec : 0;
    double age = good ? difftime(time(NULL), status.st_mtime) : 0;
    double limit = (double)opt.live_pods_max_age / 1000;
    if (good && (age > limit || -age > limit)) {
        snprintf(text, sizeof text, "it was written %.0f s %s, --live-pods-max-age is %.0f s", age < 0 ? -age : age,
                 age < 0 ? "in the future" : "ago", limit);
        good = nobody_knows(opt.live_pods, text);
    }
    good = good && read_uids(list, file);
    fclose(file);
    return good;
}

/* A list without the UID of a static pod comes from somebody who does not know those, such as the API server, which knows their
 * mirror pods by other UIDs: they count as living. */
static int from_live_pods(const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    uid_list list = { NULL, 0, 0, 0, 0 };
    int ready = read_live_pods(&list);
    for (size_t i = 0; ready && i < count; i++) {
        int is_known = is_a_uid(uids[i]) && (is_an_api_uid(uids[i]) || list.has_static);
        if (is_known && !bsearch(&uids[i], list.uids, list.count, sizeof *list.uids, compare))
            states[i] = GC_POD_CONTENT_REMOVABLE;
    }
    *as_of = list.as_of;
    free_list(&list);
    return ready;
}

/* Whether the open DIR/pods can be read and knows a pod. */
static int kubelet_knows_pods(DIR *directory, const char *path)
{
    struct dirent *entry;
    while ((errno = 0, entry = readdir(directory)) != NULL)
        if (is_a_uid(entry->d_name))
            return 1;
    return nobody_knows(path, errno ? strerror(errno) : "it is empty");
}

/* Pods live that have a directory. All is asked of one open directory: if it is unmounted meanwhile, nothing seems gone. */
static int from_kubelet_dir(const char *const *uids, gc_pod_state *states, size_t count)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/pods", opt.kubelet_dir);
    if (length < 0 || (size_t)length >= sizeof path)
        return nobody_knows(opt.kubelet_dir, strerror(ENAMETOOLONG));
    DIR *directory = opendir(path);
    if (!directory)
        return nobody_knows(path, strerror(errno));
    int ready = kubelet_knows_pods(directory, path);
    for (size_t i = 0; ready && i < count; i++) {
        struct stat status;
        int is_gone = is_a_uid(uids[i]) && fstatat(dirfd(directory), uids[i], &status, AT_SYMLINK_NOFOLLOW) != 0;
        /* Only a directory that is certainly not there says that the pod is gone. */
        if (is_gone && errno == ENOENT)
            states[i] = GC_POD_CONTENT_REMOVABLE;
    }
    closedir(directory);
    return ready;
}

/* ------------------------------------------------------------------------------------------------------- callbacks */

static int32_t on_pod_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)context;
    return opt.kubelet_dir ? from_kubelet_dir(uids, states, count) : from_live_pods(uids, states, count, as_of);
}

static int32_t on_image_fs(void *context, gc_fs_usage *usage)
{
    (void)context;
    FILE *file = fopen(opt.image_fs_file, "re");
    if (!file) {
        say("cannot read --image-fs-file %s: %s", opt.image_fs_file, strerror(errno));
        return 0;
    }
    char line[64] = "", *end = line;
    int read = fgets(line, sizeof line, file) != NULL && line[strspn(line, "0123456789 \t\r\n")] == '\0';
    fclose(file);
    if (read) {
        usage->capacity = strtoull(line, &end, 10);
        const char *second = end;
        usage->available = strtoull(second, &end, 10);
        read = end != second && strspn(end, " \t\r\n") == strlen(end);
    }
    if (!read)
        say("--image-fs-file %s: its first line is not two numbers, capacity and available in bytes", opt.image_fs_file);
    return read;
}

static void on_log(void *context, gc_log_level level, const char *message)
{
    (void)context;
    if (level > GC_LOG_WARN && !opt.verbose)
        return;
    lock_output();
    fprintf(stderr, "%s: %s\n", level == GC_LOG_ERROR ? "error" : level == GC_LOG_WARN ? "warning" : "info", message);
    unlock_output();
}

static const char *kind_name(gc_kind kind)
{
    static const char *const names[] = { "containers", "sandboxes", "pod logs", "log links", "images" };
    return kind >= GC_CONTAINER && kind <= GC_IMAGE ? names[kind] : "objects";
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A bar on a terminal, ten times a second; a plain line for each kind, at most every five seconds, otherwise. */
static void on_progress(void *context, gc_kind kind, size_t done, size_t total)
{
    static double last[GC_IMAGE + 1];
    static gc_kind bar_of = GC_ANY_KIND;
    (void)context;
    if (kind < GC_CONTAINER || kind > GC_IMAGE)
        return;
    int terminal = isatty(STDERR_FILENO);
    double now = now_seconds();
    if (done == 1)
        last[kind] = now;
    if (done < total && now - last[kind] < (terminal ? 0.1 : 5.0))
        return;
    last[kind] = now;
    if (!terminal) {
        lock_output();
        fprintf(stderr, "%s: %zu of %zu\n", kind_name(kind), done, total);
        unlock_output();
        return;
    }
    char bar[31];
    memset(bar, '.', 30);
    memset(bar, '#', total ? done * 30 / total : 30);
    bar[30] = '\0';
    pthread_mutex_lock(&output);
    fprintf(stderr, "%s%-10s [%s] %zu/%zu ", bar_is_open && bar_of != kind ? "\n" : "\r", kind_name(kind), bar, done, total);
    bar_of = kind;
    bar_is_open = 1;
    pthread_mutex_unlock(&output);
    if (done == total) {
        lock_output(); /* ends the line */
        unlock_output();
    }
}

static void on_event(void *context, const char *reason, const char *message)
{
    (void)context;
    (void)message; /* the log has told it already, with its reason */
    if (opt.verbose)
        say("event of type Warning: %s", reason);
}

/* -------------------------------------------------------------------------------------------------------- printing */

static const char *bytes_text(uint64_t bytes, char *room, size_t size)
{
    const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(room, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return room;
}

typedef struct tally {
    gc_kind kind;
    gc_outcome outcome;
    const char *reason;
    size_t count;
    uint64_t bytes;
} tally;

/* Counts entries by kind, outcome and reason; a report has few of those. */
static size_t count_up(const gc_report *report, tally *table, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        size_t at = 0;
        while (at < used && (table[at].kind != entry->kind || table[at].outcome != entry->outcome
                             || strcmp(table[at].reason, entry->reason) != 0))
            at++;
        if (at == room)
            continue; /* more kinds of outcomes than there are words */
        if (at == used)
            table[used++] = (tally){ entry->kind, entry->outcome, entry->reason, 0, 0 };
        table[at].count++;
        table[at].bytes += entry->bytes;
    }
    return used;
}

static void print_rows(const tally *table, size_t used, gc_outcome outcome, const char *title)
{
    char room[32];
    int titled = 0;
    for (gc_kind kind = GC_CONTAINER; kind <= GC_IMAGE; kind++)
        for (size_t i = 0; i < used; i++) {
            if (table[i].kind != kind || table[i].outcome != outcome)
                continue;
            if (!titled++)
                printf("  %s\n", title);
            printf("    %6zu %-10s  ", table[i].count, kind_name(kind));
            if (kind == GC_IMAGE)
                printf("%-20s %12s\n", table[i].reason, bytes_text(table[i].bytes, room, sizeof room));
            else
                puts(table[i].reason);
        }
}

static void print_failures(const gc_report *report)
{
    size_t shown = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        if (entry->outcome != GC_FAILED)
            continue;
        if (shown++ == 5 && !opt.verbose) {
            printf("    ... --verbose shows all\n");
            return;
        }
        printf("    %s%s%s: %s\n", entry->id, entry->name[0] ? " " : "", entry->name, entry->error);
    }
}

static void print_entries(const gc_report *report)
{
    static const char *const words[] = { "kept", "removed", "failed", "refused" };
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        const char *word = entry->outcome >= GC_KEPT && entry->outcome <= GC_REFUSED ? words[entry->outcome] : "kept";
        printf("  %-8s %-10s %s %s %s\n", word, kind_name(entry->kind), entry->reason, entry->id, entry->name);
    }
}

/* The images that were not needed this time, in their order: those of the next pass, if space runs out again. */
static void print_next_images(const gc_report *report)
{
    size_t found = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        if (strcmp(entry->reason, "enough-freed") != 0 || found++ >= 2)
            continue;
        fputs(found == 1 ? "  next, if space runs out: " : ", ", stdout);
        if (entry->name[0])
            fputs(entry->name, stdout);
        else
            printf("%.19s", entry->id); /* sha256: and enough of the rest */
    }
    if (found > 2)
        printf(" and %zu more", found - 2);
    if (found > 0)
        putchar('\n');
}

/* What will happen next, as far as one can know. */
static void print_next(gc_pass pass, int dry, size_t gone, size_t failed, const gc_report *report)
{
    print_next_images(report);
    if (failed > 0)
        printf("  next: see the causes above; the next pass tries again\n");
    if (dry && gone > 0)
        printf("  next: the same with --apply removes them\n");
    if (!opt.once)
        printf("  next pass in %s\n", pass == GC_PASS_IMAGES ? opt.image_period : opt.container_period);
}

static void print_time(void)
{
    char text[16];
    time_t now = time(NULL);
    struct tm parts;
    if (localtime_r(&now, &parts) && strftime(text, sizeof text, "%H:%M:%S ", &parts) > 0)
        fputs(text, stdout);
}

static void print_summary(gc_pass pass, int dry, gc_status status, const gc_report *report, const gc_error *error)
{
    static int told[GC_PASS_IMAGES + 1];
    tally table[128];
    char room[32];
    size_t used = count_up(report, table, sizeof table / sizeof *table);
    size_t gone = gc_report_count(report, GC_ANY_KIND, GC_REMOVED);
    size_t failed = gc_report_count(report, GC_ANY_KIND, GC_FAILED);
    size_t refused = gc_report_count(report, GC_ANY_KIND, GC_REFUSED);
    if (!opt.once)
        print_time();
    printf("%s: %zu %s", pass == GC_PASS_IMAGES ? "images" : "containers, sandboxes and logs", gone,
           dry ? "would go (dry run, nothing was removed)" : "removed");
    if (pass == GC_PASS_IMAGES)
        printf(", %s", bytes_text(gc_report_bytes_freed(report), room, sizeof room));
    printf(failed ? ", %zu failed\n" : "\n", failed);
    if (opt.verbose)
        print_entries(report);
    /* Every minute the same table of what stays is no news. */
    int news = gone + failed + refused > 0 || error || pass > GC_PASS_IMAGES || !told[pass];
    if (!news) {
        fflush(stdout);
        return;
    }
    if (pass <= GC_PASS_IMAGES)
        told[pass] = 1;
    print_rows(table, used, GC_REMOVED, dry ? "would go" : "went");
    print_rows(table, used, GC_FAILED, "could not be removed");
    print_failures(report);
    print_rows(table, used, GC_REFUSED, "refused");
    print_rows(table, used, GC_KEPT, "stay");
    if (error)
        printf("  failed: %s: %s\n", gc_status_name(status), gc_error_message(error));
    print_next(pass, dry, gone, failed, report);
    fflush(stdout);
}

static void print_json(const gc_report *report)
{
    char *json = gc_report_json(report);
    if (json)
        puts(json);
    fflush(stdout);
    gc_string_free(json);
}

/* What the exit code has to say in the end: the worst that was seen. */
static int worst;

static void note_end(gc_status status, const gc_report *report)
{
    int code = EXIT_FINE;
    if (status == GC_ERROR_UNAVAILABLE)
        code = EXIT_NO_RUNTIME;
    else if (status == GC_ERROR_CLOSED || status == GC_ERROR_CANCELLED)
        code = EXIT_INTERRUPTED;
    else if (status != GC_OK)
        code = EXIT_PASS_FAILED;
    else if (gc_report_count(report, GC_ANY_KIND, GC_FAILED) > 0)
        code = EXIT_SOME_FAILED;
    if (worst == EXIT_FINE || (worst == EXIT_SOME_FAILED && code != EXIT_FINE))
        worst = code;
}

static int quiet; /* the first look of --once at images is of interest only if it fails */

static void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    (void)context;
    if (quiet)
        return;
    lock_output();
    note_end(status, report);
    if (opt.json)
        print_json(report);
    else
        print_summary(pass, report ? gc_report_dry_run(report) : !opt.apply, status, report, error);
    unlock_output();
    if (opt.json && error)
        say("%s: %s", gc_status_name(status), gc_error_message(error));
}

/* ------------------------------------------------------------------------------------------------------------ main */

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    interrupted = 1;
    ssize_t written = write(signal_pipe[1], "x", 1); /* full: whoever waits wakes up anyway */
    (void)written;
    errno = saved;
}

/* Sleeps; 1 = a signal ended it. `label`: a countdown on a terminal. */
static int wait_for(long milliseconds, const char *label)
{
    double end = now_seconds() + (double)milliseconds / 1000;
    while (!interrupted) {
        double left = end - now_seconds();
        if (milliseconds >= 0 && left <= 0)
            break;
        if (label && isatty(STDERR_FILENO))
            fprintf(stderr, "\r%s: %.0f s ", label, left);
        struct pollfd pipe = { .fd = signal_pipe[0], .events = POLLIN };
        poll(&pipe, 1, milliseconds < 0 ? -1 : left < 1 ? (int)(left * 1000) + 1 : 1000);
    }
    if (label && isatty(STDERR_FILENO))
        fputs("\r                                                  \r", stderr);
    return interrupted;
}

/* The call of --once, which a signal cancels. */
static gc_call *current;

typedef gc_status (*pass_function)(gc_engine *, uint32_t, gc_call *, gc_report **, gc_error **);

/* One pass, which on_pass hears of if it begins. */
static void one_pass(gc_engine *engine, pass_function function, uint32_t flags)
{
    gc_report *report = NULL;
    gc_error *error = NULL;
    gc_status status = function(engine, flags, current, &report, &error);
    if (!report) {
        note_end(status, NULL);
        tell_error(error);
    } else {
        gc_error_free(error);
    }
    gc_report_free(report);
}

/* A first look at the images, of interest only if it fails; 1 = it saw them. */
static int look_at_images(gc_engine *engine, uint32_t flags)
{
    gc_report *report = NULL;
    gc_error *error = NULL;
    quiet = 1;
    gc_status status = gc_images(engine, flags | GC_DRY_RUN, current, &report, &error);
    quiet = 0;
    int seen = status == GC_OK || status == GC_ERROR_NOT_ENOUGH_FREED;
    if (!seen)
        on_pass(NULL, GC_PASS_IMAGES, status, report, error);
    gc_report_free(report);
    gc_error_free(error);
    return seen;
}

/* Images, once: look, wait out what the minimum TTL protects, then collect. What an engine finds at its first look counts as
 * old, so without the wait an image that was pulled a moment ago could go. A dry run has nothing to wait for. */
static void images_once(gc_engine *engine, const gc_config *config, uint32_t flags)
{
    if (opt.apply && !opt.now) {
        if (!look_at_images(engine, flags))
            return; /* what was not looked at is not collected */
        char *text = gc_config_get(config, "minimum-image-ttl-duration", NULL);
        say("looked at the images; collecting in %s, when none can be younger than minimum-image-ttl-duration (--now: at once)", text);
        long wait = milliseconds(text) + 1;
        gc_string_free(text);
        if (wait_for(wait, "images in")) {
            note_end(GC_ERROR_CANCELLED, NULL);
            return;
        }
    }
    one_pass(engine, gc_images, flags);
}

static void once(gc_engine *engine, const gc_config *config)
{
    uint32_t flags = opt.all_unused ? GC_ALL_UNUSED : 0u;
    if (opt.containers)
        one_pass(engine, gc_containers, flags);
    if (opt.images && interrupted)
        note_end(GC_ERROR_CANCELLED, NULL);
    else if (opt.images)
        images_once(engine, config, flags);
}

static int catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART; /* a report that is being written is written whole */
    return pipe(signal_pipe) == 0 && fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) == 0 && sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0;
}

/* Waits for a signal and cancels: a handler may not take the library's locks, a thread may. */
static void *watch(void *unused)
{
    (void)unused;
    wait_for(-1, NULL);
    gc_call_cancel(current);
    return NULL;
}

static void set_callbacks(gc_config *config)
{
    if (opt.kubelet_dir || opt.live_pods)
        gc_config_set_pod_states(config, on_pod_states, NULL);
    if (opt.image_fs_file)
        gc_config_set_image_fs(config, on_image_fs, NULL);
    gc_config_set_log(config, GC_LOG_INFO, on_log, NULL);
    gc_config_set_event(config, on_event, NULL);
    gc_config_set_pass(config, on_pass, NULL);
    if (opt.apply)
        gc_config_set_progress(config, on_progress, NULL);
}

/* Collects once; SIGTERM ends it early. */
static void watched_once(gc_engine *engine, const gc_config *config)
{
    pthread_t watcher;
    current = gc_call_new(0);
    int failure = pthread_create(&watcher, NULL, watch, NULL);
    if (failure == 0) {
        once(engine, config);
        on_signal(0); /* ends the watcher */
        pthread_join(watcher, NULL);
    } else {
        say("cannot start a thread: %s", strerror(failure));
        worst = EXIT_PASS_FAILED;
    }
    gc_call_free(current);
}

/* Collects every period until SIGTERM, which is its ordinary end: each pass has told how it went. */
static void periodically(gc_engine *engine, const gc_config *config)
{
    gc_error *error = NULL;
    opt.container_period = gc_config_get(config, "container-gc-period", NULL);
    opt.image_period = gc_config_get(config, "image-gc-period", NULL);
    char *endpoint = gc_config_get(config, "container-runtime-endpoint", NULL);
    say("%s %s: containers every %s, images %s%s", opt.apply ? "collecting" : "looking at (dry run)", endpoint, opt.container_period,
        opt.images ? "every " : "not at all", opt.images ? opt.image_period : "");
    if (gc_start(engine, &error) == GC_OK) {
        wait_for(-1, NULL);
        gc_stop(engine);
        worst = EXIT_FINE;
    } else {
        tell_error(error);
        worst = EXIT_PASS_FAILED;
    }
    gc_string_free(endpoint);
    gc_string_free(opt.container_period);
    gc_string_free(opt.image_period);
}

static int run(gc_config *config)
{
    gc_error *error = NULL;
    gc_engine *engine = gc_engine_new(config, &error);
    if (!engine) {
        tell_error(error);
        return EXIT_USAGE;
    }
    if (opt.once)
        watched_once(engine, config);
    else
        periodically(engine, config);
    gc_engine_free(engine);
    return worst;
}

int main(int count, char **arguments)
{
    if (gc_abi() != GC_ABI) {
        say("the library speaks ABI %u, this program %u; build both from one release", gc_abi(), GC_ABI);
        return EXIT_USAGE;
    }
    gc_config *config = gc_config_new();
    int code = read_options(config, count, arguments);
    if (code < 0) {
        char *dry = gc_config_get(config, "dry-run", NULL);
        opt.apply = opt.apply && dry && strcmp(dry, "false") == 0;
        gc_string_free(dry);
        if (!opt.apply)
            gc_config_set(config, "dry-run", "true", NULL);
        set_callbacks(config);
        code = catch_signals() ? run(config) : usage_error("cannot catch signals:", strerror(errno));
    }
    gc_config_free(config);
    return code;
}
