/* The one program of the test images. `exit N`: writes a line and ends with N; anything else: sleeps for ever, as a pause
 * container does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void end(int number)
{
    (void)number;
    _exit(0);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "exit") == 0) {
        puts("a line of log");
        return count > 2 ? atoi(arguments[2]) : 0;
    }
    signal(SIGTERM, end);
    for (;;)
        pause();
}
