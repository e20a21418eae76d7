/* The entries of a report, counted by kind, outcome and reason. */
#ifndef AGENT_TALLY_H
#define AGENT_TALLY_H

#include "crigc.h"

/* The outcome of a removal that was under way when the agent was told to end: it may have happened. */
enum { BROKEN_OFF = 1000 };

struct tally_row {
    gc_kind kind;
    gc_outcome outcome; /* or BROKEN_OFF */
    const char *reason; /* borrowed from the report */
    size_t count;
    uint64_t bytes;
};

struct tally {
    struct tally_row rows[128];
    size_t used;
};

/* The outcome of an entry of this report, or BROKEN_OFF. */
gc_outcome outcome_of(const gc_report *report, const gc_entry *entry);

/* How many removals of a kind (or GC_ANY_KIND) were broken off. */
size_t count_broken_off(const gc_report *report, gc_kind kind);

void count_entries(const gc_report *report, struct tally *tally);

/* Prints the rows of an outcome below a title, by kind; nothing if there are none. */
void print_tally(const struct tally *tally, gc_outcome outcome, const char *title);

#endif
