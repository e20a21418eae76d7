/* The command line: one table of the agent's options, from which getopt_long's table and the help are made. Every key of
 * crigc is an option, too. */
#include "options.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "duration.h"
#include "exit_code.h"
#include "help.h"
#include "hints.h"
#include "log.h"
#include "output.h"

enum { NOT_GIVEN = -1, MAX_AGE = 60000 }; /* of live-pods-max-age, in milliseconds */

static struct options given = { .live_pods.max_age = NOT_GIVEN };

/* An option has one of three targets: a flag, which it sets to 1, a text, or milliseconds. A flag may take a word, which then
 * sets a second one. */
struct row {
    const char *name;
    int *flag;
    const char *word;
    int *word_flag;
    const char *value; /* in the help */
    char **text;
    long *milliseconds;
    const char *help;
};

static const struct row rows[] = {
    { "apply", .flag = &given.apply, .help = "remove; without it only report what would be removed" },
    { "once", .flag = &given.once,
      .help = "run one pass of each kind and exit; without it run one every period until SIGTERM" },
    { "now", .flag = &given.now,
      .help =
          "with --once: collect images at once, do not wait for minimum-image-ttl-duration. Without records of images "
          "(--image-records-file=) one that was pulled a moment ago may be removed; with them what they do not know is kept" },
    { "containers", .flag = &given.containers, .help = "collect only containers, sandboxes and logs" },
    { "images", .flag = &given.images, .help = "collect only images" },
    { "pod", .value = " UID", .text = &given.pod,
      .help = "with --once: collect only the containers, sandboxes and logs of this pod" },
    { "pod-gone", .flag = &given.pod_gone,
      .help = "with --pod: the pod has ended for good, remove everything that it left behind. With --kubelet-dir or --live-pods "
              "only if the pod does not live there" },
    { "explain", .value = " ID", .text = &given.explain,
      .help = "why would a pass keep or remove this? ID is that of a container, sandbox or image, or at least its first 4 "
              "characters, the first tag of an image, the UID or NAMESPACE/NAME of a pod, or a path of logs. A dry run, with the other "
              "options as the agent of this node has them" },
    { "all-unused", .flag = &given.all_unused,
      .help = "with --once: remove everything that is unused, as the kubelet does under disk pressure" },
    { "kubelet-dir", .value = " DIR", .text = &given.kubelet.path,
      .help = "a pod lives while the directory DIR/pods/UID exists; DIR is mostly /var/lib/kubelet, with --host-root on the host" },
    { "live-pods", .value = " FILE", .text = &given.live_pods.path,
      .help =
          "a pod lives while its UID is a line of FILE (write a new file and rename it into place). A line `# as-of "
          "2026-01-02T03:04:05Z` says when the list was true; without it that is 10 s before FILE was written. Newer "
          "pods are kept. Static pods count as living unless FILE has the UID of one" },
    { "live-pods-max-age", .value = " T", .milliseconds = &given.live_pods.max_age,
      .help = "do not trust FILE if it is older than this (such as 90s or 5m; default 1m)" },
    { "config", .value = " FILE", .text = &given.config,
      .help = "take keys from FILE, a KubeletConfiguration, as the kubelet's --config does. Keys on this command line win. "
              "With --host-root FILE stays a path of the agent" },
    { "config-dir", .value = " DIR", .text = &given.config_dir,
      .help = "take keys from the drop-in files of DIR, too, as the kubelet's --config-dir does; a path of the agent as well" },
    { "image-fs-file", .value = " FILE", .text = &given.image_fs_file,
      .help = "how full the image filesystem is: a line with capacity and available, in bytes, and perhaps with "
              "the number of inodes and how many are free" },
    { "metrics-file", .value = " FILE", .text = &given.metrics_file,
      .help = "write figures for Prometheus to FILE after each pass: a name that ends in .prom, in the directory that "
              "node_exporter reads (--collector.textfile.directory)" },
    { "metrics-listen", .value = " A:P", .text = &given.metrics_listen,
      .help = "without --once: give these figures to whoever asks http://A:P/metrics, such as 127.0.0.1:9477 or "
              "[::1]:9477. Everybody who reaches the address can read them" },
    { "healthy", .value = " FILE", .text = &given.healthy,
      .help = "for a probe: collect nothing, and exit with 0 if another agent has written its --metrics-file FILE in the "
              "last three periods and runtime-request-timeout, else with 1" },
    { "verbose", .flag = &given.verbose, .help = "print every object, not only the numbers" },
    { "json", .flag = &given.json, .word = "changes", .word_flag = &given.changes_only, .value = "[=changes]",
      .help = "print reports as JSON on standard output, a line each; everything else on standard error. With =changes "
              "leave out the entries of what is kept; the numbers still count it" },
    { "help", .flag = &given.help, .help = "print this text, as -h does" },
    { "version", .flag = &given.version, .help = "print the version of crigc" },
};

enum { ROWS = sizeof rows / sizeof *rows };

static void print_help(void)
{
    char name[32];
    print_help_head();
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(name, sizeof name, "--%s", rows[i].name);
        print_help_option(name, rows[i].value, rows[i].help);
    }
    print_help_tail();
}

static int usage_error(const char *what, const char *argument)
{
    say("%s %s; see --help", what, *argument ? argument : "\"\"");
    return EXIT_USAGE;
}

/* The table of getopt_long: the rows above, then the keys of crigc. The caller frees it. */
static struct option *long_options(void)
{
    size_t keys = 0;
    while (gc_config_key(keys))
        keys++;
    struct option *all = calloc(ROWS + keys + 1, sizeof *all);
    for (size_t i = 0; all && i < ROWS; i++)
        all[i] = (struct option){ rows[i].name,
                                  rows[i].word   ? optional_argument
                                  : rows[i].flag ? no_argument
                                                 : required_argument,
                                  NULL, 0 };
    for (size_t i = 0; all && i < keys; i++)
        all[ROWS + i] = (struct option){ gc_config_key(i), required_argument, NULL, 0 };
    return all;
}

static int set_key(gc_config *config, const char *key, const char *value)
{
    gc_error *error = NULL;
    if (gc_config_set(config, key, value, &error) == GC_OK)
        return 0;
    say_message("", gc_error_message(error));
    gc_error_free(error);
    return EXIT_USAGE;
}

/* Notes whether the command line has a key for which it matters that it comes from there. */
static void note_key(const char *key)
{
    if (strcmp(key, "image-records-file") == 0)
        given.records_given = 1;
    if (strcmp(key, "max-pod-share") == 0)
        given.share_given = 1;
    if (strcmp(key, "image-gc-high-threshold") == 0)
        given.threshold_given = 1;
}

static int set_row(const struct row *row, char *value)
{
    if (row->flag)
        *row->flag = 1;
    if (row->word && value) {
        if (strcmp(value, row->word) != 0) {
            say("--%s takes `%s` or no value, not %s; see --help", row->name, row->word, value);
            return EXIT_USAGE;
        }
        *row->word_flag = 1;
    }
    if (row->text)
        *row->text = value;
    if (row->milliseconds) {
        *row->milliseconds = milliseconds_of(value);
        if (*row->milliseconds < 0) {
            say("--%s takes a duration such as 90s or 5m, not %s; see --help", row->name, value);
            return EXIT_USAGE;
        }
    }
    return 0;
}

/* Says that there is no such option. The library knows which of its keys was meant. */
static int refuse_unknown(gc_config *config, const char *name)
{
    const struct row *nearest = NULL;
    size_t slips = most_slips(name) + 1;
    for (size_t i = 0; i < ROWS; i++)
        if (slips_between(name, rows[i].name) < slips) {
            nearest = &rows[i];
            slips = slips_between(name, rows[i].name);
        }
    if (!nearest)
        return set_key(config, name, "");
    say("unknown option --%s; did you mean --%s? see --help", name, nearest->name);
    return EXIT_USAGE;
}

/* Says what is wrong with an argument: it is not an option, its value is missing, or it takes none. */
static int refuse(gc_config *config, const char *argument)
{
    size_t dashes = strspn(argument, "-"), length = strcspn(argument + dashes, "=");
    char name[64];
    if (dashes == 0 || length == 0 || length >= sizeof name)
        return usage_error("unexpected argument", argument);
    if (dashes != 2)
        return usage_error("options begin with two dashes, unlike", argument);
    memcpy(name, argument + dashes, length);
    name[length] = '\0';
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return usage_error(rows[i].flag ? "this option takes no value:" : "a value is missing behind", argument);
    if (strcmp(name, "dry-run") == 0)
        return usage_error(given.apply ? "--apply removes and a dry run does not; leave out one of them:"
                                       : "without --apply every run is a dry run; leave out",
                           argument);
    if (gc_config_key_help(name))
        return usage_error("a value is missing behind", argument);
    return refuse_unknown(config, name);
}

/* Whether an argument has the whole name. getopt_long takes `--app` for `--apply`; a program that removes must not guess. */
static int is_whole(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument + 2, name, length) == 0 && (argument[2 + length] == '\0' || argument[2 + length] == '=');
}

static int read_arguments(gc_config *config, int count, char **arguments)
{
    struct option *all = long_options();
    int code = all ? 0 : usage_error("cannot read options:", strerror(ENOMEM));
    while (code == 0 && optind < count) {
        const char *argument = arguments[optind];
        int index = -1;
        /* "+": stop at an argument that is not an option. ":": print nothing. */
        int option = getopt_long(count, arguments, "+:h", all, &index);
        if (option == 'h' && strcmp(argument, "-h") == 0) {
            given.help = 1;
        } else if (option != 0 || !is_whole(argument, all[index].name)) {
            code = refuse(config, argument);
        } else if (index < ROWS) {
            code = set_row(&rows[index], optarg);
        } else {
            note_key(all[index].name);
            code = set_key(config, all[index].name, optarg);
        }
    }
    free(all);
    return code;
}

/* 0, or the exit code. The library takes a file and a directory by one function, and reads them differently: each option says which one its
 * user means. What cannot be looked at is left to the library, which says why. */
static int check_paths(void)
{
    struct stat status;
    if (given.config && stat(given.config, &status) == 0 && S_ISDIR(status.st_mode)) {
        say("--config %s is a directory; give it by --config-dir", given.config);
        return EXIT_USAGE;
    }
    if (given.config_dir && stat(given.config_dir, &status) == 0 && !S_ISDIR(status.st_mode)) {
        say("--config-dir %s is not a directory; give a file by --config", given.config_dir);
        return EXIT_USAGE;
    }
    return 0;
}

static int has_value(const gc_config *config, const char *key, const char *value)
{
    char *text = gc_config_get(config, key, NULL);
    int is = text && strcmp(text, value) == 0;
    gc_string_free(text);
    return is;
}

/* Whoever switches the kubelet's collector of images off does so by a threshold of 100, which is not meant for the agent. One that stands on
 * the command line is. */
static void warn_of_threshold(const gc_config *config)
{
    int needs_threshold = given.images && !given.all_unused;
    if (needs_threshold && !given.threshold_given && has_value(config, "image-gc-high-threshold", "100") && has_value(config, "image-gc-min-available", "0") &&
        has_value(config, "image-maximum-gc-age", "0s"))
        say("warning: the kubelet's files set imageGCHighThresholdPercent to 100, so the agent removes no images when the disk fills "
            "up; give it a threshold of its own, such as --image-gc-high-threshold 85");
}

/* Takes keys from the kubelet's files, and then those of the command line once more: as in the kubelet, it wins. */
static int load_files(gc_config *config, int count, char **arguments)
{
    static int much = LOG_WARNINGS;
    const char *const paths[] = { given.config, given.config_dir };
    gc_error *error = NULL;
    if (!given.config && !given.config_dir)
        return 0;
    int code = check_paths();
    if (code != 0)
        return code;
    gc_config_set_log(config, GC_LOG_WARN, on_log, &much);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i] && gc_config_load(config, paths[i], &error) != GC_OK) {
            say_message("", gc_error_message(error));
            gc_error_free(error);
            return EXIT_USAGE;
        }
    optind = 1;
    code = read_arguments(config, count, arguments);
    if (code == 0)
        warn_of_threshold(config);
    return code;
}

/* 0, or the exit code for options that --explain excludes. It is a dry run of one pass of each kind. */
static int check_explain(void)
{
    if (!*given.explain || *given.explain == '-')
        return usage_error("give an ID behind --explain, not", given.explain);
    if (given.apply)
        return usage_error("--explain only looks, and removes nothing; leave out", "--apply");
    if (given.healthy)
        return usage_error("--healthy collects nothing; leave out", "--explain");
    if (given.metrics_file || given.metrics_listen)
        return usage_error("--explain has no metrics; leave out", given.metrics_file ? "--metrics-file" : "--metrics-listen");
    if (given.changes_only)
        return usage_error("--explain prints what it finds, also what is kept; give", "--json");
    given.once = 1;
    return 0;
}

/* 0, or the exit code for options that exclude each other. */
static int check(void)
{
    int code = given.explain ? check_explain() : 0;
    if (code != 0)
        return code;
    if (given.pod && !given.once)
        return usage_error("only with --once:", "--pod");
    if (given.pod && given.images)
        return usage_error("--pod collects no images; leave out", "--images");
    if (given.pod_gone && !given.pod)
        return usage_error("only with --pod:", "--pod-gone");
    if (given.pod)
        given.containers = 1;
    if (!given.containers && !given.images)
        given.containers = given.images = 1;
    if (!given.once && (given.all_unused || given.now))
        return usage_error("only with --once:", given.now ? "--now" : "--all-unused");
    if (given.once && given.metrics_listen)
        return usage_error("only without --once:", "--metrics-listen");
    if (given.healthy && (given.once || given.apply))
        return usage_error("--healthy collects nothing; leave out", given.once ? "--once" : "--apply");
    if (given.kubelet.path && !*given.kubelet.path)
        return usage_error("give a directory such as /var/lib/kubelet, or leave out", "--kubelet-dir");
    if (given.kubelet.path && given.live_pods.path)
        return usage_error("give one of --kubelet-dir and --live-pods, not both:", given.live_pods.path);
    if (given.live_pods.max_age != NOT_GIVEN && !given.live_pods.path)
        return usage_error("only with --live-pods:", "--live-pods-max-age");
    return 0;
}

/* A run by hand has a brake: nobody has seen yet whether its source of pods is right. It counts the pods in pod-logs-dir. */
static void set_brake(gc_config *config)
{
    int has_source = given.kubelet.path || given.live_pods.path;
    if (!given.once || !given.containers || given.pod || !has_source || given.share_given || given.explain)
        return;
    char *logs = gc_config_get(config, "pod-logs-dir", NULL);
    if (logs && *logs)
        gc_config_set(config, "max-pod-share", "50", NULL);
    gc_string_free(logs);
}

/* Makes options and keys agree: a dry run that one side asks for is one for the other, too. */
static void settle(gc_config *config)
{
    char *dry_run = gc_config_get(config, "dry-run", NULL);
    if (!dry_run || strcmp(dry_run, "false") != 0) {
        given.held_back = given.apply;
        given.apply = 0;
    }
    gc_string_free(dry_run);
    if (given.live_pods.max_age == NOT_GIVEN)
        given.live_pods.max_age = MAX_AGE;
    if (!given.apply)
        gc_config_set(config, "dry-run", "true", NULL);
    set_brake(config);
    if (!given.once && !(given.containers && given.images)) /* a period of 0: no periodic passes */
        gc_config_set(config, given.images ? "container-gc-period" : "image-gc-period", "0", NULL);
}

struct options *read_options(gc_config *config, int count, char **arguments, int *exit_code)
{
    *exit_code = read_arguments(config, count, arguments);
    if (*exit_code != 0)
        return NULL;
    if (given.help) {
        print_help();
        return NULL;
    }
    *exit_code = check();
    if (*exit_code != 0)
        return NULL;
    if (given.version) {
        printf("agent, crigc %s\n", gc_version());
        return NULL;
    }
    /* A probe needs none of them, and must not fail because of one. */
    *exit_code = given.healthy ? 0 : load_files(config, count, arguments);
    if (*exit_code != 0)
        return NULL;
    settle(config);
    return &given;
}
