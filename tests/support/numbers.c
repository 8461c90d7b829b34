/* numbers.c: see numbers.h. */
#include "tests/support/numbers.h"

#include <float.h>
#include <stdlib.h>

#include "autograd/sweep.h"
#include "tests/support/check.h"

/* --- tensors in layouts ------------------------------------------------------------------------- */

/* The kind if it makes a difference to x, else contiguous. */
static layout choose(layout_kind kind, tp_shape shape, tp_fill_kind fill)
{
    layout l;
    if (!layout_make(&l, kind, shape, fill))
        layout_make(&l, LAYOUT_CONTIGUOUS, shape, fill);
    return l;
}

static bool suits(layout_kind kind, tp_shape shape, tp_fill_kind fill)
{
    layout l;
    return layout_make(&l, kind, shape, fill);
}

/* Gives elements of x that share memory under l the value of the last of them. */
static void share(tp_tensor *x, const layout *l)
{
    tp_tensor vector;
    layout_store(l, x, &vector);
    tp_tensor view = layout_view(l, &vector);
    assert_ok(tp_copy(x, &view));
    tp_tensor_free(&vector);
}

/* --- points ------------------------------------------------------------------------------------- */

static bool result_suits(point *p, layout_kind gy, tp_shape *shape)
{
    attr_room room;
    tp_tape *t;
    tp_var x[TP_SAMPLE_INPUTS];
    assert_ok(tp_tape_new(&t));
    for (int i = 0; i < p->sample->n; i++)
        x[i] = tp_constant(t, &p->x[i]);
    *shape = tp_shape_of(
        op_call(t, p->op, p->sample->n, x, attr_as(p->op, p->sample->attr, TP_F32, &room)));
    assert_ok(tp_tape_status(t));
    tp_tape_free(t);
    return suits(gy, *shape, TP_FILL_REAL);
}

static void draw(tp_tensor *v, tp_shape shape, layout_kind kind, uint64_t seed)
{
    layout l = choose(kind, shape, TP_FILL_REAL);
    draw_cotangent(v, TP_F32, shape, seed);
    share(v, &l);
}

bool point_make(point *p, const tp_op *op, const tp_sample *sample, layout_kind in, layout_kind gy,
                uint64_t seed)
{
    bool fits = in == LAYOUT_CONTIGUOUS;
    tp_shape y;
    *p = (point){.op = op, .sample = sample};
    for (int i = 0; i < sample->n; i++)
        fits |= suits(in, sample->x[i].shape, sample->x[i].fill);
    for (int i = 0; i < sample->n && fits; i++) {
        layout l = choose(in, sample->x[i].shape, sample->x[i].fill);
        assert_ok(tp_sample_fill(&sample->x[i], TP_F32, seed + (uint64_t)i, &p->x[i]));
        share(&p->x[i], &l);
        p->differentiable |= op->smooth != TP_NO_GRADIENT && !tp_sample_fixed(&sample->x[i]);
    }
    if (!fits || !result_suits(p, gy, &y)) {
        point_free(p);
        return false;
    }
    draw(&p->v, y, gy, seed + 10);
    for (int i = 0; i < sample->n; i++)
        draw(&p->w[i], sample->x[i].shape, gy, seed + 20 + (uint64_t)i);
    return true;
}

void point_free(point *p)
{
    tp_tensor_free(&p->v);
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++) {
        tp_tensor_free(&p->x[i]);
        tp_tensor_free(&p->w[i]);
    }
}

/* --- numbers ------------------------------------------------------------------------------------ */

enum { TENSORS = 1 + 2 * TP_SAMPLE_INPUTS };

typedef struct run {
    tp_tape *t;
    tp_dtype dtype;
    uint64_t move;
    tp_tensor vector[TENSORS]; /* memory behind what was entered */
    tp_tensor view[TENSORS];
    int entered;
} run;

/* x with each element moved by ±ε. */
static void stir(tp_tensor *x, uint64_t seed)
{
    tp_tensor u;
    assert_ok(tp_tensor_new(&u, TP_F64, x->shape));
    assert_ok(tp_random_uniform(&u, (tp_rng_key){seed, 0, 0}));
    for (int64_t i = 0; i < tp_numel(x); i++)
        assert_ok(tp_set_flat(
            x, i, tp_flat(x, i) * (1 + (tp_flat(&u, i) < 0.5 ? -1 : 1) * (double)FLT_EPSILON)));
    tp_tensor_free(&u);
}

/* x in the dtype and layout of the run, moved if it may be. */
static const tp_tensor *enter(run *r, const tp_tensor *x, layout_kind kind, tp_fill_kind fill)
{
    int k = r->entered++;
    bool real = tp_dtype_is_float(x->dtype);
    layout l = choose(kind, x->shape, fill);
    tp_tensor y;
    assert_ok(tp_tensor_new(&y, real ? r->dtype : x->dtype, x->shape));
    assert_ok(tp_copy(&y, x));
    if (r->move != 0 && real && fill != TP_FILL_MASK && fill != TP_FILL_UNIT)
        stir(&y, r->move + (uint64_t)k);
    layout_store(&l, &y, &r->vector[k]);
    tp_tensor_free(&y);
    r->view[k] = layout_view(&l, &r->vector[k]);
    return &r->view[k];
}

static void append(numbers *n, tp_var v)
{
    const tp_tensor *x = tp_value(v);
    assert_non_null(x);
    double *grown = realloc(n->at, (size_t)(n->n + tp_numel(x) + 1) * sizeof *grown);
    assert_non_null(grown);
    n->at = grown;
    for (int64_t i = 0; i < tp_numel(x); i++)
        n->at[n->n++] = tp_flat(x, i);
}

/* Gradients of v·y by the n vars in by, then those of Σ w·gradient by them and by v. */
static void append_orders(numbers *all, tp_var y, int n, tp_var *by, tp_var v, const tp_var *w)
{
    tp_var g[TP_SAMPLE_INPUTS], gg[TP_SAMPLE_INPUTS + 1];
    tp_grad_opts o = {.grad_outputs = &v, .allow_unused = true};
    assert_ok(tp_grad(1, &y, n, by, g, o));
    for (int i = 0; i < n; i++)
        append(all, g[i]);
    all->second = all->n;
    o.create_graph = true;
    assert_ok(tp_grad(1, &y, n, by, g, o));
    by[n] = v;
    o = (tp_grad_opts){.grad_outputs = w, .allow_unused = true};
    assert_ok(tp_grad(n, g, n + 1, by, gg, o));
    for (int i = 0; i <= n; i++)
        append(all, gg[i]);
}

numbers numbers_make(const point *p, tp_dtype dtype, layout_kind in, layout_kind gy, uint64_t move)
{
    numbers all = {0};
    run r = {.dtype = dtype, .move = move};
    tp_var x[TP_SAMPLE_INPUTS], by[TP_SAMPLE_INPUTS + 1], w[TP_SAMPLE_INPUTS];
    const tp_sample *s = p->sample;
    attr_room room;
    int n = 0;
    assert_ok(tp_tape_new(&r.t));
    for (int i = 0; i < s->n; i++) {
        const tp_tensor *view = enter(&r, &p->x[i], in, s->x[i].fill);
        bool fixed = !p->differentiable || tp_sample_fixed(&s->x[i]);
        x[i] = fixed ? tp_constant(r.t, view) : tp_leaf(r.t, view);
        if (!fixed) {
            w[n] = tp_constant(r.t, enter(&r, &p->w[i], gy, TP_FILL_REAL));
            by[n++] = x[i];
        }
    }
    tp_var y = op_call(r.t, p->op, s->n, x, attr_as(p->op, s->attr, dtype, &room));
    assert_ok(tp_tape_status(r.t));
    append(&all, y);
    all.first = all.second = all.n;
    if (p->differentiable)
        append_orders(&all, y, n, by, tp_leaf(r.t, enter(&r, &p->v, gy, TP_FILL_REAL)), w);
    tp_tape_free(r.t);
    for (int i = 0; i < r.entered; i++)
        tp_tensor_free(&r.vector[i]);
    return all;
}

void numbers_free(numbers *n)
{
    free(n->at);
    *n = (numbers){0};
}

const char *numbers_order(const numbers *n, int64_t i)
{
    return i < n->first ? "value" : i < n->second ? "gradient" : "second gradient";
}
