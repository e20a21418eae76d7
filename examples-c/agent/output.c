/* What several threads write to standard output and standard error. */
#define _POSIX_C_SOURCE 200809L
#include "output.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "words.h"

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static const char *bar_label; /* of the bar at the cursor; NULL = there is none */

void occupy_streams(void)
{
    /* It gets the lowest free number. What is written to it fails, as it would have without it. */
    int last;
    do
        last = open("/dev/null", O_RDONLY);
    while (last >= 0 && last <= STDERR_FILENO);
    if (last >= 0)
        close(last);
}

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

void say_message(const char *before, const char *message)
{
    lock_output();
    fprintf(stderr, "agent: %s", before);
    write_message(stderr, message);
    fputc('\n', stderr);
    unlock_output();
}

void say_error(gc_error *error)
{
    char before[64];
    snprintf(before, sizeof before, "%s: ", status_text(gc_error_status(error)));
    say_message(before, gc_error_message(error));
    gc_error_free(error);
}

int output_is_written(void)
{
    static int has_failed;
    lock_output();
    errno = 0;
    int fails_now = (fflush(stdout) != 0 || ferror(stdout)) && !has_failed;
    const char *why = errno ? strerror(errno) : "it failed";
    has_failed = has_failed || fails_now;
    int is_written = !has_failed;
    unlock_output();
    if (fails_now)
        say("cannot write to standard output: %s; reports are lost", why);
    return is_written;
}

void draw_bar(const char *label, const char *bar)
{
    pthread_mutex_lock(&output);
    fprintf(stderr, "%s%-10s %s ", bar_label && bar_label != label ? "\n" : "\r", label, bar);
    bar_label = label;
    pthread_mutex_unlock(&output);
}
