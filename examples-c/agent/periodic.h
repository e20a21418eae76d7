/* Without --once: passes every period, until a signal. */
#ifndef AGENT_PERIODIC_H
#define AGENT_PERIODIC_H

#include "crigc.h"
#include "options.h"
#include "passes.h"

/* Returns the exit code. */
int run_periodically(gc_engine *engine, const gc_config *config, const struct options *options,
                     struct pass_printer *printer);

#endif
