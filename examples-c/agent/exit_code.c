/* Which exit code the passes come to. */
#include "exit_code.h"
#include "words.h"

static int failed_pass = EXIT_FINE; /* the code of the first one */
static int some_failed, pods_unknown, held_by_share;

/* The code of a pass that failed, except by single removals. */
static int code_of(gc_status status)
{
    if (is_interrupted(status))
        return EXIT_INTERRUPTED;
    if (status == GC_ERROR_INVALID_ARGUMENT)
        return EXIT_USAGE; /* --pod */
    return status == GC_ERROR_UNAVAILABLE ? EXIT_NO_RUNTIME : EXIT_PASS_FAILED;
}

void note_end(gc_pass pass, gc_status status, const gc_report *report, const struct thresholds *thresholds)
{
    int removals_failed = gc_report_count(report, GC_ANY_KIND, GC_FAILED) > 0;
    /* A pass over images fails if a removal failed, one over containers does not. If the disk is still too full, the pass itself failed. */
    int only_removals = status == GC_OK || (pass == GC_PASS_IMAGES && status == GC_ERROR_RUNTIME && removals_failed &&
                                            !is_space_missing(report, thresholds) && !are_inodes_missing(report, thresholds));
    some_failed = some_failed || removals_failed;
    if (!only_removals && failed_pass == EXIT_FINE)
        failed_pass = code_of(status);
}

void note_pods_unknown(void)
{
    pods_unknown = 1;
}

void note_held_by_share(void)
{
    held_by_share = 1;
}

int worst_exit_code(void)
{
    if (failed_pass != EXIT_FINE)
        return failed_pass;
    if (pods_unknown)
        return EXIT_PODS_UNKNOWN;
    if (held_by_share)
        return EXIT_HELD_BY_SHARE;
    return some_failed ? EXIT_SOME_FAILED : EXIT_FINE;
}
