/* What a person reads about a pass that has ended. The caller holds the lock of the output. */
#ifndef AGENT_SUMMARY_H
#define AGENT_SUMMARY_H

#include "crigc.h"

struct ended_pass {
    gc_pass pass;
    gc_status status;
    int dry_run;
    const gc_report *report; /* NULL if the pass has none */
    const gc_error *error;   /* NULL if it did not fail */
    const char *period;      /* until the next pass; NULL = there is none */
};

/* One line: how much was removed. */
void print_headline(const struct ended_pass *ended);

/* A line for each object. */
void print_entries(const gc_report *report);

/* How many objects were removed, failed, were refused or kept, and why; and all failures, or the first five. */
void print_tables(const struct ended_pass *ended, int all_failures);

/* What happens next, as far as the agent knows. */
void print_next(const struct ended_pass *ended);

/* Whether anything was removed, refused or failed. */
int has_news(const struct ended_pass *ended);

#endif
