/* target_safetensors.c: any bytes as a safetensors file. What opens can be read to the last tensor, found by its
 * names, and fills the file exactly. */
#include "tests/fuzz/target.h"

#include <string.h>

#include "tensor/io/safetensors.h"

/* Half of the changed inputs get the length of a header that ends with the last '}'. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, room);
    size_t end = size;
    while (end > 8 && data[end - 1] != '}')
        end--;
    for (int i = 0; i < 8 && end > 8 && seed % 2 == 0; i++)
        data[i] = (uint8_t)((end - 8) >> 8 * i);
    return size;
}

static void read_all(const tp_safetensors *s, size_t size)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const tp_safetensors_entry *e = &s->entry[i];
        tp_tensor fresh = target_sentinel(), again;
        TARGET_REQUIRE(tp_safetensors_find(s, e->name) == e);
        TARGET_REQUIRE(tp_safetensors_load_new(s, e->name, &fresh) == TP_OK);
        TARGET_REQUIRE(fresh.dtype == e->dtype && tp_shape_equal(fresh.shape, e->shape));
        TARGET_REQUIRE(tp_tensor_new(&again, e->dtype, e->shape) == TP_OK);
        TARGET_REQUIRE(tp_safetensors_load(s, e->name, &again) == TP_OK);
        TARGET_REQUIRE(target_same(&fresh, &again));
        tp_tensor_free(&fresh);
        tp_tensor_free(&again);
        bytes += e->bytes;
    }
    TARGET_REQUIRE(s->data + bytes == (int64_t)size);
    for (int64_t i = 0; i < s->metadata_n; i++)
        TARGET_REQUIRE(tp_safetensors_metadata(s, s->metadata[2 * i]) == s->metadata[2 * i + 1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = target_file(data, size);
    size_t begun = target_begin(32 * size + (1 << 16));
    tp_safetensors s;
    tp_status status = tp_safetensors_open(&s, path);
    target_check_status(status, 1u << TP_EFORMAT, path);
    if (status == TP_OK) {
        read_all(&s, size);
        tp_tensor none = target_sentinel();
        status = tp_safetensors_load_new(&s, "no \x01 such", &none);
        target_check_status(status, 1u << TP_EVALUE | 1u << TP_OK, path);
        TARGET_REQUIRE(status == TP_OK || target_is_sentinel(&none));
        if (status == TP_OK)
            tp_tensor_free(&none);
        tp_safetensors_close(&s);
    }
    target_end(begun);
    return 0;
}
