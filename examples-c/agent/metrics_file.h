/* The file with the figures for Prometheus, as node_exporter's textfile collector reads it. */
#ifndef AGENT_METRICS_FILE_H
#define AGENT_METRICS_FILE_H

#include "crigc.h"

struct metrics_file {
    const char *path; /* NULL = there is none */
    char *written;    /* what it holds; NULL = nothing was written yet */
    int failure;      /* the errno that was printed last */
};

/* Writes the file anew and renames it into place; 0 if that failed, and the reason is printed unless it is that of the last time. Without a
 * path it does nothing. Only one thread at a time may call these, and no callback. */
int write_metrics_file(struct metrics_file *file, gc_engine *engine);

/* The same, but only if the figures have changed. */
void refresh_metrics_file(struct metrics_file *file, gc_engine *engine);

/* Writes it for the first time, so that a path that does not work is found before anything is removed; 0 = it does not. */
int begin_metrics_file(struct metrics_file *file, gc_engine *engine);

/* Frees what it holds in memory; the file stays. */
void end_metrics_file(struct metrics_file *file);

#endif
