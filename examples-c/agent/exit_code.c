/* Which exit code the passes come to. */
#include "exit_code.h"

static int worst = EXIT_FINE;

static int code_of(gc_status status, const gc_report *report)
{
    switch (status) {
    case GC_OK:
        return gc_report_count(report, GC_ANY_KIND, GC_FAILED) > 0 ? EXIT_SOME_FAILED : EXIT_FINE;
    case GC_ERROR_UNAVAILABLE:
        return EXIT_NO_RUNTIME;
    case GC_ERROR_CLOSED:
    case GC_ERROR_CANCELLED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_PASS_FAILED;
    }
}

void note_end(gc_status status, const gc_report *report)
{
    int code = code_of(status, report);
    if (worst == EXIT_FINE || (worst == EXIT_SOME_FAILED && code != EXIT_FINE))
        worst = code;
}

int worst_exit_code(void)
{
    return worst;
}
