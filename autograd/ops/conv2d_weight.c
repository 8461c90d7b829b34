/* conv2d_weight: the adjoint of conv2d by its kernel: how well what a kernel saw goes with what came out, summed over
 * positions and examples. */
#include "autograd/compose.h"
#include "autograd/ops/conv.h"

tp_var tp_conv2d_weight(tp_var x, tp_var y, int64_t kh, int64_t kw, tp_conv_opts opts)
{
    (void)tp_conv_opts_check(&opts); /* what is wrong with them shape says */
    return tp_apply(&tp_op_conv2d_weight, 2, (tp_var[]){x, y}, &(tp_conv_attr){opts, {kh, kw}});
}

static tp_status shape(const tp_op_call *c)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT], d[TP_SHAPE_TEXT];
    const tp_conv_attr *attr = c->attr;
    tp_conv_opts o = attr->opts;
    tp_shape x = c->x[0]->shape, y = c->x[1]->shape, positions;
    TP_TRY(tp_conv_opts_filled(&o));
    if (attr->kernel[0] < 1 || attr->kernel[1] < 1 || o.output_padding[0] != 0 ||
        o.output_padding[1] != 0)
        return tp_fail(
            TP_EARG,
            "a kernel of %lld,%lld with output_padding %lld,%lld: sizes of at least 1 and "
            "no output_padding needed",
            (long long)attr->kernel[0], (long long)attr->kernel[1], (long long)o.output_padding[0],
            (long long)o.output_padding[1]);
    if (x.ndim != 4 || y.ndim != 4)
        return tp_fail(TP_ESHAPE, "x %s and y %s: [n,c,h,w] and [n,out,oh,ow] needed",
                       tp_shape_text(x, a), tp_shape_text(y, b));
    c->y->shape = TP_SHAPE(y.dim[1], x.dim[1] / o.groups, attr->kernel[0], attr->kernel[1]);
    TP_TRY(tp_conv_shape(x, c->y->shape, &o, &positions));
    if (!tp_shape_equal(positions, y))
        return tp_fail(TP_ESHAPE, "x %s convolved with a kernel of %lld,%lld has shape %s, y is %s",
                       tp_shape_text(x, a), (long long)attr->kernel[0], (long long)attr->kernel[1],
                       tp_shape_text(positions, d), tp_shape_text(y, b));
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    const tp_conv_attr *a = c->attr;
    return tp_conv_kernel_into(c->y, c->x[0], c->x[1], &a->opts, c->scratch);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    const tp_conv_attr *a = c->attr;
    tp_shape x = tp_shape_of(c->x[0]), w = tp_shape_of(c->y);
    if (c->want[0])
        gx[0] = tp_conv_transpose2d(c->x[1], c->gy, tp_conv_back(a->opts, x, w));
    if (c->want[1])
        gx[1] = tp_conv2d(c->x[0], c->gy, a->opts);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const tp_conv_attr *a = attr;
    (void)t, (void)n;
    return tp_conv2d_weight(x[0], x[1], a->kernel[0], a->kernel[1], a->opts);
}

#define ATTR(kh, kw, ...)                                                                          \
    &(const tp_conv_attr)                                                                          \
    {                                                                                              \
        .opts = {__VA_ARGS__}, .kernel = { kh, kw }                                                \
    }
static const tp_sample samples[] = {
    {"a kernel of 2 by 3",
     2,
     {{TP_DIMS(1, 1, 4, 5)}, {TP_DIMS(1, 1, 3, 3)}},
     ATTR(2, 3, .groups = 1)},
    {"channels and examples",
     2,
     {{TP_DIMS(2, 2, 3, 3)}, {TP_DIMS(2, 3, 2, 2)}},
     ATTR(2, 2, .groups = 1)},
    {"stride 2 and padding, as an encoder's",
     2,
     {{TP_DIMS(1, 2, 6, 6)}, {TP_DIMS(1, 2, 3, 3)}},
     ATTR(4, 4, .stride = {2, 2}, .padding = {1, 1})},
    {"all different by height and width",
     2,
     {{TP_DIMS(1, 2, 6, 5)}, {TP_DIMS(1, 1, 2, 7)}},
     ATTR(2, 3, .stride = {3, 1}, .padding = {1, 2}, .dilation = {2, 1})},
    {"groups",
     2,
     {{TP_DIMS(2, 4, 3, 3)}, {TP_DIMS(2, 6, 4, 2)}},
     ATTR(2, 2, .groups = 2, .padding = {1, 0})},
    {"a kernel of 1 by 1, large",
     2,
     {{TP_DIMS(2, 3, 2, 2), .lo = -1e6, .hi = 1e6}, {TP_DIMS(2, 2, 2, 2)}},
     ATTR(1, 1, .groups = 1)},
    {"no examples: zeros",
     2,
     {{TP_DIMS(0, 1, 3, 3)}, {TP_DIMS(0, 2, 2, 2)}},
     ATTR(2, 2, .groups = 1)},
};

static const tp_refusal refusals[] = {
    {"positions of another kernel",
     2,
     {{TP_DIMS(1, 2, 4, 4), TP_F32, 0}, {TP_DIMS(1, 3, 3, 3), TP_F32, 0}},
     ATTR(3, 3, .groups = 1),
     TP_ESHAPE,
     "x [1,2,4,4] convolved with a kernel of 3,3 has shape [1,3,2,2], y is [1,3,3,3]"},
    {"no kernel",
     2,
     {{TP_DIMS(1, 2, 4, 4), TP_F32, 0}, {TP_DIMS(1, 3, 3, 3), TP_F32, 0}},
     ATTR(0, 2, .groups = 1),
     TP_EARG,
     "a kernel of 0,2 with output_padding 0,0"},
    {"channels that no groups divide",
     2,
     {{TP_DIMS(1, 3, 4, 4), TP_F32, 0}, {TP_DIMS(1, 4, 3, 3), TP_F32, 0}},
     ATTR(2, 2, .groups = 2),
     TP_ESHAPE,
     "in 2 groups"},
    {"matrices",
     2,
     {{TP_DIMS(4, 4), TP_F32, 0}, {TP_DIMS(3, 3), TP_F32, 0}},
     ATTR(2, 2, .groups = 1),
     TP_ESHAPE,
     "x [4,4] and y [3,3]: [n,c,h,w] and [n,out,oh,ow] needed"},
};

/* What position i,j of channel k sees, and the elements of k's kernel that see a pixel. */
#define CHANNEL(sign) "(c" TP_CONV_FIRST(sign, "#0:1 / @groups", "k", "#1:1 / @groups") ")"
#define SEEN "#0[n," CHANNEL("+") "," TP_CONV_PIXEL "]"
#define SEEING "y'[k," CHANNEL("−") "," TP_CONV_ELEMENT "]"
TP_DEFINE_OP(
    conv2d_weight, .arity = 2, .smooth = TP_SMOOTH, .reads = TP_READS(0) | TP_READS(1),
    .text = "conv2d_weight(#0, #1)", .tex = "#0 \\star_w #1",
    .index = "y[k,c,u,v] = Σ_{n,i,j} #1[n,k,i,j]·" SEEN TP_CONV_EDGE("#0"),
    .index_vjp = {"#0'[n,c,p,q] = Σ_{k,i,j} #1[n,k,i,j]·" SEEING TP_CONV_GAPS("y'"),
                  "#1'[n,k,i,j] = Σ_{c,u,v} " SEEN "·y'[k,c,u,v]" TP_CONV_EDGE("#0")},
    .jacobian = {TP_JACOBIAN_KRONECKER, TP_JACOBIAN_KRONECKER},
    .why =
        "linear in each: of the kernel's gradient it is the two adjoints of conv2d with that kernel",
    .shape = shape, .forward = forward, .vjp = vjp, .call = call, .attr_size = sizeof(tp_conv_attr),
    .fields = tp_conv_fields, .field_count = TP_CONV_WEIGHT_FIELDS, TP_REFUSALS);
