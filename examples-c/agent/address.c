/* Addresses of sockets. */
#define _POSIX_C_SOURCE 200809L
#include "address.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads a port; -1 = it is none. */
static long port_of(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return -1;
    long port = strtol(text, NULL, 10);
    return port <= 65535 ? port : -1;
}

int read_address(const char *text, struct address *address)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    long port = colon ? port_of(colon + 1) : -1;
    if (port < 0)
        return 0;
    int has_brackets = text[0] == '[' && colon > text && colon[-1] == ']';
    const char *begin = text + has_brackets, *end = colon - has_brackets;
    if (end <= begin || (size_t)(end - begin) >= sizeof host)
        return 0;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    memset(address, 0, sizeof *address);
    if (has_brackets) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->storage;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        address->length = sizeof *six;
        return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)&address->storage;
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)port);
    address->length = sizeof *four;
    return inet_pton(AF_INET, host, &four->sin_addr) == 1;
}

const char *address_of(int socket, char *text, size_t size)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char host[INET6_ADDRSTRLEN] = "?";
    memset(&bound, 0, sizeof bound);
    if (getsockname(socket, (struct sockaddr *)&bound, &length) == 0 && bound.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&bound;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&bound;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(four->sin_port));
    }
    return text;
}
