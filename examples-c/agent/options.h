/* The command line. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include "crigc.h"
#include "kubelet_dir.h"
#include "live_pods.h"

struct options {
    int apply, once, now, all_unused, verbose, json, help, version;
    int changes_only;       /* of JSON */
    int records_given, share_given, threshold_given; /* the keys image-records-file, max-pod-share and image-gc-high-threshold */
    int held_back;          /* from --apply, by the key dry-run */
    int containers, images; /* what to collect */
    struct kubelet_dir kubelet;
    int pod_gone;           /* the pod left nothing that is needed */
    char *pod;              /* the UID of the only pod to collect; NULL = the node */
    char *config, *config_dir; /* of the kubelet; NULL = not given, as for the other paths */
    char *image_fs_file;
    char *explain; /* what to explain: an ID and the like */
    char *metrics_file, *metrics_listen, *healthy;
    struct live_pods_file live_pods;
};

/* Reads the command line; keys of crigc are set in `config`. NULL = exit with `*exit_code`. */
struct options *read_options(gc_config *config, int count, char **arguments, int *exit_code);

#endif
