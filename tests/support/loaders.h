/* loaders.h: every reader of files behind one call that watches it.
 *
 * What a reader may never do, whatever stands in the file: leak memory or descriptors, take memory out of
 * proportion to the file, touch its result before it succeeds, or give a message that is not one line of plain
 * text naming the file. Read next: tests/corpus/check_corpus.c.
 */
#ifndef TP_TESTS_LOADERS_H
#define TP_TESTS_LOADERS_H

#include <stdbool.h>
#include <stddef.h>
#include "tensor/tensor.h"

enum { LOADED_TEXT = 4096 };

/* What was read, as one line: types, shapes, the elements or their checksum; and how many bytes of elements. */
typedef struct loaded {
    char text[LOADED_TEXT];
    int64_t bytes;
} loaded;

typedef struct loader {
    const char *name;
    const char *expected; /* as its messages say it: "…, expected an idx file" */
    size_t least;         /* bytes that such a file has */
    size_t times; /* memory it may take: so many times the size of the file, and a constant */
    /* Frees what it read. *untouched says whether a failure left the result alone. */
    tp_status (*load)(const char *path, loaded *out, bool *untouched);
} loader;

enum { LOADER_IDX, LOADER_NPY, LOADER_SAFETENSORS, LOADER_PNG, LOADERS };
extern const loader loaders[LOADERS];

/* One file through one loader. line is what a golden file has of it: "E_FORMAT path: …", "OK path: f32[2] 1 2".
 * fault is NULL, or which of the rules above was broken. Both live until the next call. */
typedef struct outcome {
    tp_status status;
    const char *line, *fault;
    int64_t bytes;
} outcome;

outcome load_watched(const loader *l, const char *path);

/* NULL, or what is wrong with a message: raw control bytes, not UTF-8, an unindented second line. */
const char *message_fault(const char *message);

#endif
