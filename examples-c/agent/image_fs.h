/* How full the image filesystem is, by a file. */
#ifndef AGENT_IMAGE_FS_H
#define AGENT_IMAGE_FS_H

#include "crigc.h"

/* A gc_image_fs_fn. Its context is the path of a file with a line of two numbers, capacity and available in
 * bytes, or of four, with the number of inodes and how many are free. */
int32_t image_fs_from_file(void *context, gc_fs_usage *usage);

#endif
