/* The text of --help, in 80 columns. */
#include "help.h"
#include <stdio.h>
#include <string.h>
#include "crigc.h"

enum { COLUMNS = 80, TEXT_COLUMN = 25, KEY_COLUMN = 6 };

/* The words for which gc_reason_text has a sentence, in the order of the head of crigc.h. */
static const char reasons[] =
    "pod-removed pod-terminated unit-limit total-limit older-sandbox dead-link age space unused running too-young "
    "within-limit active newest-sandbox pod-exists pod-active link-alive in-use pinned sandbox-image exempt enough-freed "
    "below-threshold first-look sources-not-ready unknown-state changed list-incomplete held backoff not-reached "
    "sandbox-image-unknown link-unknown newer-than-answer held-by-share no-effect";

/* Prints words from column `at` on, and continues in column `indent` of the next line where a line is full. */
static void print_wrapped(int at, int indent, const char *text)
{
    printf("%*s", indent - at, "");
    at = indent;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (at > indent && at + 1 + length > COLUMNS) {
            printf("\n%*s", indent, "");
            at = indent;
        }
        at += printf("%s%.*s", at > indent ? " " : "", length, text);
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

void print_help_head(void)
{
    puts("usage: agent [OPTION]... [--KEY VALUE]...\n\n"
         "Collects dead containers, sandboxes, logs and unused images of this node.\n"
         "Without --apply it is a dry run: it says what it would remove, and why.\n\n"
         "Recipes (CRI-O: add --container-runtime-endpoint unix:///run/crio/crio.sock):\n"
         "  look: what would be removed?\n"
         "      agent --once --kubelet-dir /var/lib/kubelet\n"
         "  collect once; images after a wait of minimum-image-ttl-duration\n"
         "      agent --once --apply --kubelet-dir /var/lib/kubelet\n"
         "  the disk is full: remove all images that no container uses, at once, also\n"
         "  beside an agent that runs\n"
         "      agent --once --now --images --all-unused --apply --image-records-file=\n"
         "  one pod has ended for good: remove what it left behind\n"
         "      agent --once --apply --pod UID --pod-gone\n"
         "  collect this node from now on, until SIGTERM\n"
         "      agent --apply --kubelet-dir /var/lib/kubelet\n"
         "  only its images, beside a kubelet that collects containers by itself\n"
         "      agent --apply --images\n"
         "  the same, with figures for Prometheus, and a probe for whoever watches it\n"
         "      agent --apply --kubelet-dir /var/lib/kubelet --metrics-file DIR/crigc.prom\n"
         "      agent --healthy DIR/crigc.prom\n"
         "  one object: why would it be kept, or removed?\n"
         "      agent --explain ID --kubelet-dir /var/lib/kubelet\n"
         "  for a program: what was removed, or could not be\n"
         "      agent --once --apply --json=changes | jq -r '.entries[].id'\n\n"
         "Options:");
}

void print_help_option(const char *name, const char *value, const char *text)
{
    print_wrapped(printf("  %s%s", name, value ? value : ""), TEXT_COLUMN, text);
}

static void print_paragraph(const char *text)
{
    putchar('\n');
    print_wrapped(0, 0, text);
}

static void print_reasons(void)
{
    char word[32];
    for (const char *at = reasons; *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        print_help_option(word, NULL, gc_reason_text(word));
        at += length;
    }
}

void print_help_tail(void)
{
    const char *key;
    print_paragraph(
        "Without --kubelet-dir, --live-pods and --pod-gone nothing is removed because its pod is gone: only limits and "
        "thresholds apply. With one of the first two the agent removes what a pod left behind if its UID has the form that Kubernetes gives "
        "and is not among those that live. examples-c/README.md shows how to make the file of --live-pods, and which "
        "UIDs static pods have.");
    print_paragraph(
        "Two keys have defaults of the agent. image-records-file is image-records in the directory that systemd names in "
        "STATE_DIRECTORY, or else in /var/lib/crigc-agent; an empty value switches it off. max-pod-share is 50 with --once and one of "
        "--kubelet-dir and --live-pods; 100 switches it off.");
    print_paragraph("Keys of crigc, as the kubelet's flags:");
    for (size_t i = 0; (key = gc_config_key(i)) != NULL; i++) {
        printf("  --%s\n", key);
        print_wrapped(0, KEY_COLUMN, gc_config_key_help(key));
    }
    print_paragraph("Reasons:");
    print_reasons();
    puts("\nExit codes:\n"
         "  0  fine\n"
         "  1  a pass failed, or images could not free enough space; --healthy: it is not;\n"
         "     --explain: there is no such object\n"
         "  2  wrong usage; --explain: it may be one of several objects\n"
         "  3  some objects could not be removed\n"
         "  4  no runtime answers\n"
         "  5  ended by a signal before a pass was over\n"
         "  6  it was not known which pods live (--kubelet-dir, --live-pods)\n"
         "  7  reports could not be written\n"
         "  8  more pods are gone than max-pod-share allows: nothing was removed for that\n"
         "If several are true: the first pass with 1, 4 or 5, else 6, 8, 3 or 7.\n"
         "Without --once: 0 or 7 when a signal ends the agent, however its passes ended.");
}
