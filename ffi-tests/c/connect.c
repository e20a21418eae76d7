/* A host that connects to the runtime itself: `connect SOCKET`, the path of a runtime's socket. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>

#include "check.h"
#include "crigc.h"
#include "streams.h"

/* What the callback does, and what was seen of it. */
static struct {
    int (*stream)(void);
    int gives; /* without `stream` */
    gc_engine *closes;
    const gc_config *refuses;
    pthread_t thread;
    gc_service services[16];
    int given[16];
    size_t calls;
} host;

/* Only what ends a pass may be called here. */
static void call_back(void)
{
    gc_error *error = NULL;
    gc_engine *engine = gc_engine_new(host.refuses, &error);
    CHECK(engine == NULL && gc_error_status(error) == GC_ERROR_BUSY);
    gc_error_free(error);
    CHECK(strcmp(gc_version(), GC_VERSION) == 0 && gc_config_key(0) != NULL);
}

static int on_connect(void *context, gc_service service)
{
    CHECK(context == &host && host.calls < 16);
    CHECK(service == GC_SERVICE_RUNTIME || service == GC_SERVICE_IMAGE);
    host.thread = pthread_self();
    host.services[host.calls] = service;
    if (host.refuses)
        call_back();
    if (host.closes)
        gc_close(host.closes);
    int fd = host.stream ? host.stream() : host.gives;
    host.given[host.calls++] = fd;
    return fd;
}

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static int is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* During a pass: no new descriptor outlives an exec, and a number that was given away is free for others. */
static int before[64], before_count, reopened = -1;

static int32_t on_states(void *context, const char *const *uids, gc_pod_state *states, size_t count, int64_t *as_of)
{
    (void)context, (void)uids, (void)states, (void)count, (void)as_of;
    for (int fd = 0; fd < 64; fd++)
        if (is_open(fd) && (fd >= before_count || !before[fd]))
            CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    if (host.stream == to_runtime && reopened < 0) {
        CHECK(!is_open(host.given[0]));
        reopened = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(reopened == host.given[0]);
    }
    return 1;
}

static void note_descriptors(void)
{
    for (before_count = 0; before_count < 64; before_count++)
        before[before_count] = is_open(before_count);
}

static gc_config *config_of(const char *endpoint)
{
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", endpoint, NULL) == GC_OK);
    CHECK(gc_config_set(config, "pod-logs-dir", "", NULL) == GC_OK);
    CHECK(gc_config_set(config, "container-logs-dir", "", NULL) == GC_OK);
    return config;
}

static gc_engine *engine_of(gc_config *config)
{
    gc_error *error = NULL;
    gc_engine *engine = gc_engine_new(config, &error);
    if (error)
        fprintf(stderr, "%s\n", gc_error_message(error));
    CHECK(engine != NULL);
    gc_config_free(config);
    return engine;
}

/* An engine whose endpoint is only a name. */
static gc_engine *named(void)
{
    gc_config *config = config_of("the runtime of VM 3");
    gc_config_set_connect(config, on_connect, &host);
    gc_config_set_pod_states(config, on_states, NULL);
    host.calls = 0;
    return engine_of(config);
}

/* A dry run of each kind: how many objects it would remove. */
static size_t would_remove(gc_engine *engine)
{
    gc_report *containers = NULL, *images = NULL;
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, &containers, NULL) == GC_OK);
    CHECK(gc_images(engine, GC_DRY_RUN | GC_ALL_UNUSED, NULL, &images, NULL) == GC_OK);
    size_t removed = gc_report_count(containers, GC_ANY_KIND, GC_REMOVED) + gc_report_count(images, GC_ANY_KIND, GC_REMOVED);
    gc_report_free(containers);
    gc_report_free(images);
    return removed;
}

static void streams(size_t by_path)
{
    int (*const all[])(void) = { to_runtime, by_pair, by_tcp, by_vsock };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] == by_vsock) {
            int fd = by_vsock();
            if (fd < 0) {
                printf("no vsock\n");
                continue;
            }
            close(fd);
            end_relays();
        }
        memset(&host, 0, sizeof host);
        host.stream = all[i];
        note_descriptors();
        gc_engine *engine = named();
        int open_before = count_descriptors();
        CHECK(would_remove(engine) == by_path);
        end_relays();
        CHECK(host.calls == 3 && pthread_equal(host.thread, pthread_self()));
        CHECK(host.services[0] == GC_SERVICE_RUNTIME);
        CHECK(host.services[1] == GC_SERVICE_IMAGE && host.services[2] == GC_SERVICE_RUNTIME);
        if (reopened >= 0 && host.stream == to_runtime) {
            CHECK(is_open(reopened)); /* crigc has not closed it a second time */
            close(reopened);
        }
        CHECK(count_descriptors() == open_before);
        gc_engine_free(engine);
    }
}

static void refused(gc_engine *engine, const char *part)
{
    gc_error *error = NULL;
    CHECK(gc_containers(engine, 0, NULL, NULL, &error) == GC_ERROR_UNAVAILABLE);
    const char *message = gc_error_message(error);
    if (!strstr(message, part))
        fprintf(stderr, "message: %s, expected: %s\n", message, part);
    CHECK(strstr(message, part) && strstr(message, "the runtime of VM 3"));
    gc_error_free(error);
}

static int unconnected(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listen(fd, 1) == 0);
    return fd;
}

static int datagrams(void)
{
    return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static int file(void)
{
    return open("/dev/null", O_RDWR);
}

/* A host that says "no" by 0, which is its standard input. */
static int zero(void)
{
    return 0;
}

/* The host's mistakes: each is an error that names the descriptor. A socket is then closed; anything else is left alone. */
static void mistakes(void)
{
    static const struct {
        int (*stream)(void);
        int gives;
        const char *part;
    } cases[] = {
        { NULL, -1, "the connect callback has no connection" },
        { NULL, -2, "the connect callback has no connection" },
        { NULL, INT32_MIN, "the connect callback has no connection" },
        { NULL, 1000000, "the connect callback gave descriptor 1000000: Bad file descriptor" },
        { file, 0, "Socket operation on non-socket" },
        { listener, 0, "it listens" },
        { datagrams, 0, "it is not a stream socket" },
        { unconnected, 0, "not connected" },
        { zero, 0, "gave descriptor 0: Socket operation on non-socket" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&host, 0, sizeof host);
        host.stream = cases[i].stream;
        host.gives = cases[i].gives;
        gc_engine *engine = named();
        int open_before = count_descriptors();
        for (int pass = 0; pass < 3; pass++) {
            host.calls = 0;
            refused(engine, cases[i].part);
            CHECK(host.calls == 1);
            CHECK(is_open(host.given[0]) == (host.stream == zero || host.stream == file));
            if (host.stream == file)
                close(host.given[0]);
            CHECK(count_descriptors() == open_before);
        }
        gc_engine_free(engine);
    }
}

/* A host that gives one number for ever: it is its own the first time only. */
static void the_same_again(void)
{
    char part[64];
    memset(&host, 0, sizeof host);
    host.gives = to_runtime();
    /* By then it is not open, or a file that has the number by chance. */
    snprintf(part, sizeof part, "the connect callback gave descriptor %d: ", host.gives);
    gc_engine *engine = named();
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, NULL, NULL) == GC_OK);
    refused(engine, part);
    /* Both services of one pass. */
    host.gives = to_runtime();
    gc_error *error = NULL;
    CHECK(gc_images(engine, GC_DRY_RUN, NULL, NULL, &error) == GC_ERROR_UNAVAILABLE);
    CHECK(strstr(gc_error_message(error), "gave descriptor") != NULL);
    gc_error_free(error);
    host.stream = to_runtime;
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, NULL, NULL) == GC_OK);
    gc_engine_free(engine);
}

static int left_pair(void)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    close(pair[1]);
    return pair[0];
}

/* The other side reads nothing and is gone: what crigc writes then finds a reset connection. */
static int reset_tcp(void)
{
    int other, fd = tcp_pair(&other);
    struct linger at_once = { 1, 0 };
    CHECK(setsockopt(other, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    close(other);
    return fd;
}

static int shut_tcp(void)
{
    int other, fd = tcp_pair(&other);
    CHECK(shutdown(fd, SHUT_WR) == 0); /* what is written then raises SIGPIPE, unless it is told not to */
    close(other);
    return fd;
}

/* This program never heard of SIGPIPE, which would end it. */
static void no_signal(void)
{
    int (*const all[])(void) = { left_pair, reset_tcp, shut_tcp };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        memset(&host, 0, sizeof host);
        host.stream = all[i];
        gc_engine *engine = named();
        refused(engine, "");
        gc_engine_free(engine);
    }
}

static void calls_from_the_callback(void)
{
    memset(&host, 0, sizeof host);
    gc_config *config = config_of(runtime);
    host.stream = by_pair;
    host.refuses = config;
    gc_engine *engine = named();
    CHECK(gc_containers(engine, GC_DRY_RUN, NULL, NULL, NULL) == GC_OK);
    end_relays();
    host.closes = engine;
    CHECK(gc_containers(engine, 0, NULL, NULL, NULL) == GC_ERROR_CLOSED);
    end_relays();
    CHECK(host.calls == 2);
    gc_engine_free(engine);
    gc_config_free(config);
}

/* A name needs a callback; a path does not. */
static void with_and_without(void)
{
    gc_error *error = NULL;
    gc_config *config = config_of("vsock:3:1024");
    CHECK(gc_engine_new(config, &error) == NULL && gc_error_status(error) == GC_ERROR_CONFIG);
    CHECK(strstr(gc_error_message(error), "vsock:3:1024") && strstr(gc_error_message(error), "gc_config_set_connect"));
    gc_error_free(error);
    gc_config_set_connect(config, on_connect, &host);
    gc_engine *engine = gc_engine_new(config, NULL);
    CHECK(engine != NULL);
    gc_engine_free(engine);
    gc_config_set_connect(config, NULL, NULL);
    CHECK(gc_engine_new(config, NULL) == NULL);
    gc_config_free(config);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ended;

static void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    (void)context, (void)report, (void)error;
    if (pass != GC_PASS_CONTAINERS)
        return;
    CHECK(status == GC_OK && !pthread_equal(*(pthread_t *)context, pthread_self()));
    CHECK(pthread_equal(host.thread, pthread_self()));
    pthread_mutex_lock(&lock);
    ended = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* A periodic pass asks on its own thread. */
static void periodic(void)
{
    pthread_t own = pthread_self();
    memset(&host, 0, sizeof host);
    host.stream = to_runtime;
    gc_config *config = config_of("the runtime of VM 3");
    CHECK(gc_config_set(config, "image-gc-high-threshold", "100", NULL) == GC_OK);
    CHECK(gc_config_set(config, "dry-run", "true", NULL) == GC_OK);
    gc_config_set_connect(config, on_connect, &host);
    gc_config_set_pass(config, on_pass, &own);
    gc_engine *engine = engine_of(config);
    CHECK(gc_start(engine, NULL) == GC_OK);
    pthread_mutex_lock(&lock);
    while (!ended)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    gc_engine_free(engine);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    runtime = argv[1];
    gc_engine *plain = engine_of(config_of(runtime));
    size_t by_path = would_remove(plain);
    CHECK(by_path > 0);
    gc_engine_free(plain);
    int open_before = count_descriptors();
    streams(by_path);
    mistakes();
    the_same_again();
    no_signal();
    calls_from_the_callback();
    with_and_without();
    periodic();
    CHECK(count_descriptors() == open_before);
    return 0;
}
