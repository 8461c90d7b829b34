/* fused.c: see fused.h. */
#include "tests/support/fused.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "autograd/compose.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"

/* By one rule or the other, into g. */
static void gradients(laid_out *s, unsigned want, bool composed, mutant *m, tp_tensor *g)
{
    tp_tape *t;
    tp_tensor v;
    tp_var x[TP_SAMPLE_INPUTS];
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < s->sample->n; i++) {
        tp_tensor view = layout_view(&s->in[i], &s->data[i]);
        x[i] = want >> i & 1 ? tp_leaf(t, &view) : tp_constant(t, &view);
    }
    tp_var y = op_call(t, s->op, s->sample->n, x, s->sample->attr);
    draw_cotangent(&v, s->dtype, tp_shape_of(y), 4);
    tp_var root = tp_sum(tp_mul(y, tp_constant(t, &v)), TP_ALL_AXES, false);
    assert_ok(tp_tape_status(t));
    if (m != NULL)
        mutant_release(t, m);
    tp_sweep sweep = tp_sweep_begin(root, (tp_sweep_opts){.composed = composed});
    bool fused = false;
    while (tp_sweep_next(&sweep))
        fused |= sweep.fused;
    assert_ok(tp_sweep_end(&sweep));
    assert_int_equal(fused, !composed); /* else the comparison would compare nothing */
    for (int i = 0; i < s->sample->n; i++)
        if (want >> i & 1 && tp_leaf_grad(x[i]) != NULL) /* a mutant may have dropped it */
            assert_ok(tp_clone(&g[i], tp_leaf_grad(x[i])));
    tp_tape_free(t);
    tp_tensor_free(&v);
}

/* Where a difference cancels, ulp of its terms count instead. In (1 − t)·σ(x) − t·σ(−x) they are at most |v|,
 * in gy − e^y Σ gy the sum of |v| along an axis of at most 4. */
static double terms(const laid_out *s)
{
    return strcmp(s->op->name, "bce_with_logits") == 0 ? 1.5
           : strcmp(s->op->name, "log_softmax") == 0   ? 4 * 1.5
                                                       : 0;
}

/* How far element k of two gradients is apart, in ulp; a gradient that is not there is 0. */
static double apart(const laid_out *s, const tp_tensor *fast, const tp_tensor *slow, int64_t k,
                    fused_difference *d)
{
    bool f32 = s->dtype == TP_F32;
    d->fused = fast->storage != NULL ? tp_flat(fast, k) : 0;
    d->composed = tp_flat(slow, k);
    double size = fmax(fabs(d->composed), f32 ? 1e-36 : 1e-300);
    double off = fabs(d->fused - d->composed);
    return off / ((f32 ? (double)FLT_EPSILON : DBL_EPSILON) * fmax(size, terms(s) / FUSED_ULPS));
}

fused_difference fused_compare(laid_out *s, unsigned want, mutant *m)
{
    tp_tensor fast[TP_SAMPLE_INPUTS] = {{0}}, slow[TP_SAMPLE_INPUTS] = {{0}};
    fused_difference worst = {0};
    gradients(s, want, false, m, fast);
    gradients(s, want, true, NULL, slow);
    for (int i = 0; i < s->sample->n; i++) {
        for (int64_t k = 0; (want >> i & 1) && k < tp_numel(&slow[i]); k++) {
            fused_difference d = {.input = i, .element = k};
            d.worst = apart(s, &fast[i], &slow[i], k, &d);
            if (!(d.worst <= worst.worst))
                worst = d;
        }
        tp_tensor_free(&fast[i]);
        tp_tensor_free(&slow[i]);
    }
    return worst;
}

unsigned fused_possible(const tp_sample *sample)
{
    unsigned possible = 0;
    for (int i = 0; i < sample->n; i++)
        possible |= tp_sample_fixed(&sample->x[i]) ? 0 : 1u << i;
    return possible;
}
