/* Times as RFC 3339 writes them, read without the time zone and the locale of the process. */
#include "rfc3339.h"
#include <string.h>

/* Reads exactly `count` digits. */
static int read_digits(const char **at, int count, int *value)
{
    for (*value = 0; count > 0; count--, (*at)++) {
        if (**at < '0' || **at > '9')
            return 0;
        *value = *value * 10 + (**at - '0');
    }
    return 1;
}

/* Reads one character that is in `set`. */
static int read_one_of(const char **at, const char *set)
{
    return **at && strchr(set, **at) && (*at)++;
}

static int is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Reads YYYY-MM-DD: days since the epoch; -1 if there is no such day, or nanoseconds since the epoch cannot hold it. */
static int64_t read_days(const char **at)
{
    int year, month, day;
    if (!read_digits(at, 4, &year) || !read_one_of(at, "-") || !read_digits(at, 2, &month) || !read_one_of(at, "-") ||
        !read_digits(at, 2, &day))
        return -1;
    if (year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return -1;
    int64_t days = day - 1;
    for (int y = 1970; y < year; y++)
        days += 365 + is_leap(y);
    for (int m = 1; m < month; m++)
        days += days_in(year, m);
    return days;
}

/* Reads HH:MM:SS: seconds since midnight; -1 if there is no such time. A leap second has the number 60. */
static int read_seconds(const char **at)
{
    int hour, minute, second;
    if (!read_digits(at, 2, &hour) || !read_one_of(at, ":") || !read_digits(at, 2, &minute) || !read_one_of(at, ":") ||
        !read_digits(at, 2, &second))
        return -1;
    return hour > 23 || minute > 59 || second > 60 ? -1 : (hour * 60 + minute) * 60 + second;
}

/* Reads a fraction of a second, if there is one: nanoseconds; -1 for a point without digits. */
static int64_t read_fraction(const char **at)
{
    int64_t fraction = 0, unit = 100000000;
    int digit;
    if (!read_one_of(at, "."))
        return 0;
    if (!read_digits(at, 1, &digit))
        return -1;
    do {
        fraction += digit * unit;
        unit /= 10;
    } while (read_digits(at, 1, &digit));
    return fraction;
}

/* Reads Z, or +HH:MM east of Greenwich, or -HH:MM west of it: its seconds. */
static int read_zone(const char **at, int *seconds)
{
    int hour, minute, sign = **at == '-' ? -1 : 1;
    *seconds = 0;
    if (read_one_of(at, "Zz"))
        return 1;
    if (!read_one_of(at, "+-") || !read_digits(at, 2, &hour) || !read_one_of(at, ":") || !read_digits(at, 2, &minute))
        return 0;
    *seconds = sign * (hour * 60 + minute) * 60;
    return hour <= 23 && minute <= 59;
}

int64_t nanoseconds_of(const char *text)
{
    const char *at = text;
    int zone;
    int64_t days = read_days(&at);
    if (days < 0 || !read_one_of(&at, "Tt"))
        return -1;
    int seconds = read_seconds(&at);
    if (seconds < 0)
        return -1;
    int64_t fraction = read_fraction(&at);
    if (fraction < 0 || !read_zone(&at, &zone) || *at)
        return -1;
    int64_t since = days * 86400 + seconds - zone;
    return since < 0 ? -1 : since * 1000000000 + fraction;
}
