/* What a host must not feel of its guest: `signals MODE FOLDER [ENDPOINT | ROUNDS]`.
 * `file-size`: a write beyond RLIMIT_FSIZE is an error, no SIGXFSZ. `faults`: what faults in a callback of a periodic pass comes to the
 * host's handler. `owner`: once gc_engine_free has returned, the records file is free. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "crigc.h"

static char records[512];
static int told_of_size;
static sem_t is_there;

static void on_log(void *context, gc_log_level level, const char *message)
{
    (void)context;
    if (level <= GC_LOG_WARN && strstr(message, "cannot write image-records-file") && strstr(message, strerror(EFBIG)))
        told_of_size++;
}

/* Nothing is to be removed, however full the disk of this machine is. */
static int32_t on_figures(void *context, gc_fs_usage *usage)
{
    (void)context;
    usage->capacity = 1000;
    usage->available = 900;
    return 1;
}

static gc_config *config_for(const char *endpoint)
{
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", endpoint, NULL) == GC_OK);
    CHECK(gc_config_set(config, "pod-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "image-records-file", records, NULL) == GC_OK);
    gc_config_set_log(config, GC_LOG_WARN, on_log, NULL);
    gc_config_set_image_fs(config, on_figures, NULL);
    return config;
}

static void limit_files(rlim_t most)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static int is_pending(int signal)
{
    sigset_t pending;
    CHECK(sigpending(&pending) == 0);
    return sigismember(&pending, signal) == 1;
}

static int is_blocked(int signal)
{
    sigset_t blocked;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0);
    return sigismember(&blocked, signal) == 1;
}

/* An engine is made, and lists the images, with that limit. */
static void with_limit(const char *endpoint, rlim_t most)
{
    int blocked = is_blocked(SIGXFSZ), pending = is_pending(SIGXFSZ);
    gc_config *config = config_for(endpoint);
    limit_files(most);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    told_of_size = 0;
    CHECK(gc_images(engine, 0, NULL, NULL, NULL) == GC_OK);
    CHECK(told_of_size == 1 && access(records, F_OK) != 0);
    CHECK(is_blocked(SIGXFSZ) == blocked && is_pending(SIGXFSZ) == pending);
    limit_files(RLIM_INFINITY);
    CHECK(gc_images(engine, 0, NULL, NULL, NULL) == GC_OK);
    CHECK(told_of_size == 1 && access(records, F_OK) == 0);
    gc_engine_free(engine);
    gc_config_free(config);
    CHECK(unlink(records) == 0);
}

static void file_size(const char *endpoint)
{
    with_limit(endpoint, 0);
    with_limit(endpoint, 100); /* the first write is cut short, the next one is too much */
    signal(SIGXFSZ, SIG_IGN);
    with_limit(endpoint, 0);
    signal(SIGXFSZ, SIG_DFL);
    /* One that the host has blocked, and that waits, is the host's. */
    sigset_t xfsz;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    CHECK(pthread_sigmask(SIG_BLOCK, &xfsz, NULL) == 0);
    with_limit(endpoint, 0);
    CHECK(raise(SIGXFSZ) == 0 && is_pending(SIGXFSZ));
    with_limit(endpoint, 0);
    CHECK(is_pending(SIGXFSZ));
}

static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
#define FAULTS (sizeof faults / sizeof *faults)
static volatile sig_atomic_t caught[NSIG];
static char *volatile page;
static long page_size;

static void on_fault(int number)
{
    caught[number]++;
    if (number == SIGSEGV)
        mprotect(page, (size_t)page_size, PROT_READ | PROT_WRITE); /* and what faulted goes on */
}

/* In a periodic pass. */
static void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    (void)context, (void)status, (void)report, (void)error;
    if (pass != GC_PASS_CONTAINERS)
        return;
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        int is_fault = 0;
        for (size_t i = 0; i < FAULTS; i++)
            is_fault |= signal == faults[i];
        int is_left = signal == SIGKILL || signal == SIGSTOP || (signal >= 32 && signal < SIGRTMIN); /* nobody blocks those */
        if (!is_left && is_blocked(signal) == is_fault)
            fprintf(stderr, "signal %d is %sblocked\n", signal, is_fault ? "" : "not ");
        CHECK(is_left || is_blocked(signal) != is_fault);
    }
    page[0] = 'x';
    for (size_t i = 1; i < FAULTS; i++)
        CHECK(raise(faults[i]) == 0);
    sem_post(&is_there);
}

static void in_a_callback(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_fault;
    for (size_t i = 0; i < FAULTS; i++)
        CHECK(sigaction(faults[i], &action, NULL) == 0);
    page_size = sysconf(_SC_PAGESIZE);
    page = mmap(NULL, (size_t)page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    gc_config *config = config_for("/nonexistent/crigc.sock");
    gc_config_set_pass(config, on_pass, NULL);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL && gc_start(engine, NULL) == GC_OK);
    while (sem_wait(&is_there) != 0)
        CHECK(errno == EINTR);
    gc_engine_free(engine);
    gc_config_free(config);
    for (size_t i = 0; i < FAULTS; i++)
        CHECK(caught[faults[i]] == 1);
    CHECK(page[0] == 'x');
}

static void on_leaving(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    (void)context, (void)pass, (void)status, (void)report, (void)error;
    sem_post(&is_there);
}

static void *collect(void *engine)
{
    gc_images(engine, 0, NULL, NULL, NULL);
    return NULL;
}

/* A call is just leaving when its engine is freed: whose file it was is over when gc_engine_free returns, not when that call has left. */
static void last_owner(int rounds)
{
    char lock[sizeof records + 8];
    snprintf(lock, sizeof lock, "%s.lock", records);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600), held = 0;
    CHECK(fd >= 0);
    gc_config *config = config_for("/nonexistent/crigc.sock");
    gc_config_set_pass(config, on_leaving, NULL);
    for (int round = 0; round < rounds; round++) {
        pthread_t thread;
        gc_engine *engine = gc_engine_new(config, NULL);
        CHECK(engine != NULL);
        CHECK(flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK);
        CHECK(pthread_create(&thread, NULL, collect, engine) == 0);
        while (sem_wait(&is_there) != 0)
            CHECK(errno == EINTR);
        gc_engine_free(engine);
        held += flock(fd, LOCK_EX | LOCK_NB) != 0;
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(flock(fd, LOCK_UN) == 0);
    }
    if (held > 0)
        fprintf(stderr, "held %d times of %d\n", held, rounds);
    CHECK(held == 0);
    gc_config_free(config);
    close(fd);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    CHECK((size_t)snprintf(records, sizeof records, "%s/records.json", argv[2]) < sizeof records);
    CHECK(sem_init(&is_there, 0, 0) == 0);
    if (strcmp(argv[1], "file-size") == 0 && argc > 3)
        file_size(argv[3]);
    else if (strcmp(argv[1], "faults") == 0)
        in_a_callback();
    else if (strcmp(argv[1], "owner") == 0 && argc > 3)
        last_owner(atoi(argv[3]));
    else
        return 2;
    return 0;
}
