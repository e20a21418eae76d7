/* --explain: finds an object in the reports of dry runs, and prints why a pass would remove or keep it. */
#include "explain.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exit_code.h"
#include "json.h"
#include "output.h"
#include "summary.h"
#include "words.h"

enum { SHORTEST = 4 /* beginning of an ID */, MOST_SHOWN = 5, MOST_RELATED = 20 };

/* What an entry has to do with the object in question. */
enum { NONE, OF_SAME_POD, FOUND };

/* The entries of all reports, counted through. */
struct search {
    const struct looked_at *looked;
    const char *wanted;
    size_t entries;
    char *relation; /* of each entry */
    size_t found;
};

void look_at(struct looked_at *looked, gc_report *report)
{
    if (looked->count < MOST_REPORTS)
        looked->reports[looked->count++] = report;
    else
        gc_report_free(report);
}

static const gc_entry *entry_at(const struct looked_at *looked, size_t index)
{
    size_t report = 0;
    while (index >= gc_report_len(looked->reports[report]))
        index -= gc_report_len(looked->reports[report++]);
    return gc_report_entry(looked->reports[report], index);
}

static int begins_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), of_end = strlen(end);
    return length >= of_end && strcmp(text + length - of_end, end) == 0;
}

/* An ID without the name of its algorithm, which people leave out. */
static const char *bare(const char *id)
{
    return begins_with(id, "sha256:") ? id + strlen("sha256:") : id;
}

/* Whether a text is `begin`, or goes on behind it with a slash. */
static int is_or_is_below(const char *text, const char *begin)
{
    size_t length = strlen(begin);
    return length > 0 && begins_with(text, begin) && (text[length] == '\0' || text[length] == '/');
}

/* Whether these are the words for this entry: its whole ID, the UID or the name of its pod, its name, or a path in its logs. */
static int is_named(const gc_entry *entry, const char *wanted)
{
    if (strcmp(bare(entry->id), bare(wanted)) == 0 || strcmp(entry->pod_uid, wanted) == 0)
        return 1;
    if (entry->kind == GC_IMAGE)
        return strcmp(entry->name, wanted) == 0;
    return (strchr(wanted, '/') && is_or_is_below(entry->name, wanted)) || (wanted[0] == '/' && is_or_is_below(wanted, entry->id));
}

/* Whether an image has this name without its registry, its tag, or both. */
static int has_short_name(const gc_entry *entry, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *at = entry->name; at && length > 0; at = strchr(at, '/')) {
        at += *at == '/';
        const char *rest = at + length;
        if (begins_with(at, wanted) && (*rest == '\0' || (*rest == ':' && !strchr(rest, '/')) || *rest == '@'))
            return 1;
    }
    return 0;
}

/* What the beginning of an ID or UID, or a short name, stands for; NULL = not for this entry. */
static const char *abbreviated(const gc_entry *entry, const char *wanted)
{
    if (entry->kind == GC_IMAGE && has_short_name(entry, wanted))
        return entry->id;
    if (strlen(bare(wanted)) < SHORTEST)
        return NULL;
    if (begins_with(entry->pod_uid, wanted))
        return entry->pod_uid;
    return entry->id[0] != '/' && begins_with(bare(entry->id), bare(wanted)) ? entry->id : NULL;
}

/* Notes the entries for which the words stand as a whole. */
static void find_named(struct search *search)
{
    for (size_t i = 0; i < search->entries; i++)
        if (is_named(entry_at(search->looked, i), search->wanted)) {
            search->relation[i] = FOUND;
            search->found++;
        }
}

/* Notes the entries for which an abbreviation stands. Returns how many different objects or pods that are; says which, if several. */
static size_t find_abbreviated(struct search *search)
{
    const char *shown[MOST_SHOWN] = { NULL };
    size_t different = 0;
    for (size_t i = 0; i < search->entries; i++) {
        const char *whole = abbreviated(entry_at(search->looked, i), search->wanted);
        if (!whole)
            continue;
        search->relation[i] = FOUND;
        search->found++;
        size_t known = 0;
        while (known < different && known < MOST_SHOWN && strcmp(shown[known], whole) != 0)
            known++;
        if (known == different && different < MOST_SHOWN)
            shown[different++] = whole;
        else if (known == MOST_SHOWN)
            different++;
    }
    if (different > 1) {
        say("%s may be one of several; give more of it:", search->wanted);
        for (size_t i = 0; i < different && i < MOST_SHOWN; i++)
            say("  %s", shown[i]);
        if (different > MOST_SHOWN)
            say("  ...");
    }
    return different;
}

/* Texts in their order. */
struct names {
    const char **all;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int has(const struct names *names, const char *name)
{
    return names->count > 0 && bsearch(&name, names->all, names->count, sizeof name, compare) != NULL;
}

/* Whether this is the link of one of these containers. Its name ends in a dash, the ID and .log, and an ID may have dashes. */
static int links_to(const struct names *containers, const char *path)
{
    char id[256];
    size_t end = ends_with(path, ".log") ? strlen(path) - strlen(".log") : 0;
    for (size_t dash = end; dash > 0 && path[dash] != '/'; dash--)
        if (path[dash] == '-' && end - dash - 1 < sizeof id) {
            memcpy(id, path + dash + 1, end - dash - 1);
            id[end - dash - 1] = '\0';
            if (has(containers, id))
                return 1;
        }
    return 0;
}

/* Notes the other entries of these pods, and the links of these containers. */
static void note_related(struct search *search, const struct names *pods, const struct names *containers)
{
    for (size_t i = 0; i < search->entries; i++) {
        const gc_entry *entry = entry_at(search->looked, i);
        if (search->relation[i] == NONE &&
            (has(pods, entry->pod_uid) || (entry->kind == GC_LOG_LINK && links_to(containers, entry->id))))
            search->relation[i] = OF_SAME_POD;
    }
}

static void add(struct names *names, const char *name)
{
    if (*name)
        names->all[names->count++] = name;
}

/* Notes what belongs to the entries that were found; without memory nothing. */
static void find_related(struct search *search)
{
    struct names pods = { malloc((search->found + 1) * sizeof(char *)), 0 };
    struct names containers = { malloc((search->found + 1) * sizeof(char *)), 0 };
    for (size_t i = 0; pods.all && containers.all && i < search->entries; i++)
        if (search->relation[i] == FOUND) {
            const gc_entry *entry = entry_at(search->looked, i);
            add(&pods, entry->pod_uid);
            add(&containers, entry->kind == GC_CONTAINER ? entry->id : "");
        }
    if (pods.count > 0)
        qsort(pods.all, pods.count, sizeof *pods.all, compare);
    if (containers.count > 0)
        qsort(containers.all, containers.count, sizeof *containers.all, compare);
    note_related(search, &pods, &containers);
    free(pods.all);
    free(containers.all);
}

static void say_not_found(const struct search *search)
{
    size_t counts[GC_IMAGE + 1] = { 0 };
    for (size_t i = 0; i < search->entries; i++) {
        gc_kind kind = entry_at(search->looked, i)->kind;
        if (kind >= GC_CONTAINER && kind <= GC_IMAGE)
            counts[kind]++;
    }
    say("found no %s among %zu containers, %zu sandboxes, %zu pod logs, %zu log links that lead nowhere and %zu images; give an ID or at "
        "least its first %d characters, the first tag of an image, the UID or NAMESPACE/NAME of a pod, or a path of logs",
        search->wanted, counts[GC_CONTAINER], counts[GC_SANDBOX], counts[GC_POD_LOGS], counts[GC_LOG_LINK], counts[GC_IMAGE], SHORTEST);
}

static void print_field(const char *name, const char *value)
{
    if (value[0])
        printf("  %-7s %s\n", name, value);
}

static void print_found(const gc_report *report, size_t index)
{
    const gc_entry *entry = gc_report_entry(report, index);
    char *text = gc_report_explain(report, index);
    printf("%s %s\n", gc_kind_name(entry->kind), entry->id);
    print_field("name", entry->name);
    print_field("pod", entry->pod_uid);
    print_field("reason", entry->reason);
    fputs("  ", stdout);
    write_message(stdout, text ? text : gc_reason_text(entry->reason));
    putchar('\n');
    gc_string_free(text);
}

/* Prints the entries with a relation, and a title before the first of the related ones. */
static void print_for_a_person(const struct search *search, char relation)
{
    size_t before = 0;
    const char *title = relation == OF_SAME_POD ? "other objects of its pod:\n" : "";
    size_t related = 0;
    for (size_t r = 0; r < search->looked->count; r++) {
        const gc_report *report = search->looked->reports[r];
        for (size_t i = 0; i < gc_report_len(report); i++) {
            if (search->relation[before + i] != relation)
                continue;
            fputs(title, stdout);
            title = "";
            if (relation == FOUND)
                print_found(report, i);
            else if (related++ < MOST_RELATED)
                print_entry(report, gc_report_entry(report, i));
        }
        before += gc_report_len(report);
    }
    if (related > MOST_RELATED)
        printf("  and %zu more; --once --json has all\n", related - MOST_RELATED);
}

/* Prints a line for each report, with what was found. */
static void print_for_a_program(const struct search *search)
{
    size_t before = 0;
    for (size_t i = 0; i < search->entries; i++)
        search->relation[i] = search->relation[i] == FOUND ? 1 : 0;
    for (size_t r = 0; r < search->looked->count; r++) {
        print_json_explained(search->looked->reports[r], search->relation + before);
        before += gc_report_len(search->looked->reports[r]);
    }
}

static int search_and_print(struct search *search, int as_json)
{
    find_named(search);
    if (search->found == 0 && find_abbreviated(search) > 1)
        return EXIT_USAGE;
    if (search->found == 0)
        say_not_found(search);
    if (!as_json)
        find_related(search);
    lock_output();
    if (as_json) {
        print_for_a_program(search);
    } else {
        print_for_a_person(search, FOUND);
        print_for_a_person(search, OF_SAME_POD);
    }
    unlock_output();
    return search->found > 0 ? EXIT_FINE : EXIT_NOT_FOUND;
}

int explain(struct looked_at *looked, const char *wanted, int as_json)
{
    struct search search = { .looked = looked, .wanted = wanted };
    for (size_t r = 0; r < looked->count; r++)
        search.entries += gc_report_len(looked->reports[r]);
    search.relation = calloc(search.entries + 1, 1);
    int code = EXIT_PASS_FAILED;
    if (search.relation)
        code = search_and_print(&search, as_json);
    else
        say("no memory to look for %s", wanted);
    free(search.relation);
    while (looked->count > 0)
        gc_report_free(looked->reports[--looked->count]);
    return code;
}
