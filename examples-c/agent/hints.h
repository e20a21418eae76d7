/* Finds the option that a misspelt one was meant to be. */
#ifndef AGENT_HINTS_H
#define AGENT_HINTS_H

#include <stddef.h>

/* How far a name that a person typed is from the name of an option: the number of slips, or 1 if it is its beginning; a number
 * above most_slips if they have too little in common. */
size_t slips_between(const char *typed, const char *name);

/* How many slips a name of this length may have and still be taken for a misspelt option. */
size_t most_slips(const char *typed);

#endif
