/* Collects a node once: collect [SOCKET] [--apply] [KEY=VALUE]... Without --apply it only prints what it would remove: --apply is
 * dry-run=false. docs/linking.md says how to link it. */
#include <stdio.h>
#include <string.h>
#include "crigc.h"

/* Sets a key from KEY=VALUE, which it cuts into both, or the runtime's socket. */
static void set(gc_config *config, char *setting, gc_error **error)
{
    char *end = strchr(setting, '=');
    if (strcmp(setting, "--apply") == 0) {
        gc_config_set(config, "dry-run", "false", error);
        return;
    }
    if (!end) {
        gc_config_set(config, "container-runtime-endpoint", setting, error);
        return;
    }
    *end = '\0';
    gc_config_set(config, setting, end + 1, error);
}

int main(int argc, char **argv)
{
    if (gc_abi() != GC_ABI) {
        fprintf(stderr, "collect was built for another libcrigc.so: that has GC_ABI %u, not %u\n", gc_abi(), GC_ABI);
        return 1;
    }
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_config *config = gc_config_new(); /* the kubelet's defaults */
    gc_config_set(config, "dry-run", "true", &error);
    for (int i = 1; i < argc && !error; i++)
        set(config, argv[i], &error);
    gc_engine *engine = error ? NULL : gc_engine_new(config, &error);
    if (engine)
        gc_containers(engine, 0, NULL, &report, &error);
    if (error)
        fprintf(stderr, "%s: %s\n", gc_status_name(gc_error_status(error)), gc_error_message(error));
    for (size_t i = 0; i < gc_report_len(report); i++) {
        const gc_entry *entry = gc_report_entry(report, i);
        printf("%s %s (%s): %s\n", gc_outcome_name(entry->outcome), entry->id, entry->name, entry->reason);
    }
    int code = error ? 1 : 0;
    gc_report_free(report);
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
    return code;
}
