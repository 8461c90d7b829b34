/* fixture.h: a tape with tensors that live as long as it does: what the tests of nn/ start from.
 *
 * Read next: test_objective.c.
 */
#ifndef TP_TESTS_FIXTURE_H
#define TP_TESTS_FIXTURE_H

#include "tests/support/check.h"

#include <stdlib.h>

#include "autograd/compose.h"
#include "nn/ctx.h"

enum { FIXTURE_TENSORS = 64 };

typedef struct fixture {
    tp_tape *tape;
    tp_tensor tensor[FIXTURE_TENSORS];
    int n;
} fixture;

static inline fixture *fixture_new(void)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_ok(tp_tape_new(&f->tape));
    return f;
}

static inline void fixture_free(fixture *f)
{
    tp_tape_free(f->tape);
    for (int i = 0; i < f->n; i++)
        tp_tensor_free(&f->tensor[i]);
    free(f);
}

/* A tensor of dtype with these values in row-major order, freed with the fixture. */
static inline tp_tensor *fixture_tensor(fixture *f, tp_dtype dtype, tp_shape shape, const double *v)
{
    assert_true(f->n < FIXTURE_TENSORS);
    tp_tensor *t = &f->tensor[f->n++];
    assert_ok(tp_tensor_new(t, dtype, shape));
    for (int64_t i = 0; i < tp_numel(t); i++)
        assert_ok(tp_set_flat(t, i, v[i]));
    return t;
}

/* Standard normal draws, scaled and shifted. */
static inline tp_tensor *fixture_draw(fixture *f, tp_dtype dtype, tp_shape shape, uint64_t seed,
                                      double scale, double shift)
{
    assert_true(f->n < FIXTURE_TENSORS);
    tp_tensor *t = &f->tensor[f->n++];
    assert_ok(tp_tensor_new(t, dtype, shape));
    assert_ok(tp_random_normal(t, (tp_rng_key){seed, 0, 0}));
    for (int64_t i = 0; i < tp_numel(t); i++)
        assert_ok(tp_set_flat(t, i, scale * tp_flat(t, i) + shift));
    return t;
}

/* The same as f64 vars. */
static inline tp_var given(fixture *f, tp_shape shape, const double *v)
{
    return tp_constant(f->tape, fixture_tensor(f, TP_F64, shape, v));
}

static inline tp_var drawn(fixture *f, tp_shape shape, uint64_t seed)
{
    return tp_constant(f->tape, fixture_draw(f, TP_F64, shape, seed, 1, 0));
}

/* One element, whatever the dtype. */
static inline tp_var one(fixture *f, tp_dtype dtype, double v)
{
    return tp_constant(f->tape, fixture_tensor(f, dtype, TP_SHAPE(1, 1), &v));
}

/* Same shape, same bits (but for the sign of zero). */
static inline bool same_values(const tp_tensor *a, const tp_tensor *b)
{
    if (!tp_shape_equal(a->shape, b->shape))
        return false;
    for (int64_t i = 0; i < tp_numel(a); i++)
        if (!(tp_flat(a, i) == tp_flat(b, i)))
            return false;
    return true;
}

#endif
