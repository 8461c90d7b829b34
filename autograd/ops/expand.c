/* expand: repeats axes of size 1, and new ones in front, to fit a shape; a view. The adjoint of sum. */
#include "autograd/compose.h"

struct attr {
    tp_shape shape;
};
static const tp_field fields[] = {TP_FIELD(struct attr, shape, SHAPE)};

tp_var tp_expand(tp_var x, tp_shape shape)
{
    return tp_apply(&tp_op_expand, 1, &x, &(struct attr){shape});
}

static tp_status view(const tp_op_call *c)
{
    return tp_view_expand(c->x[0], ((const struct attr *)c->attr)->shape, c->y);
}

static tp_status shape_of(const tp_op_call *c)
{
    tp_tensor y;
    TP_TRY(tp_view_expand(c->x[0], ((const struct attr *)c->attr)->shape, &y));
    c->y->shape = y.shape;
    return TP_OK;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_sum_to(c->gy, tp_shape_of(c->x[0]));
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_expand(x[0], ((const struct attr *)attr)->shape);
}

static const tp_sample samples[] = {
    {"a column", 1, {{TP_DIMS(3, 1)}}, &(const struct attr){TP_DIMS(3, 4)}},
    {"new axes in front", 1, {{TP_DIMS(2)}}, &(const struct attr){TP_DIMS(3, 1, 2)}},
    {"outer and inner axis, large",
     1,
     {{TP_DIMS(1, 3, 1), .lo = -1e6, .hi = 1e6}},
     &(const struct attr){TP_DIMS(2, 3, 2)}},
    {"a scalar", 1, {{TP_DIMS()}}, &(const struct attr){TP_DIMS(2, 3)}},
    {"zero times", 1, {{TP_DIMS(1, 3)}}, &(const struct attr){TP_DIMS(0, 3)}},
    {"a column of nothing", 1, {{TP_DIMS(0, 1)}}, &(const struct attr){TP_DIMS(2, 0, 3)}},
    {"no change", 1, {{TP_DIMS(2, 3)}}, &(const struct attr){TP_DIMS(2, 3)}},
};

static const tp_refusal refusals[] = {
    {"a size that is not 1",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const struct attr){TP_DIMS(4, 3)},
     TP_ESHAPE,
     "shape [2,3] does not expand to [4,3]"},
    {"fewer axes",
     1,
     {{TP_DIMS(1, 3), TP_F32, 0}},
     &(const struct attr){TP_DIMS(3)},
     TP_ESHAPE,
     "shape [1,3] does not expand to [3]"},
    {"a negative size",
     1,
     {{TP_DIMS(1), TP_F32, 0}},
     &(const struct attr){TP_DIMS(-1)},
     TP_ESHAPE,
     "negative size"},
};

TP_DEFINE_OP(expand, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
             .text = "expand(#0, @shape)", .tex = "\\operatorname{expand}_{@shape}(#0)",
             .index = "y[…] = #0[…]", .index_vjp = {"#0'[…] = y'[…]"},
             .jacobian = {TP_JACOBIAN_SELECTION},
             .why = "an element used many times gets the sum of their gradients", .shape = shape_of,
             .view = view, .vjp = vjp, .call = call, TP_ATTR(struct attr), TP_REFUSALS);
