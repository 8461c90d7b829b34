/* conv_transpose2d: the adjoint of conv2d by its image: every element of x, at a position, gives the kernel's weights times
 * itself to what the kernel sees there. PyTorch's layout of the weight [in, out/groups, kh, kw] is that of the conv2d
 * it turns back. */
#include "autograd/compose.h"
#include "autograd/ops/conv.h"

tp_var tp_conv_transpose2d(tp_var x, tp_var weight, tp_conv_opts opts)
{
    (void)tp_conv_opts_check(&opts); /* what is wrong with them shape says */
    return tp_apply(&tp_op_conv_transpose2d, 2, (tp_var[]){x, weight}, &(tp_conv_attr){opts, {0}});
}

static tp_status shape(const tp_op_call *c)
{
    char a[TP_SHAPE_TEXT], b[TP_SHAPE_TEXT];
    tp_conv_opts o = ((const tp_conv_attr *)c->attr)->opts;
    tp_shape x = c->x[0]->shape, w = c->x[1]->shape;
    TP_TRY(tp_conv_opts_filled(&o));
    if (x.ndim != 4 || w.ndim != 4 || x.dim[1] != w.dim[0] || x.dim[1] % o.groups != 0)
        return tp_fail(
            TP_ESHAPE,
            "x %s and weight %s in %lld groups: [n,c,h,w] and [c,out/groups,kh,kw] needed",
            tp_shape_text(x, a), tp_shape_text(w, b), (long long)o.groups);
    c->y->shape = TP_SHAPE(x.dim[0], 0, 0, 0);
    if (__builtin_mul_overflow(w.dim[1], o.groups, &c->y->shape.dim[1]))
        return tp_fail(TP_ESHAPE, "%lld groups of %lld channels are too many", (long long)o.groups,
                       (long long)w.dim[1]);
    for (int i = 0; i < 2; i++) {
        if (o.output_padding[i] >= o.stride[i])
            return tp_fail(TP_EARG, "output_padding %lld,%lld: less than stride %lld,%lld needed",
                           (long long)o.output_padding[0], (long long)o.output_padding[1],
                           (long long)o.stride[0], (long long)o.stride[1]);
        int64_t n = x.dim[2 + i], k = w.dim[2 + i];
        if (n > INT32_MAX || k > INT32_MAX)
            return tp_fail(TP_ESHAPE,
                           "x %s and weight %s: 2^31 or more positions or taps along the %s",
                           tp_shape_text(x, a), tp_shape_text(w, b), i ? "width" : "height");
        if (n < 1 || k < 1 || tp_conv_size(&o, i, n, k) < 1)
            return tp_fail(TP_ESHAPE,
                           "x %s and weight %s with padding %lld,%lld: the result has no %s",
                           tp_shape_text(x, a), tp_shape_text(w, b), (long long)o.padding[0],
                           (long long)o.padding[1], i ? "width" : "height");
        c->y->shape.dim[2 + i] = tp_conv_size(&o, i, n, k);
    }
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    const tp_conv_attr *a = c->attr;
    return tp_conv_image_into(c->y, c->x[0], c->x[1], &a->opts, c->scratch);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    tp_conv_opts o = ((const tp_conv_attr *)c->attr)->opts;
    tp_shape w = tp_shape_of(c->x[1]);
    o.output_padding[0] = o.output_padding[1] = 0; /* of the way back; the way there has none */
    if (c->want[0])
        gx[0] = tp_conv2d(c->gy, c->x[1], o);
    if (c->want[1])
        gx[1] = tp_conv2d_weight(c->gy, c->x[0], w.dim[2], w.dim[3], o);
}

/* Both gradients from what ȳ is laid out as once. */
static tp_status vjp_fused(const tp_fused_call *c)
{
    const tp_conv_opts *o = &((const tp_conv_attr *)c->attr)->opts;
    if (c->want[0] && c->want[1])
        return tp_conv_places_kernel_into(&c->gx[0], &c->gx[1], c->gy, c->x[1], c->x[0], o,
                                          c->scratch);
    return c->want[0] ? tp_conv_into(&c->gx[0], c->gy, c->x[1], o, c->scratch)
                      : tp_conv_kernel_into(&c->gx[1], c->gy, c->x[0], o, c->scratch);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_conv_transpose2d(x[0], x[1], ((const tp_conv_attr *)attr)->opts);
}

#define OPTS(...)                                                                                  \
    &(const tp_conv_attr)                                                                          \
    {                                                                                              \
        .opts = { __VA_ARGS__ }                                                                    \
    }
static const tp_sample samples[] = {
    {"a kernel of 2 by 3", 2, {{TP_DIMS(1, 1, 3, 3)}, {TP_DIMS(1, 1, 2, 3)}}, OPTS(.groups = 1)},
    {"channels and examples", 2, {{TP_DIMS(2, 3, 2, 2)}, {TP_DIMS(3, 2, 2, 2)}}, OPTS(.groups = 1)},
    {"stride 2 and padding, as a decoder's",
     2,
     {{TP_DIMS(1, 2, 3, 3)}, {TP_DIMS(2, 2, 4, 4)}},
     OPTS(.stride = {2, 2}, .padding = {1, 1})},
    {"all different by height and width",
     2,
     {{TP_DIMS(1, 1, 2, 4)}, {TP_DIMS(1, 2, 2, 3)}},
     OPTS(.stride = {3, 2}, .padding = {1, 2}, .dilation = {2, 1}, .output_padding = {2, 1})},
    {"dilation", 2, {{TP_DIMS(1, 2, 2, 2)}, {TP_DIMS(2, 1, 2, 3)}}, OPTS(.dilation = {3, 2})},
    {"groups",
     2,
     {{TP_DIMS(2, 4, 2, 3)}, {TP_DIMS(4, 3, 2, 2)}},
     OPTS(.groups = 2, .padding = {1, 0})},
    {"a kernel of 1 by 1, large",
     2,
     {{TP_DIMS(2, 3, 2, 2), .lo = -1e6, .hi = 1e6}, {TP_DIMS(3, 2, 1, 1)}},
     OPTS(.groups = 1)},
    {"a kernel smaller than the stride: gaps of zeros",
     2,
     {{TP_DIMS(1, 1, 2, 2)}, {TP_DIMS(1, 1, 1, 2)}},
     OPTS(.stride = {2, 3})},
    {"no examples", 2, {{TP_DIMS(0, 1, 2, 2)}, {TP_DIMS(1, 2, 2, 2)}}, OPTS(.groups = 1)},
};

static const tp_refusal refusals[] = {
    {"a weight that is turned over",
     2,
     {{TP_DIMS(1, 3, 4, 4), TP_F32, 0}, {TP_DIMS(2, 3, 3, 3), TP_F32, 0}},
     OPTS(.groups = 1),
     TP_ESHAPE,
     "x [1,3,4,4] and weight [2,3,3,3] in 1 groups: [n,c,h,w] and [c,out/groups,kh,kw] needed"},
    {"channels that no groups divide",
     2,
     {{TP_DIMS(1, 3, 4, 4), TP_F32, 0}, {TP_DIMS(3, 2, 3, 3), TP_F32, 0}},
     OPTS(.groups = 2),
     TP_ESHAPE,
     "in 2 groups"},
    {"output_padding of a whole stride",
     2,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}, {TP_DIMS(1, 1, 3, 3), TP_F32, 0}},
     OPTS(.stride = {2, 2}, .output_padding = {0, 2}),
     TP_EARG,
     "output_padding 0,2: less than stride 2,2 needed"},
    {"padding that leaves nothing",
     2,
     {{TP_DIMS(1, 1, 2, 2), TP_F32, 0}, {TP_DIMS(1, 1, 2, 2), TP_F32, 0}},
     OPTS(.padding = {0, 2}),
     TP_ESHAPE,
     "x [1,1,2,2] and weight [1,1,2,2] with padding 0,2: the result has no width"},
    {"a dilation of -1",
     2,
     {{TP_DIMS(1, 1, 4, 4), TP_F32, 0}, {TP_DIMS(1, 1, 3, 3), TP_F32, 0}},
     OPTS(.dilation = {-1, 1}),
     TP_EARG,
     "dilation -1,1: from 1 to 2^30 needed"},
};

/* The elements of c's kernel that give to a pixel, and what they have given to. */
#define CHANNEL(sign) "(k" TP_CONV_FIRST(sign, "#1:1", "c", "#1:0 / @groups") ")"
#define GIVING "#1[c," CHANNEL("−") "," TP_CONV_ELEMENT "]"
#define GIVEN "y'[n," CHANNEL("+") "," TP_CONV_PIXEL "]"
TP_DEFINE_OP(
    conv_transpose2d, .arity = 2, .layout = TP_CHANNELS_LAST, .smooth = TP_SMOOTH,
    .reads = TP_READS(0) | TP_READS(1), .text = "conv_transpose2d(#0, #1)",
    .tex = "#0 \\star^\\top #1",
    .index = "y[n,k,p,q] = Σ_{c,i,j} #0[n,c,i,j]·" GIVING TP_CONV_GAPS("#1"),
    .index_vjp = {"#0'[n,c,i,j] = Σ_{k,u,v} " GIVEN "·#1[c,k,u,v]" TP_CONV_EDGE("y'"),
                  "#1'[c,k,u,v] = Σ_{n,i,j} #0[n,c,i,j]·" GIVEN TP_CONV_EDGE("y'")},
    .jacobian = {TP_JACOBIAN_WINDOWS, TP_JACOBIAN_KRONECKER},
    .why =
        "the adjoint of the adjoint is the convolution itself: x̄ is ȳ convolved with w, w̄ sums over "
        "positions what the kernel gave to, times x",
    .shape = shape, .forward = forward, .vjp = vjp, .vjp_fused = vjp_fused, .call = call,
    .attr_size = sizeof(tp_conv_attr), .fields = tp_conv_fields,
    .field_count = TP_CONV_TRANSPOSE_FIELDS, TP_REFUSALS);
