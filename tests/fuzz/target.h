/* target.h: what the coverage-guided fuzz targets share: bytes as a file, and what must hold after any call.
 *
 * Each target_<name>.c has one function, LLVMFuzzerTestOneInput, and a folder corpus/<name>. libFuzzer calls it
 * with inputs that it makes up (check_fuzz.sh), replay.c with the corpus. A target that finds something wrong says
 * what and aborts. Programs of random operations are another thing: fuzz.h. Read next: target_npy.c.
 */
#ifndef TP_TESTS_FUZZ_TARGET_H
#define TP_TESTS_FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/mem.h"
#include "tensor/status.h"
#include "tensor/tensor.h"

/* Returns 0. libFuzzer wants the name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* May stand in a target: changes data[0 … size) in place into another input of at most room bytes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
/* libFuzzer's own changes, for the former. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

/* Ends the process, saying where and why, unless ok. */
#define TARGET_REQUIRE(ok) target_require((ok), #ok, __FILE__, __LINE__)
void target_require(bool ok, const char *text, const char *file, int line);

/* A path under which these bytes can be read, until the next call; nothing reaches a disk. */
const char *target_file(const void *data, size_t size);

/* Limits memory to bytes more than now; at the end nothing must be left of it. Input without end is caught so. */
size_t target_begin(size_t bytes);
void target_end(size_t begun);

/* A call that failed: its status is one of those in allowed (bits 1 << TP_E…), and the message begins with its name,
 * contains what (NULL: anything), is UTF-8, and holds no control characters. Nothing is asked of TP_OK. */
void target_check_status(tp_status s, unsigned allowed, const char *what);
/* The rules for a message alone. */
void target_check_text(const char *text);

/* Whether both have the same type, shape and bits (both contiguous). */
bool target_same(const tp_tensor *a, const tp_tensor *b);
/* What a handle holds before a call that must not touch it on failure, and whether it still does. */
tp_tensor target_sentinel(void);
bool target_is_sentinel(const tp_tensor *t);

#endif
