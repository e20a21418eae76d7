/* Images that image-gc-exempt keeps from crigc, and nothing from a kubelet: it does not know that key, and keeps what the runtime has
 * pinned. A report has the reason "exempt" only of images that are not pinned, because "pinned" comes first. */
#include "pins.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "output.h"

enum { NAMED = 3, MOST_TOLD = 1024 };

static uint64_t told[MOST_TOLD]; /* hashes of the IDs */
static size_t count_told;

/* FNV-1a. */
static uint64_t hash(const char *text)
{
    uint64_t value = UINT64_C(14695981039346656037);
    for (; *text; text++)
        value = (value ^ (uint64_t)(unsigned char)*text) * UINT64_C(1099511628211);
    return value;
}

/* Notes the image; 0 = it has been told of, or too many have. */
static int is_news(const char *id)
{
    uint64_t value = hash(id);
    for (size_t i = 0; i < count_told; i++)
        if (told[i] == value)
            return 0;
    if (count_told == MOST_TOLD)
        return 0;
    told[count_told++] = value;
    return 1;
}

static int is_exempt(const gc_entry *entry)
{
    return entry->kind == GC_IMAGE && entry->outcome == GC_KEPT && strcmp(entry->reason, "exempt") == 0;
}

void advise_pins(const gc_report *report)
{
    size_t found = 0;
    lock_output();
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        if (!is_exempt(entry) || !is_news(entry->id) || found++ >= NAMED)
            continue;
        fputs(found == 1 ? "agent: image-gc-exempt binds crigc alone: the kubelet may still remove " : ", ", stderr);
        fputs(entry->name[0] ? entry->name : entry->id, stderr);
    }
    if (found > NAMED)
        fprintf(stderr, " and %zu more", found - NAMED);
    if (found > 0)
        fputs("; pin them in the runtime, by `ctr --namespace k8s.io images label IMAGE io.cri-containerd.pinned=pinned` for "
              "containerd, or pinned_images in the table crio.image of CRI-O's configuration\n",
              stderr);
    unlock_output();
}
