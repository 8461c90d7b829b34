/* target_png.c: any bytes as a PNG. Half of the changed inputs get right checksums, which would stop the rest. */
#include "tests/fuzz/target.h"

#include <string.h>
#include <zlib.h>

#include "tensor/io/png.h"

enum { BUDGET = 1 << 24 };

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, room);
    for (size_t at = 8; seed % 2 == 0 && at + 12 <= size;) { /* length, type, data, checksum */
        size_t length = big_endian(data + at);
        if (length > size - at - 12)
            break;
        uint8_t *sum = data + at + 8 + length;
        uint32_t crc = (uint32_t)crc32(0, data + at + 4, (uInt)length + 4);
        for (int i = 0; i < 4; i++)
            sum[i] = (uint8_t)(crc >> (24 - 8 * i));
        at += length + 12;
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = target_file(data, size);
    size_t begun = target_begin(BUDGET); /* a large image may not fit, and must say so */
    tp_tensor t = target_sentinel();
    tp_status s = tp_png_read(path, &t);
    target_check_status(s, 1u << TP_EFORMAT | 1u << TP_ENOMEM, path);
    TARGET_REQUIRE(s == TP_OK || target_is_sentinel(&t));
    if (s == TP_OK) {
        TARGET_REQUIRE(t.dtype == TP_U8 && t.shape.ndim == 3 && tp_is_contiguous(&t));
        TARGET_REQUIRE(t.shape.dim[0] > 0 && t.shape.dim[1] > 0);
        TARGET_REQUIRE(t.shape.dim[2] == 1 || t.shape.dim[2] == 3);
        tp_tensor_free(&t);
    }
    target_end(begun);
    return 0;
}
