/* What a person reads about a pass that has ended. The caller holds the lock of the output. */
#ifndef AGENT_SUMMARY_H
#define AGENT_SUMMARY_H

#include <stdio.h>
#include "crigc.h"
#include "space.h"

struct ended_pass {
    gc_pass pass;
    gc_status status;
    int dry_run;
    const gc_report *report;   /* NULL if the pass has none */
    const gc_error *error;     /* NULL if it did not fail */
    const char *period;        /* of periodic passes; NULL = this one is not periodic */
    int is_last;               /* the agent was told to end */
    const struct thresholds *thresholds;
    const char *to_apply; /* what to change of the command line to make a dry run remove */
};

/* One line: how much was removed, and for images how full the disk is; or why the pass failed before it came to any object. */
void print_headline(const struct ended_pass *ended);

/* A line for an object of this report. */
void print_entry(const gc_report *report, const gc_entry *entry);

/* A line for each object. */
void print_entries(const struct ended_pass *ended);

/* How many objects were removed, failed, were refused or kept, and why; all failures, or the first five; and the error. */
void print_tables(const struct ended_pass *ended, int all_failures);

/* How a pass ended that has an error: why, and what to do. */
void write_end(FILE *to, const struct ended_pass *ended);

/* What happens next, as far as the agent knows. */
void print_next(const struct ended_pass *ended);

/* Whether anything was removed, refused or failed. */
int has_news(const struct ended_pass *ended);

#endif
