/* A whole pass of each kind as a guest in processes of all sorts: `guest MODE ENDPOINT FOLDER`; the folder has `pods` and `links` to
 * delete in, the UIDs of `live` pods, and gets the image records. What is checked in all of them: the passes end as they should, no
 * thread, no descriptor and no signal handler is left, descriptors of a pass are close-on-exec, nothing is printed. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "crigc.h"

static const char *endpoint, *files;
static char live[65536];
#define MOST 4096
static char of_host[MOST]; /* descriptors that are not the library's */
static int seen_descriptors, seen_directories, threads_seen;
static int may_fail;

static int entries_of(const char *directory)
{
    DIR *open = opendir(directory);
    int count = 0;
    CHECK(open != NULL);
    while (readdir(open))
        count++;
    closedir(open);
    return count - 2;
}

/* In a pass: on this thread alone, and with descriptors that no child of the host inherits. */
static void look_around(void)
{
    int threads = entries_of("/proc/self/task");
    if (threads > threads_seen)
        threads_seen = threads;
    for (int fd = 0; fd < MOST; fd++) {
        struct stat found;
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || of_host[fd])
            continue;
        CHECK(flags & FD_CLOEXEC);
        seen_descriptors++;
        seen_directories += fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);
    }
}

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)as_of;
    (void)context;
    look_around();
    for (size_t i = 0; i < count; i++)
        if (!strstr(live, uids[i]))
            states[i] = GC_POD_CONTENT_REMOVABLE;
    return 1;
}

static int32_t on_approve(void *context, const gc_entry *planned)
{
    (void)context, (void)planned;
    look_around();
    return 1;
}

/* Between two deletions, when log directories are open. */
static void on_progress(void *context, gc_kind kind, size_t done, size_t total)
{
    (void)context, (void)kind, (void)done, (void)total;
    look_around();
}

static void on_log(void *context, gc_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
    look_around();
}

static void note_own_descriptors(void)
{
    for (int fd = 0; fd < MOST; fd++)
        of_host[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void set_path(gc_config *config, const char *key, const char *name)
{
    char path[512];
    CHECK((size_t)snprintf(path, sizeof path, "%s/%s", files, name) < sizeof path);
    CHECK(gc_config_set(config, key, path, NULL) == GC_OK);
}

static gc_config *config_for(void)
{
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", endpoint, NULL) == GC_OK);
    set_path(config, "pod-logs-dir", "pods");
    set_path(config, "container-logs-dir", "links");
    set_path(config, "image-records-file", "records.json");
    CHECK(gc_config_set(config, "runtime-request-timeout", "5s", NULL) == GC_OK);
    gc_config_set_pod_states(config, on_states, NULL);
    gc_config_set_approve(config, on_approve, NULL);
    gc_config_set_progress(config, on_progress, NULL);
    gc_config_set_log(config, GC_LOG_DEBUG, on_log, NULL);
    return config;
}

static void passes(void)
{
    gc_config *config = config_for();
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_engine *engine = gc_engine_new(config, &error);
    CHECK(engine != NULL);
    gc_status containers = gc_containers(engine, 0, NULL, &report, &error);
    if (containers != GC_OK && !may_fail)
        fprintf(stderr, "%s\n", gc_error_message(error));
    CHECK(containers == GC_OK || may_fail);
    static const gc_kind kinds[] = { GC_CONTAINER, GC_SANDBOX, GC_POD_LOGS, GC_LOG_LINK };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        CHECK(may_fail || gc_report_count(report, kinds[i], GC_REMOVED) > 0);
    gc_report_free(report);
    gc_error_free(error);
    gc_status images = gc_images(engine, GC_ALL_UNUSED, NULL, &report, &error);
    CHECK(images == GC_OK || may_fail);
    CHECK(may_fail || gc_report_count(report, GC_IMAGE, GC_REMOVED) > 0);
    char *json = gc_report_json(report);
    gc_string_free(json);
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
}

/* What a guest must not change, in a line. */
static void state(char *line, size_t size)
{
    int handled = 0;
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action;
        if (sigaction(signal, NULL, &action) == 0)
            handled += action.sa_handler != SIG_DFL;
    }
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    int masked = 0;
    for (int signal = 1; signal < NSIG; signal++)
        masked += sigismember(&blocked, signal) == 1;
    char folder[4096] = "";
    CHECK(getcwd(folder, sizeof folder) != NULL);
    snprintf(line, size, "threads %d descriptors %d handlers %d masked %d mask %03o locale %s in %.3000s",
             entries_of("/proc/self/task"), entries_of("/proc/self/fd"), handled, masked, (unsigned)umask(022),
             setlocale(LC_ALL, NULL), folder);
    umask(022);
}

static void guest(void)
{
    char before[4096], after[4096];
    umask(022);
    state(before, sizeof before);
    passes();
    state(after, sizeof after);
    if (strcmp(before, after) != 0)
        fprintf(stderr, "before: %s\nafter: %s\n", before, after);
    CHECK(strcmp(before, after) == 0);
    CHECK(may_fail || (seen_descriptors > 0 && seen_directories > 0));
    CHECK(may_fail || threads_seen == entries_of("/proc/self/task"));
}

static void *on_a_thread(void *argument)
{
    (void)argument;
    guest();
    return NULL;
}

static void on_a_small_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 128 * 1024) == 0);
    CHECK(pthread_create(&thread, &attributes, on_a_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void after_a_fork(void)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        guest();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void with_many_descriptors(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max < MOST ? limit.rlim_max : MOST;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int last = -1;
    for (int i = 0; i < 1100; i++)
        CHECK((last = open("/dev/null", O_RDONLY)) > 0);
    CHECK(last > 1024);
    note_own_descriptors();
    guest();
}

/* Not one descriptor is left: the pass says so, and leaves nothing. */
static void without_descriptors(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 20;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    gc_config *config = config_for();
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    int taken[20], count = 0, fd; /* not the one that holds the records */
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        taken[count++] = fd;
    gc_error *error = NULL;
    CHECK(gc_containers(engine, 0, NULL, NULL, &error) != GC_OK);
    CHECK(strstr(gc_error_message(error), "files") != NULL);
    gc_error_free(error);
    while (count > 0)
        close(taken[--count]);
    CHECK(gc_containers(engine, 0, NULL, NULL, NULL) == GC_OK);
    CHECK(gc_images(engine, GC_ALL_UNUSED, NULL, NULL, NULL) == GC_OK);
    gc_engine_free(engine);
    gc_config_free(config);
}

/* Whatever then has the numbers of the standard streams is not written to. */
static void with_closed_streams(const char *witness)
{
    close(0), close(1), close(2);
    note_own_descriptors();
    passes();
    CHECK(open(witness, O_RDONLY) == 0);
    int one = open(witness, O_RDWR | O_APPEND), two = open(witness, O_RDWR | O_APPEND);
    if (one != 1 || two != 2)
        _exit(3);
    may_fail = 1; /* there is less to remove now */
    note_own_descriptors();
    passes();
    struct stat found;
    if (fstat(1, &found) != 0 || found.st_size != 0)
        _exit(4);
}

/* The host's printf writes 1.5 as `host_writes`; the library reads and writes it in one way only. */
static void numbers_in_a_locale(const char *host_writes)
{
    char number[32];
    snprintf(number, sizeof number, "%.1f", 1.5);
    CHECK(strcmp(number, host_writes) == 0);
    gc_config *config = config_for();
    CHECK(gc_config_set(config, "runtime-request-timeout", "1.5s", NULL) == GC_OK);
    if (strcmp(host_writes, "1.5") != 0) {
        snprintf(number, sizeof number, "%ss", host_writes);
        CHECK(gc_config_set(config, "runtime-request-timeout", number, NULL) == GC_ERROR_INVALID_ARGUMENT);
    }
    char *timeout = gc_config_get(config, "runtime-request-timeout", NULL);
    CHECK(strcmp(timeout, "1.5s") == 0);
    gc_string_free(timeout);
    gc_engine *engine = gc_engine_new(config, NULL);
    gc_report *report = NULL;
    CHECK(gc_containers(engine, 0, NULL, &report, NULL) == GC_OK);
    char *json = gc_report_json(report);
    const char *seconds = strstr(json, "\"seconds\":");
    CHECK(seconds != NULL);
    seconds += strlen("\"seconds\":");
    CHECK(seconds[strspn(seconds, " 0123456789")] == '.');
    gc_string_free(json);
    gc_report_free(report);
    gc_engine_free(engine);
    gc_config_free(config);
}

static void read_live(void)
{
    char path[512];
    CHECK((size_t)snprintf(path, sizeof path, "%s/live", files) < sizeof path);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    size_t length = fread(live, 1, sizeof live - 1, file);
    CHECK(length > 0 && feof(file));
    fclose(file);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 4);
    const char *mode = argv[1];
    endpoint = argv[2];
    files = argv[3];
    read_live();
    note_own_descriptors();
    may_fail = argc > 4 && strcmp(argv[4], "may-fail") == 0;
    if (strcmp(mode, "plain") == 0)
        guest();
    else if (strcmp(mode, "stack") == 0)
        on_a_small_stack();
    else if (strcmp(mode, "fork") == 0)
        after_a_fork();
    else if (strcmp(mode, "descriptors") == 0)
        with_many_descriptors();
    else if (strcmp(mode, "no-descriptors") == 0)
        without_descriptors();
    else if (strcmp(mode, "closed") == 0)
        with_closed_streams(argv[4]);
    else if (strcmp(mode, "locale") == 0) {
        CHECK(setlocale(LC_ALL, argv[4]) != NULL);
        guest();
        numbers_in_a_locale(argc > 5 ? argv[5] : "1.5");
    } else
        return 2;
    return 0;
}
