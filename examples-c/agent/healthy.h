/* --healthy: whether another agent, which writes a file of metrics, gets on. */
#ifndef AGENT_HEALTHY_H
#define AGENT_HEALTHY_H

#include "crigc.h"

/* EXIT_FINE if the file is young enough, else EXIT_NOT_HEALTHY, and the reason is printed. */
int check_health(const char *path, const gc_config *config);

#endif
