/* mem.h: where every byte of tapir comes from.
 *
 * All memory goes through one allocator hook, is aligned to 64 bytes and is counted. An arena hands
 * out blocks in size classes, takes single blocks back and forgets everything at once on reset; it
 * keeps its chunks, so a training step in steady state never reaches the hook. This is no general
 * garbage collector: who allocates, frees. Read next: shape.h.
 */
#ifndef TP_TENSOR_MEM_H
#define TP_TENSOR_MEM_H

#include <stddef.h>
#include <stdint.h>
#include "tensor/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TP_ALIGN 64

/* The hook. alloc returns TP_ALIGN-aligned memory or NULL; free gets the size it was allocated with. The default is
 * the C library's; on Linux it rounds what is larger than 1 MiB up to whole large pages of 2 MiB and asks for them. */
typedef struct tp_allocator {
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *p, size_t bytes);
    void *user;
} tp_allocator;

/* Installs a hook; NULL restores the default. Call it before anything is allocated. */
void tp_set_allocator(const tp_allocator *allocator);

/* Counters since start. budget 0 means no limit; beyond it allocations fail with TP_ENOMEM. */
typedef struct tp_mem_stats {
    size_t live_bytes, peak_bytes, calls, budget;
} tp_mem_stats;

tp_mem_stats tp_mem(void);
void tp_mem_set_budget(size_t bytes);
/* Arenas take memory from the hook in chunks of this size, or of one block if that is larger; 0 means 1 MiB, the
 * default. Small ones suit a small budget, and cost time. For chunks taken from here on. */
void tp_mem_set_chunk(size_t bytes);

/* bytes of memory, not cleared (tp_alloc) or zeroed (tp_alloc_zero). NULL after recording TP_ENOMEM.
 * A size of 0 gives a valid pointer. */
void *tp_alloc(size_t bytes);
void *tp_alloc_zero(size_t bytes);
/* A copy of old_bytes in a block of new_bytes; on failure NULL, and p is untouched. */
void *tp_realloc(void *p, size_t old_bytes, size_t new_bytes);
/* Frees; bytes must be the size asked for. NULL is ignored. */
void tp_free(void *p, size_t bytes);
/* A copy of a string, freed with tp_free_string. */
char *tp_strdup(const char *s);
void tp_free_string(char *s);

/* Arena: zero-initialise to create. */
enum { TP_ARENA_CLASSES = 160 };

typedef struct tp_arena {
    struct tp_arena_chunk *first, *current;
    void *recycled[TP_ARENA_CLASSES]; /* free lists by size class, linked through the blocks */
    size_t live_bytes, peak_bytes;    /* in blocks handed out, by class size */
} tp_arena;

/* A block of at least bytes, not cleared, 64-byte aligned; NULL after recording TP_ENOMEM. */
void *tp_arena_alloc(tp_arena *a, size_t bytes);
/* Gives one block back for reuse; bytes as asked for. */
void tp_arena_recycle(tp_arena *a, void *p, size_t bytes);
/* Forgets every block and keeps the memory. */
void tp_arena_reset(tp_arena *a);
/* Returns all memory to the hook. */
void tp_arena_free(tp_arena *a);

#ifdef __cplusplus
}
#endif
#endif
