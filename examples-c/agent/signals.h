/* SIGTERM and SIGINT, and waits that they end; SIGHUP and SIGPIPE do nothing. */
#ifndef AGENT_SIGNALS_H
#define AGENT_SIGNALS_H

/* Catches the first two and ignores the others; 0 and errno if that fails. */
int catch_signals(void);

/* Whether a signal has come, or end_waits was called. */
int was_interrupted(void);

/* Waits, for ever if `milliseconds` is negative; 1 = it was interrupted. With a label it counts down on a terminal. */
int wait_for(long milliseconds, const char *label);

/* A descriptor that can be read once a signal has come; not to be read. */
int signal_descriptor(void);

/* Ends all waits, as a signal does. */
void end_waits(void);

#endif
