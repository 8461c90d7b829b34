/* target_npy.c: any bytes as an npy file: loaded or refused with a message, never more memory than the file has. */
#include "tests/fuzz/target.h"

#include <string.h>

#include "tensor/io/npy.h"

/* Half of the changed inputs get a header length that ends at the first line feed, or few get past it. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, room);
    const uint8_t *end = size > 10 && seed % 2 == 0 ? memchr(data + 10, '\n', size - 10) : NULL;
    if (end != NULL && data[6] == 1) {
        size_t length = (size_t)(end + 1 - (data + 10));
        data[8] = (uint8_t)length;
        data[9] = (uint8_t)(length >> 8);
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = target_file(data, size);
    size_t begun = target_begin(2 * size + (1 << 16));
    tp_tensor t = target_sentinel();
    tp_status s = tp_npy_load(path, &t);
    target_check_status(s, 1u << TP_EFORMAT | 1u << TP_EDTYPE, path);
    TARGET_REQUIRE(s == TP_OK || target_is_sentinel(&t));
    if (s == TP_OK) {
        TARGET_REQUIRE(tp_is_contiguous(&t));
        TARGET_REQUIRE((size_t)(tp_numel(&t) * tp_dtype_size(t.dtype)) < size);
        tp_tensor_free(&t);
    }
    target_end(begun);
    return 0;
}
