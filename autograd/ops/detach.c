/* detach: x as if it were a constant; a view. The derivative stops here, on purpose. */
#include "autograd/compose.h"

tp_var tp_detach(tp_var x)
{
    return tp_apply(&tp_op_detach, 1, &x, NULL);
}

static tp_status view(const tp_op_call *c)
{
    *c->y = *c->x[0];
    return TP_OK;
}

TP_CALL1(tp_detach)

static const tp_sample samples[] = {
    {"a matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"a scalar", 1, {{TP_DIMS()}}, NULL},
    {"large numbers", 1, {{TP_DIMS(5), .lo = -1e30, .hi = 1e30}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 2)}}, NULL},
};

TP_DEFINE_OP(detach, .arity = 1, .smooth = TP_NO_GRADIENT, .mixed_dtypes = true,
             .text = "detach(#0)", .tex = "\\operatorname{detach}(#0)", .index = "y[…] = #0[…]",
             .why = "the caller asked for a constant", .shape = tp_shape_same, .view = view,
             .call = call,
             TP_NO_REFUSALS("a value of any shape and type can be taken as a constant"));
