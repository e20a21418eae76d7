/* --once: a pass over containers (or over one pod), a pass over images, and the end. */
#ifndef AGENT_ONCE_H
#define AGENT_ONCE_H

#include "crigc.h"
#include "options.h"
#include "passes.h"

/* Returns the exit code. */
int run_once(gc_engine *engine, const gc_config *config, const struct options *options, struct pass_printer *printer);

#endif
