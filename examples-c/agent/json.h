/* A report as a line of JSON. */
#ifndef AGENT_JSON_H
#define AGENT_JSON_H

#include "crigc.h"

/* Prints it on standard output; with `changes_only` without the entries of what was kept. */
void print_json(const gc_report *report, int changes_only);

#endif
