/* malloc.h: every malloc, calloc, realloc, aligned_alloc and posix_memalign of the process, seen.
 *
 * malloc.c takes the C library's place in the programs that are linked with it. It is no part of the library of
 * test support: there it would be in every test. It needs glibc and no sanitizer (which does the same).
 * Read next: tests/nn/test_malloc.c.
 */
#ifndef TP_TESTS_INTERPOSE_MALLOC_H
#define TP_TESTS_INTERPOSE_MALLOC_H

#include <stdbool.h>

/* Whether this build can see them. */
bool malloc_seen(void);
/* How many there were so far, on all threads. */
long malloc_calls(void);
/* Called at every one with the address it will return to, until NULL is set. May not allocate. False makes that
 * allocation fail. */
void malloc_watch(bool (*watch)(const void *caller));

#endif
