/* reshape: the same elements in row-major order under another shape; one size may be -1. A view where the
 * strides of x allow it, otherwise a copy. */
#include "autograd/compose.h"
#include "tensor/layout.h"

struct attr {
    tp_shape shape;
};
static const tp_field fields[] = {TP_FIELD(struct attr, shape, SHAPE)};

tp_var tp_reshape(tp_var x, tp_shape shape)
{
    return tp_apply(&tp_op_reshape, 1, &x, &(struct attr){shape});
}

static tp_status shape_of(const tp_op_call *c)
{
    tp_tensor dense = *c->x[0], y; /* as if x had no gaps: then only the sizes decide */
    tp_strides(dense.shape, dense.stride);
    TP_TRY(tp_view_reshape(&dense, ((const struct attr *)c->attr)->shape, &y));
    c->y->shape = y.shape;
    return TP_OK;
}

static tp_status view(const tp_op_call *c)
{
    tp_tensor y;
    if (tp_view_reshape(c->x[0], c->y->shape, &y) == TP_OK)
        *c->y = y;
    return TP_OK; /* else forward copies */
}

static tp_status forward(const tp_op_call *c)
{
    tp_tensor place; /* y under the shape of x */
    TP_TRY(tp_view_reshape(c->y, c->x[0]->shape, &place));
    return tp_dtype_is_float(place.dtype) ? tp_lay_out(&place, c->x[0]) : tp_copy(&place, c->x[0]);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_reshape(c->gy, tp_shape_of(c->x[0]));
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_reshape(x[0], ((const struct attr *)attr)->shape);
}

static const tp_sample samples[] = {
    {"flat", 1, {{TP_DIMS(3, 4)}}, &(const struct attr){TP_DIMS(12)}},
    {"across the axes, one size open",
     1,
     {{TP_DIMS(2, 3, 4)}},
     &(const struct attr){TP_DIMS(4, -1)}},
    {"a scalar as a matrix", 1, {{TP_DIMS()}}, &(const struct attr){TP_DIMS(1, 1)}},
    {"large numbers",
     1,
     {{TP_DIMS(1, 4), .lo = -1e6, .hi = 1e6}},
     &(const struct attr){TP_DIMS(2, 1, 2)}},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const struct attr){TP_DIMS(2, 0)}},
};

static const tp_refusal refusals[] = {
    {"another number of elements",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const struct attr){TP_DIMS(4)},
     TP_ESHAPE,
     "shape [2,3] with 6 elements cannot be reshaped to [4]"},
    {"a size that does not divide",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const struct attr){TP_DIMS(4, -1)},
     TP_ESHAPE,
     "cannot be reshaped to [4,-1]"},
    {"two open sizes",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const struct attr){TP_DIMS(-1, -1)},
     TP_ESHAPE,
     "leaves more than one size open"},
};

TP_DEFINE_OP(reshape, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
             .text = "reshape(#0, @shape)", .tex = "\\operatorname{reshape}_{@shape}(#0)",
             .index = "y⟨n⟩ = #0⟨n⟩", .index_vjp = {"#0'⟨n⟩ = y'⟨n⟩"},
             .jacobian = {TP_JACOBIAN_SELECTION},
             .why = "elements only change places: give the gradient its old shape back",
             .shape = shape_of, .view = view, .forward = forward, .vjp = vjp, .call = call,
             TP_ATTR(struct attr), TP_REFUSALS);
