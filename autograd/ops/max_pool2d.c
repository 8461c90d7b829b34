/* max_pool2d: the largest element that a window sees at each position; what is outside the image never wins, NaN does.
 * As PyTorch the first of equals, row by row, gets the gradient: the rule adds it where argmax_pool2d.c says. */
#include "autograd/compose.h"
#include "autograd/ops/pool.h"

tp_pool_opts tp_pool_max_opts(tp_pool_opts o)
{
    int64_t divisor = o.divisor;
    (void)tp_pool_opts_check(&o); /* what is wrong with them shape says */
    o.divisor = divisor;
    return o;
}

tp_status tp_pool_max_shape(const tp_op_call *c)
{
    const tp_pool_opts *o = &((const tp_pool_attr *)c->attr)->opts;
    if (o->divisor != 0)
        return tp_fail(TP_EARG, "divisor %lld: only averages have one", (long long)o->divisor);
    TP_TRY(tp_pool_opts_filled(o, false));
    return tp_pool_shape(c->x[0]->shape, o, &c->y->shape);
}

tp_var tp_max_pool2d(tp_var x, tp_pool_opts opts)
{
    return tp_apply(&tp_op_max_pool2d, 1, &x, &(tp_pool_attr){tp_pool_max_opts(opts), {0}});
}

static tp_status forward(const tp_op_call *c)
{
    return tp_pool_max(c->y, c->x[0], &((const tp_pool_attr *)c->attr)->opts, c->scratch);
}

/* Which element is the largest is a constant. */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_shape x = tp_shape_of(c->x[0]), y = tp_shape_of(c->gy);
    tp_shape planes = TP_SHAPE(y.dim[0], y.dim[1], y.dim[2] * y.dim[3]);
    tp_var at = tp_argmax_pool2d(c->x[0], ((const tp_pool_attr *)c->attr)->opts);
    tp_var g =
        tp_scatter_add(tp_reshape(c->gy, planes), tp_reshape(at, planes), 2, x.dim[2] * x.dim[3]);
    gx[0] = tp_reshape(g, x);
}

/* The same without positions in memory. */
static tp_status vjp_fused(const tp_fused_call *c)
{
    return tp_pool_max_adjoint(&c->gx[0], c->gy, c->x[0], &((const tp_pool_attr *)c->attr)->opts,
                               c->scratch);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_max_pool2d(x[0], ((const tp_pool_attr *)attr)->opts);
}

#define OPTS(...)                                                                                  \
    &(const tp_pool_attr)                                                                          \
    {                                                                                              \
        .opts = { __VA_ARGS__ }                                                                    \
    }
static const tp_sample samples[] = {
    {"windows of 2 by 2, side by side", 1, {{TP_DIMS(1, 1, 2, 6)}}, OPTS(.kernel = {2, 2})},
    {"channels and examples", 1, {{TP_DIMS(2, 2, 4, 4)}}, OPTS(.kernel = {2, 2})},
    {"a row and a column that no window reaches",
     1,
     {{TP_DIMS(1, 2, 5, 5)}},
     OPTS(.kernel = {2, 2})},
    {"overlapping, with padding",
     1,
     {{TP_DIMS(1, 1, 5, 6)}},
     OPTS(.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1})},
    {"all different by height and width",
     1,
     {{TP_DIMS(2, 1, 5, 6)}},
     OPTS(.kernel = {4, 2}, .stride = {1, 3}, .padding = {2, 0})},
    {"all negative: padding does not win",
     1,
     {{TP_DIMS(1, 2, 3, 4), .lo = -3, .hi = -1}},
     OPTS(.kernel = {2, 2}, .padding = {1, 1})},
    {"gaps between windows", 1, {{TP_DIMS(1, 2, 4, 5)}}, OPTS(.kernel = {1, 2}, .stride = {3, 3})},
    {"one window for all, large",
     1,
     {{TP_DIMS(2, 3, 3, 4), .lo = -1e6, .hi = 1e6}},
     OPTS(.kernel = {3, 4})},
    {"one pixel, and padding",
     1,
     {{TP_DIMS(1, 1, 1, 1)}},
     OPTS(.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 1})},
    {"no examples", 1, {{TP_DIMS(0, 1, 4, 4)}}, OPTS(.kernel = {2, 2})},
};

static const tp_refusal refusals[] = {
    {"a divisor",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 2}, .divisor = 4),
     TP_EARG,
     "divisor 4: only averages have one"},
    {"matrices",
     1,
     {{TP_DIMS(4, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 2}),
     TP_ESHAPE,
     "x [4,4]: [n,c,h,w] with at least one row and column needed"},
    {"the maximum of nothing",
     1,
     {{TP_DIMS(1, 1, 0, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 2}, .padding = {1, 1}),
     TP_ESHAPE,
     "x [1,1,0,4]: [n,c,h,w] with at least one row and column needed"},
    {"a window higher than the picture",
     1,
     {{TP_DIMS(1, 1, 4, 5), TP_F32, 0}},
     OPTS(.kernel = {5, 5}),
     TP_ESHAPE,
     "a window of 5,5 with padding 0,0 does not fit into x [1,1,4,5]: it is larger than the height"},
    {"padding that would fill a window",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {1, 3}, .padding = {1, 1}),
     TP_EARG,
     "padding 1,1: from 0 to half the kernel 1,3 needed"},
};

TP_DEFINE_OP(
    max_pool2d, .arity = 1, .smooth = TP_PIECEWISE, .reads = TP_READS(0),
    .text = "max_pool2d(#0, @kernel_h×@kernel_w)",
    .tex = "\\operatorname{maxpool}_{@kernel_h \\times @kernel_w}(#0)",
    .index = "y[n,c,i,j] = max_" TP_POOL_ELEMENTS " #0[n,c," TP_POOL_PIXEL
             "]" TP_POOL_EDGE("#0", "−inf"),
    .index_vjp = {"#0'[n,c,p,q] = Σ_{i,j} " TP_POOL_IN_COLUMNS "·[(" TP_POOL_ROW
                  ")·@kernel_w + " TP_POOL_COLUMN " = " TP_POOL_ARGMAX
                  "]·y'[n,c,i,j]" TP_POOL_EDGE("#0", "−inf")},
    .jacobian = {TP_JACOBIAN_SELECTION},
    .why = "each window gives its gradient to its largest element; at a kink, where several are "
           "largest, to the first of them, row by row",
    .domain = "at least one row and one column; padding of at most half the kernel",
    .shape = tp_pool_max_shape, .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused,
    .call = call, .attr_size = sizeof(tp_pool_attr), .fields = tp_pool_fields,
    .field_count = TP_POOL_FIELDS, TP_REFUSALS);
