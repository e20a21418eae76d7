/* Durations as Go writes them, and a clock to measure with. */
#define _POSIX_C_SOURCE 200809L
#include "duration.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A unit comes before its own beginning: "ms" before "m". */
static const struct unit {
    const char *name;
    double milliseconds;
} units[] = {
    { "ms", 1 }, { "us", 1e-3 }, { "ns", 1e-6 }, { "h", 3600e3 }, { "m", 60e3 }, { "s", 1e3 },
};

/* The unit at the beginning of a text; NULL if there is none. */
static const struct unit *unit_at(const char *text)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strncmp(text, units[i].name, strlen(units[i].name)) == 0)
            return &units[i];
    return NULL;
}

long milliseconds_of(const char *text)
{
    double total = 0;
    if (strcmp(text, "0") == 0)
        return 0;
    do {
        char *end;
        if (*text < '0' || *text > '9')
            return -1;
        double value = strtod(text, &end);
        const struct unit *unit = unit_at(end);
        if (!unit)
            return -1;
        total += value * unit->milliseconds;
        text = end + strlen(unit->name);
    } while (*text);
    return total > (double)(LONG_MAX / 2) ? LONG_MAX / 2 : (long)total;
}

double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
