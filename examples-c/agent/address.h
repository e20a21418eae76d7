/* Addresses of sockets, with numbers alone: names would need files and a resolver, which a program in an empty image does not have. */
#ifndef AGENT_ADDRESS_H
#define AGENT_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

enum { MOST_ADDRESS = 80 };

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* Reads 127.0.0.1:9477 or [::1]:9477; 0 = it is neither. */
int read_address(const char *text, struct address *address);

/* Writes the address that a socket is bound to into `text`, and returns it. */
const char *address_of(int socket, char *text, size_t size);

#endif
