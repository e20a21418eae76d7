/* Makes the engine, with the agent's own file of image records where the command line names none. */
#ifndef AGENT_ENGINE_H
#define AGENT_ENGINE_H

#include "crigc.h"
#include "options.h"

/* Returns the engine, or NULL and the error, which the caller frees. Changes keys of `config` whose defaults are the agent's own. */
gc_engine *make_engine(gc_config *config, const struct options *options, gc_error **error);

#endif
