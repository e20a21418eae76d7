/* --explain: why a pass would remove or keep one object. */
#ifndef AGENT_EXPLAIN_H
#define AGENT_EXPLAIN_H

#include "crigc.h"

enum { MOST_REPORTS = 2 };

/* The reports of dry runs in which an object is looked for. */
struct looked_at {
    gc_report *reports[MOST_REPORTS];
    size_t count;
};

/* Takes a report over, if there is room. */
void look_at(struct looked_at *looked, gc_report *report);

/* Prints what `wanted` names, as JSON or for a person: a container, sandbox or image by its ID or the beginning of that, an image by its
 * tag, a pod by its UID or its namespace and name, or logs by their path. Then frees the reports. Returns EXIT_FINE, EXIT_NOT_FOUND if
 * there is no such object, EXIT_USAGE if it may be one of several, or EXIT_PASS_FAILED without memory. */
int explain(struct looked_at *looked, const char *wanted, int as_json);

#endif
