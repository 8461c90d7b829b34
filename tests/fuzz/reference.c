/* reference.c: what every operation must give, written as plainly as possible in long double: elementwise
 * operations here, the others family by family in reference_*.c.
 *
 * Shares nothing with the library but the arithmetic of shapes. Beside each value stands how far off the
 * library's may be, in units of the element type's ε: the sum of what cancels. This is not the reference of
 * tests/ops/quad, which measures accuracy on legal, finite inputs and needs a compiler with __float128: this
 * one says what must be refused, knows NaN and infinities, and is fast. See fuzz.h. */
#include "tests/fuzz/reference.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- tensors ------------------------------------------------------------------------------------ */

real ref_epsilon(tp_dtype dtype)
{
    return dtype == TP_F32 ? FLT_EPSILON : DBL_EPSILON;
}

real ref_max(tp_dtype dtype)
{
    return dtype == TP_F32 ? FLT_MAX : DBL_MAX;
}

real ref_tiny(tp_dtype dtype)
{
    return dtype == TP_F32 ? FLT_MIN : DBL_MIN;
}

real ref_round(tp_dtype dtype, real v)
{
    volatile double d = (double)v; /* twice, as the library goes: attributes are doubles */
    volatile float f = (float)d;
    return dtype == TP_F32 ? (real)f : dtype == TP_F64 ? (real)d : v;
}

ref_tensor ref_new(tp_dtype dtype, tp_shape shape)
{
    ref_tensor y = {.dtype = dtype, .shape = shape, .n = tp_shape_numel(shape)};
    if (y.n <= FUZZ_LIMIT) {
        y.v = calloc((size_t)y.n + 1, 2 * sizeof *y.v);
        y.e = y.v + y.n + 1;
    }
    return y;
}

void ref_free(ref_tensor *x)
{
    free(x->v);
    x->v = x->e = NULL;
}

ref_tensor ref_read(const tp_tensor *x)
{
    ref_tensor y = ref_new(x->dtype, x->shape);
    for (int64_t i = 0; y.v != NULL && i < y.n; i++)
        y.v[i] = tp_flat(x, i);
    return y;
}

void ref_unflatten(tp_shape s, int64_t flat, int64_t index[TP_MAX_DIMS])
{
    for (int i = s.ndim - 1; i >= 0; i--) {
        index[i] = s.dim[i] > 0 ? flat % s.dim[i] : 0;
        flat = s.dim[i] > 0 ? flat / s.dim[i] : 0;
    }
}

int64_t ref_flatten(tp_shape s, const int64_t index[TP_MAX_DIMS])
{
    int64_t flat = 0;
    for (int i = 0; i < s.ndim; i++)
        flat = flat * s.dim[i] + index[i];
    return flat;
}

int64_t ref_broadcast(tp_shape s, tp_shape y, const int64_t index[TP_MAX_DIMS])
{
    int64_t at[TP_MAX_DIMS] = {0};
    for (int i = 0; i < s.ndim; i++)
        at[i] = s.dim[i] == 1 ? 0 : index[i + y.ndim - s.ndim];
    return ref_flatten(s, at);
}

/* --- for the families --------------------------------------------------------------------------- */

int64_t ref_whole(const ref_call *c, const char *name)
{
    return fuzz_whole(c->op, c->attr, name, 0);
}

const void *ref_field(const ref_call *c, const char *name)
{
    return (const char *)c->attr + fuzz_field(c->op, name)->offset;
}

tp_status ref_axis(const ref_call *c, int *axis)
{
    return tp_axis_normal(c->x[0].shape.ndim, (int)ref_whole(c, "axis"), axis);
}

tp_status ref_make(ref_call *c, tp_dtype dtype, tp_shape shape)
{
    TP_TRY(tp_shape_check(shape, tp_dtype_size(dtype)));
    *c->y = ref_new(dtype, shape);
    return TP_OK;
}

/* --- formulas ----------------------------------------------------------------------------------- */

/* A value out of inputs a, b, c and parameters p, and its error. */
typedef real (*formula)(const real *x, const real *p, real *e);

#define F(name, value, error)                                                                      \
    static real f_##name(const real *x, const real *p, real *e)                                    \
    {                                                                                              \
        const real a = x[0], b = x[1], c = x[2];                                                   \
        const real y = (value);                                                                    \
        (void)a, (void)b, (void)c, (void)p;                                                        \
        *e = (error);                                                                              \
        return y;                                                                                  \
    }

static real sigmoid(real a)
{
    return a >= 0 ? 1 / (1 + expl(-a)) : expl(a) / (1 + expl(a));
}

static real positive_part(real a)
{
    return a > 0 || isnan(a) ? a : 0;
}

/* e^v − 1 − v without cancellation */
static real expm1_minus(real v)
{
    real term = v * v / 2, sum = 0;
    if (fabsl(v) > 0.5L)
        return expm1l(v) - v;
    for (int k = 3; k < 30; k++) {
        sum += term;
        term *= v / k;
    }
    return sum;
}

F(add, a + b, fabsl(y))
F(sub, a - b, fabsl(y))
F(mul, a *b, fabsl(y))
F(div, a / b, fabsl(y))
F(maximum, isnan(a) || a > b ? a : b, 0)
F(greater, a > b, 0)
F(greater_equal, a >= b, 0)
F(where, a != 0 ? b : c, 0)
F(neg, -a, 0)
F(abs, fabsl(a), 0)
F(affine, p[0] * a + p[1], fabsl(p[0] * a) + fabsl(y))
F(square, a *a, fabsl(y))
F(sqrt, sqrtl(a), fabsl(y))
F(exp, expl(a), fabsl(y))
F(expm1, expm1l(a), fabsl(y))
F(log, logl(a), fabsl(y))
F(log1p, log1pl(a), fabsl(y))
F(sigmoid, sigmoid(a), fabsl(y))
F(tanh, tanhl(a), fabsl(y))
F(relu, positive_part(a), 0)
F(softplus, positive_part(a) + log1pl(expl(-fabsl(a))), fabsl(y))
F(clamp, a<p[0] ? p[0] : a> p[1] ? p[1] : a, 0)
F(inside, a >= p[0] && a <= p[1], 0)
F(first, a, 0)
F(second, b, 0)
F(sin, sinl(a), fabsl(y))
F(cos, cosl(a), fabsl(y))
F(erf, erfl(a), fabsl(y))
F(erfc, erfcl(a), fabsl(y))
F(pow, powl(a, b), fabsl(y))
F(round, rintl(a), 0)
/* Where an intermediate result is not finite, the value is left open. */
F(reparameterize, a + expl(b / 2) * c,
  isfinite(y) ? fabsl(a) + (1 + fabsl(b)) * (expl(b / 2) + 1) * (fabsl(c) + 1) : (real)NAN)
F(gaussian_kl, (a * a + expm1_minus(b)) / 2, isfinite(y) ? 2 * fabsl(y) : (real)NAN)
F(bce_with_logits, positive_part(a) - b * a + log1pl(expl(-fabsl(a))),
  isfinite(a) ? fabsl(a) + fabsl(y) : (real)NAN)

typedef enum shapes { SAME, BROADCAST, EQUAL, RANGE } shapes;

static const struct {
    const char *name;
    int arity;
    shapes shape;
    formula f, surrogate; /* what an estimator is differentiated as */
} elementwise[] = {
    {"add", 2, BROADCAST, f_add},
    {"sub", 2, BROADCAST, f_sub},
    {"mul", 2, BROADCAST, f_mul},
    {"div", 2, BROADCAST, f_div},
    {"maximum", 2, BROADCAST, f_maximum},
    {"greater", 2, BROADCAST, f_greater},
    {"greater_equal", 2, BROADCAST, f_greater_equal},
    {"pow", 2, BROADCAST, f_pow},
    {"where", 3, BROADCAST, f_where},
    {"neg", 1, SAME, f_neg},
    {"abs", 1, SAME, f_abs},
    {"affine", 1, SAME, f_affine},
    {"square", 1, SAME, f_square},
    {"sqrt", 1, SAME, f_sqrt},
    {"exp", 1, SAME, f_exp},
    {"expm1", 1, SAME, f_expm1},
    {"log", 1, SAME, f_log},
    {"log1p", 1, SAME, f_log1p},
    {"sigmoid", 1, SAME, f_sigmoid},
    {"tanh", 1, SAME, f_tanh},
    {"relu", 1, SAME, f_relu},
    {"softplus", 1, SAME, f_softplus},
    {"sin", 1, SAME, f_sin},
    {"cos", 1, SAME, f_cos},
    {"erf", 1, SAME, f_erf},
    {"erfc", 1, SAME, f_erfc},
    {"round", 1, SAME, f_round},
    {"clamp", 1, RANGE, f_clamp},
    {"inside", 1, RANGE, f_inside},
    {"detach", 1, SAME, f_first},
    {"straight_through", 2, EQUAL, f_first, f_second},
    {"reparameterize", 3, EQUAL, f_reparameterize},
    {"gaussian_kl", 2, EQUAL, f_gaussian_kl},
    {"bce_with_logits", 2, EQUAL, f_bce_with_logits},
};

/* --- elementwise operations --------------------------------------------------------------------- */

/* The DOUBLE fields in order, as the kernels see them. */
static void parameters(const ref_call *c, real p[2])
{
    int used = 0;
    p[0] = p[1] = 0;
    for (int i = 0; i < c->op->field_count && used < 2; i++)
        if (c->op->fields[i].kind == TP_FIELD_DOUBLE) {
            double value;
            memcpy(&value, (const char *)c->attr + c->op->fields[i].offset, sizeof value);
            p[used++] = ref_round(c->y->dtype, value);
        }
}

static tp_status shape_of(const ref_call *c, shapes how, tp_shape *y)
{
    *y = c->x[0].shape;
    if (how == RANGE) {
        double lo, hi;
        memcpy(&lo, (const char *)c->attr + fuzz_field(c->op, "lo")->offset, sizeof lo);
        memcpy(&hi, (const char *)c->attr + fuzz_field(c->op, "hi")->offset, sizeof hi);
        return lo <= hi ? TP_OK : TP_EARG;
    }
    for (int i = 1; i < c->n; i++) {
        if (how == EQUAL && !tp_shape_equal(*y, c->x[i].shape))
            return TP_ESHAPE;
        TP_TRY(tp_shape_broadcast(*y, c->x[i].shape, y));
    }
    return TP_OK;
}

/* Inputs that only computing shows to be illegal. */
static tp_status check_values(ref_call *c, const char *name)
{
    tp_status s = TP_OK;
    if (strcmp(name, "bce_with_logits") == 0)
        for (int64_t i = 0; i < c->x[1].n; i++)
            s = c->x[1].v[i] >= 0 && c->x[1].v[i] <= 1 ? s : TP_EVALUE;
    if (strcmp(name, "gaussian_kl") == 0)
        for (int64_t i = 0; i < c->y->n; i++) {
            bool given = isfinite(c->x[0].v[i]) && isfinite(c->x[1].v[i]);
            if (given && c->y->v[i] > 1.01L * ref_max(c->y->dtype))
                s = TP_EVALUE;
            c->either |= given && c->y->v[i] > ref_max(c->y->dtype) / 8;
        }
    return s;
}

static tp_status run_elementwise(ref_call *c, size_t row)
{
    tp_shape shape;
    real p[2];
    TP_TRY(shape_of(c, elementwise[row].shape, &shape));
    TP_TRY(tp_shape_check(shape, tp_dtype_size(c->x[0].dtype)));
    *c->y = ref_new(c->x[0].dtype, shape);
    parameters(c, p);
    formula f = c->surrogate ? elementwise[row].surrogate : elementwise[row].f;
    for (int64_t i = 0; c->y->v != NULL && i < c->y->n; i++) {
        int64_t index[TP_MAX_DIMS];
        real x[3] = {0};
        ref_unflatten(shape, i, index);
        for (int k = 0; k < c->n; k++)
            x[k] = c->x[k].v[ref_broadcast(c->x[k].shape, shape, index)];
        c->y->v[i] = f(x, p, &c->y->e[i]);
    }
    return c->y->v == NULL ? TP_OK : check_values(c, elementwise[row].name);
}

/* --- dispatch ----------------------------------------------------------------------------------- */

const char *ref_name(const tp_op *op)
{
    static const char prefix[] = "broken_";
    return op->name + (strncmp(op->name, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0);
}

static tp_status run_family(ref_call *c, bool *known)
{
    const ref_row *families[] = {ref_reductions, ref_matrices, ref_convolutions,
                                 ref_places,     ref_pool,     ref_draws};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const ref_row *row = families[i]; row->name != NULL; row++)
            if (strcmp(row->name, ref_name(c->op)) == 0)
                return row->run(c);
    *known = false;
    return TP_OK;
}

tp_status fuzz_reference(ref_call *c, bool *known)
{
    *known = true;
    *c->y = (ref_tensor){0};
    c->either = false;
    if (c->op->arity != TP_ANY_ARITY && c->op->arity != c->n)
        return TP_EARG;
    for (int i = 0; i < c->n && !c->op->mixed_dtypes; i++)
        if (!tp_dtype_is_float(c->x[i].dtype) || c->x[i].dtype != c->x[0].dtype)
            return TP_EDTYPE;
    tp_status s = TP_OK;
    size_t rows = sizeof elementwise / sizeof *elementwise, row = 0;
    while (row < rows && strcmp(elementwise[row].name, ref_name(c->op)) != 0)
        row++;
    s = row < rows ? run_elementwise(c, row) : run_family(c, known);
    if (s != TP_OK)
        ref_free(c->y);
    return s;
}
