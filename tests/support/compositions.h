/* compositions.h: the functions of autograd/compose.h in the form of operations, so that every test of the
 * table of operations can run on them: how to call one, its samples, what it must refuse, its formula. They
 * have no shape rule, no forward and no vjp; those of their parts are at work.
 * Read next: compositions.def, compositions_activations.c, tests/ops/test_compositions.c.
 */
#ifndef TP_TESTS_COMPOSITIONS_H
#define TP_TESTS_COMPOSITIONS_H

#include "autograd/compose.h"

/* The table, in the order of compositions.def. */
extern const tp_op *const compositions[];
extern const int composition_count;

#define COMPOSITION(name) extern const tp_op composition_##name;
#include "tests/support/compositions.def"
#undef COMPOSITION

/* Everything that has samples: the rows of ops.def, then the compositions. */
int tested_count(void);
const tp_op *tested(int i);

/* `COMPOSE(elu, .arity = 1, …)` defines composition_elu out of elu_call and elu_samples. */
#define COMPOSE(id, ...)                                                                           \
    _Static_assert(sizeof id##_samples / sizeof *id##_samples >= 3, #id " needs three samples");   \
    const tp_op composition_##id = {.name = #id,                                                   \
                                    .call = id##_call,                                             \
                                    .samples = id##_samples,                                       \
                                    .sample_count =                                                \
                                        (int)(sizeof id##_samples / sizeof *id##_samples),         \
                                    __VA_ARGS__}
#define REFUSALS(id)                                                                               \
    .refusals = id##_refusals, .refusal_count = (int)(sizeof id##_refusals / sizeof *id##_refusals)
#define ATTR(type, table)                                                                          \
    .attr_size = sizeof(type), .fields = table, .field_count = (int)(sizeof table / sizeof *table)

/* id_call of a function whose arguments, out of x, n, t and the attributes a, are args. */
#define CALL(id, type, args)                                                                       \
    static tp_var id##_call(tp_tape *t, int n, const tp_var *x, const void *attr)                  \
    {                                                                                              \
        const type *a = attr;                                                                      \
        (void)t, (void)n, (void)x, (void)a;                                                        \
        return tp_##id args;                                                                       \
    }

/* Attributes that several have. */
typedef struct axis_attr {
    int axis;
} axis_attr;
typedef struct number_attr {
    double c;
} number_attr;

#endif
