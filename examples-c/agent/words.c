/* Words for kinds of objects and for sizes. */
#include "words.h"
#include <stdio.h>

const char *kind_name(gc_kind kind)
{
    static const char *const names[] = { "containers", "sandboxes", "pod logs", "log links", "images" };
    return kind >= GC_CONTAINER && kind <= GC_IMAGE ? names[kind] : "objects";
}

const char *bytes_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}
