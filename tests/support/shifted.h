/* shifted.h: an allocator that keeps its contract and nothing more: aligned to 64 bytes, and filled with what
 * nobody should read.
 *
 * Results may depend neither on where a buffer lies nor on what lay there before. Blocks stand at any multiple
 * of 64 within a page, in falling order if asked, and are filled when they come and when they go. For one calling
 * thread. Read next: tests/determinism/check_threads.c.
 */
#ifndef TP_TESTS_SHIFTED_H
#define TP_TESTS_SHIFTED_H

#include <stdbool.h>
#include <stddef.h>

typedef enum fill_kind {
    FILL_NAN,   /* all bits set: a NaN in f32 and f64, -1 in i64 */
    FILL_NOISE, /* pseudo-random bits */
} fill_kind;

enum { SHIFT_ANY = -1 };

typedef struct shifted {
    int shift; /* bytes behind the start of a page, a multiple of 64 below 4096; SHIFT_ANY: each its own */
    bool falling; /* each new block below the one before */
    fill_kind fill;
} shifted;

/* Takes the place of tapir's allocator, for the rest of the program. Call it while tapir holds no memory. */
void shifted_install(void);
/* How blocks lie from here on. False, with nothing changed, if tapir holds memory. */
bool shifted_use(shifted how);

#endif
