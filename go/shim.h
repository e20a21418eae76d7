/* What the Go side calls in C: it registers callbacks, runs passes, and copies reports and UIDs at once. */
#ifndef CRIGC_GO_SHIM_H
#define CRIGC_GO_SHIM_H

#ifdef __has_include
#if !__has_include("crigc.h")
#error "crigc.h is not found: build with -tags crigc_pkgconfig if crigc is installed, or run `make library` in its source tree"
#endif
#endif
#include "crigc.h"

/* Callbacks to register, as bits. */
enum {
    CRIGC_GO_POD_STATES = 1,
    CRIGC_GO_APPROVE = 2,
    CRIGC_GO_IMAGE_FS = 4,
    CRIGC_GO_LOG = 8,
    CRIGC_GO_EVENT = 16,
    CRIGC_GO_PROGRESS = 32,
    CRIGC_GO_ENDED = 64,
    CRIGC_GO_CLOCK = 128,
    CRIGC_GO_CONNECT = 256
};

/* How a call ended; the caller frees report and error. */
struct crigc_go_end {
    gc_status status;
    gc_report *report;
    gc_error *error;
};

/* Entries of a report, and the bytes of their texts and of the words of their reasons, without a NUL at their ends. */
struct crigc_go_sizes {
    size_t entries, text, words;
};

/* One entry: its texts (ID, name, pod UID, error) are one behind the other in one buffer, its word is in another. */
struct crigc_go_row {
    int32_t kind, outcome;
    uint64_t bytes;
    uint32_t text[4];
    uint32_t word;
};

/* `host` is a number (a cgo.Handle), which comes back as the context of each callback. */
void crigc_go_register(gc_config *config, uintptr_t host, uint32_t callbacks, gc_log_level up_to);

/* Callbacks on this thread get `token` meanwhile, which is small and not 0. `uid` is that of the pod of GC_PASS_POD. */
struct crigc_go_end crigc_go_collect(gc_engine *engine, gc_pass pass, const char *uid, uint32_t flags, gc_call *call,
                                    uintptr_t token);
struct crigc_go_end crigc_go_start(gc_engine *engine, uintptr_t token);

/* Whether this thread is in a callback. */
int crigc_go_in_callback(void);

struct crigc_go_sizes crigc_go_report_sizes(const gc_report *report);
void crigc_go_report_fill(const gc_report *report, struct crigc_go_row *rows, size_t count, char *text, char *words);
struct crigc_go_sizes crigc_go_entry_sizes(const gc_entry *entry);
void crigc_go_entry_fill(const gc_entry *entry, struct crigc_go_row *row, char *text, char *words);

/* Another descriptor of a socket, which no child inherits; -1 and errno if there is none. */
int crigc_go_duplicate(int socket);

/* Copies the UIDs one behind the other, and their lengths. */
void crigc_go_copy_uids(char **uids, size_t count, char *text, uint32_t *lengths);

#endif
