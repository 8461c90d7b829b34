/* ops.c: see ops.h. */
#include "tests/support/ops.h"
#include "tests/support/check.h"
#include "autograd/compose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const layout_names[LAYOUT_COUNT] = {"contiguous", "transposed",    "stepped",
                                                "reversed",   "stride-0 last", "stride-0 first",
                                                "offset",     "overlapping",   "odd"};

/* --- layouts ------------------------------------------------------------------------------------ */

/* The first or last axis longer than 1, or -1. */
static int long_axis(tp_shape s, bool last)
{
    int found = -1;
    for (int i = 0; i < s.ndim; i++)
        if (s.dim[i] > 1 && (found < 0 || last))
            found = i;
    return found;
}

/* Strides of one kind; false if they would be the contiguous ones. */
static bool set_strides(layout *l, layout_kind kind)
{
    tp_shape s = l->shape;
    int last = long_axis(s, true), first = long_axis(s, false);
    int64_t step = 1;
    tp_strides(s, l->stride);
    switch (kind) {
    case LAYOUT_TRANSPOSED:
        for (int i = 0; i < s.ndim; i++) {
            l->stride[i] = step;
            step *= s.dim[i] > 0 ? s.dim[i] : 1;
        }
        return first >= 0 && first != last;
    case LAYOUT_STEPPED:
    case LAYOUT_REVERSED:
        for (int i = 0; i < s.ndim; i++)
            l->stride[i] *= kind == LAYOUT_STEPPED ? 2 : -1;
        return last >= 0;
    case LAYOUT_STRIDE0_LAST:
    case LAYOUT_STRIDE0_FIRST:
        if (last < 0 || (kind == LAYOUT_STRIDE0_FIRST && first == last))
            return false;
        l->stride[kind == LAYOUT_STRIDE0_LAST ? last : first] = 0;
        return true;
    case LAYOUT_OFFSET:
        for (int i = s.ndim - 2; i >= 0; i--) /* gaps after rows and after what rows make up */
            l->stride[i] = l->stride[i + 1] * (s.dim[i + 1] > 0 ? s.dim[i + 1] : 1) + 2;
        l->offset = 3;
        return true;
    case LAYOUT_OVERLAPPING:
        if (first < 0 || first == last)
            return false;
        l->stride[first] = 1;
        l->stride[last] = 1;
        return true;
    case LAYOUT_ODD:
        for (int i = 0; i < s.ndim; i++)
            if (s.dim[i] < 2)
                l->stride[i] = i % 2 ? -1000003 : 77;
        l->offset = 5;
        return true;
    default:
        return kind == LAYOUT_CONTIGUOUS;
    }
}

bool layout_make(layout *l, layout_kind kind, tp_shape shape, tp_fill_kind fill)
{
    *l = (layout){.shape = shape};
    bool aliases =
        kind == LAYOUT_STRIDE0_LAST || kind == LAYOUT_STRIDE0_FIRST || kind == LAYOUT_OVERLAPPING;
    bool batch = kind == LAYOUT_STRIDE0_FIRST && shape.ndim > 2 && shape.dim[0] > 1;
    if ((fill == TP_FILL_SPD && aliases && !batch) || !set_strides(l, kind))
        return false;
    int64_t low = 0, high = 0;
    for (int i = 0; i < shape.ndim; i++) {
        int64_t reach = shape.dim[i] > 1 ? (shape.dim[i] - 1) * l->stride[i] : 0;
        *(reach < 0 ? &low : &high) += reach;
    }
    l->offset -= low;
    l->length = l->offset + high + 1;
    return true;
}

tp_tensor layout_view(const layout *l, const tp_tensor *vector)
{
    tp_tensor y = *vector;
    y.owns = false;
    y.shape = l->shape;
    y.offset += l->offset * vector->stride[0];
    for (int i = 0; i < l->shape.ndim; i++)
        y.stride[i] = l->stride[i] * vector->stride[0];
    return y;
}

void layout_store(const layout *l, const tp_tensor *x, tp_tensor *vector)
{
    assert_ok(tp_tensor_new(vector, x->dtype, TP_SHAPE(l->length)));
    assert_ok(tp_fill(vector, tp_dtype_is_float(x->dtype) ? (double)NAN : -1));
    tp_tensor view = layout_view(l, vector);
    for (int64_t i = 0; i < tp_numel(x); i++)
        assert_ok(tp_set_flat(&view, i, tp_flat(x, i)));
}

/* --- unfold and fold ---------------------------------------------------------------------------- */

tp_var unfold(tp_var vector, const layout *l)
{
    return tp_apply(&op_unfold, 1, &vector, l);
}

tp_var fold(tp_var x, const layout *l)
{
    return tp_apply(&op_fold, 1, &x, l);
}

static tp_status unfold_shape(const tp_op_call *c)
{
    const layout *l = c->attr;
    if (c->x[0]->shape.ndim != 1 || c->x[0]->shape.dim[0] != l->length)
        return tp_fail(TP_ESHAPE, "unfold needs a vector of the layout's length");
    c->y->shape = l->shape;
    return TP_OK;
}

static tp_status unfold_view(const tp_op_call *c)
{
    *c->y = layout_view(c->attr, c->x[0]);
    return TP_OK;
}

static void unfold_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = fold(c->gy, c->attr);
}

static tp_status fold_shape(const tp_op_call *c)
{
    const layout *l = c->attr;
    if (!tp_shape_equal(c->x[0]->shape, l->shape))
        return tp_fail(TP_ESHAPE, "fold needs the layout's shape");
    c->y->shape = TP_SHAPE(l->length);
    return TP_OK;
}

static tp_status fold_forward(const tp_op_call *c)
{
    TP_TRY(tp_fill(c->y, 0));
    tp_tensor view = layout_view(c->attr, c->y);
    for (int64_t i = 0; i < tp_numel(c->x[0]); i++)
        TP_TRY(tp_set_flat(&view, i, tp_flat(&view, i) + tp_flat(c->x[0], i)));
    return TP_OK;
}

static void fold_vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = unfold(c->gy, c->attr);
}

static tp_var unfold_call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return unfold(x[0], attr);
}

static tp_var fold_call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return fold(x[0], attr);
}

static const layout backward = {TP_DIMS(2, 3), {-3, -1}, 5, 6};
static const layout windows = {TP_DIMS(3, 2), {1, 1}, 1, 6};
static const layout repeated = {TP_DIMS(2, 2), {0, 2}, 0, 3};
static const tp_field fields[] = {TP_FIELD(layout, shape, SHAPE)};

static const tp_sample unfold_samples[] = {
    {"backward", 1, {{TP_DIMS(6)}}, &backward},
    {"windows", 1, {{TP_DIMS(6)}}, &windows},
    {"repeated", 1, {{TP_DIMS(3)}}, &repeated},
};
static const tp_sample fold_samples[] = {
    {"backward", 1, {{TP_DIMS(2, 3)}}, &backward},
    {"windows", 1, {{TP_DIMS(3, 2)}}, &windows},
    {"repeated", 1, {{TP_DIMS(2, 2)}}, &repeated},
};
static const tp_refusal unfold_refusals[] = {
    {"too short", 1, {{TP_DIMS(5), TP_F64, 0}}, &backward, TP_ESHAPE, "layout's length"}};
static const tp_refusal fold_refusals[] = {
    {"other shape", 1, {{TP_DIMS(5), TP_F64, 0}}, &backward, TP_ESHAPE, "layout's shape"}};

#define HALF(id, tex_)                                                                             \
    const tp_op op_##id = {.name = #id,                                                            \
                           .arity = 1,                                                             \
                           .smooth = TP_SMOOTH,                                                    \
                           .mixed_dtypes = true,                                                   \
                           .text = #id "(#0, @shape)",                                             \
                           .tex = tex_,                                                            \
                           .why = "elements only change places",                                   \
                           .shape = id##_shape,                                                    \
                           .vjp = id##_vjp,                                                        \
                           .call = id##_call,                                                      \
                           .attr_size = sizeof(layout),                                            \
                           .fields = fields,                                                       \
                           .field_count = 1,                                                       \
                           .samples = id##_samples,                                                \
                           .sample_count = 3,                                                      \
                           .refusals = id##_refusals,                                              \
                           .refusal_count = 1,                                                     \
                           HALF_##id}
#define HALF_unfold .view = unfold_view
#define HALF_fold .forward = fold_forward
HALF(unfold, "\\operatorname{unfold}(#0)");
HALF(fold, "\\operatorname{fold}(#0)");

/* --- samples laid out --------------------------------------------------------------------------- */

tp_var op_call(tp_tape *t, const tp_op *op, int n, const tp_var *x, const void *attr)
{
    return op->call != NULL ? op->call(t, n, x, attr) : tp_apply_on(t, op, n, x, attr);
}

bool laid_out_make(laid_out *s, const tp_op *op, const tp_sample *sample, tp_dtype dtype,
                   const layout_kind *kinds, uint64_t seed)
{
    bool differs = false;
    *s = (laid_out){.op = op, .sample = sample, .dtype = dtype};
    for (int i = 0; i < sample->n; i++) {
        const tp_sample_input *in = &sample->x[i];
        bool applies = layout_make(&s->in[i], kinds[i], in->shape, in->fill);
        if (!applies)
            layout_make(&s->in[i], LAYOUT_CONTIGUOUS, in->shape, in->fill);
        differs |= applies;
    }
    for (int i = 0; i < sample->n && differs; i++) {
        tp_tensor x;
        char name[24];
        assert_ok(tp_sample_fill(&sample->x[i], dtype, seed + 1000 * (uint64_t)i, &x));
        layout_store(&s->in[i], &x, &s->data[i]);
        tp_tensor_free(&x);
        if (tp_sample_fixed(&sample->x[i]))
            continue;
        snprintf(name, sizeof name, "input %d", i);
        assert_ok(tp_parameter_init(&s->p[i], name, dtype, s->data[i].shape));
        assert_ok(tp_copy(&s->p[i].value, &s->data[i]));
        s->wrt[s->wrt_count++] = &s->p[i];
    }
    return differs;
}

void laid_out_free(laid_out *s)
{
    for (int i = 0; i < TP_SAMPLE_INPUTS; i++) {
        tp_tensor_free(&s->data[i]);
        tp_parameter_free(&s->p[i]);
    }
    tp_parameter_free(&s->weight);
}

void laid_out_weigh(laid_out *s)
{
    tp_tape *t;
    tp_tensor v;
    assert_ok(tp_tape_new(&t));
    tp_shape shape = tp_shape_of(laid_out_run(t, s));
    assert_ok(tp_tape_status(t));
    tp_tape_free(t);
    draw_cotangent(&v, s->dtype, shape, 17);
    assert_ok(tp_parameter_init(&s->weight, "weight", s->dtype, shape));
    assert_ok(tp_copy(&s->weight.value, &v));
    tp_tensor_free(&v);
    s->wrt[s->wrt_count++] = &s->weight;
}

tp_var laid_out_run(tp_tape *t, void *laid_out_)
{
    laid_out *s = laid_out_;
    tp_var x[TP_SAMPLE_INPUTS];
    for (int i = 0; i < s->sample->n; i++) {
        tp_tensor view = layout_view(&s->in[i], &s->data[i]);
        x[i] =
            s->p[i].name != NULL ? unfold(tp_param(t, &s->p[i]), &s->in[i]) : tp_constant(t, &view);
    }
    tp_var y = tp_check_apply(t, s->op, s->sample->n, x, s->sample->attr);
    if (s->fold_out)
        y = fold(y, &s->out);
    return s->weight.name != NULL ? tp_mul(y, tp_param(t, &s->weight)) : y;
}

const void *attr_as(const tp_op *op, const void *attr, tp_dtype dtype, attr_room *room)
{
    for (int i = 0; i < op->field_count; i++) {
        if (op->fields[i].kind != TP_FIELD_DTYPE)
            continue;
        tp_dtype own;
        memcpy(&own, (const char *)attr + op->fields[i].offset, sizeof own);
        if (!tp_dtype_is_float(own))
            return attr; /* a refusal may ask for integers */
        assert_in_range(op->attr_size, 1, sizeof *room);
        memcpy(room->bytes, attr, op->attr_size);
        memcpy(room->bytes + op->fields[i].offset, &dtype, sizeof dtype);
        return room->bytes;
    }
    return attr;
}

void draw_cotangent(tp_tensor *v, tp_dtype dtype, tp_shape shape, uint64_t seed)
{
    assert_ok(tp_tensor_new(v, dtype, shape));
    assert_ok(tp_random_uniform(v, (tp_rng_key){seed, 7, 0}));
    for (int64_t i = 0; i < tp_numel(v); i++) {
        double u = tp_flat(v, i);
        assert_ok(tp_set_flat(v, i, u < 0.5 ? -0.5 - 2 * u : 2 * u - 0.5));
    }
}
