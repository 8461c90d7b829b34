/* malloc.c: see malloc.h. */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include "tests/support/interpose/malloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SANITIZED 1
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)

static atomic_long calls;
static bool (*_Atomic watcher)(const void *caller);

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static bool allowed(const void *caller)
{
    bool (*watch)(const void *) = atomic_load(&watcher);
    atomic_fetch_add(&calls, 1);
    if (watch == NULL || watch(caller))
        return true;
    errno = ENOMEM;
    return false;
}

void *malloc(size_t bytes)
{
    return allowed(__builtin_return_address(0)) ? __libc_malloc(bytes) : NULL;
}

void *calloc(size_t n, size_t bytes)
{
    return allowed(__builtin_return_address(0)) ? __libc_calloc(n, bytes) : NULL;
}

void *realloc(void *p, size_t bytes)
{
    return allowed(__builtin_return_address(0)) ? __libc_realloc(p, bytes) : NULL;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return allowed(__builtin_return_address(0)) ? __libc_memalign(alignment, bytes) : NULL;
}

int posix_memalign(void **p, size_t alignment, size_t bytes)
{
    void *q = allowed(__builtin_return_address(0)) ? __libc_memalign(alignment, bytes) : NULL;
    if (q == NULL)
        return ENOMEM;
    *p = q;
    return 0;
}

bool malloc_seen(void)
{
    return true;
}

long malloc_calls(void)
{
    return atomic_load(&calls);
}

void malloc_watch(bool (*watch)(const void *caller))
{
    atomic_store(&watcher, watch);
}

#else

bool malloc_seen(void)
{
    return false;
}

long malloc_calls(void)
{
    return 0;
}

void malloc_watch(bool (*watch)(const void *caller))
{
    (void)watch;
}

#endif
