/* How full the disk with the images is, and what holds the space that a pass could not free. */
#ifndef AGENT_SPACE_H
#define AGENT_SPACE_H

#include <stdio.h>
#include "crigc.h"

/* When crigc removes images for space. */
struct thresholds {
    unsigned high, low;     /* image-gc-high-threshold and image-gc-low-threshold, in percent */
    uint64_t min_available; /* image-gc-min-available, in bytes; 0 = off */
    int inodes;             /* image-gc-inode-thresholds */
};

/* Writes how full the disk was before and after the removals of a pass over images. */
void write_fullness(FILE *to, const gc_report *report);

/* Whether the disk was fuller than the high threshold before a pass over images, and is fuller than the low one after it, or has less than
 * the minimum available before and after it. `report` may be NULL. */
int is_space_missing(const gc_report *report, const struct thresholds *thresholds);

/* The same for the disk's inodes and both thresholds, if these hold for them. After a dry run nobody knows. */
int are_inodes_missing(const gc_report *report, const struct thresholds *thresholds);

/* For such a pass: writes how full the disk is, what holds the rest, and what to do, in a line. */
void write_space_advice(FILE *to, const gc_report *report, const struct thresholds *thresholds);

#endif
