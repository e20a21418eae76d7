/* What a person reads about a pass that has ended. */
#define _POSIX_C_SOURCE 200809L
#include "summary.h"
#include <string.h>
#include <time.h>
#include "space.h"
#include "tally.h"
#include "words.h"

static size_t count_of(const struct ended_pass *ended, gc_outcome outcome)
{
    return gc_report_count(ended->report, GC_ANY_KIND, outcome);
}

static void print_time(void)
{
    char text[16];
    time_t now = time(NULL);
    struct tm parts;
    if (localtime_r(&now, &parts) && strftime(text, sizeof text, "%H:%M:%S ", &parts) > 0)
        fputs(text, stdout);
}

/* Whether a pass failed before it came to any object. */
static int has_only_failed(const struct ended_pass *ended)
{
    return ended->error && gc_report_len(ended->report) == 0;
}

/* How much was removed. A dry run that failed has not found out what would be. */
static void print_removed(const struct ended_pass *ended)
{
    size_t removed = count_of(ended, GC_REMOVED);
    if (ended->dry_run && ended->error && removed == 0)
        fputs(is_interrupted(ended->status) ? "ended early (dry run)" : "failed (dry run)", stdout);
    else
        printf("%zu %s", removed, ended->dry_run ? "would be removed (dry run, nothing was removed)" : "removed");
}

void print_headline(const struct ended_pass *ended)
{
    int is_images = ended->pass == GC_PASS_IMAGES;
    size_t broken_off = count_broken_off(ended->report, GC_ANY_KIND);
    size_t failed = count_of(ended, GC_FAILED) - broken_off;
    char size[32];
    if (ended->period)
        print_time();
    const char *subject = is_images                     ? "images"
                          : ended->pass == GC_PASS_POD ? "containers, sandboxes and logs of the pod"
                                                        : "containers, sandboxes and logs";
    printf("%s: ", subject);
    if (has_only_failed(ended)) {
        write_end(stdout, ended);
        return;
    }
    print_removed(ended);
    if (is_images)
        printf(", %s", bytes_text(gc_report_bytes_freed(ended->report), size, sizeof size));
    if (failed > 0)
        printf(", %zu failed", failed);
    if (broken_off > 0)
        printf(", %zu broken off", broken_off);
    if (is_images) {
        fputs("; ", stdout);
        write_fullness(stdout, ended->report);
    }
    putchar('\n');
}

static const char *outcome_word(const gc_report *report, const gc_entry *entry)
{
    gc_outcome outcome = outcome_of(report, entry);
    if (outcome == BROKEN_OFF)
        return "broken off";
    return outcome == GC_REMOVED && gc_report_dry_run(report) ? "would remove" : gc_outcome_name(outcome);
}

void print_entry(const gc_report *report, const gc_entry *entry)
{
    printf("  %-12s %-9s %s %s %s\n", outcome_word(report, entry), gc_kind_name(entry->kind), entry->reason, entry->id,
           entry->name);
}

void print_entries(const struct ended_pass *ended)
{
    for (size_t i = 0; i < gc_report_len(ended->report); i++)
        print_entry(ended->report, gc_report_entry(ended->report, i));
}

static void print_failures(const gc_report *report, int all)
{
    size_t shown = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        if (outcome_of(report, entry) != GC_FAILED)
            continue;
        if (shown++ == 5 && !all) {
            printf("    ... --verbose shows all\n");
            return;
        }
        printf("    %s%s%s: %s\n", entry->id, entry->name[0] ? " " : "", entry->name, entry->error);
    }
}

void print_tables(const struct ended_pass *ended, int all_failures)
{
    struct tally tally;
    count_entries(ended->report, &tally);
    print_tally(&tally, GC_REMOVED, ended->dry_run ? "would be removed" : "removed");
    print_tally(&tally, GC_FAILED, "could not be removed");
    print_failures(ended->report, all_failures);
    print_tally(&tally, BROKEN_OFF, "broken off, perhaps removed");
    print_tally(&tally, GC_REFUSED, "refused");
    print_tally(&tally, GC_KEPT, "kept");
    if (ended->error && !has_only_failed(ended)) {
        fputs("  ", stdout);
        write_end(stdout, ended);
    }
}

void write_end(FILE *to, const struct ended_pass *ended)
{
    if (is_interrupted(ended->status)) {
        fputs("ended early: the agent was told to end; what it did not reach is kept until it runs again\n", to);
        return;
    }
    fprintf(to, "failed: %s: ", status_text(ended->status));
    /* The kubelet has words for bytes, which are in the log; those about inodes are crigc's own. */
    if (ended->status == GC_ERROR_NOT_ENOUGH_FREED && is_space_missing(ended->report, ended->thresholds) &&
        !are_inodes_missing(ended->report, ended->thresholds)) {
        write_space_advice(to, ended->report, ended->thresholds);
        return;
    }
    write_message(to, gc_error_message(ended->error));
    /* After another failure the report may lack images, and would not say what holds the space. */
    if (gc_report_count(ended->report, GC_IMAGE, GC_FAILED) > 0 && is_space_missing(ended->report, ended->thresholds)) {
        fputs("; ", to);
        write_space_advice(to, ended->report, ended->thresholds);
        return;
    }
    fputc('\n', to);
}

/* The images that the pass had no need to remove, in their order: the next pass removes them first if space runs out. */
static void print_next_images(const gc_report *report)
{
    size_t found = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        if (strcmp(entry->reason, "enough-freed") != 0 || found++ >= 2)
            continue;
        fputs(found == 1 ? "  next, if space runs out: " : ", ", stdout);
        if (entry->name[0])
            fputs(entry->name, stdout);
        else
            printf("%.19s", entry->id); /* sha256: and the first 12 digits */
    }
    if (found > 2)
        printf(" and %zu more", found - 2);
    if (found > 0)
        putchar('\n');
}

void print_next(const struct ended_pass *ended)
{
    if (ended->is_last)
        return;
    print_next_images(ended->report);
    if (count_of(ended, GC_FAILED) > 0)
        printf("  next: see the causes above; %s\n",
               ended->period ? "the next pass tries again" : "then run the agent again");
    if (ended->dry_run && count_of(ended, GC_REMOVED) > 0)
        printf("  next: run the same %s to remove them\n", ended->to_apply);
    if (ended->period)
        printf("  next pass in %s\n", ended->period);
}

int has_news(const struct ended_pass *ended)
{
    return count_of(ended, GC_REMOVED) + count_of(ended, GC_FAILED) + count_of(ended, GC_REFUSED) > 0 || ended->error;
}
