/* compositions_elementwise.c: constants, arithmetic, comparisons, activations. See compositions.h. */
#include "tests/support/compositions.h"

#include <math.h>

static const tp_field number_fields[] = {TP_FIELD(number_attr, c, DOUBLE)};

/* Samples of functions of one var, and of two that broadcast. */
#define ONE(id)                                                                                    \
    static const tp_sample id##_samples[] = {                                                      \
        {"matrix", 1, {{TP_DIMS(3, 4)}}, NULL},                                                    \
        {"scalar", 1, {{TP_DIMS()}}, NULL},                                                        \
        {"large", 1, {{TP_DIMS(5), .lo = -1e3, .hi = 1e3}}, NULL},                                 \
        {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},                                               \
    }
#define TWO(id)                                                                                    \
    static const tp_sample id##_samples[] = {                                                      \
        {"equal shapes", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(3, 4)}}, NULL},                             \
        {"a row and a column", 2, {{TP_DIMS(1, 4)}, {TP_DIMS(3, 1)}}, NULL},                       \
        {"zeros and ones",                                                                         \
         2,                                                                                        \
         {{TP_DIMS(2, 3), TP_FILL_MASK}, {TP_DIMS(2, 3), TP_FILL_MASK}},                           \
         NULL},                                                                                    \
        {"scalars", 2, {{TP_DIMS()}, {TP_DIMS()}}, NULL},                                          \
        {"large", 2, {{TP_DIMS(), .lo = -1e6, .hi = 1e6}, {TP_DIMS(5), .lo = -1e6, .hi = 1e6}}},   \
        {"no elements", 2, {{TP_DIMS(0, 3)}, {TP_DIMS(3)}}, NULL},                                 \
    }
/* The same function with one constant, c. */
#define ONE_WITH(id, value, other)                                                                 \
    static const tp_sample id##_samples[] = {                                                      \
        {"matrix", 1, {{TP_DIMS(3, 4)}}, &(const number_attr){value}},                             \
        {"scalar, another constant", 1, {{TP_DIMS()}}, &(const number_attr){other}},               \
        {"large", 1, {{TP_DIMS(5), .lo = -1e3, .hi = 1e3}}, &(const number_attr){value}},          \
        {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const number_attr){value}},                        \
    }
#define NO_INTEGERS(id)                                                                            \
    static const tp_refusal id##_refusals[] = {                                                    \
        {"integers", 1, {{TP_DIMS(2), TP_I64, 0}}, NULL, TP_EDTYPE, "f32 or f64 needed"},          \
    }
#define NO_INTEGERS_WITH(id)                                                                       \
    static const tp_refusal id##_refusals[] = {                                                    \
        {"integers",                                                                               \
         1,                                                                                        \
         {{TP_DIMS(2), TP_I64, 0}},                                                                \
         &(const number_attr){1},                                                                  \
         TP_EDTYPE,                                                                                \
         "f32 or f64 needed"},                                                                     \
    }
#define NO_CLASH(id)                                                                               \
    static const tp_refusal id##_refusals[] = {                                                    \
        {"shapes that clash",                                                                      \
         2,                                                                                        \
         {{TP_DIMS(4, 3), TP_F32, 0}, {TP_DIMS(4), TP_F32, 0}},                                    \
         NULL,                                                                                     \
         TP_ESHAPE,                                                                                \
         "do not broadcast\n  axis -1: "},                                                         \
        {"mixed types",                                                                            \
         2,                                                                                        \
         {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F64, 0}},                                       \
         NULL,                                                                                     \
         TP_EDTYPE,                                                                                \
         "types are not mixed"},                                                                   \
    }

/* --- constants and arithmetic ------------------------------------------------------------------- */

typedef struct scalar_attr {
    tp_dtype dtype;
    double value;
} scalar_attr;
static const tp_field scalar_fields[] = {TP_FIELD(scalar_attr, dtype, DTYPE),
                                         TP_FIELD(scalar_attr, value, DOUBLE)};
static const tp_sample scalar_samples[] = {
    {"in f64", 0, {{{0}}}, &(const scalar_attr){TP_F64, 1.5}},
    {"in f32", 0, {{{0}}}, &(const scalar_attr){TP_F32, -2}},
    {"large", 0, {{{0}}}, &(const scalar_attr){TP_F64, 1e30}},
};
static const tp_refusal scalar_refusals[] = {
    {"integers",
     0,
     {{{0}}},
     &(const scalar_attr){TP_I64, 1},
     TP_EDTYPE,
     "a tensor of i64: f32 or f64 needed"},
};
CALL(scalar, scalar_attr, (t, a->dtype, a->value))
COMPOSE(scalar, .arity = 0, .smooth = TP_NO_GRADIENT, .text = "@value", .tex = "@value",
        .why = "a constant", ATTR(scalar_attr, scalar_fields), REFUSALS(scalar));

ONE(zeros_like);
NO_INTEGERS(zeros_like);
CALL(zeros_like, void, (x[0]))
COMPOSE(zeros_like, .arity = 1, .smooth = TP_NO_GRADIENT, .text = "zeros_like(#0)",
        .tex = "\\mathbf{0}_{#0}",
        .why = "only shape and dtype are taken, the values are constants", REFUSALS(zeros_like));

ONE(ones_like);
NO_INTEGERS(ones_like);
CALL(ones_like, void, (x[0]))
COMPOSE(ones_like, .arity = 1, .smooth = TP_NO_GRADIENT, .text = "ones_like(#0)",
        .tex = "\\mathbf{1}_{#0}",
        .why = "only shape and dtype are taken, the values are constants", REFUSALS(ones_like));

ONE_WITH(scale, -2.5, 1e6);
NO_INTEGERS_WITH(scale);
CALL(scale, number_attr, (x[0], a->c))
COMPOSE(scale, .arity = 1, .smooth = TP_SMOOTH, .text = "@c·#0", .tex = "@c \\, #0", .prec = 1,
        .why = "the derivative is the constant", ATTR(number_attr, number_fields), REFUSALS(scale));

ONE_WITH(shift, -2.5, 1e6);
NO_INTEGERS_WITH(shift);
CALL(shift, number_attr, (x[0], a->c))
COMPOSE(shift, .arity = 1, .smooth = TP_SMOOTH, .text = "#0 + @c", .tex = "#0 + @c", .prec = 2,
        .why = "the constant does not matter: the derivative is 1",
        ATTR(number_attr, number_fields), REFUSALS(shift));

TWO(minimum);
NO_CLASH(minimum);
CALL(minimum, void, (x[0], x[1]))
COMPOSE(minimum, .arity = 2, .smooth = TP_PIECEWISE, .broadcasts = true, .text = "min(#0, #1)",
        .tex = "\\min(#0, #1)",
        .why = "the smaller input gets the gradient; at the kink a = b each gets half",
        REFUSALS(minimum));

static const tp_sample reciprocal_samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4), TP_FILL_POSITIVE}}, NULL},
    {"a negative scalar", 1, {{TP_DIMS(), .lo = -2, .hi = -1}}, NULL},
    {"near 0 and far", 1, {{TP_DIMS(5), TP_FILL_POSITIVE, 1e-2, 1e4}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};
NO_INTEGERS(reciprocal);
CALL(reciprocal, void, (x[0]))
COMPOSE(reciprocal, .arity = 1, .smooth = TP_SMOOTH, .text = "1 / #0", .tex = "\\frac{1}{#0}",
        .prec = 1, .why = "d x⁻¹/dx = −x⁻²", .domain = "x ≠ 0", REFUSALS(reciprocal));

static const tp_sample rsqrt_samples[] = {
    {"matrix", 1, {{TP_DIMS(3, 4), TP_FILL_POSITIVE}}, NULL},
    {"scalar", 1, {{TP_DIMS(), TP_FILL_POSITIVE}}, NULL},
    {"near 0 and far", 1, {{TP_DIMS(5), TP_FILL_POSITIVE, 1e-2, 1e4}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3), TP_FILL_POSITIVE}}, NULL},
};
NO_INTEGERS(rsqrt);
CALL(rsqrt, void, (x[0]))
COMPOSE(rsqrt, .arity = 1, .smooth = TP_SMOOTH, .text = "1 / √#0", .tex = "\\frac{1}{\\sqrt{#0}}",
        .prec = 1, .why = "d x^−½/dx = −½·x^−3/2", .domain = "x > 0; below 0, NaN",
        REFUSALS(rsqrt));

static const tp_sample pow_scalar_samples[] = {
    {"a fraction", 1, {{TP_DIMS(3, 4), TP_FILL_POSITIVE}}, &(const number_attr){-1.5}},
    {"a whole power, any sign", 1, {{TP_DIMS(5)}}, &(const number_attr){3}},
    {"power 0 of a scalar", 1, {{TP_DIMS()}}, &(const number_attr){0}},
    {"near 0 and far", 1, {{TP_DIMS(5), TP_FILL_POSITIVE, 1e-2, 1e2}}, &(const number_attr){2.5}},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const number_attr){2}},
};
NO_INTEGERS_WITH(pow_scalar);
CALL(pow_scalar, number_attr, (x[0], a->c))
COMPOSE(pow_scalar, .arity = 1, .smooth = TP_SMOOTH, .text = "#0^@c", .tex = "{#0}^{@c}",
        .why = "p·x^(p−1); the exponent is a constant",
        .domain = "x > 0, or any x if the exponent is whole", ATTR(number_attr, number_fields),
        REFUSALS(pow_scalar));

/* --- comparisons and logic ---------------------------------------------------------------------- */

#define COMPARISON(id, formula, latex)                                                             \
    TWO(id);                                                                                       \
    NO_CLASH(id);                                                                                  \
    CALL(id, void, (x[0], x[1]))                                                                   \
    COMPOSE(id, .arity = 2, .smooth = TP_NO_GRADIENT, .broadcasts = true, .text = formula,         \
            .tex = latex, .prec = 3, .why = "1 or 0, constant but for its steps", REFUSALS(id))

COMPARISON(less, "[#0 < #1]", "[#0 < #1]");
COMPARISON(less_equal, "[#0 ≤ #1]", "[#0 \\le #1]");
COMPARISON(equal, "[#0 = #1]", "[#0 = #1]");
COMPARISON(not_equal, "[#0 ≠ #1]", "[#0 \\ne #1]");
COMPARISON(logical_and, "[#0 ∧ #1]", "[#0 \\land #1]");
COMPARISON(logical_or, "[#0 ∨ #1]", "[#0 \\lor #1]");
COMPARISON(logical_xor, "[#0 ⊕ #1]", "[#0 \\oplus #1]");

static const tp_sample logical_not_samples[] = {
    {"zeros and ones", 1, {{TP_DIMS(3, 4), TP_FILL_MASK}}, NULL},
    {"a scalar that is true", 1, {{TP_DIMS()}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3), TP_FILL_MASK}}, NULL},
};
NO_INTEGERS(logical_not);
CALL(logical_not, void, (x[0]))
COMPOSE(logical_not, .arity = 1, .smooth = TP_NO_GRADIENT, .text = "[¬#0]", .tex = "[\\lnot #0]",
        .why = "1 or 0, constant but for its steps", REFUSALS(logical_not));

ONE(sign);
NO_INTEGERS(sign);
CALL(sign, void, (x[0]))
COMPOSE(sign, .arity = 1, .smooth = TP_NO_GRADIENT, .text = "sign(#0)",
        .tex = "\\operatorname{sign}(#0)", .why = "constant on both sides of the step at 0",
        REFUSALS(sign));

/* --- activations -------------------------------------------------------------------------------- */

ONE(logsigmoid);
NO_INTEGERS(logsigmoid);
CALL(logsigmoid, void, (x[0]))
COMPOSE(logsigmoid, .arity = 1, .smooth = TP_SMOOTH, .text = "−softplus(−#0)",
        .tex = "\\log \\sigma(#0)", .prec = 1, .why = "d log σ(x)/dx = σ(−x)",
        REFUSALS(logsigmoid));

ONE_WITH(leaky_relu, 0.01, 0);
NO_INTEGERS_WITH(leaky_relu);
CALL(leaky_relu, number_attr, (x[0], a->c))
COMPOSE(leaky_relu, .arity = 1, .smooth = TP_PIECEWISE, .text = "leaky_relu(#0, @c)",
        .tex = "\\operatorname{leaky}_{@c}(#0)", .why = "1 where x > 0, else the slope",
        ATTR(number_attr, number_fields), REFUSALS(leaky_relu));

ONE_WITH(elu, 1, 0.3);
NO_INTEGERS_WITH(elu);
CALL(elu, number_attr, (x[0], a->c))
COMPOSE(elu, .arity = 1, .smooth = TP_PIECEWISE, .text = "elu(#0, @c)",
        .tex = "\\operatorname{elu}_{@c}(#0)", .why = "1 where x > 0, else alpha·e^x",
        ATTR(number_attr, number_fields), REFUSALS(elu));

ONE(gelu);
NO_INTEGERS(gelu);
CALL(gelu, void, (x[0]))
COMPOSE(gelu, .arity = 1, .smooth = TP_SMOOTH, .text = "½·#0 ⊙ erfc(−#0/√2)",
        .tex = "#0 \\odot \\Phi(#0)", .prec = 1,
        .why = "product rule: Φ(x) + x·φ(x), φ the normal density", REFUSALS(gelu));

ONE(silu);
NO_INTEGERS(silu);
CALL(silu, void, (x[0]))
COMPOSE(silu, .arity = 1, .smooth = TP_SMOOTH, .text = "#0 ⊙ σ(#0)", .tex = "#0 \\odot \\sigma(#0)",
        .prec = 1, .why = "product rule: σ(x) + x·σ(x)·σ(−x)", REFUSALS(silu));

static tp_var identity(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    (void)t, (void)n, (void)attr;
    return x[0];
}
ONE(round_straight_through);
NO_INTEGERS(round_straight_through);
CALL(round_straight_through, void, (x[0]))
COMPOSE(round_straight_through, .arity = 1, .smooth = TP_ESTIMATOR, .surrogate = identity,
        .text = "straight_through(round(#0), #0)", .tex = "\\operatorname{round}(#0)",
        .why = "an estimator: as if nothing had been rounded", REFUSALS(round_straight_through));
