/* Durations as Go writes them, and a clock to measure with. */
#ifndef AGENT_DURATION_H
#define AGENT_DURATION_H

/* Milliseconds of a duration such as "1m30s", in all forms that crigc takes for its keys; -1 for anything else. */
long milliseconds_of(const char *text);

/* Seconds of a clock that only runs forward. */
double now_seconds(void);

#endif
