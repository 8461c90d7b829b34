/* safetensors.h: named tensors in one file, as PyTorch and others exchange them.
 *
 * Format: an 8-byte little-endian length, a JSON header of that length, the data
 * (https://github.com/huggingface/safetensors). Strict in both directions; F32, F64, I64 and U8 only.
 * Read next: file.h.
 */
#ifndef TP_TENSOR_IO_SAFETENSORS_H
#define TP_TENSOR_IO_SAFETENSORS_H

#include "tensor/io/file.h"
#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Key of the checksum: eight digits in hex, the CRC-32 of the whole file with "00000000" in their place. */
#define TP_SAFETENSORS_CRC "tapir.crc32"

typedef struct tp_named_tensor {
    const char *name;
    tp_tensor *tensor;
} tp_named_tensor;

/* Writes n tensors (any strides) in the order given, atomically. metadata is NULL or key, value, …, NULL.
 * Names are UTF-8 and distinct. The header is padded with spaces so that the data starts at a multiple of 8.
 * The first metadata entry is TP_SAFETENSORS_CRC, which tp_safetensors_verify reads.
 * TP_EARG for a name or an empty handle, TP_EIO, TP_ENOMEM. */
tp_status tp_safetensors_save(const char *path, const tp_named_tensor *items, int n,
                              const char *const *metadata);

/* One tensor of an open file. The name lives until the file is closed. */
typedef struct tp_safetensors_entry {
    const char *name;
    tp_dtype dtype;
    tp_shape shape;
    int64_t begin, bytes; /* place in the data part */
} tp_safetensors_entry;

/* An open file: n entries in the order of the header. The rest is private. */
typedef struct tp_safetensors {
    int64_t n;
    tp_safetensors_entry *entry;
    int64_t metadata_n;
    const char **metadata; /* key, value, key, value, … */

    tp_file file;
    int64_t data; /* offset of the data part in the file */
    char *header; /* the strings above point into it */
    int64_t header_bytes, entry_room, metadata_room;
    int64_t *by_name, *by_key; /* sorted indices into entry and metadata pairs */
} tp_safetensors;

/* Opens a file and checks its whole header: names are distinct UTF-8 without NUL, shapes fit their spans, and
 * the spans cover the data exactly, without holes or overlaps. At most 100 MB of header.
 * TP_EIO, TP_EFORMAT, TP_ENOMEM; on failure there is nothing to close. */
tp_status tp_safetensors_open(tp_safetensors *s, const char *path);
void tp_safetensors_close(tp_safetensors *s);

/* The entry or the metadata value of that name; NULL if there is none. */
const tp_safetensors_entry *tp_safetensors_find(const tp_safetensors *s, const char *name);
const char *tp_safetensors_metadata(const tp_safetensors *s, const char *key);

/* Reads the whole file and compares it with its checksum: TP_EFORMAT if a byte has changed. A file without
 * one, as other programs write them, passes. TP_EIO, TP_ENOMEM. */
tp_status tp_safetensors_verify(const tp_safetensors *s);

/* Copies an entry into t, which has its shape and element type and any strides. TP_EVALUE if there is no such
 * entry, TP_ESHAPE, TP_EDTYPE, TP_EARG (t overlaps itself), TP_EIO, TP_EFORMAT, TP_ENOMEM. t is untouched on
 * failure. */
tp_status tp_safetensors_load(const tp_safetensors *s, const char *name, tp_tensor *t);
/* The same into a new tensor that the caller owns; *t is untouched on failure. */
tp_status tp_safetensors_load_new(const tp_safetensors *s, const char *name, tp_tensor *t);
/* Copies all entries into n tensors that have their names, shapes and element types: all or none. TP_EFORMAT names
 * the first that is missing, different or too many; TP_EARG (an empty handle, or one that overlaps itself), TP_EIO,
 * TP_ENOMEM. */
tp_status tp_safetensors_load_all(const tp_safetensors *s, const tp_named_tensor *items, int n);

#ifdef __cplusplus
}
#endif
#endif
