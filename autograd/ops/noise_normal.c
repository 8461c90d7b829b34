/* noise_normal: standard normal draws. A node without inputs whose key is an attribute, so gradient
 * checks and derivations replay the same noise. Generator: tensor/rng.h. */
#include "autograd/compose.h"

struct attr {
    tp_dtype dtype;
    tp_shape shape;
    tp_rng_key key;
};
static const tp_field fields[] = {TP_FIELD(struct attr, dtype, DTYPE),
                                  TP_FIELD(struct attr, shape, SHAPE),
                                  TP_FIELD(struct attr, key, KEY)};

tp_var tp_noise_normal(tp_tape *t, tp_dtype dtype, tp_shape shape, tp_rng_key key)
{
    return tp_apply_on(t, &tp_op_noise_normal, 0, NULL, &(struct attr){dtype, shape, key});
}

static tp_status shape_of(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    if (!tp_dtype_is_float(a->dtype))
        return tp_fail(TP_EDTYPE, "normal draws of %s: f32 or f64 needed", tp_dtype_name(a->dtype));
    c->y->dtype = a->dtype;
    c->y->shape = a->shape;
    return TP_OK;
}

static tp_status forward(const tp_op_call *c)
{
    return tp_random_normal(c->y, ((const struct attr *)c->attr)->key);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)n, (void)x;
    return tp_noise_normal(t, a->dtype, a->shape, a->key);
}

static const tp_sample samples[] = {
    {"a matrix", 0, {{{0}}}, &(const struct attr){TP_F64, TP_DIMS(5, 3), {1, 2, 3}}},
    {"a scalar", 0, {{{0}}}, &(const struct attr){TP_F32, TP_DIMS(), {7, 0, 0}}},
    {"no elements", 0, {{{0}}}, &(const struct attr){TP_F64, TP_DIMS(0, 4), {7, 0, 0}}},
};

static const tp_refusal refusals[] = {
    {"integers",
     0,
     {{{0}}},
     &(const struct attr){TP_U8, TP_DIMS(2), {0, 0, 0}},
     TP_EDTYPE,
     "f32 or f64 needed"},
};

TP_DEFINE_OP(noise_normal, .arity = 0, .smooth = TP_NO_GRADIENT, .text = "ε ~ N(0,1)",
             .tex = "\\varepsilon \\sim \\mathcal{N}(0,1)", .index = "y[…] ~ N(0, 1)",
             .why = "noise does not depend on anything", .shape = shape_of, .forward = forward,
             .call = call, TP_ATTR(struct attr), TP_REFUSALS);
