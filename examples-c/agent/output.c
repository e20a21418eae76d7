/* What several threads write to standard output and standard error. */
#define _POSIX_C_SOURCE 200809L
#include "output.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static const char *bar_label; /* of the bar at the cursor; NULL = there is none */

void lock_output(void)
{
    pthread_mutex_lock(&output);
    if (bar_label)
        fputc('\n', stderr);
    bar_label = NULL;
}

void unlock_output(void)
{
    pthread_mutex_unlock(&output);
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lock_output();
    fputs("agent: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    unlock_output();
    va_end(arguments);
}

void say_error(gc_error *error)
{
    say("%s: %s", gc_status_name(gc_error_status(error)), gc_error_message(error));
    gc_error_free(error);
}

void draw_bar(const char *label, const char *bar)
{
    pthread_mutex_lock(&output);
    fprintf(stderr, "%s%-10s %s ", bar_label && bar_label != label ? "\n" : "\r", label, bar);
    bar_label = label;
    pthread_mutex_unlock(&output);
}
