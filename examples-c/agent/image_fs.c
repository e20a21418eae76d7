/* How full the image filesystem is, by a file. */
#include "image_fs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "output.h"

#define BLANKS " \t\r\n"

/* Reads two or four numbers and nothing else. */
static int read_usage(const char *line, gc_fs_usage *usage)
{
    uint64_t *figures[] = { &usage->capacity, &usage->available, &usage->inodes, &usage->inodes_free };
    size_t count = 0;
    if (line[strspn(line, "0123456789" BLANKS)] != '\0')
        return 0;
    for (char *end; count < sizeof figures / sizeof *figures; line = end, count++) {
        *figures[count] = strtoull(line, &end, 10);
        if (end == line)
            break;
    }
    return (count == 2 || count == 4) && line[strspn(line, BLANKS)] == '\0';
}

int32_t image_fs_from_file(void *context, gc_fs_usage *usage)
{
    const char *path = context;
    char line[128];
    FILE *file = fopen(path, "re");
    if (!file) {
        say("cannot read --image-fs-file %s: %s", path, strerror(errno));
        return 0;
    }
    int read = fgets(line, sizeof line, file) && read_usage(line, usage);
    fclose(file);
    if (!read)
        say("--image-fs-file %s: its first line is not two numbers, capacity and available in bytes, or four with the number "
            "of inodes and how many are free", path);
    return read;
}
