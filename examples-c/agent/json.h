/* A report as a line of JSON. */
#ifndef AGENT_JSON_H
#define AGENT_JSON_H

#include "crigc.h"

/* Prints it on standard output; with `changes_only` without the entries of what was kept. */
void print_json(const gc_report *report, int changes_only);

/* Prints the same with those entries alone that are not 0 in `explained`, each with an "explanation". */
void print_json_explained(const gc_report *report, const char *explained);

#endif
