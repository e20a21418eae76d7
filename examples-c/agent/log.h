/* What crigc logs, and its events, on standard error. */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include "crigc.h"

enum { LOG_NOTHING, LOG_WARNINGS, LOG_ALL };

/* A gc_log_fn and a gc_event_fn. Their context is an int with one of the numbers above. */
void on_log(void *context, gc_log_level level, const char *message);
void on_event(void *context, const char *reason, const char *message);

#endif
