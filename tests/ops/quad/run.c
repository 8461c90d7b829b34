/* run.c: tapir's side of the comparison. Read next: tests/ops/test_ops_quad.c. */
#include "tests/ops/quad/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/ops.h"
#include "autograd/sweep.h"
#include "tests/support/check.h"
#include "tests/support/ops.h"

/* --- inputs -------------------------------------------------------------------------------------- */

/* The draw is of the logarithm. */
static void fill_decades(const tp_sample_input *in, uint64_t seed, tp_tensor *x)
{
    tp_sample_input logs = *in;
    logs.fill = TP_FILL_REAL;
    logs.lo = log(in->lo), logs.hi = log(in->hi);
    assert_ok(tp_sample_fill(&logs, TP_F64, seed, x));
    for (int64_t i = 0; i < tp_numel(x); i++) {
        double size = exp(tp_flat(x, i)), sign = (i * 7 + (int64_t)seed) % 3 == 0 ? -1 : 1;
        assert_ok(tp_set_flat(x, i, in->fill == TP_FILL_POSITIVE ? size : sign * size));
    }
}

static void fill_hilbert(tp_shape shape, tp_tensor *x)
{
    assert_ok(tp_tensor_new(x, TP_F64, shape));
    for (int64_t i = 0, n = shape.dim[1]; i < tp_numel(x); i++)
        assert_ok(tp_set_flat(x, i, 1.0 / (double)(i / n + i % n + 1)));
}

/* Draws have 33 bits, whose sums are exact in f64: this fills the rest. */
static void roughen(const tp_sample_input *in, tp_tensor *x)
{
    for (int64_t i = 0; i < tp_numel(x) && in->fill <= TP_FILL_POSITIVE; i++)
        assert_ok(tp_set_flat(x, i, tp_flat(x, i) * (1 - 0x1p-30 / 3)));
}

static void fill(const quad_harsh *h, int i, tp_dtype dtype, uint64_t seed, tp_tensor *x)
{
    const tp_sample_input *in = &h->s.x[i];
    tp_tensor wide;
    if (in->fill == TP_FILL_INDEX) {
        assert_ok(tp_sample_fill(in, dtype, seed, x));
        return;
    }
    if (h->decades >> i & 1)
        fill_decades(in, seed, &wide);
    else if (h->hilbert && i == 0)
        fill_hilbert(in->shape, &wide);
    else
        assert_ok(tp_sample_fill(in, TP_F64, seed, &wide));
    roughen(in, &wide);
    assert_ok(tp_tensor_new(x, dtype, in->shape));
    assert_ok(tp_copy(x, &wide));
    tp_tensor_free(&wide);
}

/* The attributes of a sample, for results of a dtype. */
static void *copy_attr(const tp_op *op, const void *attr, tp_dtype dtype)
{
    char *copy = quad_alloc((int64_t)op->attr_size, 1);
    if (attr != NULL && op->attr_size > 0)
        memcpy(copy, attr, op->attr_size);
    for (int i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == TP_FIELD_DTYPE)
            memcpy(copy + op->fields[i].offset, &dtype, sizeof dtype);
    return copy;
}

quad_inputs quad_inputs_make(const tp_op *op, const quad_harsh *h, tp_dtype dtype, uint64_t seed)
{
    quad_inputs in = {.op = op, .sample = &h->s, .dtype = dtype, .seed = seed};
    const void *attr = h->s.attr;
    if (attr == NULL && op->sample_count > 0)
        attr = op->samples[h->attr_of].attr;
    in.attr = copy_attr(op, attr, dtype);
    for (int i = 0; i < h->s.n; i++) {
        fill(h, i, dtype, seed + 1000 * (uint64_t)i, &in.x[i]);
        in.by[i] = !tp_sample_fixed(&h->s.x[i]);
    }
    return in;
}

void quad_inputs_free(quad_inputs *in)
{
    for (int i = 0; i < in->sample->n; i++)
        tp_tensor_free(&in->x[i]);
    free(in->attr);
}

/* --- results ------------------------------------------------------------------------------------- */

static void append(quad *all, int64_t *n, const tp_tensor *t)
{
    assert_non_null(t);
    for (int64_t i = 0; i < tp_numel(t); i++)
        all[(*n)++] = tp_flat(t, i);
}

/* Σ_i Σ u_i ⊙ g_i */
static tp_var inner(tp_tape *t, int n, const tp_var *g, const tp_tensor *u)
{
    tp_var s = tp_full(t, u[0].dtype, TP_SHAPE(), 0);
    for (int i = 0; i < n; i++)
        s = tp_add(s, tp_sum(tp_mul(g[i], tp_constant(t, &u[i])), TP_ALL_AXES, false));
    return s;
}

/* vJ by both rules; then, of s = <u, vJ>, the gradients by v, which is Ju, and by x. */
static void derive(const quad_inputs *in, tp_tape *t, const tp_var *x, tp_var y, quad_result_of *r)
{
    tp_tensor v, u[TP_SAMPLE_INPUTS];
    tp_var by[TP_SAMPLE_INPUTS + 1], g[TP_SAMPLE_INPUTS + 1];
    int n = 0;
    int64_t at = 0, fused = 0, composed = 0, second = 0, outputs = 0;
    draw_cotangent(&v, in->dtype, tp_shape_of(y), in->seed + 77);
    roughen(&(tp_sample_input){0}, &v);
    append(r->v, &at, &v), at = 0;
    for (int i = 0; i < in->sample->n; i++)
        if (in->by[i]) {
            draw_cotangent(&u[n], in->dtype, in->x[i].shape, in->seed + 99 + (uint64_t)i);
            roughen(&(tp_sample_input){0}, &u[n]);
            append(r->u, &at, &u[n]);
            by[n++] = x[i];
        }
    tp_var gy = tp_leaf(t, &v);
    tp_grad_opts opts = {.grad_outputs = &gy, .allow_unused = true};
    assert_ok(tp_grad(1, &y, n, by, g, opts));
    for (int i = 0; i < n; i++)
        append(r->fused, &fused, tp_value(g[i]));
    opts.create_graph = true;
    assert_ok(tp_grad(1, &y, n, by, g, opts));
    for (int i = 0; i < n; i++)
        append(r->composed, &composed, tp_value(g[i]));
    tp_var s = inner(t, n, g, u);
    by[n] = gy;
    assert_ok(tp_grad(1, &s, n + 1, by, g, (tp_grad_opts){.allow_unused = true}));
    for (int i = 0; i < n; i++)
        append(r->second, &second, tp_value(g[i]));
    append(r->ju, &outputs, tp_value(g[n]));
    tp_tensor_free(&v);
    for (int i = 0; i < n; i++)
        tp_tensor_free(&u[i]);
}

quad_result_of quad_run(const quad_inputs *in, int64_t slots)
{
    quad_result_of r = {0};
    tp_tape *t;
    tp_var x[TP_SAMPLE_INPUTS];
    bool any = false;
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < in->sample->n; i++) {
        x[i] = in->by[i] ? tp_leaf(t, &in->x[i]) : tp_constant(t, &in->x[i]);
        any |= in->by[i];
    }
    tp_var y = op_call(t, in->op, in->sample->n, x, in->attr);
    if (tp_tape_status(t) != TP_OK)
        print_error("%s, '%s'\n", in->op->name, in->sample->note);
    assert_ok(tp_tape_status(t));
    r.dtype = tp_dtype_of(y);
    r.y = quads_of(tp_value(y));
    r.gradient = any && tp_needs_grad(y);
    r.v = quad_alloc(r.y.n, sizeof(quad)), r.ju = quad_alloc(r.y.n, sizeof(quad));
    r.u = quad_alloc(slots, sizeof(quad)), r.second = quad_alloc(slots, sizeof(quad));
    r.fused = quad_alloc(slots, sizeof(quad)), r.composed = quad_alloc(slots, sizeof(quad));
    if (r.gradient)
        derive(in, t, x, y, &r);
    assert_ok(tp_tape_status(t));
    tp_tape_free(t);
    return r;
}

void quad_result_free(quad_result_of *r)
{
    quads_free(&r->y);
    free(r->v), free(r->u), free(r->fused), free(r->composed), free(r->ju), free(r->second);
}
