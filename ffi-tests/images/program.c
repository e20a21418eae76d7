/* The one program of the test images. `exit N`: writes a line and ends with N; `fill N`: makes N files and ends; anything else:
 * sleeps for ever, as a pause container does. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void end(int number)
{
    (void)number;
    _exit(0);
}

/* In folders of 100; one file in ten has content. */
static int fill(int files)
{
    char path[32];
    for (int i = 0; i < files; i++) {
        if (i % 100 == 0) {
            snprintf(path, sizeof path, "/%d", i / 100);
            if (mkdir(path, 0755) != 0)
                return 1;
        }
        snprintf(path, sizeof path, "/%d/%d", i / 100, i % 100);
        int file = open(path, O_CREAT | O_WRONLY, 0644);
        if (file < 0 || (i % 10 == 0 && write(file, path, strlen(path)) < 0) || close(file) != 0)
            return 1;
    }
    return 0;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "exit") == 0) {
        puts("a line of log");
        return count > 2 ? atoi(arguments[2]) : 0;
    }
    if (count > 2 && strcmp(arguments[1], "fill") == 0)
        return fill(atoi(arguments[2]));
    signal(SIGTERM, end);
    for (;;)
        pause();
}
