/* target_idx.c: any bytes as an idx file, and the same bytes inside gzip, where the same must come out. */
#include "tests/fuzz/target.h"

#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "tensor/io/idx.h"

enum { ROOM = 1 << 16, GROWTH = 1100, FIXED = 1 << 17 };

static tp_status read_idx(const void *data, size_t size, tp_tensor *t)
{
    const char *path = target_file(data, size);
    size_t begun = target_begin(GROWTH * size + FIXED);
    *t = target_sentinel();
    tp_status s = tp_idx_read(path, t);
    target_check_status(s, 1u << TP_EFORMAT, path);
    TARGET_REQUIRE(s == TP_OK || target_is_sentinel(t));
    tp_mem_set_budget(0);
    if (s == TP_OK) {
        TARGET_REQUIRE(t->dtype == TP_U8 && t->shape.ndim >= 1 && t->shape.ndim <= 4);
        TARGET_REQUIRE(tp_is_contiguous(t));
    } else {
        target_end(begun);
    }
    return s;
}

/* gzip of the bytes; returns its size. */
static size_t pack(const uint8_t *data, size_t size, int level, uint8_t packed[ROOM])
{
    z_stream z = {.next_in = data, .avail_in = (uInt)size, .next_out = packed, .avail_out = ROOM};
    TARGET_REQUIRE(deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    int code = deflate(&z, Z_FINISH);
    size_t made = z.total_out;
    deflateEnd(&z);
    return code == Z_STREAM_END ? made : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t packed[ROOM];
    tp_tensor plain, inside;
    tp_status s = read_idx(data, size, &plain);
    bool gzip = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    size_t n = gzip || size < 4 ? 0 : pack(data, size, data[size - 1] % 3, packed);
    if (n > 0) {
        tp_status t = read_idx(packed, n, &inside);
        TARGET_REQUIRE(s == t);
        TARGET_REQUIRE(s != TP_OK || target_same(&plain, &inside));
        if (t == TP_OK)
            tp_tensor_free(&inside);
    }
    if (s == TP_OK)
        tp_tensor_free(&plain);
    TARGET_REQUIRE(tp_mem().live_bytes == 0);
    return 0;
}
