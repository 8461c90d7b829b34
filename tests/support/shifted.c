/* shifted.c: the allocator behind shifted.h. */
#include "tests/support/shifted.h"

#include "tensor/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, REGION = 256 << 20 };

static shifted current;
static uint64_t random_state = 1;
static char *region; /* where falling blocks come from; memory that is not touched costs nothing */
static size_t below; /* what of it is left, from the bottom */
static long in_region;

static uint64_t draw(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 24;
}

static void fill(unsigned char *p, size_t bytes)
{
    if (current.fill == FILL_NAN) {
        memset(p, 0xff, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i += 8) { /* bytes is a multiple of TP_ALIGN */
        uint64_t word = draw() * 0x9e3779b97f4a7c15u;
        memcpy(p + i, &word, sizeof word);
    }
}

static char *from_above(size_t bytes, size_t shift)
{
    size_t need = (bytes + shift + PAGE - 1) / PAGE * PAGE;
    if (region == NULL || need > below)
        return NULL;
    below -= need;
    in_region++;
    return region + below + shift;
}

static void *shifted_alloc(void *user, size_t bytes)
{
    (void)user;
    size_t shift =
        current.shift == SHIFT_ANY ? draw() % (PAGE / TP_ALIGN) * TP_ALIGN : (size_t)current.shift;
    char *p = NULL;
    if (current.falling) {
        p = from_above(bytes, shift);
    } else {
        char *page = aligned_alloc(PAGE, (bytes + shift + PAGE - 1) / PAGE * PAGE);
        p = page != NULL ? page + shift : NULL;
    }
    if (p != NULL)
        fill((unsigned char *)p, bytes);
    return p;
}

static void shifted_free(void *user, void *p, size_t bytes)
{
    (void)user;
    fill(p, bytes);
    if (!current.falling)
        free((char *)p - (uintptr_t)p % PAGE);
    else if (--in_region == 0)
        below = REGION;
}

void shifted_install(void)
{
    static const tp_allocator hook = {shifted_alloc, shifted_free, NULL};
    region = aligned_alloc(PAGE, REGION);
    below = REGION;
    tp_set_allocator(&hook);
}

bool shifted_use(shifted how)
{
    if (tp_mem().live_bytes != 0)
        return false;
    current = how;
    return true;
}
