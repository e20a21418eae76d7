/* Collects a node once; without --apply it only prints what it would remove. docs/linking.md says how to link it. */
#include <stdio.h>
#include <string.h>
#include "crigc.h"

int main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--apply") != 0)) {
        fprintf(stderr, "usage: collect [--apply]; without it nothing is removed\n");
        return 2;
    }
    unsigned flags = argc == 2 ? 0 : GC_DRY_RUN;
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_config *config = gc_config_new(); /* the kubelet's defaults */
    gc_engine *engine = gc_engine_new(config, &error);
    gc_status status = engine ? gc_containers(engine, flags, NULL, &report, &error) : gc_error_status(error);
    if (status != GC_OK)
        fprintf(stderr, "%s: %s\n", gc_status_name(status), gc_error_message(error));
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        const char *what = entry->outcome == GC_REMOVED ? "removed" : entry->outcome == GC_FAILED ? "failed" : "kept";
        printf("%s %s (%s): %s\n", what, entry->id, entry->name, entry->reason);
    }
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
    return status == GC_OK ? 0 : 1;
}
