/* What several threads write to standard output and standard error. */
#ifndef AGENT_OUTPUT_H
#define AGENT_OUTPUT_H

#include "crigc.h"

/* Makes sure that no file or socket gets the number of a standard stream that was closed. */
void occupy_streams(void);

/* Periodic passes over containers and over images report from a thread each: a thread that writes holds the lock. */
void lock_output(void);
void unlock_output(void);

/* Writes a line to standard error. The caller does not hold the lock. */
void say(const char *format, ...);

/* Writes a line with a message of the library. */
void say_message(const char *before, const char *message);

/* Writes the status and the message of an error, and frees it. */
void say_error(gc_error *error);

/* Whether all that was printed on standard output has been written; says once why not. */
int output_is_written(void);

/* Draws a bar over the last one, or below it if that has another label. `label` lives for ever. */
void draw_bar(const char *label, const char *bar);

#endif
