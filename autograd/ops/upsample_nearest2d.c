/* upsample_nearest2d: every element repeated scale_h times down and scale_w times to the right. Its adjoint sums each such
 * block: avg_pool2d.c with divisor 1. */
#include "autograd/compose.h"
#include "autograd/ops/pool.h"

struct attr {
    int64_t scale_h, scale_w;
};
static const tp_field fields[] = {TP_FIELD(struct attr, scale_h, I64),
                                  TP_FIELD(struct attr, scale_w, I64)};

tp_var tp_upsample_nearest2d(tp_var x, int64_t scale_h, int64_t scale_w)
{
    return tp_apply(&tp_op_upsample_nearest2d, 1, &x, &(struct attr){scale_h, scale_w});
}

/* The blocks as windows of y. */
static tp_pool_opts blocks(const struct attr *a)
{
    return (tp_pool_opts){
        .kernel = {a->scale_h, a->scale_w}, .stride = {a->scale_h, a->scale_w}, .divisor = 1};
}

static tp_status shape(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    char text[TP_SHAPE_TEXT];
    tp_shape x = c->x[0]->shape;
    tp_pool_opts o = blocks(a);
    if (tp_pool_opts_check(&o) != TP_OK)
        return tp_fail(TP_EARG, "scale %lld,%lld: from 1 to 2^30 needed", (long long)a->scale_h,
                       (long long)a->scale_w);
    TP_TRY(tp_pool_images("x", x));
    c->y->shape = x;
    if (__builtin_mul_overflow(x.dim[2], a->scale_h, &c->y->shape.dim[2]) ||
        __builtin_mul_overflow(x.dim[3], a->scale_w, &c->y->shape.dim[3]))
        return tp_fail(TP_ESHAPE, "x %s %lld,%lld times is more than memory can address",
                       tp_shape_text(x, text), (long long)a->scale_h, (long long)a->scale_w);
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    tp_pool_opts o = blocks(c->attr);
    return tp_pool_spread(c->y, c->x[0], &o, c->scratch);
}

static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_avg_pool2d(c->gy, blocks(c->attr));
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)t, (void)n;
    return tp_upsample_nearest2d(x[0], a->scale_h, a->scale_w);
}

static const tp_sample samples[] = {
    {"twice", 1, {{TP_DIMS(1, 1, 1, 3)}}, &(const struct attr){2, 2}},
    {"images and channels", 1, {{TP_DIMS(2, 3, 2, 1)}}, &(const struct attr){3, 2}},
    {"different by height and width", 1, {{TP_DIMS(1, 2, 3, 2)}}, &(const struct attr){1, 3}},
    {"one pixel", 1, {{TP_DIMS(2, 2, 1, 1)}}, &(const struct attr){3, 4}},
    {"once, large", 1, {{TP_DIMS(1, 2, 2, 3), .lo = -1e6, .hi = 1e6}}, &(const struct attr){1, 1}},
    {"no examples", 1, {{TP_DIMS(0, 2, 2, 2)}}, &(const struct attr){2, 3}},
};

static const tp_refusal refusals[] = {
    {"no rows",
     1,
     {{TP_DIMS(1, 1, 2, 2), TP_F32, 0}},
     &(const struct attr){0, 2},
     TP_EARG,
     "scale 0,2: from 1 to 2^30 needed"},
    {"a scale beyond all bounds",
     1,
     {{TP_DIMS(1, 1, 2, 2), TP_F32, 0}},
     &(const struct attr){2, INT64_MAX},
     TP_EARG,
     "scale 2,9223372036854775807: from 1 to 2^30 needed"},
    {"one picture without its axis of examples",
     1,
     {{TP_DIMS(1, 2, 2), TP_F32, 0}},
     &(const struct attr){2, 2},
     TP_ESHAPE,
     "x [1,2,2]: [n,c,h,w] with at least one row and column needed"},
    {"larger than memory",
     1,
     {{TP_DIMS(1, 1, 8, 8), TP_F32, 0}},
     &(const struct attr){1 << 30, 1 << 30},
     TP_ESHAPE,
     "more elements than memory can address"},
};

TP_DEFINE_OP(
    upsample_nearest2d, .arity = 1, .smooth = TP_SMOOTH,
    .text = "upsample_nearest2d(#0, @scale_h×@scale_w)",
    .tex = "\\operatorname{upsample}_{@scale_h \\times @scale_w}(#0)",
    .index = "y[n,c,i,j] = #0[n,c,(⌊i / @scale_h⌋),(⌊j / @scale_w⌋)]",
    .index_vjp =
        {"#0'[n,c,i,j] = Σ_{u<@scale_h,v<@scale_w} y'[n,c,(@scale_h·i + u),(@scale_w·j + v)]"},
    .jacobian = {TP_JACOBIAN_SELECTION},
    .why = "an element that stands in a block of y gets the sum of ȳ over that block",
    .domain = "at least one row and one column", .shape = shape, .forward = forward, .vjp = vjp,
    .call = call, TP_ATTR(struct attr), TP_REFUSALS);
