/* Times as RFC 3339 writes them. */
#ifndef AGENT_RFC3339_H
#define AGENT_RFC3339_H

#include <stdint.h>

/* Nanoseconds since the epoch of a time such as 2026-01-02T03:04:05Z; -1 for anything else. */
int64_t nanoseconds_of(const char *text);

#endif
