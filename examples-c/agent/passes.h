/* What is printed when a pass has ended. */
#ifndef AGENT_PASSES_H
#define AGENT_PASSES_H

#include "crigc.h"
#include "space.h"

struct pass_printer {
    int json, changes_only, verbose;
    int dry_run;               /* for a pass without a report */
    const char *periods[2];    /* of passes over containers and over images; NULL = they are not periodic */
    struct thresholds thresholds;
    const char *to_apply; /* what to change of the command line to make a dry run remove */
    int log;                   /* how much is logged, see log.h */
    int beside_kubelet;        /* a kubelet collects this node, too */
    int explains;              /* reports are not printed: an object is looked for in them */
    int quiet;                 /* do not print, and do not note the exit code */
    int has_printed[2];        /* the tables, for each kind of pass */
    int ended;                 /* a pipe that gets a byte for each pass; -1 = none */
};

/* A gc_pass_fn. Its context is a pass_printer. */
void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error);

#endif
