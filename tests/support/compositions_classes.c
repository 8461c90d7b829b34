/* compositions_classes.c: reductions, classes, losses, draws. See compositions.h. */
#include "tests/support/compositions.h"

/* --- over axes ---------------------------------------------------------------------------------- */

typedef struct variance_attr {
    tp_axes axes;
    int correction;
    bool keepdim;
} variance_attr;
static const tp_field variance_fields[] = {TP_FIELD(variance_attr, axes, AXES),
                                           TP_FIELD(variance_attr, correction, INT),
                                           TP_FIELD(variance_attr, keepdim, BOOL)};
static const tp_sample variance_samples[] = {
    {"of the population", 1, {{TP_DIMS(3, 4)}}, &(const variance_attr){{0, {0}}, 0, false}},
    {"of a sample, rows", 1, {{TP_DIMS(3, 4)}}, &(const variance_attr){{1, {-1}}, 1, true}},
    {"two axes, a large mean",
     1,
     {{TP_DIMS(2, 3, 4), .lo = 1e3, .hi = 1.01e3}},
     &(const variance_attr){{2, {0, 2}}, 1, false}},
    {"a scalar", 1, {{TP_DIMS()}}, &(const variance_attr){{0, {0}}, 0, true}},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const variance_attr){{1, {1}}, 1, false}},
};
static const tp_refusal variance_refusals[] = {
    {"no such axis",
     1,
     {{TP_DIMS(2), TP_F32, 0}},
     &(const variance_attr){{1, {1}}, 0, false},
     TP_ESHAPE,
     "axis 1 is out of range for 1 dimension"},
    {"integers",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const variance_attr){{0, {0}}, 0, false},
     TP_EDTYPE,
     "f32 or f64 needed"},
};
CALL(variance, variance_attr, (x[0], a->axes, a->correction, a->keepdim))
COMPOSE(variance, .arity = 1, .smooth = TP_SMOOTH,
        .text = "Σ[@axes] (#0 − mean[@axes] #0)² / (N − @correction)",
        .tex = "\\frac{1}{N - @correction} \\sum\\nolimits_{@axes} (#0 - \\bar{x})^2", .prec = 1,
        .why = "2(x − mean)/(N − correction): what moves the mean cancels",
        ATTR(variance_attr, variance_fields), REFUSALS(variance));

typedef struct reduce_attr {
    tp_axes axes;
    bool keepdim;
} reduce_attr;
static const tp_field reduce_fields[] = {TP_FIELD(reduce_attr, axes, AXES),
                                         TP_FIELD(reduce_attr, keepdim, BOOL)};
static const tp_sample norm_samples[] = {
    {"of a matrix", 1, {{TP_DIMS(3, 4)}}, &(const reduce_attr){{0, {0}}, false}},
    {"of rows", 1, {{TP_DIMS(3, 4)}}, &(const reduce_attr){{1, {-1}}, true}},
    {"two axes, large",
     1,
     {{TP_DIMS(2, 3, 4), .lo = 1e3, .hi = 2e3}},
     &(const reduce_attr){{2, {0, 2}}, false}},
    {"of a scalar", 1, {{TP_DIMS()}}, &(const reduce_attr){{0, {0}}, true}},
    {"of nothing", 1, {{TP_DIMS(3, 0)}}, &(const reduce_attr){{1, {1}}, false}},
    {"no norms", 1, {{TP_DIMS(0, 3)}}, &(const reduce_attr){{1, {1}}, false}},
};
static const tp_refusal norm_refusals[] = {
    {"no such axis",
     1,
     {{TP_DIMS(2), TP_F32, 0}},
     &(const reduce_attr){{1, {1}}, false},
     TP_ESHAPE,
     "axis 1 is out of range for 1 dimension"},
    {"integers",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const reduce_attr){{0, {0}}, false},
     TP_EDTYPE,
     "f32 or f64 needed"},
};
CALL(norm, reduce_attr, (x[0], a->axes, a->keepdim))
COMPOSE(norm, .arity = 1, .smooth = TP_PIECEWISE, .text = "‖#0‖[@axes]",
        .tex = "\\lVert #0 \\rVert_{@axes}", .why = "x/‖x‖; at the kink x = 0 the gradient is 0",
        ATTR(reduce_attr, reduce_fields), REFUSALS(norm));

static const tp_sample min_samples[] = {
    {"everything", 1, {{TP_DIMS(3, 4)}}, &(const reduce_attr){{0, {0}}, false}},
    {"rows, kept", 1, {{TP_DIMS(3, 4)}}, &(const reduce_attr){{1, {-1}}, true}},
    {"outer and inner axis, large",
     1,
     {{TP_DIMS(2, 3, 4), .lo = -1e6, .hi = 1e6}},
     &(const reduce_attr){{2, {0, 2}}, false}},
    {"a scalar", 1, {{TP_DIMS()}}, &(const reduce_attr){{0, {0}}, false}},
    {"no minima", 1, {{TP_DIMS(0, 3)}}, &(const reduce_attr){{1, {1}}, false}},
};
static const tp_refusal min_refusals[] = {
    {"of nothing",
     1,
     {{TP_DIMS(3, 0), TP_F32, 0}},
     &(const reduce_attr){{1, {1}}, false},
     TP_ESHAPE,
     "axis 1 of [3,0] has no elements"},
};
CALL(min, reduce_attr, (x[0], a->axes, a->keepdim))
COMPOSE(min, .arity = 1, .smooth = TP_PIECEWISE, .text = "min[@axes] #0",
        .tex = "\\min\\nolimits_{@axes} #0",
        .why = "the smallest element gets the gradient; several that are smallest share it",
        .domain = "at least one element per minimum", ATTR(reduce_attr, reduce_fields),
        REFUSALS(min));

typedef struct argmin_attr {
    int axis;
    bool keepdim;
} argmin_attr;
static const tp_field argmin_fields[] = {TP_FIELD(argmin_attr, axis, INT),
                                         TP_FIELD(argmin_attr, keepdim, BOOL)};
static const tp_sample argmin_samples[] = {
    {"rows", 1, {{TP_DIMS(3, 4)}}, &(const argmin_attr){-1, false}},
    {"the middle axis, kept", 1, {{TP_DIMS(2, 3, 4)}}, &(const argmin_attr){1, true}},
    {"ties", 1, {{TP_DIMS(3, 5), TP_FILL_MASK}}, &(const argmin_attr){1, false}},
    {"no minima", 1, {{TP_DIMS(0, 3)}}, &(const argmin_attr){1, false}},
};
static const tp_refusal argmin_refusals[] = {
    {"of nothing",
     1,
     {{TP_DIMS(3, 0), TP_F32, 0}},
     &(const argmin_attr){1, false},
     TP_ESHAPE,
     "axis 1 of [3,0] has no elements"},
};
CALL(argmin, argmin_attr, (x[0], a->axis, a->keepdim))
COMPOSE(argmin, .arity = 1, .smooth = TP_NO_GRADIENT, .text = "argmin(#0, axis @axis)",
        .tex = "\\operatorname{arg\\,min}_{@axis}(#0)",
        .why = "a position is a whole number: it jumps and does not move",
        ATTR(argmin_attr, argmin_fields), REFUSALS(argmin));

/* --- classes ------------------------------------------------------------------------------------ */

static const tp_field axis_fields[] = {TP_FIELD(axis_attr, axis, INT)};
static const tp_sample softmax_samples[] = {
    {"rows", 1, {{TP_DIMS(3, 4)}}, &(const axis_attr){-1}},
    {"the middle axis", 1, {{TP_DIMS(2, 3, 4)}}, &(const axis_attr){1}},
    {"where e^x overflows", 1, {{TP_DIMS(2, 3), .lo = 998, .hi = 1002}}, &(const axis_attr){1}},
    {"no elements", 1, {{TP_DIMS(3, 0)}}, &(const axis_attr){1}},
};
static const tp_refusal softmax_refusals[] = {
    {"a scalar",
     1,
     {{TP_DIMS(), TP_F32, 0}},
     &(const axis_attr){0},
     TP_ESHAPE,
     "axis 0 is out of range for 0 dimensions"},
};
CALL(softmax, axis_attr, (x[0], a->axis))
COMPOSE(softmax, .arity = 1, .smooth = TP_SMOOTH, .text = "softmax(#0, axis @axis)",
        .tex = "\\operatorname{softmax}_{@axis}(#0)",
        .why = "dy_i/dx_j = y_i([i = j] − y_j) along the axis", ATTR(axis_attr, axis_fields),
        REFUSALS(softmax));

static const tp_sample cross_entropy_samples[] = {
    {"a batch", 2, {{TP_DIMS(4, 3)}, {TP_DIMS(4), TP_FILL_INDEX, 0, 3}}, NULL},
    {"two leading axes, where e^x overflows",
     2,
     {{TP_DIMS(2, 3, 4), .lo = 998, .hi = 1002}, {TP_DIMS(2, 3), TP_FILL_INDEX, 0, 4}},
     NULL},
    {"one case", 2, {{TP_DIMS(5)}, {TP_DIMS(), TP_FILL_INDEX, 0, 5}}, NULL},
    {"one class", 2, {{TP_DIMS(2, 1)}, {TP_DIMS(2), TP_FILL_INDEX, 0, 1}}, NULL},
    {"no cases", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(0), TP_FILL_INDEX, 0, 3}}, NULL},
};
static const tp_refusal cross_entropy_refusals[] = {
    {"a target for every class",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(4, 3), TP_I64, 0}},
     NULL,
     TP_ESHAPE,
     "tp_cross_entropy: logits of shape [4,3] and target of shape [4,3]: [..,classes] and [..]"},
    {"another batch",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(1), TP_I64, 0}},
     NULL,
     TP_ESHAPE,
     "target of shape [1]"},
    {"a class beyond the last",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(4), TP_I64, 3}},
     NULL,
     TP_EVALUE,
     "index[0,0] = 3 is outside axis 1"},
    {"float targets",
     2,
     {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},
     NULL,
     TP_EDTYPE,
     "i64 needed"},
};
CALL(cross_entropy, void, (x[0], x[1]))
COMPOSE(cross_entropy, .arity = 2, .smooth = TP_SMOOTH, .mixed_dtypes = true,
        .text = "−log_softmax(#0)[#1]", .tex = "-\\log \\operatorname{softmax}(#0)_{#1}", .prec = 1,
        .why = "softmax less the one-hot target", REFUSALS(cross_entropy));

typedef struct one_hot_attr {
    int64_t classes;
    tp_dtype dtype;
} one_hot_attr;
static const tp_field one_hot_fields[] = {TP_FIELD(one_hot_attr, classes, I64),
                                          TP_FIELD(one_hot_attr, dtype, DTYPE)};
static const tp_sample one_hot_samples[] = {
    {"a list", 1, {{TP_DIMS(4), TP_FILL_INDEX, 0, 3}}, &(const one_hot_attr){3, TP_F64}},
    {"a matrix, f32", 1, {{TP_DIMS(2, 3), TP_FILL_INDEX, 0, 5}}, &(const one_hot_attr){6, TP_F32}},
    {"a scalar", 1, {{TP_DIMS(), TP_FILL_INDEX, 0, 2}}, &(const one_hot_attr){2, TP_F64}},
    {"no elements", 1, {{TP_DIMS(0), TP_FILL_INDEX, 0, 2}}, &(const one_hot_attr){0, TP_F64}},
};
static const tp_refusal one_hot_refusals[] = {
    {"an index beyond the classes",
     1,
     {{TP_DIMS(2, 2), TP_I64, 3}},
     &(const one_hot_attr){3, TP_F32},
     TP_EVALUE,
     "index[0,0,0] = 3 is outside axis 2"},
    {"a negative index",
     1,
     {{TP_DIMS(2), TP_I64, -1}},
     &(const one_hot_attr){3, TP_F32},
     TP_EVALUE,
     "= -1 is outside axis 1"},
    {"a negative number of classes",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const one_hot_attr){-3, TP_F32},
     TP_ESHAPE,
     "negative size"},
    {"integers wanted",
     1,
     {{TP_DIMS(2), TP_I64, 0}},
     &(const one_hot_attr){3, TP_I64},
     TP_EDTYPE,
     "f32 or f64 needed"},
    {"float indices",
     1,
     {{TP_DIMS(2), TP_F32, 0}},
     &(const one_hot_attr){3, TP_F32},
     TP_EDTYPE,
     "i64 indices"},
};
CALL(one_hot, one_hot_attr, (x[0], a->classes, a->dtype))
COMPOSE(one_hot, .arity = 1, .smooth = TP_NO_GRADIENT, .mixed_dtypes = true,
        .text = "one_hot(#0, @classes)", .tex = "\\mathbf{e}_{#0} \\in \\mathbb{R}^{@classes}",
        .why = "an index has no derivative", ATTR(one_hot_attr, one_hot_fields), REFUSALS(one_hot));

typedef struct gumbel_attr {
    double tau;
    bool hard;
    tp_rng_key key;
} gumbel_attr;
static const tp_field gumbel_fields[] = {TP_FIELD(gumbel_attr, tau, DOUBLE),
                                         TP_FIELD(gumbel_attr, hard, BOOL),
                                         TP_FIELD(gumbel_attr, key, KEY)};
static const tp_sample gumbel_softmax_samples[] = {
    {"soft", 1, {{TP_DIMS(3, 4)}}, &(const gumbel_attr){1, false, {1, 2, 3}}},
    {"colder", 1, {{TP_DIMS(2, 3)}}, &(const gumbel_attr){0.5, false, {4, 0, 0}}},
    {"hard", 1, {{TP_DIMS(2, 2, 3)}}, &(const gumbel_attr){0.7, true, {5, 0, 1}}},
    {"no draws", 1, {{TP_DIMS(0, 3)}}, &(const gumbel_attr){1, true, {1, 0, 0}}},
};
static const tp_refusal gumbel_softmax_refusals[] = {
    {"temperature 0",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const gumbel_attr){0, false, {1, 0, 0}},
     TP_EARG,
     "tp_gumbel_softmax: temperature 0: more than 0 needed"},
    {"a scalar",
     1,
     {{TP_DIMS(), TP_F32, 0}},
     &(const gumbel_attr){1, true, {1, 0, 0}},
     TP_ESHAPE,
     "axis -1 is out of range for 0 dimensions"},
    {"no classes to draw",
     1,
     {{TP_DIMS(2, 0), TP_F32, 0}},
     &(const gumbel_attr){1, true, {1, 0, 0}},
     TP_ESHAPE,
     "axis 1 of [2,0] has no elements"},
};
static tp_var gumbel_softmax_soft(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const gumbel_attr *a = attr;
    (void)t, (void)n;
    return tp_gumbel_softmax(x[0], a->tau, false, a->key);
}
CALL(gumbel_softmax, gumbel_attr, (x[0], a->tau, a->hard, a->key))
COMPOSE(gumbel_softmax, .arity = 1, .smooth = TP_ESTIMATOR, .surrogate = gumbel_softmax_soft,
        .text = "softmax((#0 + g)/@tau)",
        .tex = "\\operatorname{softmax}\\left(\\frac{#0 + g}{@tau}\\right)",
        .why = "that of the softmax; an estimator, because the hard draw gets it too",
        ATTR(gumbel_attr, gumbel_fields), REFUSALS(gumbel_softmax));

/* --- losses ------------------------------------------------------------------------------------- */

#define LOSS_SAMPLES(id, ...)                                                                      \
    static const tp_sample id##_samples[] = {                                                      \
        {"a matrix", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, __VA_ARGS__},                          \
        {"scalars", 2, {{TP_DIMS()}, {TP_DIMS()}}, __VA_ARGS__},                                   \
        {"far off",                                                                                \
         2,                                                                                        \
         {{TP_DIMS(5), .lo = 50, .hi = 100}, {TP_DIMS(5), .lo = -100, .hi = -50}},                 \
         __VA_ARGS__},                                                                             \
        {"close",                                                                                  \
         2,                                                                                        \
         {{TP_DIMS(5), .lo = 0.1, .hi = 0.2}, {TP_DIMS(5), .lo = -0.2, .hi = -0.1}},               \
         __VA_ARGS__},                                                                             \
        LOSS_OF_NOTHING(__VA_ARGS__)}
#define LOSS_OF_NOTHING(...) {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(0, 3)}}, __VA_ARGS__},
#define LOSS_REFUSAL(id, ...)                                                                      \
    {                                                                                              \
        "shapes that would broadcast", 2, {{TP_DIMS(4, 1), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},   \
            __VA_ARGS__, TP_ESHAPE,                                                                \
            "tp_" #id ": shapes [4,1] and [4] differ: a loss does not broadcast"                   \
    }
#define LOSS(id, ...)                                                                              \
    static const tp_refusal id##_refusals[] = {LOSS_REFUSAL(id, NULL)};                            \
    CALL(id, void, (x[0], x[1]))                                                                   \
    COMPOSE(id, .arity = 2, REFUSALS(id), __VA_ARGS__)

LOSS_SAMPLES(squared_error, NULL);
LOSS(squared_error, .smooth = TP_SMOOTH, .text = "(#0 − #1)²", .tex = "(#0 - #1)^2",
     .why = "twice the difference");

LOSS_SAMPLES(l1, NULL);
LOSS(l1, .smooth = TP_PIECEWISE, .text = "|#0 − #1|", .tex = "\\lvert #0 - #1 \\rvert",
     .why = "the sign of the difference; 0 at the kink x = t");

LOSS_SAMPLES(log_cosh, NULL);
LOSS(log_cosh, .smooth = TP_PIECEWISE, .text = "log cosh(#0 − #1)", .tex = "\\log \\cosh(#0 - #1)",
     .why = "tanh of the difference; smooth, but computed in two pieces that meet at |x − t| = 1");

#undef LOSS_OF_NOTHING
#define LOSS_OF_NOTHING(...) /* the mean of nothing is NaN */
LOSS_SAMPLES(mse, NULL);
LOSS(mse, .smooth = TP_SMOOTH, .text = "mean((#0 − #1)²)",
     .tex = "\\operatorname{mean}\\left((#0 - #1)^2\\right)",
     .why = "twice the difference, over the number of elements");

#undef LOSS_OF_NOTHING
#define LOSS_OF_NOTHING(...) {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(0, 3)}}, __VA_ARGS__},
static const tp_field delta_fields[] = {TP_FIELD(number_attr, c, DOUBLE)};
LOSS_SAMPLES(huber, &(const number_attr){1.5});
static const tp_refusal huber_refusals[] = {
    LOSS_REFUSAL(huber, &(const number_attr){1}),
    {"delta 0",
     2,
     {{TP_DIMS(4), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},
     &(const number_attr){0},
     TP_EARG,
     "tp_huber: delta 0: more than 0 needed"},
};
CALL(huber, number_attr, (x[0], x[1], a->c))
COMPOSE(huber, .arity = 2, .smooth = TP_PIECEWISE, .text = "huber(#0 − #1, @c)",
        .tex = "\\operatorname{huber}_{@c}(#0 - #1)",
        .why = "the difference, clamped to ±delta; the second derivative jumps there",
        ATTR(number_attr, delta_fields), REFUSALS(huber));

/* --- draws -------------------------------------------------------------------------------------- */

typedef struct noise_attr {
    tp_dtype dtype;
    tp_shape shape;
    tp_rng_key key;
} noise_attr;
static const tp_field noise_fields[] = {TP_FIELD(noise_attr, dtype, DTYPE),
                                        TP_FIELD(noise_attr, shape, SHAPE),
                                        TP_FIELD(noise_attr, key, KEY)};
static const tp_sample noise_gumbel_samples[] = {
    {"a matrix", 0, {{{0}}}, &(const noise_attr){TP_F64, TP_DIMS(5, 3), {1, 2, 3}}},
    {"a scalar", 0, {{{0}}}, &(const noise_attr){TP_F32, TP_DIMS(), {7, 0, 0}}},
    {"no elements", 0, {{{0}}}, &(const noise_attr){TP_F64, TP_DIMS(0, 4), {7, 0, 0}}},
};
static const tp_refusal noise_gumbel_refusals[] = {
    {"integers",
     0,
     {{{0}}},
     &(const noise_attr){TP_U8, TP_DIMS(2), {0, 0, 0}},
     TP_EDTYPE,
     "f32 or f64 needed"},
};
CALL(noise_gumbel, noise_attr, (t, a->dtype, a->shape, a->key))
COMPOSE(noise_gumbel, .arity = 0, .smooth = TP_NO_GRADIENT, .text = "g ~ Gumbel(0,1)",
        .tex = "g \\sim \\operatorname{Gumbel}(0, 1)", .why = "noise does not depend on anything",
        ATTR(noise_attr, noise_fields), REFUSALS(noise_gumbel));

typedef struct key_attr {
    tp_rng_key key;
} key_attr;
static const tp_field key_fields[] = {TP_FIELD(key_attr, key, KEY)};
static const tp_sample noise_categorical_samples[] = {
    {"a matrix", 1, {{TP_DIMS(5, 3)}}, &(const key_attr){{1, 2, 3}}},
    {"one draw", 1, {{TP_DIMS(4)}}, &(const key_attr){{7, 0, 0}}},
    {"no draws", 1, {{TP_DIMS(0, 3)}}, &(const key_attr){{7, 0, 0}}},
};
static const tp_refusal noise_categorical_refusals[] = {
    {"a scalar",
     1,
     {{TP_DIMS(), TP_F32, 0}},
     &(const key_attr){{1, 0, 0}},
     TP_ESHAPE,
     "axis -1 is out of range for 0 dimensions"},
    {"no classes",
     1,
     {{TP_DIMS(2, 0), TP_F32, 0}},
     &(const key_attr){{1, 0, 0}},
     TP_ESHAPE,
     "axis 1 of [2,0] has no elements"},
};
CALL(noise_categorical, key_attr, (x[0], a->key))
COMPOSE(noise_categorical, .arity = 1, .smooth = TP_NO_GRADIENT,
        .text = "i ~ Categorical(softmax #0)",
        .tex = "i \\sim \\operatorname{Categorical}(\\operatorname{softmax}(#0))",
        .why = "a class has no derivative", ATTR(key_attr, key_fields),
        REFUSALS(noise_categorical));
