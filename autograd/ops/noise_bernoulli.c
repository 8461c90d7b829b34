/* noise_bernoulli: 1 with probability p, else 0, per element. The key is an attribute, so gradient checks
 * and derivations replay the same draws. Generator: tensor/rng.h. */
#include "autograd/compose.h"

struct attr {
    tp_rng_key key;
};
static const tp_field fields[] = {TP_FIELD(struct attr, key, KEY)};

tp_var tp_noise_bernoulli(tp_var p, tp_rng_key key)
{
    return tp_apply(&tp_op_noise_bernoulli, 1, &p, &(struct attr){key});
}

static tp_status forward(const tp_op_call *c)
{
    return tp_random_bernoulli(c->y, c->x[0], ((const struct attr *)c->attr)->key);
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n;
    return tp_noise_bernoulli(x[0], ((const struct attr *)attr)->key);
}

static const tp_sample samples[] = {
    {"a matrix", 1, {{TP_DIMS(5, 3), TP_FILL_UNIT}}, &(const struct attr){{1, 2, 3}}},
    {"a scalar", 1, {{TP_DIMS(), TP_FILL_UNIT}}, &(const struct attr){{7, 0, 0}}},
    {"certain either way", 1, {{TP_DIMS(6), TP_FILL_MASK}}, &(const struct attr){{7, 1, 0}}},
    {"no elements", 1, {{TP_DIMS(0, 4), TP_FILL_UNIT}}, &(const struct attr){{7, 0, 1}}},
};

static const tp_refusal refusals[] = {
    {"above 1",
     1,
     {{TP_DIMS(2), TP_F32, 1.5}},
     &(const struct attr){{0, 0, 0}},
     TP_EVALUE,
     "a probability must be in [0,1]"},
    {"negative",
     1,
     {{TP_DIMS(2, 2), TP_F64, -0.5}},
     &(const struct attr){{0, 0, 0}},
     TP_EVALUE,
     "p[0,0] = -0.5"},
};

TP_DEFINE_OP(noise_bernoulli, .arity = 1, .smooth = TP_NO_GRADIENT, .text = "b ~ Bernoulli(#0)",
             .tex = "b \\sim \\operatorname{Bernoulli}(#0)", .index = "y[…] ~ Bernoulli(#0[…])",
             .why = "a draw jumps between 0 and 1: it has no derivative by p",
             .domain = "p in [0,1]", .shape = tp_shape_same, .forward = forward, .call = call,
             TP_ATTR(struct attr), TP_REFUSALS);
