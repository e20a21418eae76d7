/* Durations as Go writes them, and a clock to measure with. */
#define _POSIX_C_SOURCE 200809L
#include "duration.h"
#include <limits.h>
#include <string.h>
#include <time.h>

#define DIGITS "0123456789"

/* A unit comes before its own beginning: "ms" before "m". The third and the fourth are the two signs for micro in UTF-8. */
static const struct unit {
    const char *name;
    double milliseconds;
} units[] = {
    { "ms", 1 }, { "us", 1e-3 }, { "\xc2\xb5s", 1e-3 }, { "\xce\xbcs", 1e-3 }, { "ns", 1e-6 }, { "h", 3600e3 }, { "m", 60e3 }, { "s", 1e3 },
};

/* The unit at the beginning of a text; NULL if there is none. */
static const struct unit *unit_at(const char *text)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strncmp(text, units[i].name, strlen(units[i].name)) == 0)
            return &units[i];
    return NULL;
}

/* The number at the beginning of a text, such as 1, 1.5, .5 or 1., and where it ends; NULL if there is none. strtod reads others, too. */
static const char *read_number(const char *text, double *value)
{
    size_t digits = strspn(text, DIGITS);
    double place = 1;
    for (*value = 0; strspn(text, DIGITS) > 0; text++)
        *value = *value * 10 + (*text - '0');
    if (*text != '.')
        return digits > 0 ? text : NULL;
    for (text++; strspn(text, DIGITS) > 0; text++, digits++)
        *value += (*text - '0') * (place /= 10);
    return digits > 0 ? text : NULL;
}

long milliseconds_of(const char *text)
{
    double total = 0;
    text += *text == '+';
    if (strcmp(text, "0") == 0)
        return 0;
    do {
        double value;
        text = read_number(text, &value);
        const struct unit *unit = text ? unit_at(text) : NULL;
        if (!unit)
            return -1;
        total += value * unit->milliseconds;
        text += strlen(unit->name);
    } while (*text);
    return total > (double)(LONG_MAX / 2) ? LONG_MAX / 2 : (long)total;
}

double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
