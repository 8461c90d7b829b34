/* argmax_pool2d: where in its plane the largest element of each window is, as i64: row·w + column, for scatter_add and
 * gather on [n,c,h·w]. What wins: max_pool2d.c. */
#include "autograd/compose.h"
#include "autograd/ops/pool.h"

tp_var tp_argmax_pool2d(tp_var x, tp_pool_opts opts)
{
    return tp_apply(&tp_op_argmax_pool2d, 1, &x, &(tp_pool_attr){tp_pool_max_opts(opts), {0}});
}

static tp_status shape(const tp_op_call *c)
{
    TP_TRY(tp_pool_max_shape(c));
    c->y->dtype = TP_I64;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    return tp_pool_max(c->y, c->x[0], &((const tp_pool_attr *)c->attr)->opts, c->scratch);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_argmax_pool2d(x[0], ((const tp_pool_attr *)attr)->opts);
}

#define OPTS(...)                                                                                  \
    &(const tp_pool_attr)                                                                          \
    {                                                                                              \
        .opts = { __VA_ARGS__ }                                                                    \
    }
static const tp_sample samples[] = {
    {"windows of 2 by 2, side by side", 1, {{TP_DIMS(1, 1, 2, 6)}}, OPTS(.kernel = {2, 2})},
    {"channels and examples", 1, {{TP_DIMS(2, 2, 4, 4)}}, OPTS(.kernel = {2, 2})},
    {"overlapping, with padding",
     1,
     {{TP_DIMS(1, 1, 5, 6)}},
     OPTS(.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1})},
    {"all different by height and width",
     1,
     {{TP_DIMS(2, 1, 5, 6)}},
     OPTS(.kernel = {4, 2}, .stride = {1, 3}, .padding = {2, 0})},
    {"ties",
     1,
     {{TP_DIMS(1, 2, 4, 5), TP_FILL_MASK}},
     OPTS(.kernel = {3, 2}, .stride = {1, 1}, .padding = {1, 1})},
    {"one window for all, large",
     1,
     {{TP_DIMS(2, 3, 3, 4), .lo = -1e6, .hi = 1e6}},
     OPTS(.kernel = {3, 4})},
    {"windows of one element", 1, {{TP_DIMS(2, 3, 2, 2)}}, OPTS(.kernel = {1, 1})},
    {"no examples", 1, {{TP_DIMS(0, 1, 4, 4)}}, OPTS(.kernel = {2, 2})},
};

static const tp_refusal refusals[] = {
    {"a divisor",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 2}, .divisor = 1),
     TP_EARG,
     "divisor 1: only averages have one"},
    {"of nothing",
     1,
     {{TP_DIMS(1, 1, 4, 0), TP_F32, 0}},
     OPTS(.kernel = {2, 2}, .padding = {1, 1}),
     TP_ESHAPE,
     "x [1,1,4,0]: [n,c,h,w] with at least one row and column needed"},
    {"a window wider than the picture",
     1,
     {{TP_DIMS(1, 1, 4, 2), TP_F32, 0}},
     OPTS(.kernel = {3, 3}),
     TP_ESHAPE,
     "a window of 3,3 with padding 0,0 does not fit into x [1,1,4,2]: it is larger than the width"},
    {"integers",
     1,
     {{TP_DIMS(1, 1, 2, 2), TP_I64, 0}},
     OPTS(.kernel = {2, 2}),
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(argmax_pool2d, .arity = 1, .smooth = TP_NO_GRADIENT,
             .text = "argmax_pool2d(#0, @kernel_h×@kernel_w)",
             .tex = "\\operatorname{arg\\,maxpool}_{@kernel_h \\times @kernel_w}(#0)",
             .index =
                 "y[n,c,i,j] = (@stride_h·i − @padding_h)·|#0:3| + @stride_w·j + " TP_POOL_ARGMAX
                 " + (|#0:3| − @kernel_w)·⌊(" TP_POOL_ARGMAX
                 ") / @kernel_w⌋ − @padding_w" TP_POOL_EDGE("#0", "−inf"),
             .why = "a position is a whole number: it jumps and does not move",
             .domain = "at least one row and one column; padding of at most half the kernel",
             .shape = shape, .forward = forward, .call = call, .attr_size = sizeof(tp_pool_attr),
             .fields = tp_pool_fields, .field_count = TP_POOL_FIELDS, TP_REFUSALS);
