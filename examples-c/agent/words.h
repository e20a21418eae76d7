/* Words for kinds of objects and for sizes. */
#ifndef AGENT_WORDS_H
#define AGENT_WORDS_H

#include "crigc.h"

/* The plural of a kind, such as "sandboxes"; valid for ever. */
const char *kind_name(gc_kind kind);

/* Writes a size such as "1.5 GiB" into `text`, and returns it. */
const char *bytes_text(uint64_t bytes, char *text, size_t size);

#endif
