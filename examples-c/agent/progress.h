/* How far the removals are: a bar on a terminal, else a line every few seconds. */
#ifndef AGENT_PROGRESS_H
#define AGENT_PROGRESS_H

#include "crigc.h"

/* A gc_progress_fn. It needs no context. */
void on_progress(void *context, gc_kind kind, size_t done, size_t total);

#endif
