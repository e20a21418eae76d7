/* A report as a line of JSON: that of the library, in the words of a command line, but a dry run says "would-remove" of what it would remove, a pass that was
 * interrupted says "broken-off" of what was under way, and entries can be left out. A quote inside of a string is written `\"`, so the
 * texts that are searched for below stand only where an entry begins. */
#define _POSIX_C_SOURCE 200809L
#include "json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tally.h"
#include "words.h"

#define ENTRIES "\"entries\":["
#define ENTRY "{\"kind\":\""
#define OUTCOME "\"outcome\":\""

/* The agent's own word for the outcome of an entry; NULL = the library's. */
static const char *word_of(const gc_report *report, const gc_entry *entry)
{
    if (entry->outcome == GC_REMOVED && gc_report_dry_run(report))
        return "would-remove";
    return outcome_of(report, entry) == BROKEN_OFF ? "broken-off" : NULL;
}

/* Prints an entry with another word for its outcome. */
static void print_with_word(const char *entry, size_t length, const char *word)
{
    const char *outcome = strstr(entry, OUTCOME) + strlen(OUTCOME);
    size_t before = (size_t)(outcome - entry), behind = before + strcspn(outcome, "\"");
    fwrite(entry, 1, before, stdout);
    fputs(word, stdout);
    fwrite(entry + behind, 1, length - behind, stdout);
}

/* Prints entries, which stand in the order of the report. */
static void print_entries_of(const char *entry, const gc_report *report, int changes_only)
{
    const char *comma = "";
    for (size_t i = 0; entry && i < gc_report_len(report); i++) {
        const char *next = strstr(entry + 1, ENTRY);
        size_t length = next ? (size_t)(next - entry) - strlen(",") : strlen(entry) - strlen("]}");
        const gc_entry *decided = gc_report_entry(report, i);
        if (!changes_only || decided->outcome != GC_KEPT) {
            const char *word = word_of(report, decided);
            fputs(comma, stdout);
            if (word)
                print_with_word(entry, length, word);
            else
                fwrite(entry, 1, length, stdout);
            comma = ",";
        }
        entry = next;
    }
}

/* The JSON of the library with its messages in the words of a command line; to be freed. NULL = no memory. */
static char *json_in_words(const gc_report *report)
{
    char *of_library = gc_report_json(report), *in_words = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&in_words, &size);
    if (of_library && to)
        write_message(to, of_library);
    int failed = !of_library || !to;
    if (to && fclose(to) != 0)
        failed = 1;
    gc_string_free(of_library);
    if (failed) {
        free(in_words);
        return NULL;
    }
    return in_words;
}

void print_json(const gc_report *report, int changes_only)
{
    char *json = json_in_words(report);
    if (!json) {
        fputs("error: no memory for the report\n", stderr);
        return;
    }
    const char *entries = strstr(json, ENTRIES);
    const char *entry = entries ? strstr(entries, ENTRY) : NULL;
    if (entry) {
        fwrite(json, 1, (size_t)(entry - json), stdout);
        print_entries_of(entry, report, changes_only);
        puts("]}");
    } else {
        puts(json);
    }
    free(json);
}
