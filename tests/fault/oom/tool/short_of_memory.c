/* short_of_memory.c: linked into a copy of the program vae, it lets one allocation of the process fail, whoever asks, the
 * C library included: the one whose number is in TAPIR_FAIL_AT, with TAPIR_FAIL_ON=1 also all that follow. How many
 * there were, and whether one failed, is written to the file TAPIR_FAIL_LOG at the end. Where malloc cannot be seen
 * it is tapir's own allocations. Read next: ../../check_oom_tool.sh.
 */
#include "tensor/mem.h"
#include "tests/support/interpose/malloc.h"

#include <stdio.h>
#include <stdlib.h>

static long at = -1, calls;
static bool on, hit;

static bool next_may(const void *caller)
{
    (void)caller;
    bool fails = at >= 0 && (calls == at || (on && calls > at));
    calls++;
    hit |= fails;
    return !fails;
}

static void *alloc(void *user, size_t bytes)
{
    (void)user;
    return next_may(NULL) ? aligned_alloc(TP_ALIGN, bytes) : NULL;
}

static void release(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    free(p);
}

static void report(void)
{
    at = -1;
    FILE *f = fopen(getenv("TAPIR_FAIL_LOG"), "w");
    if (f != NULL) {
        fprintf(f, "%ld %d\n", calls, hit);
        fclose(f);
    }
}

__attribute__((constructor)) static void start(void)
{
    if (getenv("TAPIR_FAIL_LOG") == NULL)
        return;
    atexit(report);
    at = atol(getenv("TAPIR_FAIL_AT"));
    on = getenv("TAPIR_FAIL_ON") != NULL;
    if (malloc_seen())
        malloc_watch(next_may);
    else
        tp_set_allocator(&(tp_allocator){alloc, release, NULL});
}
