/* gather: y[i][j] = x[i][index[i][j]] along one axis, as torch.gather. Integers too: labels
 * move with what they label. The adjoint of scatter_add. */
#include "autograd/compose.h"
#include "tensor/gather.h"

struct attr {
    int axis;
};
static const tp_field fields[] = {TP_FIELD(struct attr, axis, INT)};

tp_var tp_gather(tp_var x, tp_var index, int axis)
{
    return tp_apply(&tp_op_gather, 2, (tp_var[]){x, index}, &(struct attr){axis});
}

static tp_status shape(const tp_op_call *c)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_shape x = c->x[0]->shape, index = c->x[1]->shape;
    int axis;
    if (c->x[1]->dtype != TP_I64)
        return tp_fail(TP_EDTYPE, "the index is %s: i64 needed", tp_dtype_name(c->x[1]->dtype));
    TP_TRY(tp_axis_normal(x.ndim, ((const struct attr *)c->attr)->axis, &axis));
    bool fits = index.ndim == x.ndim;
    for (int d = 0; d < x.ndim && fits; d++)
        fits = d == axis || index.dim[d] <= x.dim[d];
    if (!fits)
        return tp_fail(TP_ESHAPE, "index of shape %s does not fit into %s around axis %d",
                       tp_shape_text(index, b), tp_shape_text(x, a), axis);
    c->y->shape = index;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    return tp_gather_into(c->y, c->x[0], c->x[1], ((const struct attr *)c->attr)->axis);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    /* x may reach further than the index on the other axes: scatter, then pad with zeros */
    int axis = 0;
    tp_shape from = tp_shape_of(c->x[0]);
    tp_axis_normal(from.ndim, ((const struct attr *)c->attr)->axis, &axis);
    tp_var g = tp_scatter_add(c->gy, c->x[1], axis, from.dim[axis]);
    for (int d = 0; d < from.ndim; d++)
        if (tp_shape_of(g).dim[d] != from.dim[d])
            g = tp_pad(g, d, 0, 1, from.dim[d]);
    gx[0] = g;
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_gather(x[0], x[1], ((const struct attr *)attr)->axis);
}

static const tp_sample samples[] = {
    {"one per row",
     2,
     {{TP_DIMS(4, 5)}, {TP_DIMS(4, 1), TP_FILL_INDEX, 0, 5, true}},
     &(const struct attr){1}},
    {"repeats along axis 0",
     2,
     {{TP_DIMS(2, 3)}, {TP_DIMS(6, 3), TP_FILL_INDEX, 0, 2, true}},
     &(const struct attr){0}},
    {"fewer rows than x",
     2,
     {{TP_DIMS(4, 3)}, {TP_DIMS(2, 5), TP_FILL_INDEX, 0, 3, true}},
     &(const struct attr){-1}},
    {"nothing out of something",
     2,
     {{TP_DIMS(4, 3)}, {TP_DIMS(0, 3), TP_FILL_INDEX, 0, 4, true}},
     &(const struct attr){0}},
};

static const tp_refusal refusals[] = {
    {"an index beyond the axis",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2, 1), TP_I64, 3}},
     &(const struct attr){1},
     TP_EVALUE,
     "3"},
    {"float indices",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2, 1), TP_F32, 0}},
     &(const struct attr){1},
     TP_EDTYPE,
     "the index is f32: i64 needed"},
    {"more rows than x",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(3, 1), TP_I64, 0}},
     &(const struct attr){1},
     TP_ESHAPE,
     "index of shape [3,1] does not fit into [2,3] around axis 1"},
};

TP_DEFINE_OP(gather, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(1), .mixed_dtypes = true,
             .text = "#0[#1, axis @axis]", .tex = "#0_{[#1]}",
             .index = "y[…,j@axis] = #0[…,#1[…,j@axis]@axis]",
             .index_vjp = {"#0'[…,k@axis] = Σ_j [#1[…,j@axis] = k]·y'[…,j@axis]"},
             .jacobian = {TP_JACOBIAN_SELECTION},
             .why = "an element taken k times gets the sum of k gradients", .shape = shape,
             .forward = forward, .vjp = vjp, .call = call, TP_ATTR(struct attr), TP_REFUSALS);
