/* short_of_memory.c: linked into a copy of the program vae, it lets one allocation of the process fail, whoever asks, the
 * C library included: the one whose number is in TAPIR_FAIL_AT, with TAPIR_FAIL_ON=1 also all that follow. How many
 * there were, and whether one failed, is written to the file TAPIR_FAIL_LOG at the end. Where malloc cannot be seen
 * it is tapir's own allocations. Those that LLVM's OpenMP makes when it starts are left alone: it crashes without
 * them, and no program can help it. Read next: ../../check_oom_tool.sh.
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "tensor/mem.h"
#include "tests/support/interpose/malloc.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long at = -1, calls;
static bool on, hit;

static uintptr_t omp_begin, omp_end; /* where libomp is */

static int find_omp(struct dl_phdr_info *object, size_t size, void *unused)
{
    (void)size, (void)unused;
    if (strstr(object->dlpi_name, "/libomp") == NULL)
        return 0;
    omp_begin = object->dlpi_addr;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        uintptr_t end =
            object->dlpi_addr + object->dlpi_phdr[i].p_vaddr + object->dlpi_phdr[i].p_memsz;
        if (object->dlpi_phdr[i].p_type == PT_LOAD && end > omp_end)
            omp_end = end;
    }
    return 1;
}

extern int omp_get_max_threads(void) __attribute__((weak));

static bool next_may(const void *caller)
{
    if ((uintptr_t)caller >= omp_begin && (uintptr_t)caller < omp_end)
        return true;
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
    if (dl_iterate_phdr(find_omp, NULL) == 1 && omp_get_max_threads != NULL)
        omp_get_max_threads(); /* starts it, which loads its tools */
    if (malloc_seen())
        malloc_watch(next_may);
    else
        tp_set_allocator(&(tp_allocator){alloc, release, NULL});
}
