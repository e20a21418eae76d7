/* What crigc logs, and its events, on standard error. */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include "crigc.h"

/* A gc_log_fn and a gc_event_fn. Their context is an int: whether to write more than warnings and errors. */
void on_log(void *context, gc_log_level level, const char *message);
void on_event(void *context, const char *reason, const char *message);

#endif
