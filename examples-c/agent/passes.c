/* What is printed when a pass has ended: a summary for a person, or JSON for a program. It also notes the exit code. */
#include "passes.h"
#include <stdio.h>
#include <unistd.h>
#include "exit_code.h"
#include "json.h"
#include "output.h"
#include "pins.h"
#include "progress.h"
#include "signals.h"
#include "summary.h"

static void print_for_a_program(const struct pass_printer *printer, const struct ended_pass *ended)
{
    print_json(ended->report, printer->changes_only);
    if (!ended->error)
        return;
    fputs("agent: ", stderr);
    write_end(stderr, ended);
}

/* Why a pass failed in which an object is looked for. That too little space is free is no failure of a search. */
static void print_failure(const struct ended_pass *ended)
{
    int has_failed = ended->error && ended->status != GC_ERROR_NOT_ENOUGH_FREED;
    note_end(ended->pass, has_failed ? ended->status : GC_OK, NULL, NULL);
    if (!has_failed)
        return;
    fprintf(stderr, "agent: %s: ", ended->pass == GC_PASS_IMAGES ? "images" : "containers");
    write_end(stderr, ended);
}

static void print_for_a_person(struct pass_printer *printer, const struct ended_pass *ended)
{
    int *has_printed = &printer->has_printed[ended->pass == GC_PASS_IMAGES];
    print_headline(ended);
    if (printer->verbose)
        print_entries(ended);
    /* The tables of a pass that changed nothing are printed once: those of the next pass are the same. */
    if (*has_printed && !has_news(ended))
        return;
    *has_printed = 1;
    print_tables(ended, printer->verbose);
    print_next(ended);
}

/* A callback cannot read the metrics: whoever writes them is woken. A full pipe does that, too. */
static void tell_end(const struct pass_printer *printer)
{
    ssize_t written = printer->ended < 0 ? 0 : write(printer->ended, "x", 1);
    (void)written;
}

void on_pass(void *context, gc_pass pass, gc_status status, const gc_report *report, const gc_error *error)
{
    struct pass_printer *printer = context;
    struct ended_pass ended = {
        .pass = pass,
        .status = status,
        .dry_run = report ? gc_report_dry_run(report) : printer->dry_run,
        .report = report,
        .error = error,
        .period = printer->periods[pass == GC_PASS_IMAGES],
        .is_last = was_interrupted(),
        .thresholds = &printer->thresholds,
        .to_apply = printer->to_apply,
    };
    if (printer->quiet)
        return;
    end_progress(pass, report);
    lock_output();
    if (printer->explains) {
        print_failure(&ended);
        unlock_output();
        return;
    }
    note_end(pass, status, report, &printer->thresholds);
    if (printer->json)
        print_for_a_program(printer, &ended);
    else
        print_for_a_person(printer, &ended);
    unlock_output();
    if (pass == GC_PASS_IMAGES && printer->beside_kubelet)
        advise_pins(report);
    output_is_written(); /* says so if it is not; passes go on */
    tell_end(printer);
}
