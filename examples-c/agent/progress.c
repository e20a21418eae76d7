/* How far the removals are: a bar on a terminal, else a line now and then. */
#define _POSIX_C_SOURCE 200809L
#include "progress.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "duration.h"
#include "output.h"
#include "tally.h"
#include "words.h"

#define WIDTH 30

/* What was shown of each kind; one thread reports a kind. */
static struct shown {
    size_t done, total;
    double time;
    int is_bar, is_shown;
} all_shown[GC_IMAGE + 1];

static void draw(gc_kind kind, size_t done, size_t total)
{
    char squares[WIDTH + 1], bar[WIDTH + 64];
    memset(squares, '.', WIDTH);
    memset(squares, '#', total ? done * WIDTH / total : WIDTH);
    squares[WIDTH] = '\0';
    snprintf(bar, sizeof bar, "[%s] %zu/%zu", squares, done, total);
    draw_bar(kind_name(kind), bar);
}

static void show(gc_kind kind, size_t done, size_t total)
{
    struct shown *shown = &all_shown[kind];
    shown->is_shown = 1;
    shown->done = done;
    if (shown->is_bar) {
        draw(kind, done, total);
        return;
    }
    lock_output();
    fprintf(stderr, "%s: %zu of %zu\n", kind_name(kind), done, total);
    unlock_output();
}

/* Draws ten times a second at most, or writes a line every five seconds at most. */
void on_progress(void *context, gc_kind kind, size_t done, size_t total)
{
    const int *may_draw = context;
    if (kind < GC_CONTAINER || kind > GC_IMAGE)
        return;
    struct shown *shown = &all_shown[kind];
    double now = now_seconds();
    if (done == 1) {
        int is_bar = *may_draw && isatty(STDERR_FILENO);
        *shown = (struct shown){ .time = is_bar ? 0 : now, .is_bar = is_bar }; /* a bar is drawn at once */
    }
    shown->total = total;
    int is_last = shown->is_bar && done == total;
    if (!is_last && now - shown->time < (shown->is_bar ? 0.1 : 5.0))
        return;
    shown->time = now;
    show(kind, done, total);
}

/* A pass that ends early reports no progress of its last removals; its report has them. */
void end_progress(gc_pass pass, const gc_report *report)
{
    gc_kind last = pass == GC_PASS_IMAGES ? GC_IMAGE : GC_LOG_LINK;
    for (gc_kind kind = pass == GC_PASS_IMAGES ? GC_IMAGE : GC_CONTAINER; kind <= last; kind++) {
        struct shown *shown = &all_shown[kind];
        size_t done = gc_report_count(report, kind, GC_REMOVED) + gc_report_count(report, kind, GC_FAILED) -
                      count_broken_off(report, kind);
        if (shown->is_shown && shown->done != done)
            show(kind, done, shown->total > done ? shown->total : done);
        *shown = (struct shown){ .is_shown = 0 };
    }
}
