/* harsh.c: inputs where a plausible formula fails: tails, cancellation, overflow of a step in between. The
 * places are those of the field's bug reports. Read next: tests/ops/test_ops_quad.c. */
#include "tests/ops/quad/run.h"

#define REALS(low, high)                                                                           \
    {                                                                                              \
        {                                                                                          \
            TP_DIMS(16), .lo = (low), .hi = (high)                                                 \
        }                                                                                          \
    }
#define POSITIVES(low, high)                                                                       \
    {                                                                                              \
        {                                                                                          \
            TP_DIMS(16), TP_FILL_POSITIVE, (low), (high)                                           \
        }                                                                                          \
    }

/* One input of a few elements; the second form spreads magnitudes over decades. */
#define RANGE(op, note, low, high)                                                                 \
    {                                                                                              \
        op, 0, 0,                                                                                  \
        {                                                                                          \
            note, 1, REALS(low, high), NULL                                                        \
        }                                                                                          \
    }
#define DECADES(op, note, low, high)                                                               \
    {                                                                                              \
        op, 0, 1,                                                                                  \
        {                                                                                          \
            note, 1, REALS(low, high), NULL                                                        \
        }                                                                                          \
    }
#define POSITIVE_DECADES(op, note, low, high)                                                      \
    {                                                                                              \
        op, 0, 1,                                                                                  \
        {                                                                                          \
            note, 1, POSITIVES(low, high), NULL                                                    \
        }                                                                                          \
    }

const quad_harsh quad_harsh_samples[] = {
    RANGE("exp", "to the end of f32", -103, 88),
    DECADES("exp", "tiny", 1e-30, 1e-3),
    DECADES("expm1", "tiny", 1e-30, 1e-2),
    RANGE("expm1", "to the end of f32", -100, 88),
    DECADES("log1p", "tiny", 1e-30, 1e-2),
    POSITIVE_DECADES("log1p", "large", 1, 1e30),
    RANGE("log1p", "close to −1", -0.999999, -0.99),
    POSITIVE_DECADES("log", "all sizes", 1e-30, 1e30),
    RANGE("log", "close to 1", 0.999, 1.001),
    POSITIVE_DECADES("sqrt", "all sizes", 1e-30, 1e30),
    RANGE("sigmoid", "left tail", -103, -10),
    RANGE("sigmoid", "right tail", 10, 103),
    DECADES("sigmoid", "tiny and large", 1e-20, 1e20),
    DECADES("tanh", "tiny", 1e-30, 1e-2),
    RANGE("tanh", "tails", -50, 50),
    RANGE("softplus", "left tail", -104, -10),
    RANGE("softplus", "to the right", 10, 1000),
    RANGE("softplus", "to the left", -1000, -100),
    DECADES("softplus", "tiny", 1e-20, 1e-2),
    {"div",
     0,
     3,
     {"all sizes",
      2,
      {{TP_DIMS(16), .lo = 1e-9, .hi = 1e9}, {TP_DIMS(16), .lo = 1e-9, .hi = 1e9}},
      NULL}},
    {"bce_with_logits",
     0,
     1,
     {"logits of all sizes, bits",
      2,
      {{TP_DIMS(16), .lo = 1e-9, .hi = 1e30}, {TP_DIMS(16), TP_FILL_MASK}},
      NULL}},
    {"bce_with_logits",
     0,
     1,
     {"logits of all sizes, grey",
      2,
      {{TP_DIMS(16), .lo = 1e-9, .hi = 1e30}, {TP_DIMS(16), TP_FILL_UNIT, .fixed = true}},
      NULL}},
    {"bce_with_logits",
     0,
     0,
     {"tails, bits", 2, {{TP_DIMS(16), .lo = -100, .hi = 100}, {TP_DIMS(16), TP_FILL_MASK}}, NULL}},
    {"bce_with_logits",
     0,
     0,
     {"tails, nearly bits",
      2,
      {{TP_DIMS(16), .lo = -100, .hi = 100}, {TP_DIMS(16), TP_FILL_UNIT, 0.999999, 1, true}},
      NULL}},
    {"gaussian_kl",
     0,
     3,
     {"collapse: mu and logvar of 1e-8",
      2,
      {{TP_DIMS(16), .lo = 1e-9, .hi = 1e-4}, {TP_DIMS(16), .lo = 1e-9, .hi = 1e-4}},
      NULL}},
    {"gaussian_kl",
     0,
     2,
     {"logvar from 1e-8 to 80",
      2,
      {{TP_DIMS(16), .lo = -1, .hi = 1}, {TP_DIMS(16), .lo = 1e-8, .hi = 80}},
      NULL}},
    {"gaussian_kl",
     0,
     0,
     {"around where formulas meet",
      2,
      {{TP_DIMS(16), .lo = -1e-3, .hi = 1e-3}, {TP_DIMS(16), .lo = 1, .hi = 1.5}},
      NULL}},
    {"reparameterize",
     0,
     0,
     {"logvar to ±80",
      3,
      {{TP_DIMS(16)}, {TP_DIMS(16), .lo = -80, .hi = 80}, {TP_DIMS(16)}},
      NULL}},
    {"logsumexp", 1, 0, {"±1000", 1, {{TP_DIMS(3, 5), .lo = -1000, .hi = 1000}}, NULL}},
    {"logsumexp", 1, 0, {"one far ahead", 1, {{TP_DIMS(3, 4), .lo = -60, .hi = 60}}, NULL}},
    {"logsumexp", 1, 0, {"sums to 0", 1, {{TP_DIMS(3, 4), .lo = -1.6, .hi = -1.2}}, NULL}},
    {"logsumexp", 1, 1, {"all sizes", 1, {{TP_DIMS(3, 4), .lo = 1e-6, .hi = 1e6}}, NULL}},
    {"log_softmax", 0, 0, {"±1000", 1, {{TP_DIMS(3, 5), .lo = -1000, .hi = 1000}}, NULL}},
    {"log_softmax", 0, 0, {"one far ahead", 1, {{TP_DIMS(3, 4), .lo = -60, .hi = 60}}, NULL}},
    {"log_softmax", 0, 1, {"all sizes", 1, {{TP_DIMS(3, 4), .lo = 1e-6, .hi = 1e6}}, NULL}},
    {"sum", 1, 1, {"of all sizes", 1, {{TP_DIMS(3, 9), .lo = 1e-6, .hi = 1e6}}, NULL}},
    {"mean", 1, 1, {"of all sizes", 1, {{TP_DIMS(3, 9), .lo = 1e-6, .hi = 1e6}}, NULL}},
    {"matmul",
     0,
     3,
     {"terms of all sizes",
      2,
      {{TP_DIMS(2, 9), .lo = 1e-6, .hi = 1e6}, {TP_DIMS(9, 3), .lo = 1e-6, .hi = 1e6}},
      NULL}},
    {"linear",
     0,
     7,
     {"terms of all sizes",
      3,
      {{TP_DIMS(2, 6), .lo = 1e-6, .hi = 1e6},
       {TP_DIMS(3, 6), .lo = 1e-6, .hi = 1e6},
       {TP_DIMS(3), .lo = 1e-6, .hi = 1e6}},
      NULL}},
    RANGE("sin", "many turns", -1e6, 1e6),
    DECADES("sin", "tiny", 1e-30, 1e-2),
    RANGE("cos", "many turns", -1e6, 1e6),
    DECADES("erf", "tiny", 1e-30, 1e-2),
    RANGE("erf", "tails", -9, 9),
    DECADES("erfc", "tiny", 1e-30, 1e-2),
    RANGE("erfc", "tails", -9, 9),
    {"erfc", 0, 0, {"to the end of f64", 1, REALS(9, 26), NULL}, .f64_only = true},
    {"pow",
     0,
     1,
     {"large powers",
      2,
      {{TP_DIMS(16), TP_FILL_POSITIVE, 1e-4, 1e4}, {TP_DIMS(16), .lo = -8, .hi = 8}},
      NULL}},
    {"pow",
     0,
     0,
     {"of numbers close to 1",
      2,
      {{TP_DIMS(16), TP_FILL_POSITIVE, 0.99, 1.01}, {TP_DIMS(16), .lo = -1000, .hi = 1000}},
      NULL}},
    {"cholesky", 0, 0, {"Hilbert's", 1, {{TP_DIMS(5, 5)}}, NULL}, .hilbert = true},
    {"triangular_solve",
     0,
     0,
     {"Hilbert's", 2, {{TP_DIMS(5, 5)}, {TP_DIMS(5, 2)}}, NULL},
     .hilbert = true},
    {"triangular_solve",
     1,
     0,
     {"Hilbert's", 2, {{TP_DIMS(5, 5)}, {TP_DIMS(5, 2)}}, NULL},
     .hilbert = true},
};
const int quad_harsh_count = (int)(sizeof quad_harsh_samples / sizeof *quad_harsh_samples);
