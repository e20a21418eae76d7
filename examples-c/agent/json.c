/* A report as a line of JSON: that of the library, in the words of a command line, but a dry run says "would-remove" of what it would remove, a pass that was
 * interrupted says "broken-off" of what was under way, entries can be left out, and others explained. A quote inside of a string is written `\"`, so the
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

/* Writes JSON with its errors in the words of a command line. Names and IDs stay as they are. */
static void write_errors_in_words(FILE *to, char *json)
{
    static const char field[] = "\"error\":\"";
    char *error;
    while ((error = strstr(json, field)) != NULL) {
        error += sizeof field - 1;
        char *end = error;
        while (*end && *end != '"')
            end += *end == '\\' && end[1] ? 2 : 1;
        char behind = *end;
        fwrite(json, 1, (size_t)(error - json), to);
        *end = '\0';
        write_message(to, error);
        *end = behind;
        json = end;
    }
    fputs(json, to);
}

static void write_in_words(FILE *to, char *text)
{
    write_message(to, text);
}

/* A text of the library in the words of a command line, to be freed; frees the library's. NULL = no memory. */
static char *in_words_of(char *of_library, void (*write)(FILE *to, char *text))
{
    char *in_words = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&in_words, &size);
    if (of_library && to)
        write(to, of_library);
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

/* Prints the last field of an entry, and its end. Texts of the library have no control characters. */
static void print_explanation(const gc_report *report, size_t index)
{
    char *text = in_words_of(gc_report_explain(report, index), write_in_words);
    fputs(",\"explanation\":\"", stdout);
    for (const char *at = text ? text : ""; *at; at++) {
        if (*at == '"' || *at == '\\')
            putchar('\\');
        putchar(*at);
    }
    fputs("\"}", stdout);
    free(text);
}

/* The entries to print. */
struct choice {
    int changes_only;
    const char *explained; /* these alone, which are not 0, with an explanation; NULL = without */
};

static int is_chosen(const struct choice *choice, const gc_report *report, size_t index)
{
    if (choice->explained)
        return choice->explained[index];
    return !choice->changes_only || gc_report_entry(report, index)->outcome != GC_KEPT;
}

/* Prints entries, which stand in the order of the report. */
static void print_entries_of(const char *entry, const gc_report *report, const struct choice *choice)
{
    const char *comma = "";
    for (size_t i = 0; entry && i < gc_report_len(report); i++) {
        const char *next = strstr(entry + 1, ENTRY);
        size_t length = next ? (size_t)(next - entry) - strlen(",") : strlen(entry) - strlen("]}");
        if (is_chosen(choice, report, i)) {
            const char *word = word_of(report, gc_report_entry(report, i));
            fputs(comma, stdout);
            length -= choice->explained ? strlen("}") : 0;
            if (word)
                print_with_word(entry, length, word);
            else
                fwrite(entry, 1, length, stdout);
            if (choice->explained)
                print_explanation(report, i);
            comma = ",";
        }
        entry = next;
    }
}

static void print_chosen(const gc_report *report, const struct choice *choice)
{
    char *json = in_words_of(gc_report_json(report), write_errors_in_words);
    if (!json) {
        fputs("error: no memory for the report\n", stderr);
        return;
    }
    const char *entries = strstr(json, ENTRIES);
    const char *entry = entries ? strstr(entries, ENTRY) : NULL;
    if (entry) {
        fwrite(json, 1, (size_t)(entry - json), stdout);
        print_entries_of(entry, report, choice);
        puts("]}");
    } else {
        puts(json);
    }
    free(json);
}

void print_json(const gc_report *report, int changes_only)
{
    print_chosen(report, &(struct choice){ .changes_only = changes_only });
}

void print_json_explained(const gc_report *report, const char *explained)
{
    print_chosen(report, &(struct choice){ .explained = explained });
}
