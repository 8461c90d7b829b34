/* Private to safetensors*.c, nn/checkpoint.c and nn/data/: what they need to know about the header.
 *
 * The parser of the JSON header, and the handling of names that reader and writer share. Nothing here
 * opens a file. Read next: safetensors_header.c.
 */
#ifndef TP_TENSOR_IO_SAFETENSORS_HEADER_H
#define TP_TENSOR_IO_SAFETENSORS_HEADER_H

#include "tensor/io/safetensors.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "safetensors files are little-endian and copied as they are"
#endif

enum { TP_ST_HEADER_MAX = 100 * 1000 * 1000, TP_ST_CRC_DIGITS = 8 };

/* How the format writes the element types. */
extern const char *const tp_st_dtype_names[TP_DTYPE_COUNT];

/* Fills entry and metadata of s from its header text, which is unescaped in place. Checks each entry by
 * itself; whether names are distinct and spans fit together is for the caller. TP_EFORMAT, TP_ENOMEM. */
tp_status tp_st_parse(tp_safetensors *s);

/* A name for a message: control characters (C1, too) and quotes escaped, cut where text is full. */
enum { TP_ST_TEXT = 128 };
const char *tp_st_printable(const char *name, char text[TP_ST_TEXT]);

/* The numbers 0 … n-1 sorted by order(items, a, b), as strcmp orders; NULL after recording TP_ENOMEM. The
 * caller frees n int64_t. Not qsort, which may allocate outside of tapir's memory. */
typedef int (*tp_st_order)(const void *items, int64_t a, int64_t b);
int64_t *tp_st_sorted(int64_t n, tp_st_order order, const void *items);
/* Orders metadata (key, value, …) by key. */
int tp_st_by_key(const void *pairs, int64_t a, int64_t b);

#endif
