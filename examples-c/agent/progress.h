/* How far the removals are: a bar on a terminal, else a line every few seconds. */
#ifndef AGENT_PROGRESS_H
#define AGENT_PROGRESS_H

#include "crigc.h"

/* A gc_progress_fn. Its context is an int: whether bars may be drawn, because only one pass runs at a time. */
void on_progress(void *context, gc_kind kind, size_t done, size_t total);

/* Shows where a pass that has ended stopped, for each kind of which something was shown. */
void end_progress(gc_pass pass, const gc_report *report);

#endif
