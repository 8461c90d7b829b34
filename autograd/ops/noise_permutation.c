/* noise_permutation: random permutations of 0 … n-1 along one axis, one per line, as i64 indices: gather by
 * them shuffles, line by line. The lines are independent: all are dealt from the words of one draw (see
 * tp_random_permutations in tensor/rng.h). The key is an attribute, so derivations replay the same order. */
#include "autograd/compose.h"

struct attr {
    tp_shape shape;
    int axis;
    tp_rng_key key;
};
static const tp_field fields[] = {TP_FIELD(struct attr, shape, SHAPE),
                                  TP_FIELD(struct attr, axis, INT),
                                  TP_FIELD(struct attr, key, KEY)};

tp_var tp_noise_permutation(tp_tape *t, tp_shape shape, int axis, tp_rng_key key)
{
    return tp_apply_on(t, &tp_op_noise_permutation, 0, NULL, &(struct attr){shape, axis, key});
}

static tp_status shape_of(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    char text[TP_SHAPE_TEXT];
    int axis;
    TP_TRY(tp_shape_check(a->shape, sizeof(int64_t)));
    TP_TRY(tp_axis_normal(a->shape.ndim, a->axis, &axis));
    if (tp_shape_numel(a->shape) > (int64_t)1 << 33)
        return tp_fail(TP_ESHAPE, "permutations of shape %s: one draw has at most 2^33 elements",
                       tp_shape_text(a->shape, text));
    c->y->dtype = TP_I64;
    c->y->shape = a->shape;
    return TP_OK;
}

/* Lines are dealt along the last axis, in y itself if that is the axis asked for. */
static tp_status forward(const tp_op_call *c)
{
    const struct attr *a = c->attr;
    int axis, last = a->shape.ndim - 1;
    TP_TRY(tp_axis_normal(a->shape.ndim, a->axis, &axis));
    tp_tensor place, lines;
    TP_TRY(tp_view_transpose(c->y, axis, last, &place));
    int64_t n = place.shape.dim[last], count = n > 0 ? tp_numel(&place) / n : 0;
    if (axis == last) {
        tp_random_permutations(tp_data_mut(c->y), count, n, a->key);
        return TP_OK;
    }
    TP_TRY(tp_scratch(c, &lines, TP_I64, place.shape));
    tp_random_permutations(tp_data_mut(&lines), count, n, a->key);
    tp_status s = tp_copy(&place, &lines);
    tp_scratch_done(&lines);
    return s;
}

static tp_var call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const struct attr *a = attr;
    (void)n, (void)x;
    return tp_noise_permutation(t, a->shape, a->axis, a->key);
}

static const tp_sample samples[] = {
    {"rows", 0, {{{0}}}, &(const struct attr){TP_DIMS(4, 6), -1, {1, 2, 3}}},
    {"the middle axis", 0, {{{0}}}, &(const struct attr){TP_DIMS(3, 5, 2), 1, {7, 0, 0}}},
    {"one element", 0, {{{0}}}, &(const struct attr){TP_DIMS(1), 0, {7, 0, 0}}},
    {"lines of no elements", 0, {{{0}}}, &(const struct attr){TP_DIMS(2, 0), 1, {7, 0, 0}}},
    {"no lines", 0, {{{0}}}, &(const struct attr){TP_DIMS(0, 3), 1, {7, 0, 0}}},
};

static const tp_refusal refusals[] = {
    {"a scalar",
     0,
     {{{0}}},
     &(const struct attr){TP_DIMS(), 0, {0, 0, 0}},
     TP_ESHAPE,
     "axis 0 is out of range for 0 dimensions"},
    {"a negative size",
     0,
     {{{0}}},
     &(const struct attr){TP_DIMS(2, -3), 1, {0, 0, 0}},
     TP_ESHAPE,
     "negative size"},
    {"more than one draw holds",
     0,
     {{{0}}},
     &(const struct attr){TP_DIMS(8589934592, 2), 1, {0, 0, 0}},
     TP_ESHAPE,
     "one draw has at most 2^33 elements"},
};

TP_DEFINE_OP(noise_permutation, .arity = 0, .smooth = TP_NO_GRADIENT,
             .text = "π ~ permutations(@shape, axis @axis)",
             .tex = "\\pi \\sim \\operatorname{permutations}_{@axis}(@shape)",
             .index = "y[…,:@axis] ~ Permutations(|:|)",
             .why = "an order is no number: it has no derivative", .shape = shape_of,
             .forward = forward, .call = call, TP_ATTR(struct attr), TP_REFUSALS);
