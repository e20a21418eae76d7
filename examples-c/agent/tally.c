/* The entries of a report, counted by kind, outcome and reason. */
#include "tally.h"
#include <stdio.h>
#include <string.h>
#include "words.h"

gc_outcome outcome_of(const gc_report *report, const gc_entry *entry)
{
    int is_unknown = entry->outcome == GC_FAILED && strstr(entry->error, "outcome unknown");
    return is_unknown && is_interrupted(gc_report_status(report)) ? BROKEN_OFF : entry->outcome;
}

size_t count_broken_off(const gc_report *report, gc_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        if ((kind == GC_ANY_KIND || kind == entry->kind) && outcome_of(report, entry) == BROKEN_OFF)
            count++;
    }
    return count;
}

/* The row of an entry, a new one for its first. NULL if all rows are used: there are more of them than reasons. */
static struct tally_row *row_of(struct tally *tally, const gc_entry *entry, gc_outcome outcome)
{
    for (size_t i = 0; i < tally->used; i++) {
        struct tally_row *row = &tally->rows[i];
        if (row->kind == entry->kind && row->outcome == outcome && strcmp(row->reason, entry->reason) == 0)
            return row;
    }
    if (tally->used == sizeof tally->rows / sizeof *tally->rows)
        return NULL;
    struct tally_row *row = &tally->rows[tally->used++];
    *row = (struct tally_row){ entry->kind, outcome, entry->reason, 0, 0 };
    return row;
}

void count_entries(const gc_report *report, struct tally *tally)
{
    tally->used = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        struct tally_row *row = row_of(tally, entry, outcome_of(report, entry));
        if (!row)
            continue;
        row->count++;
        row->bytes += entry->bytes;
    }
}

static void print_row(const struct tally_row *row)
{
    char size[32];
    printf("    %6zu %-10s  ", row->count, kind_name(row->kind));
    if (row->kind == GC_IMAGE)
        printf("%-20s %12s\n", row->reason, bytes_text(row->bytes, size, sizeof size));
    else
        puts(row->reason);
}

void print_tally(const struct tally *tally, gc_outcome outcome, const char *title)
{
    int titled = 0;
    for (gc_kind kind = GC_CONTAINER; kind <= GC_IMAGE; kind++)
        for (size_t i = 0; i < tally->used; i++) {
            if (tally->rows[i].kind != kind || tally->rows[i].outcome != outcome)
                continue;
            if (!titled++)
                printf("  %s\n", title);
            print_row(&tally->rows[i]);
        }
}
