/* A small HTTP/1.0 server with one page, /metrics: the figures for Prometheus. */
#ifndef AGENT_METRICS_HTTP_H
#define AGENT_METRICS_HTTP_H

#include <poll.h>
#include <stddef.h>
#include "crigc.h"

enum { MOST_CLIENTS = 8, MOST_REQUEST = 4096 };

struct client {
    int socket; /* -1 = the place is free */
    double end; /* when it is cut off */
    char request[MOST_REQUEST + 1];
    size_t read;
    char *answer; /* NULL = the request is not complete */
    size_t length, written;
    int drains; /* it has its answer, and what else it sends is thrown away */
};

struct metrics_server {
    int listener; /* -1 = there is none */
    double deaf;  /* accepts nobody until then */
    char *text;   /* of the page, as it was last made; NULL = it was not yet */
    double made;
    struct client clients[MOST_CLIENTS];
};

/* Listens at an address such as 127.0.0.1:9477 or [::1]:9477; with NULL it never has a client. 0 if that is not possible; the reason is
 * printed. */
int begin_metrics_server(struct metrics_server *server, const char *address);

/* Writes to `polls`, which has room for 1 + MOST_CLIENTS, what the server waits for. Returns how many there are. */
size_t poll_metrics_server(const struct metrics_server *server, struct pollfd *polls);

/* Reads and answers as far as that does not wait. To be called after each poll, and once a second while `is_busy`. */
void serve_metrics(struct metrics_server *server, gc_engine *engine);

/* Whether it has clients, or waits until it can take one in. */
int is_busy(const struct metrics_server *server);

void end_metrics_server(struct metrics_server *server);

#endif
