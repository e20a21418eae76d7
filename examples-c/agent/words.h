/* Words for kinds of objects, statuses and sizes, and the library's messages in the words of a command line. */
#ifndef AGENT_WORDS_H
#define AGENT_WORDS_H

#include <stdio.h>
#include "crigc.h"

/* The plural of a kind, such as "sandboxes"; valid for ever. */
const char *kind_name(gc_kind kind);

/* What a status means, such as "no runtime answers"; valid for ever. */
const char *status_text(gc_status status);

/* Whether a pass ended because the agent was told to end. */
int is_interrupted(gc_status status);

/* Writes a message of the library. Where it names a C function, an operator reads what the agent has in its place. */
void write_message(FILE *to, const char *message);

/* Writes a size such as "1.5 GiB" into `text`, and returns it. */
const char *bytes_text(uint64_t bytes, char *text, size_t size);

#endif
