/* The text of --help, in 80 columns. */
#ifndef AGENT_HELP_H
#define AGENT_HELP_H

/* Prints what comes before the agent's options. */
void print_help_head(void);

/* Prints an option of the agent; `value` may be NULL. */
void print_help_option(const char *name, const char *value, const char *text);

/* Prints what comes after them: the library's keys, what the reasons mean, and the exit codes. */
void print_help_tail(void);

#endif
