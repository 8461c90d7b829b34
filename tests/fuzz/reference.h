/* reference.h: the inside of the naive reference: what its families share. See reference.c. */
#ifndef TP_TESTS_FUZZ_REFERENCE_H
#define TP_TESTS_FUZZ_REFERENCE_H

#include "tests/fuzz/fuzz.h"

/* A row of a family: the name of the operation, and what gives status and result. */
typedef struct ref_row {
    const char *name;
    tp_status (*run)(ref_call *c);
} ref_row;
#define REF_ROW(id)                                                                                \
    {                                                                                              \
#        id, id                                                                                    \
    }

/* The families, each ended by a row without name. */
extern const ref_row ref_reductions[], ref_matrices[], ref_convolutions[], ref_places[], ref_pool[],
    ref_draws[];

/* An attribute by name. */
int64_t ref_whole(const ref_call *c, const char *name);
const void *ref_field(const ref_call *c, const char *name);
/* The attribute axis, in the first input. */
tp_status ref_axis(const ref_call *c, int *axis);
/* Makes y, zeroed; its v stays NULL where it is too large to look into. */
tp_status ref_make(ref_call *c, tp_dtype dtype, tp_shape shape);

/* Runs through the elements of y: number i, at index. */
#define REF_EACH(c, i, index)                                                                      \
    for (int64_t i = 0, index[TP_MAX_DIMS] = {0};                                                  \
         (c)->y->v != NULL && i < (c)->y->n && (ref_unflatten((c)->y->shape, i, index), true);     \
         i++)

#endif
