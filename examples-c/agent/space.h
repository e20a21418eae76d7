/* How full the disk with the images is, and what holds the space that a pass could not free. */
#ifndef AGENT_SPACE_H
#define AGENT_SPACE_H

#include <stdio.h>
#include "crigc.h"

/* Writes how full the disk was before and after the removals of a pass over images. */
void write_fullness(FILE *to, const gc_report *report);

/* For a pass that freed too little: writes how full the disk is, what holds the rest, and what to do, in a line. */
void write_space_advice(FILE *to, const gc_report *report, const char *low_threshold);

#endif
