/* NULL for each pointer, bad keys and values, each unknown flag bit, what borrowed and owned strings say. No runtime needed. */
#include <string.h>
#include "check.h"
#include "crigc.h"

/* Takes the error by pointer: C does not say which argument is evaluated first. */
static void expect(gc_status status, gc_error **slot, gc_status want, const char *part)
{
    gc_error *error = *slot;
    CHECK(status == want);
    CHECK(error != NULL && gc_error_status(error) == want);
    if (!strstr(gc_error_message(error), part))
        fprintf(stderr, "message: %s, expected: %s\n", gc_error_message(error), part);
    CHECK(strstr(gc_error_message(error), part) != NULL);
    gc_error_free(error);
    *slot = NULL;
}

static void null_handles(void)
{
    gc_error *error = NULL;
    gc_config *config = gc_config_new();
    gc_report *report = (gc_report *)config; /* is neither read nor freed */
    expect(gc_config_set(NULL, "dry-run", "true", &error), &error, GC_ERROR_INVALID_ARGUMENT, "config is NULL");
    expect(gc_config_set(config, NULL, "true", &error), &error, GC_ERROR_INVALID_ARGUMENT, "key is NULL");
    expect(gc_config_set(config, "dry-run", NULL, &error), &error, GC_ERROR_INVALID_ARGUMENT, "the value of `dry-run` is NULL");
    CHECK(gc_config_set(config, NULL, NULL, NULL) == GC_ERROR_INVALID_ARGUMENT);
    expect(gc_config_load(NULL, "/", &error), &error, GC_ERROR_INVALID_ARGUMENT, "config is NULL");
    expect(gc_config_load(config, NULL, &error), &error, GC_ERROR_INVALID_ARGUMENT, "path is NULL");
    expect(gc_config_load(config, "", &error), &error, GC_ERROR_INVALID_ARGUMENT, "path is empty");
    expect(gc_config_load(config, "/\xff", &error), &error, GC_ERROR_INVALID_ARGUMENT, "path is not UTF-8");
    expect(gc_config_load(config, "/dev/null", &error), &error, GC_ERROR_IO, "it is not a regular file");
    CHECK(gc_config_load(config, "/nonexistent", NULL) == GC_ERROR_IO);
    CHECK(gc_config_get(NULL, "dry-run", &error) == NULL);
    expect(gc_error_status(error), &error, GC_ERROR_INVALID_ARGUMENT, "config is NULL");
    CHECK(gc_config_get(config, NULL, &error) == NULL);
    expect(gc_error_status(error), &error, GC_ERROR_INVALID_ARGUMENT, "key is NULL");
    CHECK(gc_engine_new(NULL, &error) == NULL);
    expect(gc_error_status(error), &error, GC_ERROR_INVALID_ARGUMENT, "config is NULL");
    CHECK(gc_engine_new(NULL, NULL) == NULL);
    expect(gc_containers(NULL, 0, NULL, &report, &error), &error, GC_ERROR_INVALID_ARGUMENT, "engine is NULL");
    CHECK(report == NULL);
    expect(gc_images(NULL, 0, NULL, NULL, &error), &error, GC_ERROR_INVALID_ARGUMENT, "engine is NULL");
    report = (gc_report *)config;
    expect(gc_pod(NULL, "uid", 0, NULL, &report, &error), &error, GC_ERROR_INVALID_ARGUMENT, "engine is NULL");
    CHECK(report == NULL);
    expect(gc_start(NULL, &error), &error, GC_ERROR_INVALID_ARGUMENT, "engine is NULL");
    gc_close(NULL);
    gc_stop(NULL);
    gc_engine_free(NULL);
    gc_config_free(NULL);
    gc_call_cancel(NULL);
    gc_call_free(NULL);
    gc_report_free(NULL);
    gc_error_free(NULL);
    gc_string_free(NULL);
    gc_config_set_pod_states(NULL, NULL, NULL);
    gc_config_set_approve(NULL, NULL, NULL);
    gc_config_set_image_fs(NULL, NULL, NULL);
    gc_config_set_log(NULL, GC_LOG_DEBUG, NULL, NULL);
    gc_config_set_event(NULL, NULL, NULL);
    gc_config_set_progress(NULL, NULL, NULL);
    gc_config_set_pass(NULL, NULL, NULL);
    gc_config_set_clock(NULL, NULL, NULL);
    gc_config_set_connect(NULL, NULL, NULL);
    CHECK(gc_error_status(NULL) == GC_OK && gc_error_message(NULL) == NULL);
    CHECK(gc_report_len(NULL) == 0 && gc_report_entry(NULL, 0) == NULL && gc_report_json(NULL) == NULL);
    CHECK(gc_report_explain(NULL, 0) == NULL);
    CHECK(gc_report_count(NULL, GC_ANY_KIND, GC_ANY_OUTCOME) == 0 && gc_report_bytes_freed(NULL) == 0);
    CHECK(gc_report_dry_run(NULL) == 0 && gc_report_status(NULL) == GC_OK);
    CHECK(gc_report_fs_before(NULL) == NULL && gc_report_fs_after(NULL) == NULL);
    CHECK(gc_report_pace(NULL, GC_CONTAINER) == NULL);
    CHECK(gc_report_started(NULL) == 0 && gc_report_seconds(NULL) <= 0);
    CHECK(gc_config_key_help(NULL) == NULL && gc_metrics(NULL) == NULL);
    gc_config_free(config);
}

static void keys(void)
{
    gc_error *error = (gc_error *)&error; /* is overwritten, not read */
    gc_config *config = gc_config_new();
    const char *key;
    size_t count = 0;
    for (; (key = gc_config_key(count)) != NULL; count++) {
        char *value = gc_config_get(config, key, &error);
        CHECK(value != NULL && error == NULL);
        CHECK(gc_config_set(config, key, value, &error) == GC_OK && error == NULL);
        CHECK(gc_config_key_help(key) != NULL && strlen(gc_config_key_help(key)) > 20);
        gc_string_free(value);
    }
    CHECK(count >= 20 && gc_config_key(count + 1) == NULL && gc_config_key_help("nonsense") == NULL);
    expect(gc_config_set(config, "nonsense", "1", &error), &error, GC_ERROR_INVALID_ARGUMENT, "unknown key `nonsense`");
    expect(gc_config_set(config, "image-gc-low-water", "1", &error), &error, GC_ERROR_INVALID_ARGUMENT, "unknown key `image-gc-low-water`");
    expect(gc_config_set(config, "image-gc-high-threshold", "85%", &error), &error, GC_ERROR_INVALID_ARGUMENT, "85%");
    expect(gc_config_set(config, "pass-timeout", "90", &error), &error, GC_ERROR_INVALID_ARGUMENT, "no unit");
    expect(gc_config_set(config, "pod-logs-dir", "/a\nb", &error), &error, GC_ERROR_INVALID_ARGUMENT, "pod-logs-dir");
    expect(gc_config_set(config, "pod-logs-dir", "/\xff", &error), &error, GC_ERROR_INVALID_ARGUMENT, "UTF-8");
    expect(gc_config_set(config, "pod-logs-dir", "//.", &error), &error, GC_ERROR_INVALID_ARGUMENT, "root");
    expect(gc_config_set(config, "pod-logs-dir", "/var/../etc", &error), &error, GC_ERROR_INVALID_ARGUMENT, "`..`");
    CHECK(gc_config_set(config, "pod-logs-dir", "/var//log/", NULL) == GC_OK); /* holds container-logs-dir */
    CHECK(gc_engine_new(config, &error) == NULL);
    expect(gc_error_status(error), &error, GC_ERROR_CONFIG, "pod-logs-dir (/var//log/) and container-logs-dir");
    CHECK(gc_config_set(config, "pod-logs-dir", "/var/log/pods", NULL) == GC_OK);
    CHECK(gc_config_set(config, "dry-run", "T", NULL) == GC_OK);
    char *truth = gc_config_get(config, "dry-run", NULL);
    CHECK(truth != NULL && strcmp(truth, "true") == 0);
    gc_string_free(truth);
    CHECK(gc_config_set(config, "image-gc-low-threshold", "90", NULL) == GC_OK);
    CHECK(gc_engine_new(config, &error) == NULL);
    expect(gc_error_status(error), &error, GC_ERROR_CONFIG, "image-gc-low-threshold (90)");
    gc_config_free(config);
}

static void flags(void)
{
    gc_error *error = NULL;
    gc_report *report = NULL;
    gc_config *config = gc_config_new();
    CHECK(gc_config_set(config, "container-runtime-endpoint", "/nonexistent/crigc.sock", NULL) == GC_OK);
    gc_engine *engine = gc_engine_new(config, &error);
    gc_config_free(config); /* the engine has its copy */
    CHECK(engine != NULL && error == NULL);
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t flag = (uint32_t)1 << bit;
        gc_status want = flag <= GC_NO_WAIT ? GC_ERROR_UNAVAILABLE : GC_ERROR_INVALID_ARGUMENT;
        expect(gc_containers(engine, flag, NULL, &report, &error), &error, want, want == GC_ERROR_UNAVAILABLE ? "crigc.sock" : "flags");
        CHECK((report != NULL) == (want == GC_ERROR_UNAVAILABLE)); /* a pass that began has a report */
        gc_report_free(report);
        CHECK(gc_images(engine, flag, NULL, NULL, NULL) == want);
        want = flag <= GC_POD_GONE ? GC_ERROR_UNAVAILABLE : GC_ERROR_INVALID_ARGUMENT;
        expect(gc_pod(engine, "uid", flag, NULL, &report, &error), &error, want, want == GC_ERROR_UNAVAILABLE ? "crigc.sock" : "GC_POD_GONE");
        CHECK((report != NULL) == (want == GC_ERROR_UNAVAILABLE));
        gc_report_free(report);
    }
    static const char *const bad[][2] = { { NULL, "uid is NULL" }, { "", "empty" },    { "a/b", "slash" },
                                          { "a\nb", "a\\nb" },      { "\x7f", "7f" }, { "\xff", "UTF-8" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(gc_pod(engine, bad[i][0], GC_POD_GONE, NULL, &report, &error), &error, GC_ERROR_INVALID_ARGUMENT, bad[i][1]);
        CHECK(report == NULL);
    }
    gc_close(engine);
    expect(gc_containers(engine, 0, NULL, &report, &error), &error, GC_ERROR_CLOSED, "closed");
    CHECK(report == NULL);
    expect(gc_pod(engine, "uid", GC_POD_GONE, NULL, &report, &error), &error, GC_ERROR_CLOSED, "closed");
    expect(gc_start(engine, &error), &error, GC_ERROR_CLOSED, "closed");
    gc_engine_free(engine);
}

int main(void)
{
    CHECK(gc_abi() == GC_ABI && strlen(gc_version()) >= 5);
    CHECK(strcmp(gc_status_name(GC_ERROR_TIMEOUT), "GC_ERROR_TIMEOUT") == 0);
    CHECK(strcmp(gc_status_name(999), "GC_ERROR_UNKNOWN") == 0);
    CHECK(strcmp(gc_kind_name(GC_CONTAINER), "container") == 0 && strcmp(gc_kind_name(GC_IMAGE), "image") == 0);
    CHECK(strcmp(gc_kind_name(GC_ANY_KIND), "unknown") == 0 && strcmp(gc_kind_name(99), "unknown") == 0);
    CHECK(strcmp(gc_outcome_name(GC_KEPT), "kept") == 0 && strcmp(gc_outcome_name(GC_REFUSED), "refused") == 0);
    CHECK(strcmp(gc_outcome_name(GC_ANY_OUTCOME), "unknown") == 0);
    CHECK(strcmp(gc_reason_text("newest-sandbox"), "kept: it is the newest sandbox of its pod") == 0);
    CHECK(strcmp(gc_reason_text("no-such"), "unknown") == 0 && strcmp(gc_reason_text(NULL), "unknown") == 0);
    CHECK(strcmp(gc_version(), GC_VERSION) == 0 && GC_VERSION_MAJOR + GC_VERSION_MINOR + GC_VERSION_PATCH >= 1);
    null_handles();
    keys();
    flags();
    return 0;
}
