/* Finds the option that a misspelt one was meant to be. A slip is a letter too many, one too few, a wrong one, or two that
 * changed places. */
#include "hints.h"
#include <string.h>

enum { LONGEST = 40 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t most_slips(const char *typed)
{
    size_t third = strlen(typed) / 3;
    return third < 1 ? 1 : least(third, 2);
}

size_t slips_between(const char *typed, const char *name)
{
    size_t rows[LONGEST + 1][LONGEST + 1]; /* rows[i][j]: between the first i letters and the first j */
    size_t length = strlen(typed), end = strlen(name);
    if (length > LONGEST || end > LONGEST)
        return LONGEST;
    if (length >= 3 && strncmp(typed, name, length) == 0)
        return length == end ? 0 : 1;
    for (size_t i = 0; i <= length; i++)
        for (size_t j = 0; j <= end; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            int differ = typed[i - 1] != name[j - 1];
            rows[i][j] = least(rows[i - 1][j - 1] + (size_t)differ, 1 + least(rows[i - 1][j], rows[i][j - 1]));
            if (i > 1 && j > 1 && typed[i - 1] == name[j - 2] && typed[i - 2] == name[j - 1])
                rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    return rows[length][end];
}
