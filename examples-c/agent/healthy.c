/* --healthy. An agent writes its file of metrics after each pass, and while a pass gets answers of the runtime. So the file of an agent that
 * gets on is never much older than a period. Whether passes succeed is another question, which its metrics answer: to start an agent
 * again because there is no runtime would help nobody. */
#define _POSIX_C_SOURCE 200809L
#include "healthy.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "duration.h"
#include "exit_code.h"
#include "output.h"

enum { PERIODS = 3, LEAST_AGE = 60, MOST_LINE = 512, MOST_LINES = 10000 }; /* the age in seconds */

/* The shortest period that the file names, in seconds; 0 = it names none, as that of an agent with --once. */
static double period_in(FILE *file)
{
    static const char name[] = "crigc_period_seconds{";
    char line[MOST_LINE];
    double shortest = 0;
    for (int i = 0; i < MOST_LINES && fgets(line, sizeof line, file); i++) {
        const char *end = strstr(line, "} ");
        double period = strncmp(line, name, sizeof name - 1) == 0 && end ? strtod(end + 2, NULL) : 0;
        if (period > 0 && (period < shortest || shortest <= 0))
            shortest = period;
    }
    return shortest;
}

static double seconds(const gc_config *config, const char *key)
{
    char *text = gc_config_get(config, key, NULL);
    double time = text ? (double)milliseconds_of(text) / 1000 : 0;
    gc_string_free(text);
    return time;
}

/* That of containers, or if they are not collected that of images. */
static double configured_period(const gc_config *config)
{
    double period = seconds(config, "container-gc-period");
    return period > 0 ? period : seconds(config, "image-gc-period");
}

/* `answer`: how long one call of the runtime may take; meanwhile nothing is written. */
static int judge(const char *path, double age, double period, double answer)
{
    double limit = (PERIODS * period < LEAST_AGE ? LEAST_AGE : PERIODS * period) + answer;
    if (age > limit) {
        say("%s is %.0f s old, and may be %.0f s old (%d periods and runtime-request-timeout): since then no pass has ended, and no "
            "call of the runtime", path, age, limit, PERIODS);
        return EXIT_NOT_HEALTHY;
    }
    if (age < -limit) {
        say("%s was written %.0f s from now; has the clock been set back?", path, -age);
        return EXIT_NOT_HEALTHY;
    }
    return EXIT_FINE;
}

/* The file that an agent wrote; NULL if there is none, which is said. Its directory may belong to another user, who could put a link to a
 * device there, or a pipe: reading them would never end. */
static FILE *open_file(const char *path, struct stat *status)
{
    FILE *file = NULL;
    int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int is_there = descriptor >= 0 && fstat(descriptor, status) == 0;
    if (is_there && !S_ISREG(status->st_mode))
        say("cannot read %s: it is not a regular file", path);
    else if (!is_there || !(file = fdopen(descriptor, "r")))
        say("cannot read %s: %s", path, strerror(errno));
    if (!file && descriptor >= 0)
        close(descriptor);
    return file;
}

int check_health(const char *path, const gc_config *config)
{
    struct stat status;
    struct timespec now;
    FILE *file = open_file(path, &status);
    if (!file)
        return EXIT_NOT_HEALTHY;
    double period = period_in(file);
    fclose(file);
    clock_gettime(CLOCK_REALTIME, &now);
    double age = difftime(now.tv_sec, status.st_mtim.tv_sec);
    period = period > 0 ? period : configured_period(config);
    return judge(path, age, period, seconds(config, "runtime-request-timeout"));
}
