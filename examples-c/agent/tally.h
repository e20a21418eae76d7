/* The entries of a report, counted by kind, outcome and reason. */
#ifndef AGENT_TALLY_H
#define AGENT_TALLY_H

#include "crigc.h"

struct tally_row {
    gc_kind kind;
    gc_outcome outcome;
    const char *reason; /* borrowed from the report */
    size_t count;
    uint64_t bytes;
};

struct tally {
    struct tally_row rows[128];
    size_t used;
};

void count_entries(const gc_report *report, struct tally *tally);

/* Prints the rows of an outcome below a title, by kind; nothing if there are none. */
void print_tally(const struct tally *tally, gc_outcome outcome, const char *title);

#endif
