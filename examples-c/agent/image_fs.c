/* How full the image filesystem is, by a file. */
#include "image_fs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "output.h"

#define BLANKS " \t\r\n"

/* Reads two numbers and nothing else. */
static int read_usage(const char *line, gc_fs_usage *usage)
{
    char *first, *second;
    if (line[strspn(line, "0123456789" BLANKS)] != '\0')
        return 0;
    usage->capacity = strtoull(line, &first, 10);
    usage->available = strtoull(first, &second, 10);
    return second != first && second[strspn(second, BLANKS)] == '\0';
}

int32_t image_fs_from_file(void *context, gc_fs_usage *usage)
{
    const char *path = context;
    char line[64];
    FILE *file = fopen(path, "re");
    if (!file) {
        say("cannot read --image-fs-file %s: %s", path, strerror(errno));
        return 0;
    }
    int read = fgets(line, sizeof line, file) && read_usage(line, usage);
    fclose(file);
    if (!read)
        say("--image-fs-file %s: its first line is not two numbers, capacity and available in bytes", path);
    return read;
}
