/* avg_pool2d: the mean of what a window sees at each position, zeros outside the image included: PyTorch's
 * count_include_pad=True and ceil_mode=False. The adjoint of avg_unpool2d.c. */
#include "autograd/compose.h"
#include "autograd/ops/pool.h"

#define I64(name, member, i)                                                                       \
    {                                                                                              \
        name, TP_FIELD_I64, offsetof(tp_pool_attr, member) + (i) * sizeof(int64_t)                 \
    }
const tp_field tp_pool_fields[TP_POOL_UNPOOL_FIELDS] = {
    I64("kernel_h", opts.kernel, 0),
    I64("kernel_w", opts.kernel, 1),
    I64("stride_h", opts.stride, 0),
    I64("stride_w", opts.stride, 1),
    I64("padding_h", opts.padding, 0),
    I64("padding_w", opts.padding, 1),
    I64("divisor", opts.divisor, 0),
    I64("height", size, 0),
    I64("width", size, 1),
};

tp_status tp_pool_images(const char *name, tp_shape x)
{
    char text[TP_SHAPE_TEXT];
    if (x.ndim != 4 || x.dim[2] < 1 || x.dim[3] < 1)
        return tp_fail(TP_ESHAPE, "%s %s: [n,c,h,w] with at least one row and column needed", name,
                       tp_shape_text(x, text));
    return TP_OK;
}

/* A row may be applied by itself, with anything. What it computes, its rule and its index form take the options as they
 * are. */
tp_status tp_pool_opts_filled(const tp_pool_opts *o, bool average)
{
    tp_pool_opts f = *o;
    TP_TRY(tp_pool_opts_check(&f));
    if (f.stride[0] != o->stride[0] || f.stride[1] != o->stride[1] ||
        (average && f.divisor != o->divisor))
        return tp_fail(TP_EARG,
                       "stride %lld,%lld and divisor %lld: numbers needed, 0 is a default of the "
                       "function, not of its row",
                       (long long)o->stride[0], (long long)o->stride[1], (long long)o->divisor);
    return TP_OK;
}

tp_status tp_pool_shape(tp_shape x, const tp_pool_opts *o, tp_shape *y)
{
    char text[TP_SHAPE_TEXT];
    TP_TRY(tp_pool_images("x", x));
    *y = x;
    for (int i = 0; i < 2; i++) {
        y->dim[2 + i] = tp_pool_windows(o, i, x.dim[2 + i]);
        if (y->dim[2 + i] < 1)
            return tp_fail(
                TP_ESHAPE,
                "a window of %lld,%lld with padding %lld,%lld does not fit into x %s: it "
                "is larger than the %s",
                (long long)o->kernel[0], (long long)o->kernel[1], (long long)o->padding[0],
                (long long)o->padding[1], tp_shape_text(x, text), i ? "width" : "height");
    }
    return TP_OK;
}

tp_var tp_avg_pool2d(tp_var x, tp_pool_opts opts)
{
    (void)tp_pool_opts_check(&opts); /* what is wrong with them shape says */
    return tp_apply(&tp_op_avg_pool2d, 1, &x, &(tp_pool_attr){opts, {0}});
}

static tp_status shape(const tp_op_call *c)
{
    const tp_pool_attr *a = c->attr;
    TP_TRY(tp_pool_opts_filled(&a->opts, true));
    return tp_pool_shape(c->x[0]->shape, &a->opts, &c->y->shape);
}

static tp_status forward(const tp_op_call *c)
{
    return tp_pool_average(c->y, c->x[0], &((const tp_pool_attr *)c->attr)->opts, c->scratch);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_shape x = tp_shape_of(c->x[0]);
    gx[0] = tp_avg_unpool2d(c->gy, x.dim[2], x.dim[3], ((const tp_pool_attr *)c->attr)->opts);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_avg_pool2d(x[0], ((const tp_pool_attr *)attr)->opts);
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
    {"gaps between windows", 1, {{TP_DIMS(1, 2, 4, 5)}}, OPTS(.kernel = {1, 2}, .stride = {3, 3})},
    {"one window for all", 1, {{TP_DIMS(2, 3, 3, 4)}}, OPTS(.kernel = {3, 4})},
    {"windows of one element, large",
     1,
     {{TP_DIMS(2, 3, 2, 2), .lo = -1e6, .hi = 1e6}},
     OPTS(.kernel = {1, 1})},
    {"sums instead of averages",
     1,
     {{TP_DIMS(2, 2, 4, 3)}},
     OPTS(.kernel = {2, 3}, .stride = {1, 1}, .padding = {0, 1}, .divisor = 1)},
    {"one pixel, and padding",
     1,
     {{TP_DIMS(4, 4, 1, 1)}},
     OPTS(.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 1})},
    {"no examples", 1, {{TP_DIMS(0, 1, 4, 4)}}, OPTS(.kernel = {2, 2})},
    {"no channels", 1, {{TP_DIMS(2, 0, 4, 4)}}, OPTS(.kernel = {2, 2})},
};

static const tp_refusal refusals[] = {
    {"one picture without its axis of examples",
     1,
     {{TP_DIMS(1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 2}),
     TP_ESHAPE,
     "x [1,4,4]: [n,c,h,w] with at least one row and column needed"},
    {"pictures without columns",
     1,
     {{TP_DIMS(1, 1, 4, 0), TP_F32, 0}},
     OPTS(.kernel = {2, 2}, .padding = {1, 1}),
     TP_ESHAPE,
     "x [1,1,4,0]: [n,c,h,w] with at least one row and column needed"},
    {"a window wider than the picture",
     1,
     {{TP_DIMS(1, 1, 5, 4), TP_F32, 0}},
     OPTS(.kernel = {3, 7}, .padding = {0, 1}),
     TP_ESHAPE,
     "a window of 3,7 with padding 0,1 does not fit into x [1,1,5,4]: it is larger than the width"},
    {"no window",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 0}),
     TP_EARG,
     "kernel 2,0: from 1 to 2^30 needed"},
    {"a stride for one axis only",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 2}, .stride = {0, 1}),
     TP_EARG,
     "stride 0,1: from 1 to 2^30 needed"},
    {"padding that would fill a window",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {3, 3}, .padding = {1, 2}),
     TP_EARG,
     "padding 1,2: from 0 to half the kernel 3,3 needed"},
    {"a negative divisor",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}},
     OPTS(.kernel = {2, 2}, .divisor = -4),
     TP_EARG,
     "divisor -4: at least 1 needed"},
    {"integers",
     1,
     {{TP_DIMS(1, 1, 4, 4), TP_I64, 0}},
     OPTS(.kernel = {2, 2}),
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(
    avg_pool2d, .arity = 1, .smooth = TP_SMOOTH,
    .text = "avg_pool2d(#0, @kernel_h×@kernel_w, divisor @divisor)", .prec = 1,
    .tex = "\\tfrac{1}{@divisor} \\operatorname{sumpool}_{@kernel_h \\times @kernel_w}(#0)",
    .index = "y[n,c,i,j] = Σ_" TP_POOL_ELEMENTS " #0[n,c," TP_POOL_PIXEL
             "] / @divisor" TP_POOL_EDGE("#0", "0"),
    .index_vjp = {"#0'[n,c,p,q] = Σ_{i,j} " TP_POOL_IN_ROWS "·" TP_POOL_IN_COLUMNS
                  "·y'[n,c,i,j] / @divisor"},
    .jacobian = {TP_JACOBIAN_WINDOWS},
    .why =
        "linear: every element of a window has the weight 1/divisor there, and gets that share of ȳ "
        "from each window that sees it",
    .domain = "at least one row and one column; padding of at most half the kernel", .shape = shape,
    .forward = forward, .vjp = vjp, .call = call, .attr_size = sizeof(tp_pool_attr),
    .fields = tp_pool_fields, .field_count = TP_POOL_AVERAGE_FIELDS, TP_REFUSALS);
