/* A report as a line of JSON: that of the library, but a dry run says "would-remove" of what it would remove, and entries can be
 * left out. A quote inside of a string is written `\"`, so the texts that are searched for below stand only where an entry begins. */
#include "json.h"
#include <stdio.h>
#include <string.h>

#define ENTRIES "\"entries\":["
#define ENTRY "{\"kind\":\""
#define REMOVED "\"outcome\":\"removed\""
#define WOULD_REMOVE "\"outcome\":\"would-remove\""

/* Prints an entry; of a dry run with what would happen to its object. */
static void print_entry(const char *entry, size_t length, int would_be_removed)
{
    const char *outcome = would_be_removed ? strstr(entry, REMOVED) : NULL;
    if (!outcome) {
        fwrite(entry, 1, length, stdout);
        return;
    }
    size_t before = (size_t)(outcome - entry), behind = before + strlen(REMOVED);
    fwrite(entry, 1, before, stdout);
    fputs(WOULD_REMOVE, stdout);
    fwrite(entry + behind, 1, length - behind, stdout);
}

/* Prints entries, which stand in the order of the report. */
static void print_entries_of(const char *entry, const gc_report *report, int changes_only)
{
    const char *comma = "";
    for (size_t i = 0; entry && i < gc_report_len(report); i++) {
        const char *next = strstr(entry + 1, ENTRY);
        size_t length = next ? (size_t)(next - entry) - strlen(",") : strlen(entry) - strlen("]}");
        gc_outcome outcome = gc_report_entry(report, i)->outcome;
        if (!changes_only || outcome != GC_KEPT) {
            fputs(comma, stdout);
            print_entry(entry, length, gc_report_dry_run(report) && outcome == GC_REMOVED);
            comma = ",";
        }
        entry = next;
    }
}

void print_json(const gc_report *report, int changes_only)
{
    char *json = gc_report_json(report);
    if (!json)
        return;
    const char *entries = strstr(json, ENTRIES);
    const char *entry = entries ? strstr(entries, ENTRY) : NULL;
    if (entry) {
        fwrite(json, 1, (size_t)(entry - json), stdout);
        print_entries_of(entry, report, changes_only);
        puts("]}");
    } else {
        puts(json);
    }
    gc_string_free(json);
}
