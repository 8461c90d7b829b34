/* mem.c: the allocator hook with its counters, and the arena. */
#define _DEFAULT_SOURCE /* madvise */
#include "tensor/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#    include <sys/mman.h>
#endif

/* bytes is a multiple of TP_ALIGN. What fills more than half of large pages has them whole: an entry of the
 * processor's table of pages then serves 512 times as much. */
static void *default_alloc(void *user, size_t bytes)
{
    (void)user;
#ifdef MADV_HUGEPAGE
    enum { LARGE_PAGE = 1 << 21 };
    if (bytes > LARGE_PAGE / 2 && bytes <= SIZE_MAX - LARGE_PAGE) {
        size_t whole = (bytes + LARGE_PAGE - 1) & ~(size_t)(LARGE_PAGE - 1);
        void *p = aligned_alloc(LARGE_PAGE, whole);
        if (p != NULL)
            madvise(p, whole, MADV_HUGEPAGE); /* a refusal costs time, nothing else */
        return p;
    }
#endif
    return aligned_alloc(TP_ALIGN, bytes);
}

static void default_free(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    free(p);
}

static tp_allocator hook = {default_alloc, default_free, NULL};
static atomic_size_t live, peak, calls, budget, chunk;

void tp_set_allocator(const tp_allocator *allocator)
{
    hook = allocator ? *allocator : (tp_allocator){default_alloc, default_free, NULL};
}

tp_mem_stats tp_mem(void)
{
    return (tp_mem_stats){atomic_load(&live), atomic_load(&peak), atomic_load(&calls),
                          atomic_load(&budget)};
}

void tp_mem_set_budget(size_t bytes)
{
    atomic_store(&budget, bytes);
}

void tp_mem_set_chunk(size_t bytes)
{
    atomic_store(&chunk, bytes);
}

/* Every block has a whole number of alignment units, so vector code may read to the end of the last. */
static size_t round_up(size_t bytes)
{
    return bytes == 0 ? TP_ALIGN : (bytes + TP_ALIGN - 1) & ~(size_t)(TP_ALIGN - 1);
}

void *tp_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        tp_fail(TP_ENOMEM, "cannot allocate %zu bytes: more than the address space", bytes);
        return NULL;
    }
    size_t size = round_up(bytes), before = atomic_load(&live), limit = atomic_load(&budget);
    do /* taken before it is asked for, and only where it fits: nobody else is refused for our sake */
        if (limit != 0 && (before > limit || size > limit - before)) {
            tp_fail(TP_ENOMEM, "cannot allocate %zu bytes: %zu of a budget of %zu are in use",
                    bytes, before, limit);
            return NULL;
        }
    while (!atomic_compare_exchange_weak(&live, &before, before + size));
    void *p = hook.alloc(hook.user, size);
    if (p == NULL) {
        atomic_fetch_sub(&live, size);
        tp_fail(TP_ENOMEM, "cannot allocate %zu bytes: out of memory", bytes);
        return NULL;
    }
    atomic_fetch_add(&calls, 1);
    size_t now = before + size, high = atomic_load(&peak);
    while (now > high && !atomic_compare_exchange_weak(&peak, &high, now))
        ;
    return p;
}

void *tp_alloc_zero(size_t bytes)
{
    void *p = tp_alloc(bytes);
    return p ? memset(p, 0, round_up(bytes)) : NULL;
}

void *tp_realloc(void *p, size_t old_bytes, size_t new_bytes)
{
    void *q = tp_alloc(new_bytes);
    if (q == NULL)
        return NULL;
    if (p != NULL) {
        memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
        tp_free(p, old_bytes);
    }
    return q;
}

void tp_free(void *p, size_t bytes)
{
    if (p == NULL)
        return;
    atomic_fetch_sub(&live, round_up(bytes));
    hook.free(hook.user, p, round_up(bytes));
}

char *tp_strdup(const char *s)
{
    size_t bytes = strlen(s) + 1;
    char *copy = tp_alloc(bytes);
    return copy ? memcpy(copy, s, bytes) : NULL;
}

void tp_free_string(char *s)
{
    if (s != NULL)
        tp_free(s, strlen(s) + 1);
}

/* --- arena ------------------------------------------------------------------------------------ */

enum { CHUNK_BYTES = 1 << 20 };

struct tp_arena_chunk {
    struct tp_arena_chunk *next;
    size_t bytes, used; /* of the whole chunk, header included */
};

/* Four classes per doubling, so a block wastes at most a fifth. Returns the class, writes its size. */
static int size_class(size_t bytes, size_t *size)
{
    size_t units = round_up(bytes) / TP_ALIGN; /* classes hold 1 2 3 4, 5 6 7 8, 10 12 14 16, … */
    if (units <= 4) {
        *size = units * TP_ALIGN;
        return (int)units - 1;
    }
    int shift = 61 - __builtin_clzll((unsigned long long)units - 1); /* leaves three bits */
    size_t mantissa = ((units - 1) >> shift) + 1;                    /* 5..8 */
    *size = (mantissa << shift) * TP_ALIGN;
    return 4 + 4 * shift + (int)(mantissa - 5);
}

static struct tp_arena_chunk *new_chunk(size_t need)
{
    size_t wish = atomic_load(&chunk), bytes = need + TP_ALIGN;
    if (wish == 0)
        wish = CHUNK_BYTES;
    bytes = bytes > wish ? bytes : wish;
    struct tp_arena_chunk *c = tp_alloc(bytes);
    if (c != NULL)
        *c = (struct tp_arena_chunk){NULL, bytes, TP_ALIGN};
    return c;
}

void *tp_arena_alloc(tp_arena *a, size_t bytes)
{
    size_t size;
    if (bytes > SIZE_MAX / 4) {
        tp_fail(TP_ENOMEM, "cannot allocate %zu bytes: more than the address space", bytes);
        return NULL;
    }
    int class = size_class(bytes, &size);
    if (class >= TP_ARENA_CLASSES) {
        tp_fail(TP_ENOMEM, "cannot allocate %zu bytes: more than any machine has", bytes);
        return NULL;
    }
    void *p = a->recycled[class];
    if (p != NULL) {
        memcpy(&a->recycled[class], p, sizeof(void *));
    } else {
        /* Chunks behind the current one are empty: a new chunk goes in only when none of them fits. */
        struct tp_arena_chunk **link = a->current ? &a->current : &a->first;
        while (*link != NULL && (*link)->bytes - (*link)->used < size)
            link = &(*link)->next;
        if (*link == NULL) {
            struct tp_arena_chunk *fresh = new_chunk(size);
            if (fresh == NULL)
                return NULL;
            if (a->first == NULL) {
                a->first = fresh;
            } else {
                struct tp_arena_chunk *last = a->current;
                while (last->next != NULL)
                    last = last->next;
                last->next = fresh;
            }
            a->current = fresh;
            p = (char *)fresh + fresh->used;
            fresh->used += size;
        } else {
            a->current = *link;
            p = (char *)a->current + a->current->used;
            a->current->used += size;
        }
    }
    a->live_bytes += size;
    if (a->live_bytes > a->peak_bytes)
        a->peak_bytes = a->live_bytes;
    return p;
}

void tp_arena_recycle(tp_arena *a, void *p, size_t bytes)
{
    size_t size;
    int class = size_class(bytes, &size);
    memcpy(p, &a->recycled[class], sizeof(void *));
    a->recycled[class] = p;
    a->live_bytes -= size;
}

void tp_arena_reset(tp_arena *a)
{
    for (struct tp_arena_chunk *c = a->first; c != NULL; c = c->next)
        c->used = TP_ALIGN;
    memset(a->recycled, 0, sizeof a->recycled);
    a->current = a->first;
    a->live_bytes = 0;
}

void tp_arena_free(tp_arena *a)
{
    while (a->first != NULL) {
        struct tp_arena_chunk *next = a->first->next;
        tp_free(a->first, a->first->bytes);
        a->first = next;
    }
    *a = (tp_arena){0};
}
