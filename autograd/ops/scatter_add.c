/* scatter_add: zeros of length size along one axis, into which x is added at index. The adjoint of gather. */
#include "autograd/compose.h"
#include "tensor/gather.h"

struct attr {
    int axis;
    int64_t size;
};
static const tp_field fields[] = {TP_FIELD(struct attr, axis, INT),
                                  TP_FIELD(struct attr, size, I64)};

tp_var tp_scatter_add(tp_var x, tp_var index, int axis, int64_t size)
{
    return tp_apply(&tp_op_scatter_add, 2, (tp_var[]){x, index}, &(struct attr){axis, size});
}

static tp_status shape(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    char tx[TP_SHAPE_TEXT], ti[TP_SHAPE_TEXT];
    tp_shape x = c->x[0]->shape;
    int axis;
    if (!tp_dtype_is_float(c->x[0]->dtype) || c->x[1]->dtype != TP_I64)
        return tp_fail(TP_EDTYPE, "scatter_add takes floats by i64 indices, not %s by %s",
                       tp_dtype_name(c->x[0]->dtype), tp_dtype_name(c->x[1]->dtype));
    TP_TRY(tp_axis_normal(x.ndim, a->axis, &axis));
    if (!tp_shape_equal(x, c->x[1]->shape))
        return tp_fail(TP_ESHAPE,
                       "x of shape %s and index of shape %s: one index per element needed",
                       tp_shape_text(x, tx), tp_shape_text(c->x[1]->shape, ti));
    c->y->shape = x;
    c->y->shape.dim[axis] = a->size; /* a negative one is refused when y is sized */
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    TP_TRY(tp_fill(c->y, 0));
    return tp_scatter_add_into(c->y, c->x[0], c->x[1], ((const struct attr *)c->attr)->axis);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_gather(c->gy, c->x[1], ((const struct attr *)c->attr)->axis);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)t, (void)n;
    return tp_scatter_add(x[0], x[1], a->axis, a->size);
}

static const tp_sample samples[] = {
    {"one per row",
     2,
     {{TP_DIMS(4, 1)}, {TP_DIMS(4, 1), TP_FILL_INDEX, 0, 5, true}},
     &(const struct attr){1, 5}},
    {"repeats along axis 0",
     2,
     {{TP_DIMS(6, 2)}, {TP_DIMS(6, 2), TP_FILL_INDEX, 0, 2, true}},
     &(const struct attr){0, 3}},
    {"the middle axis, large",
     2,
     {{TP_DIMS(2, 3, 2), .lo = -1e6, .hi = 1e6}, {TP_DIMS(2, 3, 2), TP_FILL_INDEX, 0, 4, true}},
     &(const struct attr){-2, 4}},
    {"nothing to add",
     2,
     {{TP_DIMS(0, 2)}, {TP_DIMS(0, 2), TP_FILL_INDEX, 0, 3, true}},
     &(const struct attr){0, 3}},
};

static const tp_refusal refusals[] = {
    {"an index beyond size",
     2,
     {{TP_DIMS(2, 1), TP_F32, 0}, {TP_DIMS(2, 1), TP_I64, 3}},
     &(const struct attr){1, 3},
     TP_EVALUE,
     "index[0,0] = 3 is outside axis 1"},
    {"float indices",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F32, 0}},
     &(const struct attr){0, 3},
     TP_EDTYPE,
     "scatter_add takes floats by i64 indices, not f32 by f32"},
    {"fewer indices than elements",
     2,
     {{TP_DIMS(2, 2), TP_F32, 0}, {TP_DIMS(2, 1), TP_I64, 0}},
     &(const struct attr){1, 3},
     TP_ESHAPE,
     "x of shape [2,2] and index of shape [2,1]: one index per element needed"},
    {"a negative size",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_I64, 0}},
     &(const struct attr){0, -3},
     TP_ESHAPE,
     "negative size"},
};

TP_DEFINE_OP(
    scatter_add, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(1), .mixed_dtypes = true,
    .text = "scatter_add(#0, #1, axis @axis, size @size)",
    .tex = "\\operatorname{scatter}_{@axis}(#0, #1)",
    .index = "y[…,j@axis] = Σ_k [#1[…,k@axis] = j]·#0[…,k@axis]",
    .index_vjp = {"#0'[…,k@axis] = y'[…,#1[…,k@axis]@axis]"}, .jacobian = {TP_JACOBIAN_SUM},
    .why = "each element went to one place with weight 1 and takes its gradient from there",
    .shape = shape, .forward = forward, .vjp = vjp, .call = call, TP_ATTR(struct attr),
    TP_REFUSALS);
