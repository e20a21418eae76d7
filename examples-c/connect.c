/* Collects a node over a connection that this program makes itself, as a host outside of a virtual machine does:
 *     connect ADDRESS [--apply] [KEY=VALUE]...
 * ADDRESS is vsock:CID:PORT, tcp:HOST:PORT, or the path of a unix socket. Without --apply it only prints what it would remove.
 * Whoever reaches a runtime by TCP is root on its node: use a tunnel that only you can enter.
 * Logs are files of the node. Where this program does not see them, give pod-logs-dir= and container-logs-dir=. */
#define _POSIX_C_SOURCE 200809L
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
#include "crigc.h"

/* A stream socket that is connected, or -1. */
static int to_address(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, address, length) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int to_vsock(const char *cid, const char *port)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK };
    address.svm_cid = (unsigned)strtoul(cid, NULL, 10);
    address.svm_port = (unsigned)strtoul(port, NULL, 10);
    return to_address((const struct sockaddr *)&address, sizeof address);
}

static int to_tcp(const char *host, const char *port)
{
    struct addrinfo *found = NULL, hints = { .ai_socktype = SOCK_STREAM };
    int fd = -1;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = to_address(at->ai_addr, at->ai_addrlen);
    freeaddrinfo(found);
    return fd;
}

static int to_path(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    return to_address((const struct sockaddr *)&address, sizeof address);
}

/* Both services of the runtime are at one address. crigc owns the descriptor from here on, and closes it. */
static int on_connect(void *context, gc_service service)
{
    char address[256], *rest, *port;
    (void)service;
    if (snprintf(address, sizeof address, "%s", (const char *)context) >= (int)sizeof address)
        return -1;
    rest = strchr(address, ':');
    port = strrchr(address, ':');
    if (*address == '/' || !rest || rest == port)
        return to_path(address);
    *rest++ = *port++ = '\0';
    return strcmp(address, "vsock") == 0 ? to_vsock(rest, port) : strcmp(address, "tcp") == 0 ? to_tcp(rest, port) : -1;
}

int main(int argc, char **argv)
{
    uint32_t flags = GC_DRY_RUN;
    gc_error *error = NULL;
    gc_report *report = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: connect ADDRESS [--apply] [KEY=VALUE]...\n");
        return 2;
    }
    gc_config *config = gc_config_new();
    gc_config_set_connect(config, on_connect, argv[1]);
    gc_config_set(config, "container-runtime-endpoint", argv[1], &error); /* only a name, for messages */
    for (int i = 2; i < argc && !error; i++) {
        char *value = strchr(argv[i], '=');
        if (value)
            *value++ = '\0';
        if (strcmp(argv[i], "--apply") == 0)
            flags = 0;
        else
            gc_config_set(config, argv[i], value ? value : "", &error);
    }
    gc_engine *engine = error ? NULL : gc_engine_new(config, &error);
    if (engine)
        gc_containers(engine, flags, NULL, &report, &error);
    if (error)
        fprintf(stderr, "%s: %s\n", gc_status_name(gc_error_status(error)), gc_error_message(error));
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        printf("%s %s (%s): %s\n", gc_outcome_name(entry->outcome), entry->id, entry->name, entry->reason);
    }
    int code = error ? 1 : 0;
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
    return code;
}
