/* pad: zeros of length size along one axis, with x at start, start+step, …. The adjoint of slice. */
#include "autograd/compose.h"
#include "tensor/map.h"

struct attr {
    int axis;
    int64_t start, step, size;
};
static const tp_field fields[] = {
    TP_FIELD(struct attr, axis, INT), TP_FIELD(struct attr, start, I64),
    TP_FIELD(struct attr, step, I64), TP_FIELD(struct attr, size, I64)};

tp_var tp_pad(tp_var x, int axis, int64_t start, int64_t step, int64_t size)
{
    return tp_apply(&tp_op_pad, 1, &x, &(struct attr){axis, start, step, size});
}

static tp_status shape(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    int axis;
    TP_TRY(tp_axis_normal(c->x[0]->shape.ndim, a->axis, &axis));
    int64_t n = c->x[0]->shape.dim[axis];
    bool fits = a->step != 0 && a->size >= 0 && a->start >= 0 && a->start <= a->size - (n > 0);
    if (fits && n > 1) { /* room for n - 1 steps, without computing where they end */
        int64_t room = a->step > 0 ? a->size - 1 - a->start : a->start;
        fits = a->step >= -a->size && a->step <= a->size &&
               (a->step > 0 ? a->step : -a->step) <= room / (n - 1);
    }
    if (!fits)
        return tp_fail(TP_ESHAPE,
                       "%lld elements from %lld in steps of %lld do not fit in size %lld",
                       (long long)n, (long long)a->start, (long long)a->step, (long long)a->size);
    c->y->shape = c->x[0]->shape;
    c->y->shape.dim[axis] = a->size;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    tp_tensor place = *c->y;
    int axis;
    TP_TRY(tp_axis_normal(c->x[0]->shape.ndim, a->axis, &axis));
    TP_TRY(tp_fill(c->y, 0));
    if (tp_numel(c->x[0]) == 0)
        return TP_OK;
    place.offset += a->start * place.stride[axis];
    if (c->x[0]->shape.dim[axis] > 1)
        place.stride[axis] *= a->step;
    place.shape = c->x[0]->shape;
    return tp_map1(&place, c->x[0], TP_K_copy);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    const struct attr *a = c->attr;
    tp_shape to = tp_shape_of(c->x[0]);
    int axis = 0;
    tp_axis_normal(to.ndim, a->axis, &axis);
    int64_t n = to.dim[axis], step = n > 1 ? a->step : 1, stop = a->start + n * step;
    gx[0] = tp_slice(c->gy, axis, a->start, stop < 0 ? TP_SLICE_END : stop, step);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)t, (void)n;
    return tp_pad(x[0], a->axis, a->start, a->step, a->size);
}

static const tp_sample samples[] = {
    {"both sides", 1, {{TP_DIMS(2, 3)}}, &(const struct attr){1, 1, 1, 5}},
    {"with gaps", 1, {{TP_DIMS(3, 2)}}, &(const struct attr){0, 0, 2, 6}},
    {"reversed", 1, {{TP_DIMS(3)}}, &(const struct attr){-1, 4, -2, 5}},
    {"from nothing", 1, {{TP_DIMS(0, 2)}}, &(const struct attr){0, 0, 1, 3}},
};

static const tp_refusal refusals[] = {
    {"too long",
     1,
     {{TP_DIMS(4), TP_F32, 0}},
     &(const struct attr){0, 2, 1, 5},
     TP_ESHAPE,
     "4 elements from 2 in steps of 1 do not fit in size 5"},
    {"a start so far away that one more overflows",
     1,
     {{TP_DIMS(1), TP_F32, 0}},
     &(const struct attr){0, INT64_MAX, 1, 0},
     TP_ESHAPE,
     "1 elements from 9223372036854775807 in steps of 1 do not fit in size 0"},
};

TP_DEFINE_OP(pad, .arity = 1, .smooth = TP_SMOOTH,
             .text = "pad(#0, axis @axis: @size, from @start step @step)",
             .tex = "\\operatorname{pad}_{@axis}(#0)",
             .index = "y[…,j@axis] = Σ_k [j = @start + @step·k]·#0[…,k@axis]",
             .index_vjp = {"#0'[…,k@axis] = y'[…,(@start + @step·k)@axis]"},
             .jacobian = {TP_JACOBIAN_SELECTION},
             .why = "the zeros are constants; each element kept its weight of 1", .shape = shape,
             .forward = forward, .vjp = vjp, .call = call, TP_ATTR(struct attr), TP_REFUSALS);
