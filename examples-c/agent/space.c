/* How full the disk with the images is, and what holds the space that a pass could not free. Sizes of images are those that
 * the runtime reports. */
#include "space.h"
#include <stdlib.h>
#include <string.h>
#include "words.h"

/* Something that holds space, and how to make it hold less. */
struct holder {
    gc_outcome outcome; /* of its images in the report; GC_ANY_OUTCOME = all that the rows above do not name */
    const char *reason; /* NULL = any */
    const char *what, *advice;
    size_t count;
    uint64_t bytes;
};

enum { NO_IMAGES = 7, HOLDERS = 8 };

static const struct holder nobody[HOLDERS] = {
    { GC_KEPT, "in-use", "in use", "end pods that are not needed, or move pods to another node", 0, 0 },
    { GC_KEPT, "too-young", "too young",
      "run the agent again once the images are older than minimum-image-ttl-duration, or set it shorter", 0, 0 },
    { GC_KEPT, "exempt", "exempt", "name fewer images in image-gc-exempt", 0, 0 },
    { GC_KEPT, "pinned", "pinned", "take the pins off the images that the runtime need not keep", 0, 0 },
    { GC_KEPT, "no-effect", "in images that were kept because the disk did not show what was freed before",
      "see why the disk does not (thin volumes, deletion in the background, deleted files that are still open)", 0, 0 },
    { GC_FAILED, NULL, "in images that could not be removed", "see the causes of the failures", 0, 0 },
    { GC_ANY_OUTCOME, NULL, "kept for other reasons", "see their reasons, which --help explains", 0, 0 },
    { GC_ANY_OUTCOME, NULL, "not images",
      "look for large logs, volumes and files of containers on this disk (`du -xh`)", 0, 0 },
};

static int holds(const struct holder *holder, const gc_entry *entry)
{
    return (holder->outcome == GC_ANY_OUTCOME || holder->outcome == entry->outcome) &&
           (!holder->reason || strcmp(entry->reason, holder->reason) == 0);
}

static uint64_t used_bytes(const gc_fs_usage *usage)
{
    return usage->capacity > usage->available ? usage->capacity - usage->available : 0;
}

/* In percent, as the kubelet compares it with its thresholds. */
static unsigned percent_used(uint64_t all, uint64_t available)
{
    if (all == 0)
        return 0;
    double percent = (double)available * 100 / (double)all;
    return percent >= 100 ? 0 : 100 - (unsigned)percent;
}

static unsigned used_percent(const gc_fs_usage *usage)
{
    return percent_used(usage->capacity, usage->available);
}

static unsigned used_inodes_percent(const gc_fs_usage *usage)
{
    return percent_used(usage->inodes, usage->inodes_free);
}

/* How much of all is to be free at the low threshold: a whole number, as the goal of the pass. */
static uint64_t wanted(uint64_t all, const struct thresholds *thresholds)
{
    return (uint64_t)((double)all * (100 - thresholds->low) / 100);
}

/* What the disk has after the pass. A dry run removes nothing: then it is what the disk would have. 0 = it is unknown. */
static int usage_after(const gc_report *report, gc_fs_usage *usage)
{
    const gc_fs_usage *after = gc_report_fs_after(report);
    if (!after)
        return 0;
    *usage = (gc_fs_usage){ after->capacity, after->available, after->inodes, after->inodes_free };
    if (gc_report_dry_run(report))
        usage->available += gc_report_bytes_freed(report);
    if (usage->available > usage->capacity)
        usage->available = usage->capacity;
    return 1;
}

void write_fullness(FILE *to, const gc_report *report)
{
    const gc_fs_usage *before = gc_report_fs_before(report);
    gc_fs_usage after = { 0, 0, 0, 0 };
    char available[32], capacity[32];
    if (!before || !usage_after(report, &after)) {
        fputs("how full the disk is was not read", to);
        return;
    }
    fprintf(to, "disk %u %% full before, %s%u %% after, %s of %s available", used_percent(before),
            gc_report_dry_run(report) ? "would be about " : "", used_percent(&after),
            bytes_text(after.available, available, sizeof available),
            bytes_text(after.capacity, capacity, sizeof capacity));
    /* They matter where they are scarcer than bytes. */
    if (used_inodes_percent(before) <= used_percent(before))
        return;
    fprintf(to, ", %u %% of its inodes used before", used_inodes_percent(before));
    if (!gc_report_dry_run(report))
        fprintf(to, ", %u %% after", used_inodes_percent(&after));
}

/* Counts what was not removed. */
static void count_holders(struct holder *holders, const gc_report *report, uint64_t used)
{
    uint64_t images = 0;
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        size_t at = 0;
        if (entry->kind != GC_IMAGE || entry->outcome == GC_REMOVED)
            continue;
        while (!holds(&holders[at], entry))
            at++;
        holders[at].count++;
        holders[at].bytes += entry->bytes;
        images += entry->bytes;
    }
    /* Images that share layers may be reported larger than what they hold. */
    holders[NO_IMAGES].bytes = used > images ? used - images : 0;
}

static int larger_first(const void *a, const void *b)
{
    const struct holder *left = a, *right = b;
    return (left->bytes < right->bytes) - (left->bytes > right->bytes);
}

static int is_above_low(const gc_fs_usage *before, const gc_fs_usage *after, const struct thresholds *thresholds)
{
    return thresholds->high < 100 && used_percent(before) >= thresholds->high &&
           after->available < wanted(after->capacity, thresholds);
}

int is_space_missing(const gc_report *report, const struct thresholds *thresholds)
{
    const gc_fs_usage *before = gc_report_fs_before(report);
    gc_fs_usage after;
    if (!before || !usage_after(report, &after))
        return 0;
    int is_below_minimum = before->available < thresholds->min_available && after.available < thresholds->min_available;
    return is_below_minimum || is_above_low(before, &after, thresholds);
}

int are_inodes_missing(const gc_report *report, const struct thresholds *thresholds)
{
    const gc_fs_usage *before = gc_report_fs_before(report), *after = gc_report_fs_after(report);
    if (!before || !after || !thresholds->inodes || gc_report_dry_run(report))
        return 0;
    return used_inodes_percent(before) >= thresholds->high && after->inodes_free < wanted(after->inodes, thresholds);
}

/* What the disk should have. */
static void write_goal(FILE *to, const gc_report *report, const gc_fs_usage *after, const struct thresholds *thresholds)
{
    char size[32];
    if (is_above_low(gc_report_fs_before(report), after, thresholds))
        fprintf(to, "image-gc-low-threshold asks for %u %%. ", thresholds->low);
    else
        fprintf(to, "image-gc-min-available asks for %s available. ",
                bytes_text(thresholds->min_available, size, sizeof size));
}

void write_space_advice(FILE *to, const gc_report *report, const struct thresholds *thresholds)
{
    struct holder holders[HOLDERS];
    char used[32], capacity[32], size[32];
    gc_fs_usage after;
    if (!usage_after(report, &after)) {
        fputs("how full the disk is was not read\n", to);
        return;
    }
    memcpy(holders, nobody, sizeof holders);
    count_holders(holders, report, used_bytes(&after));
    qsort(holders, HOLDERS, sizeof *holders, larger_first);
    fprintf(to, "the disk %s %u %% full (%s of %s), and ",
            gc_report_dry_run(report) ? "would still be about" : "is still", used_percent(&after),
            bytes_text(used_bytes(&after), used, sizeof used), bytes_text(after.capacity, capacity, sizeof capacity));
    write_goal(to, report, &after, thresholds);
    fputs("What holds the rest: ", to);
    for (size_t i = 0; i < HOLDERS && holders[i].bytes > 0; i++) {
        fprintf(to, "%s%s is %s", i ? ", " : "", bytes_text(holders[i].bytes, size, sizeof size), holders[i].what);
        if (holders[i].count > 0)
            fprintf(to, " (%zu image%s)", holders[i].count, holders[i].count == 1 ? "" : "s");
    }
    fputs(". What to do: ", to);
    for (size_t i = 0; i < 2 && holders[i].bytes > 0; i++)
        fprintf(to, "%s; ", holders[i].advice);
    fputs("or make the disk larger.\n", to);
}
