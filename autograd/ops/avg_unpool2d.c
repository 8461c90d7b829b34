/* avg_unpool2d: the adjoint of avg_pool2d: every element of x, at a position, gives itself over the divisor to each element
 * that the window sees there, in an image of the size asked for, of which several have the same positions. */
#include "autograd/compose.h"
#include "autograd/ops/pool.h"

tp_var tp_avg_unpool2d(tp_var x, int64_t height, int64_t width, tp_pool_opts opts)
{
    (void)tp_pool_opts_check(&opts); /* what is wrong with them shape says */
    return tp_apply(&tp_op_avg_unpool2d, 1, &x, &(tp_pool_attr){opts, {height, width}});
}

static tp_status shape(const tp_op_call *c)
{
    const tp_pool_attr *a = c->attr;
    char text[TP_SHAPE_TEXT];
    tp_shape x = c->x[0]->shape, windows;
    TP_TRY(tp_pool_opts_filled(&a->opts, true));
    TP_TRY(tp_pool_images("x", x));
    if (a->size[0] < 1 || a->size[1] < 1)
        return tp_fail(TP_ESHAPE, "an image of %lld,%lld: at least one row and column needed",
                       (long long)a->size[0], (long long)a->size[1]);
    c->y->shape = TP_SHAPE(x.dim[0], x.dim[1], a->size[0], a->size[1]);
    TP_TRY(tp_shape_check(c->y->shape, 1));
    for (int i = 0; i < 2; i++)
        windows.dim[i] = tp_pool_windows(&a->opts, i, a->size[i]);
    if (windows.dim[0] != x.dim[2] || windows.dim[1] != x.dim[3])
        return tp_fail(TP_ESHAPE, "x %s for an image of %lld,%lld: that has %lld,%lld windows",
                       tp_shape_text(x, text), (long long)a->size[0], (long long)a->size[1],
                       (long long)windows.dim[0], (long long)windows.dim[1]);
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    return tp_pool_spread(c->y, c->x[0], &((const tp_pool_attr *)c->attr)->opts, c->scratch);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_avg_pool2d(c->gy, ((const tp_pool_attr *)c->attr)->opts);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const tp_pool_attr *a = attr;
    (void)t, (void)n;
    return tp_avg_unpool2d(x[0], a->size[0], a->size[1], a->opts);
}

#define ATTR(height, width, ...)                                                                   \
    &(const tp_pool_attr)                                                                          \
    {                                                                                              \
        {__VA_ARGS__},                                                                             \
        {                                                                                          \
            height, width                                                                          \
        }                                                                                          \
    }
static const tp_sample samples[] = {
    {"windows of 2 by 2, side by side", 1, {{TP_DIMS(1, 1, 1, 2)}}, ATTR(2, 4, .kernel = {2, 2})},
    {"channels and examples", 1, {{TP_DIMS(2, 2, 2, 2)}}, ATTR(4, 4, .kernel = {2, 2})},
    {"a row and two columns that no window reaches",
     1,
     {{TP_DIMS(1, 2, 2, 1)}},
     ATTR(5, 5, .kernel = {2, 3})},
    {"overlapping, with padding",
     1,
     {{TP_DIMS(1, 1, 3, 3)}},
     ATTR(5, 6, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1})},
    {"all different by height and width",
     1,
     {{TP_DIMS(2, 1, 6, 2)}},
     ATTR(5, 6, .kernel = {4, 2}, .stride = {1, 3}, .padding = {2, 0})},
    {"gaps between windows",
     1,
     {{TP_DIMS(1, 2, 2, 2)}},
     ATTR(4, 5, .kernel = {1, 2}, .stride = {3, 3})},
    {"windows of one element, large",
     1,
     {{TP_DIMS(2, 3, 2, 2), .lo = -1e6, .hi = 1e6}},
     ATTR(2, 2, .kernel = {1, 1})},
    {"whole instead of shared",
     1,
     {{TP_DIMS(1, 2, 3, 3)}},
     ATTR(4, 3, .kernel = {2, 3}, .stride = {1, 1}, .padding = {0, 1}, .divisor = 1)},
    {"onto one pixel, and padding",
     1,
     {{TP_DIMS(1, 2, 2, 2)}},
     ATTR(1, 1, .kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 1})},
    {"no examples", 1, {{TP_DIMS(0, 1, 2, 2)}}, ATTR(4, 5, .kernel = {2, 2})},
};

static const tp_refusal refusals[] = {
    {"another image's windows",
     1,
     {{TP_DIMS(1, 1, 3, 3), TP_F32, 0}},
     ATTR(6, 8, .kernel = {2, 2}),
     TP_ESHAPE,
     "x [1,1,3,3] for an image of 6,8: that has 3,4 windows"},
    {"an image that no window fits into",
     1,
     {{TP_DIMS(1, 1, 1, 1), TP_F32, 0}},
     ATTR(1, 2, .kernel = {2, 2}),
     TP_ESHAPE,
     "x [1,1,1,1] for an image of 1,2: that has 0,1 windows"},
    {"no image",
     1,
     {{TP_DIMS(1, 1, 1, 1), TP_F32, 0}},
     ATTR(0, -2, .kernel = {2, 2}),
     TP_ESHAPE,
     "an image of 0,-2: at least one row and column needed"},
    {"a matrix",
     1,
     {{TP_DIMS(2, 2), TP_F32, 0}},
     ATTR(4, 4, .kernel = {2, 2}),
     TP_ESHAPE,
     "x [2,2]: [n,c,h,w] with at least one row and column needed"},
    {"a stride of -1",
     1,
     {{TP_DIMS(1, 1, 2, 2), TP_F32, 0}},
     ATTR(4, 4, .kernel = {2, 2}, .stride = {2, -1}),
     TP_EARG,
     "stride 2,-1: from 1 to 2^30 needed"},
    {"an image beyond memory",
     1,
     {{TP_DIMS(1, 1, 1, 1), TP_F32, 0}},
     ATTR(INT64_MAX, INT64_MAX, .kernel = {2, 2}),
     TP_ESHAPE,
     "more elements than memory can address"},
};

TP_DEFINE_OP(
    avg_unpool2d, .arity = 1, .smooth = TP_SMOOTH,
    .text = "avg_unpool2d(#0, @kernel_h×@kernel_w, divisor @divisor)", .prec = 1,
    .tex = "\\tfrac{1}{@divisor} \\operatorname{sumpool}_{@kernel_h \\times @kernel_w}^\\top(#0)",
    .index = "y[n,c,p,q] = Σ_{i,j} " TP_POOL_IN_ROWS "·" TP_POOL_IN_COLUMNS
             "·#0[n,c,i,j] / @divisor",
    .index_vjp = {"#0'[n,c,i,j] = Σ_" TP_POOL_ELEMENTS " y'[n,c," TP_POOL_PIXEL
                  "] / @divisor" TP_POOL_EDGE("y'", "0")},
    .jacobian = {TP_JACOBIAN_WINDOWS},
    .why =
        "linear: what gave 1/divisor of itself to each element of a window gets that share of the "
        "sum of ȳ there",
    .domain = "as many elements as the image has windows", .shape = shape, .forward = forward,
    .vjp = vjp, .call = call, .attr_size = sizeof(tp_pool_attr), .fields = tp_pool_fields,
    .field_count = TP_POOL_UNPOOL_FIELDS, TP_REFUSALS);
