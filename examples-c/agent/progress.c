/* How far the removals are: a bar on a terminal, else a line now and then. */
#define _POSIX_C_SOURCE 200809L
#include "progress.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "duration.h"
#include "output.h"
#include "words.h"

#define WIDTH 30

static void draw(gc_kind kind, size_t done, size_t total)
{
    char squares[WIDTH + 1], bar[WIDTH + 64];
    memset(squares, '.', WIDTH);
    memset(squares, '#', total ? done * WIDTH / total : WIDTH);
    squares[WIDTH] = '\0';
    snprintf(bar, sizeof bar, "[%s] %zu/%zu", squares, done, total);
    draw_bar(kind_name(kind), bar);
    if (done == total) {
        lock_output(); /* ends the line */
        unlock_output();
    }
}

/* Draws ten times a second at most, or writes a line every five seconds at most, and always the last one. */
void on_progress(void *context, gc_kind kind, size_t done, size_t total)
{
    static double last[GC_IMAGE + 1]; /* one thread reports each kind */
    (void)context;
    if (kind < GC_CONTAINER || kind > GC_IMAGE)
        return;
    int terminal = isatty(STDERR_FILENO);
    double now = now_seconds();
    if (done == 1)
        last[kind] = now;
    if (done < total && now - last[kind] < (terminal ? 0.1 : 5.0))
        return;
    last[kind] = now;
    if (terminal) {
        draw(kind, done, total);
        return;
    }
    lock_output();
    fprintf(stderr, "%s: %zu of %zu\n", kind_name(kind), done, total);
    unlock_output();
}
