/* Looks at a node once and prints what would go. Link: see README.md in this directory. */
#include <stdio.h>
#include "crigc.h"

int main(void)
{
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_config *config = gc_config_new();
    gc_engine *engine = gc_engine_new(config, &error);
    gc_status status = gc_containers(engine, GC_DRY_RUN, NULL, &report, &error);
    if (status != GC_OK)
        fprintf(stderr, "%s: %s\n", gc_status_name(status), gc_error_message(error));
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        printf("%s %s (%s): %s\n", entry->outcome == GC_REMOVED ? "would remove" : "keeps", entry->id, entry->name, entry->reason);
    }
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
    return status == GC_OK ? 0 : 1;
}
