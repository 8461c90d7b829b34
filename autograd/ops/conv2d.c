/* conv2d: y[n,o,i,j] = Σ x[n,c,i·s + u·d − p,j·s + v·d − p]·w[o,c,u,v], PyTorch's layouts. Linear in x and in w: the rules
 * are conv_transpose2d.c and conv2d_weight.c, whose rules are these three again. */
#include "autograd/compose.h"
#include "autograd/ops/conv.h"

#define I64(name, member, i, usual)                                                                \
    {                                                                                              \
        name, TP_FIELD_I64, offsetof(tp_conv_attr, member) + (i) * sizeof(int64_t), usual          \
    }
const tp_field tp_conv_fields[TP_CONV_WEIGHT_FIELDS] = {
    I64("stride_h", opts.stride, 0, "1"),
    I64("stride_w", opts.stride, 1, "1"),
    I64("padding_h", opts.padding, 0, "0"),
    I64("padding_w", opts.padding, 1, "0"),
    I64("dilation_h", opts.dilation, 0, "1"),
    I64("dilation_w", opts.dilation, 1, "1"),
    I64("groups", opts.groups, 0, "1"),
    I64("output_padding_h", opts.output_padding, 0, "0"),
    I64("output_padding_w", opts.output_padding, 1, "0"),
    I64("kernel_h", kernel, 0, NULL),
    I64("kernel_w", kernel, 1, NULL),
};

/* A row may be applied by itself, with anything. What it computes, its rules and its index form take the options as
 * they are. */
tp_status tp_conv_opts_filled(const tp_conv_opts *o)
{
    tp_conv_opts f = *o;
    TP_TRY(tp_conv_opts_check(&f));
    for (int i = 0; i < 2; i++)
        if (f.stride[i] != o->stride[i] || f.dilation[i] != o->dilation[i] || f.groups != o->groups)
            return tp_fail(TP_EARG,
                           "stride %lld,%lld, dilation %lld,%lld and %lld groups: numbers needed, "
                           "0 is a default of the function, not of its row",
                           (long long)o->stride[0], (long long)o->stride[1],
                           (long long)o->dilation[0], (long long)o->dilation[1],
                           (long long)o->groups);
    return TP_OK;
}

tp_status tp_conv_shape(tp_shape x, tp_shape weight, tp_conv_opts *o, tp_shape *y)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    TP_TRY(tp_conv_opts_check(o));
    if (x.ndim != 4 || weight.ndim != 4)
        return tp_fail(TP_ESHAPE, "x %s and weight %s: [n,c,h,w] and [out,c/groups,kh,kw] needed",
                       tp_shape_text(x, a), tp_shape_text(weight, b));
    for (int i = 2; i < 4; i++)
        if (x.dim[i] < 1 || weight.dim[i] < 1)
            return tp_fail(TP_ESHAPE,
                           "x %s and weight %s: at least one row and one column of each needed",
                           tp_shape_text(x, a), tp_shape_text(weight, b));
    if (weight.dim[0] % o->groups != 0 || x.dim[1] % o->groups != 0 ||
        x.dim[1] / o->groups != weight.dim[1])
        return tp_fail(
            TP_ESHAPE,
            "x %s and weight %s in %lld groups: [n,c,h,w] and [out,c/groups,kh,kw] needed",
            tp_shape_text(x, a), tp_shape_text(weight, b), (long long)o->groups);
    *y = TP_SHAPE(x.dim[0], weight.dim[0], 0, 0);
    for (int i = 0; i < 2; i++) {
        y->dim[2 + i] = tp_conv_positions(o, i, x.dim[2 + i], weight.dim[2 + i]);
        if (y->dim[2 + i] < 1)
            return tp_fail(TP_ESHAPE,
                           "weight %s does not fit into x %s: it reaches over more than the %s, "
                           "with padding %lld,%lld and dilation %lld,%lld",
                           tp_shape_text(weight, b), tp_shape_text(x, a), i ? "width" : "height",
                           (long long)o->padding[0], (long long)o->padding[1],
                           (long long)o->dilation[0], (long long)o->dilation[1]);
    }
    return TP_OK;
}

tp_conv_opts tp_conv_back(tp_conv_opts o, tp_shape x, tp_shape w)
{
    for (int i = 0; i < 2 && x.ndim == 4 && w.ndim == 4; i++) {
        int64_t n = tp_conv_positions(&o, i, x.dim[2 + i], w.dim[2 + i]);
        o.output_padding[i] = 0;
        o.output_padding[i] = x.dim[2 + i] - tp_conv_size(&o, i, n, w.dim[2 + i]);
    }
    return o;
}

tp_var tp_conv2d(tp_var x, tp_var weight, tp_conv_opts opts)
{
    (void)tp_conv_opts_check(&opts); /* what is wrong with them shape says */
    return tp_apply(&tp_op_conv2d, 2, (tp_var[]){x, weight}, &(tp_conv_attr){opts, {0}});
}

static tp_status shape(const tp_op_call *c)
{
    tp_conv_opts o = ((const tp_conv_attr *)c->attr)->opts;
    TP_TRY(tp_conv_opts_filled(&o));
    if (o.output_padding[0] != 0 || o.output_padding[1] != 0)
        return tp_fail(TP_EARG, "output_padding %lld,%lld: only the transposed convolution has one",
                       (long long)o.output_padding[0], (long long)o.output_padding[1]);
    return tp_conv_shape(c->x[0]->shape, c->x[1]->shape, &o, &c->y->shape);
}

static tp_status forward(const tp_op_call *c)
{
    const tp_conv_attr *a = c->attr;
    return tp_conv_into(c->y, c->x[0], c->x[1], &a->opts, c->scratch);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    const tp_conv_attr *a = c->attr;
    tp_shape x = tp_shape_of(c->x[0]), w = tp_shape_of(c->x[1]);
    if (c->want[0])
        gx[0] = tp_conv_transpose2d(c->gy, c->x[1], tp_conv_back(a->opts, x, w));
    if (c->want[1])
        gx[1] = tp_conv2d_weight(c->x[0], c->gy, w.dim[2], w.dim[3], a->opts);
}

/* Both gradients from one reading of ȳ. */
static tp_status vjp_fused(const tp_fused_call *c)
{
    const tp_conv_opts *o = &((const tp_conv_attr *)c->attr)->opts;
    if (c->want[0] && c->want[1])
        return tp_conv_image_kernel_into(&c->gx[0], &c->gx[1], c->x[0], c->x[1], c->gy, o,
                                         c->scratch);
    return c->want[0] ? tp_conv_image_into(&c->gx[0], c->gy, c->x[1], o, c->scratch)
                      : tp_conv_kernel_into(&c->gx[1], c->x[0], c->gy, o, c->scratch);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_conv2d(x[0], x[1], ((const tp_conv_attr *)attr)->opts);
}

#define OPTS(...)                                                                                  \
    &(const tp_conv_attr)                                                                          \
    {                                                                                              \
        .opts = { __VA_ARGS__ }                                                                    \
    }
static const tp_sample samples[] = {
    {"a kernel of 2 by 3", 2, {{TP_DIMS(1, 1, 4, 5)}, {TP_DIMS(1, 1, 2, 3)}}, OPTS(.groups = 1)},
    {"channels and examples", 2, {{TP_DIMS(2, 2, 3, 3)}, {TP_DIMS(3, 2, 2, 2)}}, OPTS(.groups = 1)},
    {"stride 2 and padding, as an encoder's",
     2,
     {{TP_DIMS(1, 2, 6, 6)}, {TP_DIMS(2, 2, 4, 4)}},
     OPTS(.stride = {2, 2}, .padding = {1, 1})},
    {"all different by height and width; a row that no position reaches",
     2,
     {{TP_DIMS(1, 2, 6, 5)}, {TP_DIMS(1, 2, 2, 3)}},
     OPTS(.stride = {3, 1}, .padding = {1, 2}, .dilation = {2, 1})},
    {"dilation", 2, {{TP_DIMS(1, 1, 5, 6)}, {TP_DIMS(2, 1, 2, 3)}}, OPTS(.dilation = {3, 2})},
    {"groups",
     2,
     {{TP_DIMS(2, 4, 3, 3)}, {TP_DIMS(6, 2, 2, 2)}},
     OPTS(.groups = 2, .padding = {1, 0})},
    {"a group for each channel",
     2,
     {{TP_DIMS(1, 3, 3, 3)}, {TP_DIMS(3, 1, 3, 3)}},
     OPTS(.groups = 3)},
    {"a kernel of 1 by 1, large",
     2,
     {{TP_DIMS(2, 3, 2, 2), .lo = -1e6, .hi = 1e6}, {TP_DIMS(2, 3, 1, 1)}},
     OPTS(.groups = 1)},
    {"more padding than kernel",
     2,
     {{TP_DIMS(1, 1, 2, 2)}, {TP_DIMS(1, 1, 2, 2)}},
     OPTS(.padding = {3, 2}, .stride = {1, 2})},
    {"no examples", 2, {{TP_DIMS(0, 1, 3, 3)}, {TP_DIMS(2, 1, 2, 2)}}, OPTS(.groups = 1)},
    {"no channels: an empty sum",
     2,
     {{TP_DIMS(1, 0, 3, 3)}, {TP_DIMS(2, 0, 2, 2)}},
     OPTS(.groups = 1)},
};

static const tp_refusal refusals[] = {
    {"channels that differ",
     2,
     {{TP_DIMS(1, 3, 4, 4), TP_F32, 0}, {TP_DIMS(2, 1, 3, 3), TP_F32, 0}},
     OPTS(.groups = 1),
     TP_ESHAPE,
     "x [1,3,4,4] and weight [2,1,3,3] in 1 groups: [n,c,h,w] and [out,c/groups,kh,kw] needed"},
    {"outputs that no groups divide",
     2,
     {{TP_DIMS(1, 4, 4, 4), TP_F32, 0}, {TP_DIMS(3, 2, 3, 3), TP_F32, 0}},
     OPTS(.groups = 2),
     TP_ESHAPE,
     "in 2 groups"},
    {"one picture without its axis of examples",
     2,
     {{TP_DIMS(1, 4, 4), TP_F32, 0}, {TP_DIMS(2, 1, 3, 3), TP_F32, 0}},
     OPTS(.groups = 1),
     TP_ESHAPE,
     "x [1,4,4] and weight [2,1,3,3]: [n,c,h,w] and [out,c/groups,kh,kw] needed"},
    {"a kernel wider than the picture",
     2,
     {{TP_DIMS(1, 1, 5, 4), TP_F32, 0}, {TP_DIMS(1, 1, 3, 3), TP_F32, 0}},
     OPTS(.dilation = {2, 2}),
     TP_ESHAPE,
     "weight [1,1,3,3] does not fit into x [1,1,5,4]: it reaches over more than the width"},
    {"a picture without rows",
     2,
     {{TP_DIMS(1, 1, 0, 5), TP_F32, 0}, {TP_DIMS(2, 1, 2, 2), TP_F32, 0}},
     OPTS(.padding = {1, 1}),
     TP_ESHAPE,
     "x [1,1,0,5] and weight [2,1,2,2]: at least one row and one column of each needed"},
    {"a kernel without rows",
     2,
     {{TP_DIMS(1, 1, 4, 5), TP_F32, 0}, {TP_DIMS(2, 1, 0, 2), TP_F32, 0}},
     OPTS(.groups = 1),
     TP_ESHAPE,
     "x [1,1,4,5] and weight [2,1,0,2]: at least one row and one column of each needed"},
    {"a stride of -1",
     2,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}, {TP_DIMS(1, 1, 3, 3), TP_F32, 0}},
     OPTS(.stride = {2, -1}),
     TP_EARG,
     "stride 2,-1: from 1 to 2^30 needed"},
    {"padding beyond all bounds",
     2,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}, {TP_DIMS(1, 1, 3, 3), TP_F32, 0}},
     OPTS(.padding = {INT64_MAX, 0}),
     TP_EARG,
     "padding 9223372036854775807,0: from 0 to 2^30 needed"},
    {"the transposed one's option",
     2,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}, {TP_DIMS(1, 1, 3, 3), TP_F32, 0}},
     OPTS(.stride = {2, 2}, .output_padding = {1, 1}),
     TP_EARG,
     "output_padding 1,1: only the transposed convolution has one"},
};

/* What position i,j of channel k sees, and the elements of k's kernel that see a pixel. */
#define CHANNEL(sign) "(c" TP_CONV_FIRST(sign, "#1:1", "k", "#1:0 / @groups") ")"
#define SEEN "#0[n," CHANNEL("+") "," TP_CONV_PIXEL "]"
#define SEEING "#1[k," CHANNEL("−") "," TP_CONV_ELEMENT "]"
TP_DEFINE_OP(
    conv2d, .arity = 2, .layout = TP_CHANNELS_LAST, .smooth = TP_SMOOTH,
    .reads = TP_READS(0) | TP_READS(1), .text = "conv2d(#0, #1)", .tex = "#0 \\star #1",
    .index = "y[n,k,i,j] = Σ_{c,u,v} " SEEN "·#1[k,c,u,v]" TP_CONV_EDGE("#0"),
    .index_vjp = {"#0'[n,c,p,q] = Σ_{k,i,j} y'[n,k,i,j]·" SEEING TP_CONV_GAPS("#1"),
                  "#1'[k,c,u,v] = Σ_{n,i,j} y'[n,k,i,j]·" SEEN TP_CONV_EDGE("#0")},
    .jacobian = {TP_JACOBIAN_WINDOWS, TP_JACOBIAN_KRONECKER},
    .why =
        "linear in each: x̄ is what every position gives back to what it saw, the transposed "
        "convolution of ȳ; w̄ sums over positions what the kernel saw there, times ȳ. A column of "
        "im2col(x) is what the kernel sees at one position, and col2im adds columns back",
    .shape = shape, .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused, .call = call,
    .attr_size = sizeof(tp_conv_attr), .fields = tp_conv_fields, .field_count = TP_CONV_FIELDS,
    TP_REFUSALS);
