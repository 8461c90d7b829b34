/* target_idx_gz.c: bytes as gzip members around an idx file. The mutator changes what is inside, or how it is
 * packed, as often as the packed bytes, whose checksums would stop everything else. */
#include "tests/fuzz/target.h"

#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "tensor/io/idx.h"

enum { GROWTH = 1100, FIXED = 1 << 17, INSIDE = 1 << 14 };

/* What the first member holds; 0 if it cannot be had. */
static size_t unpack(const uint8_t *data, size_t size, uint8_t inside[INSIDE])
{
    z_stream z = {.next_in = data, .avail_in = (uInt)size, .next_out = inside, .avail_out = INSIDE};
    if (inflateInit2(&z, 31) != Z_OK)
        return 0;
    int code = inflate(&z, Z_FINISH);
    size_t n = z.total_out;
    inflateEnd(&z);
    return code == Z_STREAM_END ? n : 0;
}

static size_t pack(const uint8_t *data, size_t size, unsigned seed, uint8_t *packed, size_t room)
{
    z_stream z = {
        .next_in = data, .avail_in = (uInt)size, .next_out = packed, .avail_out = (uInt)room};
    if (deflateInit2(&z, (int)(seed % 10), Z_DEFLATED, 31, 8, (int)(seed / 10 % 5)) != Z_OK)
        return 0;
    int code = deflate(&z, Z_FINISH);
    size_t n = z.total_out;
    deflateEnd(&z);
    return code == Z_STREAM_END ? n : 0;
}

/* Half of the inputs change as they are; the rest inside, some of them into two members. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    static uint8_t inside[INSIDE], packed[2 * INSIDE];
    size_t n = seed % 2 == 0 ? unpack(data, size, inside) : 0;
    if (n == 0)
        return LLVMFuzzerMutate(data, size, room);
    n = LLVMFuzzerMutate(inside, n, INSIDE);
    size_t first = seed / 2 % 4 == 0 ? seed / 8 % (n + 1) : n;
    size_t used = pack(inside, first, seed / 8, packed, sizeof packed);
    if (first < n)
        used += pack(inside + first, n - first, seed / 16, packed + used, sizeof packed - used);
    if (used > room)
        return LLVMFuzzerMutate(data, size, room);
    memcpy(data, packed, used);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = target_file(data, size);
    size_t begun = target_begin(GROWTH * size + FIXED);
    tp_tensor t = target_sentinel();
    tp_status s = tp_idx_read(path, &t);
    target_check_status(s, 1u << TP_EFORMAT, path);
    TARGET_REQUIRE(s == TP_OK || target_is_sentinel(&t));
    if (s == TP_OK) {
        TARGET_REQUIRE(t.dtype == TP_U8 && tp_is_contiguous(&t));
        tp_tensor_free(&t);
    }
    target_end(begun);
    return 0;
}
