/* The file with the figures for Prometheus. Its directory may belong to another user, and the agent is root: so the new file is one that was
 * not there before, and no link is followed. */
#define _POSIX_C_SOURCE 200809L
#include "metrics_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "output.h"

static int write_all(int descriptor, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t count = write(descriptor, text, left);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return 0;
        text += count;
        left -= (size_t)count;
    }
    return 1;
}

/* A new file that everybody may read. */
static int create(const char *path)
{
    unlink(path); /* what an agent left that was killed */
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int write_new(const char *new, const char *path, const char *text)
{
    int descriptor = create(new);
    if (descriptor < 0)
        return 0;
    int is_written = write_all(descriptor, text) && fchmod(descriptor, 0644) == 0;
    int failure = errno;
    if (close(descriptor) != 0 && is_written) {
        is_written = 0;
        failure = errno;
    }
    if (is_written && rename(new, path) == 0)
        return 1;
    failure = is_written ? errno : failure;
    unlink(new);
    errno = failure;
    return 0;
}

/* Writes a text, which it then owns. The new file's name does not end in .prom, so that node_exporter does not read it. */
static int take(struct metrics_file *file, char *text)
{
    static const char suffix[] = ".new";
    size_t length = strlen(file->path);
    char *new = malloc(length + sizeof suffix);
    int is_written = 0;
    if (new && text) {
        memcpy(new, file->path, length);
        memcpy(new + length, suffix, sizeof suffix);
        is_written = write_new(new, file->path, text);
    } else {
        errno = ENOMEM;
    }
    int failure = is_written ? 0 : errno;
    if (failure && failure != file->failure)
        say("cannot write metrics to %s: %s", file->path, strerror(failure));
    file->failure = failure;
    free(new);
    gc_string_free(file->written);
    file->written = text;
    return is_written;
}

int write_metrics_file(struct metrics_file *file, gc_engine *engine)
{
    return !file->path || take(file, gc_metrics(engine));
}

void refresh_metrics_file(struct metrics_file *file, gc_engine *engine)
{
    if (!file->path)
        return;
    char *text = gc_metrics(engine);
    if (text && file->written && strcmp(text, file->written) == 0)
        gc_string_free(text);
    else
        take(file, text);
}

int begin_metrics_file(struct metrics_file *file, gc_engine *engine)
{
    const char *dot = file->path ? strrchr(file->path, '.') : NULL;
    struct stat status;
    if (file->path && lstat(file->path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode) &&
        !S_ISDIR(status.st_mode)) {
        say("cannot write metrics to %s: it is not a regular file, and would be replaced by one", file->path);
        return 0;
    }
    if (file->path && (!dot || strcmp(dot, ".prom") != 0))
        say("node_exporter reads only files whose names end in .prom, and so not %s", file->path);
    if (write_metrics_file(file, engine))
        return 1;
    /* A disk that is full is what the agent is there for. */
    return file->failure == ENOSPC || file->failure == EDQUOT || file->failure == EFBIG || file->failure == EIO;
}

void end_metrics_file(struct metrics_file *file)
{
    gc_string_free(file->written);
    file->written = NULL;
}
