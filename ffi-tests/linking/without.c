/* What `dry.c` is without crigc: a way to link that fails for this one fails without crigc's doing. */
#include <stdio.h>

#ifdef __cplusplus
void throws(void);
void throws(void) { throw 1; }
#endif

int main(void) { return puts("without crigc") < 0; }
