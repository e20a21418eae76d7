/*
 * Runs a command and prints, as a line of JSON, what it and all its child processes cost: wall and CPU seconds (from the start of
 * the first process, so their starts are in it) and the most memory that one of them had.
 *
 *     command PROGRAM [ARGUMENT]...
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int count, char **arguments)
{
    struct timespec before, after;
    struct rusage usage;
    int status = 0;
    if (count < 2)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &before);
    pid_t child = fork();
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(arguments[1], arguments + 1);
        perror(arguments[1]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        perror("command");
        return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &after);
    printf("{\"wall\":%.6f,\"cpu\":%.6f,\"resident_kib\":0,\"peak_kib\":%ld,\"failed_removals\":0,\"error\":", seconds(after) - seconds(before),
           seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), usage.ru_maxrss);
    if (status == 0)
        printf("\"\"}\n");
    else
        printf("\"ended with %d\"}\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
