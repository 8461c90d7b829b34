/* permute: the axes in another order; a view. Axis i of y is axis perm[i] of x; the empty list reverses. */
#include "autograd/compose.h"

struct attr {
    tp_axes perm;
};
static const tp_field fields[] = {TP_FIELD(struct attr, perm, AXES)};

tp_var tp_permute(tp_var x, tp_axes perm)
{
    return tp_apply(&tp_op_permute, 1, &x, &(struct attr){perm});
}

static tp_status view(const tp_op_call *c)
{
    return tp_view_permute(c->x[0], ((const struct attr *)c->attr)->perm, c->y);
}

static tp_status shape(const tp_op_call *c)
{
    tp_tensor y;
    TP_TRY(tp_view_permute(c->x[0], ((const struct attr *)c->attr)->perm, &y));
    c->y->shape = y.shape;
    return TP_OK;
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_axes perm = ((const struct attr *)c->attr)->perm, inverse = {perm.n, {0}};
    for (int i = 0; i < perm.n; i++) {
        int axis = 0;
        tp_axis_normal(perm.n, perm.axis[i], &axis);
        inverse.axis[axis] = i;
    }
    gx[0] = tp_permute(c->gy, inverse);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_permute(x[0], ((const struct attr *)attr)->perm);
}

static const tp_sample samples[] = {
    {"a matrix", 1, {{TP_DIMS(2, 3)}}, &(const struct attr){{2, {1, 0}}}},
    {"a cycle, which is not its own inverse",
     1,
     {{TP_DIMS(2, 3, 4)}},
     &(const struct attr){{3, {1, -1, 0}}}},
    {"all axes reversed, large",
     1,
     {{TP_DIMS(2, 1, 3), .lo = -1e6, .hi = 1e6}},
     &(const struct attr){{0, {0}}}},
    {"a scalar", 1, {{TP_DIMS()}}, &(const struct attr){{0, {0}}}},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const struct attr){{2, {1, 0}}}},
};

static const tp_refusal refusals[] = {
    {"an axis twice",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const struct attr){{2, {1, -1}}},
     TP_ESHAPE,
     "permute names axis 1 twice"},
    {"an axis missing",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const struct attr){{1, {0}}},
     TP_ESHAPE,
     "permute lists 1 axes for 2 dimensions"},
    {"no such axis",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const struct attr){{2, {0, 2}}},
     TP_ESHAPE,
     "axis 2 is out of range for 2 dimensions"},
};

TP_DEFINE_OP(permute, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
             .text = "permute(#0, @perm)", .tex = "\\operatorname{permute}_{@perm}(#0)",
             .index = "y[…] = #0[…@perm]", .index_vjp = {"#0'[…@perm] = y'[…]"},
             .jacobian = {TP_JACOBIAN_SELECTION},
             .why = "elements only change places: the inverse order takes the gradient back",
             .shape = shape, .view = view, .vjp = vjp, .call = call, TP_ATTR(struct attr),
             TP_REFUSALS);
