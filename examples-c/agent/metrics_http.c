/* A small HTTP/1.0 server with one page. No client makes it wait: sockets do not block, and requests, clients and times are bounded. */
#define _POSIX_C_SOURCE 200809L
#include "metrics_http.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "address.h"
#include "duration.h"
#include "output.h"

/* In seconds: for a request, for its answer, and without free descriptors. A client that says nothing keeps others waiting. */
enum { IDLE = 1, PATIENCE = 5, DEAF = 1 };
enum { BACKLOG = 16 };

/* How long a text is given to whoever asks, in seconds. Clients without end cost no more than a few texts a second. */
static const double FRESH = 0.2;

static int prepare(int descriptor)
{
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 && fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0;
}

/* A socket that listens; -1 and errno if that fails. */
static int listen_at(const struct address *address)
{
    int one = 1;
    int listener = socket(address->storage.ss_family, SOCK_STREAM, 0);
    if (listener < 0)
        return -1;
    /* An agent that was started again takes its port over. */
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (prepare(listener) && bind(listener, (const struct sockaddr *)&address->storage, address->length) == 0 &&
        listen(listener, BACKLOG) == 0)
        return listener;
    int failure = errno;
    close(listener);
    errno = failure;
    return -1;
}

int begin_metrics_server(struct metrics_server *server, const char *text)
{
    struct address address;
    char where[MOST_ADDRESS];
    server->listener = -1;
    server->deaf = 0;
    server->text = NULL;
    for (size_t i = 0; i < MOST_CLIENTS; i++)
        server->clients[i].socket = -1;
    if (!text)
        return 1;
    if (!read_address(text, &address)) {
        say("--metrics-listen takes an address and a port such as 127.0.0.1:9477 or [::1]:9477, not %s; see --help", text);
        return 0;
    }
    server->listener = listen_at(&address);
    if (server->listener < 0) {
        say("cannot listen at %s: %s", text, strerror(errno));
        return 0;
    }
    say("metrics are at http://%s/metrics", address_of(server->listener, where, sizeof where));
    return 1;
}

static void drop(struct client *client)
{
    close(client->socket);
    free(client->answer);
    client->socket = -1;
    client->answer = NULL;
}

/* Takes a client in, if there is one. */
static void take_in(struct metrics_server *server, struct client *client, double now)
{
    int connection = accept(server->listener, NULL, NULL);
    if (connection < 0) {
        /* Without a free descriptor the client stays in the queue: asking again at once would ask for ever. */
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            server->deaf = now + DEAF;
        return;
    }
    client->socket = connection;
    client->end = now + IDLE;
    client->read = client->length = client->written = 0;
    client->drains = 0;
    if (!prepare(connection))
        drop(client);
}

/* The answer with a status and a body; NULL if there is no memory for it. */
static char *answer_of(const char *status, const char *more, const char *body, size_t *length)
{
    static const char form[] = "HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                               "Content-Length: %zu\r\n%sConnection: close\r\n\r\n%s";
    int size = snprintf(NULL, 0, form, status, strlen(body), more, body);
    char *answer = size < 0 ? NULL : malloc((size_t)size + 1);
    if (answer) {
        snprintf(answer, (size_t)size + 1, form, status, strlen(body), more, body);
        *length = (size_t)size;
    }
    return answer;
}

static int is_for(const char *request, const char *path)
{
    size_t length = strlen(path);
    return strncmp(request, path, length) == 0 && strchr(" ?\r\n", request[length]) != NULL;
}

/* The figures, made anew if they are old; NULL if there is no memory for them. */
static const char *text_of(struct metrics_server *server, gc_engine *engine)
{
    double now = now_seconds();
    if (server->text && now - server->made < FRESH)
        return server->text;
    gc_string_free(server->text);
    server->text = gc_metrics(engine);
    server->made = now;
    return server->text;
}

static void answer(struct metrics_server *server, struct client *client, gc_engine *engine)
{
    const char *request = client->request;
    size_t *length = &client->length;
    if (client->read == MOST_REQUEST) {
        client->answer = answer_of("431 Request Header Fields Too Large", "", "the request is too long\n", length);
    } else if (strncmp(request, "GET ", 4) != 0) {
        client->answer = answer_of("405 Method Not Allowed", "Allow: GET\r\n", "only GET is answered\n", length);
    } else if (!is_for(request + 4, "/metrics")) {
        client->answer = answer_of("404 Not Found", "", "the only page is /metrics\n", length);
    } else {
        const char *text = text_of(server, engine);
        client->answer = text ? answer_of("200 OK", "", text, length) : NULL;
    }
    client->end = now_seconds() + PATIENCE;
    if (!client->answer)
        drop(client);
}

/* Reads on; answers once the head of the request is complete. */
static void read_request(struct metrics_server *server, struct client *client, gc_engine *engine)
{
    ssize_t count = recv(client->socket, client->request + client->read, MOST_REQUEST - client->read, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        drop(client);
        return;
    }
    client->read += (size_t)count;
    client->request[client->read] = '\0';
    if (client->read == MOST_REQUEST || strstr(client->request, "\r\n\r\n") || strstr(client->request, "\n\n"))
        answer(server, client, engine);
}

static void write_answer(struct client *client)
{
    ssize_t count = send(client->socket, client->answer + client->written, client->length - client->written, MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    client->written += count < 0 ? 0 : (size_t)count;
    if (count >= 0 && client->written < client->length)
        return;
    /* A socket that is closed with data nobody has read takes the answer back. */
    client->drains = count >= 0 && client->read == MOST_REQUEST && shutdown(client->socket, SHUT_WR) == 0;
    if (!client->drains)
        drop(client);
}

/* Until the client closes its side, or its time is up. */
static void drain(struct client *client)
{
    ssize_t count = recv(client->socket, client->request, MOST_REQUEST, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        drop(client);
}

static int listens(const struct metrics_server *server, double now)
{
    return server->listener >= 0 && now >= server->deaf;
}

size_t poll_metrics_server(const struct metrics_server *server, struct pollfd *polls)
{
    size_t count = 0;
    int is_full = 1;
    for (size_t i = 0; i < MOST_CLIENTS; i++) {
        const struct client *client = &server->clients[i];
        is_full = is_full && client->socket >= 0;
        if (client->socket >= 0)
            polls[count++] = (struct pollfd){ .fd = client->socket, .events = client->answer && !client->drains ? POLLOUT : POLLIN };
    }
    if (!is_full && listens(server, now_seconds()))
        polls[count++] = (struct pollfd){ .fd = server->listener, .events = POLLIN };
    return count;
}

void serve_metrics(struct metrics_server *server, gc_engine *engine)
{
    double now = now_seconds();
    for (size_t i = 0; i < MOST_CLIENTS; i++) {
        struct client *client = &server->clients[i];
        if (client->socket < 0 && listens(server, now))
            take_in(server, client, now);
        if (client->socket >= 0 && !client->answer)
            read_request(server, client, engine);
        if (client->socket >= 0 && client->answer && !client->drains)
            write_answer(client);
        else if (client->socket >= 0 && client->drains)
            drain(client);
        if (client->socket >= 0 && now >= client->end)
            drop(client);
    }
}

int is_busy(const struct metrics_server *server)
{
    if (server->listener >= 0 && now_seconds() < server->deaf)
        return 1;
    for (size_t i = 0; i < MOST_CLIENTS; i++)
        if (server->clients[i].socket >= 0)
            return 1;
    return 0;
}

void end_metrics_server(struct metrics_server *server)
{
    for (size_t i = 0; i < MOST_CLIENTS; i++)
        if (server->clients[i].socket >= 0)
            drop(&server->clients[i]);
    if (server->listener >= 0)
        close(server->listener);
    server->listener = -1;
    gc_string_free(server->text);
    server->text = NULL;
}
