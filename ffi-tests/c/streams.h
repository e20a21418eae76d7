/* Streams of all sorts to the runtime whose socket is at the path `runtime`. */
#ifndef STREAMS_H
#define STREAMS_H
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
#include "check.h"

static const char *runtime;

static int to_runtime(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    CHECK(strlen(runtime) < sizeof address.sun_path);
    strcpy(address.sun_path, runtime);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* The threads that copy between two sockets. */
static pthread_t relays[64];
static size_t relay_count;

/* Copies what there is; 0 = one side has ended. */
static int copy(int from, int to)
{
    char bytes[4096];
    ssize_t length = read(from, bytes, sizeof bytes);
    for (ssize_t at = 0; at < length;) {
        ssize_t sent = send(to, bytes + at, (size_t)(length - at), MSG_NOSIGNAL);
        if (sent < 0)
            return 0;
        at += sent;
    }
    return length > 0;
}

static void *relay(void *sides)
{
    int *side = sides;
    struct pollfd both[2] = { { side[0], POLLIN, 0 }, { side[1], POLLIN, 0 } };
    int goes_on = 1;
    while (goes_on && poll(both, 2, -1) > 0)
        for (int i = 0; i < 2 && goes_on; i++)
            goes_on = both[i].revents == 0 || copy(side[i], side[1 - i]);
    close(side[0]);
    close(side[1]);
    free(sides);
    return NULL;
}

/* Puts the runtime behind a socket. */
static void serve(int socket)
{
    int *sides = malloc(2 * sizeof *sides);
    CHECK(sides != NULL && relay_count < sizeof relays / sizeof *relays);
    sides[0] = socket;
    sides[1] = to_runtime();
    for (int i = 0; i < 2; i++)
        CHECK(fcntl(sides[i], F_SETFD, FD_CLOEXEC) == 0);
    CHECK(pthread_create(&relays[relay_count++], NULL, relay, sides) == 0);
}

/* Returns once crigc has closed all that it was given. */
static void end_relays(void)
{
    while (relay_count > 0)
        CHECK(pthread_join(relays[--relay_count], NULL) == 0);
}

static int by_pair(void)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    serve(pair[1]);
    return pair[0];
}

/* A connection on loopback, and its other end. */
static int tcp_pair(int *other)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(connect(fd, (struct sockaddr *)&address, length) == 0);
    *other = accept(listener, NULL, NULL);
    CHECK(*other >= 0);
    close(listener);
    return fd;
}

static int by_tcp(void)
{
    int other, fd = tcp_pair(&other);
    serve(other);
    return fd;
}

/* The same by vsock; -1 = this kernel has no loopback for it. */
static int by_vsock(void)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_port = VMADDR_PORT_ANY, .svm_cid = VMADDR_CID_ANY };
    socklen_t length = sizeof address;
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0), fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0), other = -1;
    if (listener >= 0 && fd >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0) {
        CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
        address.svm_cid = VMADDR_CID_LOCAL;
        connect(fd, (struct sockaddr *)&address, length);
        struct pollfd waits = { listener, POLLIN, 0 };
        if (poll(&waits, 1, 1000) == 1)
            other = accept(listener, NULL, NULL);
    }
    close(listener);
    if (other < 0) {
        close(fd);
        return -1;
    }
    serve(other);
    return fd;
}

#endif
