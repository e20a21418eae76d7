/* A report as a line of JSON: that of the library, also with parts left out. A quote inside of a string is written `\"`, so
 * the texts that are searched for below stand only where an entry begins. */
#include "json.h"
#include <stdio.h>
#include <string.h>

#define ENTRIES "\"entries\":["
#define ENTRY "{\"kind\":\""

/* Prints all before the entries, those that were not kept, and the end. Entries stand in the order of the report. */
static void print_changes(const char *json, const gc_report *report)
{
    const char *entries = strstr(json, ENTRIES);
    const char *entry = entries ? strstr(entries, ENTRY) : NULL;
    const char *comma = "";
    if (!entry) {
        fputs(json, stdout);
        return;
    }
    fwrite(json, 1, (size_t)(entry - json), stdout);
    for (size_t i = 0; entry && i < gc_report_len(report); i++) {
        const char *next = strstr(entry + 1, ENTRY);
        size_t length = next ? (size_t)(next - entry) - strlen(",") : strlen(entry) - strlen("]}");
        if (gc_report_entry(report, i)->outcome != GC_KEPT) {
            fputs(comma, stdout);
            fwrite(entry, 1, length, stdout);
            comma = ",";
        }
        entry = next;
    }
    fputs("]}", stdout);
}

void print_json(const gc_report *report, int changes_only)
{
    char *json = gc_report_json(report);
    if (!json)
        return;
    const char *rest = json;
    if (gc_report_dry_run(report)) {
        fputs("{\"note\":\"dry run: would remove what has the outcome removed; nothing was removed\",", stdout);
        rest++; /* the brace */
    }
    if (changes_only)
        print_changes(rest, report);
    else
        fputs(rest, stdout);
    putchar('\n');
    gc_string_free(json);
}
