/* SIGTERM and SIGINT, and waits that they end; SIGHUP, SIGPIPE and SIGXFSZ do nothing. A signal handler may not call crigc: it writes
 * to a pipe, and a thread that waits for the pipe cancels the call, or stops the engine. */
#define _POSIX_C_SOURCE 200809L
#include "signals.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "duration.h"

static int wake_up[2] = { -1, -1 }; /* a pipe that is never read, so that every wait ends, also a later one */
static volatile sig_atomic_t interrupted;

void end_waits(void)
{
    interrupted = 1;
    ssize_t written = write(wake_up[1], "x", 1); /* a full pipe ends all waits, too */
    (void)written;
}

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    end_waits();
    errno = saved;
}

int catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART; /* a report that is being written is written to its end */
    /* Neither a terminal that closes, nor a reader that ends, nor a file that may not grow may end a pass. */
    return signal(SIGHUP, SIG_IGN) != SIG_ERR && signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGXFSZ, SIG_IGN) != SIG_ERR &&
           pipe(wake_up) == 0 && fcntl(wake_up[1], F_SETFL, O_NONBLOCK) == 0 && sigaction(SIGTERM, &action, NULL) == 0 &&
           sigaction(SIGINT, &action, NULL) == 0;
}

int was_interrupted(void)
{
    return interrupted;
}

int signal_descriptor(void)
{
    return wake_up[0];
}

int wait_for(long milliseconds, const char *label)
{
    double end = now_seconds() + (double)milliseconds / 1000;
    int count_down = label && isatty(STDERR_FILENO);
    while (!interrupted) {
        double left = end - now_seconds();
        if (milliseconds >= 0 && left <= 0)
            break;
        if (count_down)
            fprintf(stderr, "\r%s: %.0f s ", label, left);
        struct pollfd pipe = { .fd = wake_up[0], .events = POLLIN };
        poll(&pipe, 1, milliseconds < 0 ? -1 : left < 1 ? (int)(left * 1000) + 1 : 1000);
    }
    if (count_down)
        fputs("\r                                                  \r", stderr);
    return interrupted;
}
