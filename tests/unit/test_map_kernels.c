/* test_map_kernels.c: every row of kernels.def at every ISA level, within the error that the row declares.
 *
 * The truth for f32 is the ref level in f64, unrounded; for f64 it is the ref level. Lengths around the
 * vector width, unaligned addresses, guard elements behind the output, special values, a sweep over all
 * floats. The driver has its own tests: test_map_reduce.c.
 */
#include "tests/support/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tensor/kernels/kernels.h"
#include "tests/support/elements.h"

enum { LENGTHS = 2 * 64 / 4 + 2, GUARDS = 40, SWEEP = 1024 };

static const struct {
    const char *name;
    int arity;
    double ulps[2]; /* by dtype */
} rows[] = {
#define TP_MAP(name, arity, ulps32, ulps64, formula) {#name, arity, {ulps32, ulps64}},
#include "tensor/kernels.def"
#undef TP_MAP
};

static const double parameters[2] = {-0.5, 0.75};

/* --- how far is far ----------------------------------------------------------------------------- */

static double denormal(tp_dtype d)
{
    return d == TP_F32 ? 0x1p-149 : 0x1p-1074;
}

/* One unit in the last place of a finite number. */
static double ulp(tp_dtype d, double v)
{
    double u = v == 0 ? 0 : ldexp(1, ilogb(v) - (d == TP_F32 ? 23 : 52));
    return fmax(u, denormal(d));
}

/* ref in f64, of one element */
static double exact(tp_map_kernel kernel, double a, double b, double c)
{
    double y = 0;
    tp_kernels_ref.map[kernel][TP_F64](1, &y, (const void *[]){&a, &b, &c}, parameters);
    return y;
}

/* The error of a difference is measured against what was subtracted, where the formula cannot avoid it. */
static double largest_term(tp_map_kernel kernel, tp_dtype d, double a, double b, double c)
{
    switch (kernel) {
    case TP_K_affine:
        return fmax(fabs(parameters[0] * a), fabs(parameters[1]));
    case TP_K_reparameterize:
        return fmax(fabs(a), exp(0.5 * b) * fabs(c));
    case TP_K_exp_sub: /* the rounding of the exponent */
        return exp(a - b) * (1 + fabs(a - b));
    case TP_K_sub_sub:
        return fmax(fabs(a), fmax(fabs(b), fabs(c)));
    case TP_K_log_softmax_vjp:
        return fmax(fabs(a), exp(b) * fabs(c));
    case TP_K_bce:
        return d == TP_F32 && b >= 0 && b <= 1 ? 0
                                               : fabs(a) + fabs(a * b); /* ref in f64 cancels too */
    case TP_K_bce_vjp:
        return fabs(c) * (fabs((1 - b) * exact(TP_K_sigmoid, a, 0, 0)) +
                          fabs(b * exact(TP_K_sigmoid, -a, 0, 0)));
    default:
        return 0;
    }
}

/* A product of several factors is as good as said only while its parts, from the left, are normal numbers. */
static bool parts_are_normal(tp_map_kernel kernel, tp_dtype d, double a, double b, double c)
{
    double factors[3] = {1, 1, 1}, part = 1;
    if (kernel == TP_K_reparameterize)
        factors[0] = exp(0.5 * b), factors[1] = c;
    if (kernel == TP_K_reparameterize_vjp)
        factors[0] = exp(0.5 * a), factors[1] = c, factors[2] = b;
    if (kernel == TP_K_log_softmax_vjp)
        factors[0] = exp(b), factors[1] = c;
    if (kernel == TP_K_gaussian_kl_vjp)
        factors[0] = 0.5 * expm1(a), factors[1] = b;
    if (kernel == TP_K_bce_vjp)
        factors[0] = exact(kernel, a, b, 1), factors[1] = c;
    for (int k = 0; k < 3; k++) {
        part *= factors[k];
        if (factors[0] != 0 && (fabs(part) < (d == TP_F32 ? FLT_MIN : DBL_MIN) ||
                                fabs(part) > (d == TP_F32 ? FLT_MAX : DBL_MAX)))
            return false;
    }
    return true;
}

static void check_value(tp_map_kernel kernel, tp_dtype d, double a, double b, double c, double got)
{
    double want = exact(kernel, a, b, c);
    double nearest = d == TP_F32 ? (double)(float)want : want;
    if ((isnan(want) ? isnan(got) : got == nearest) || !parts_are_normal(kernel, d, a, b, c))
        return;
    double scale = fmax(fabs(want), largest_term(kernel, d, a, b, c));
    if (!(fabs(got - want) <= rows[kernel].ulps[d] * ulp(d, scale)))
        fail_msg("%s %s (%s): f(%.17g, %.17g, %.17g) = %.17g, want %.17g: %.3g ulp", tp_isa(),
                 rows[kernel].name, tp_dtype_name(d), a, b, c, got, want,
                 fabs(got - want) / ulp(d, scale));
}

/* --- every row ---------------------------------------------------------------------------------- */

static double special(int i)
{
    static const double values[] = {0.0,   -0.0,   1,      -1,   INFINITY, -INFINITY, NAN,
                                    1e-40, -1e-40, 1e-310, 1e30, -1e30,    88.9,      -103.9,
                                    709.9, -745.5, 0.25,   1e-8, -1e-8,    20};
    return values[i % (int)(sizeof values / sizeof *values)];
}

static void fill_inputs(tp_dtype d, void *x[3], int n, int round)
{
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < n; i++) {
            double v = round == 0 ? uniform(-4, 4) : special(i * (k + 1) + k + round);
            put(d, x[k], i, k == 1 && round == 0 ? uniform(0, 1) : v);
        }
}

static void check_all(tp_map_kernel kernel, tp_dtype d, int n, void *const *x, const void *got)
{
    for (int i = 0; i < n; i++)
        check_value(kernel, d, get(d, x[0], i), get(d, x[1], i), get(d, x[2], i), get(d, got, i));
}

static void check_map(const tp_kernels *level, tp_map_kernel kernel, tp_dtype d, int n, int offset,
                      int round)
{
    double memory[3][LENGTHS + GUARDS], got[LENGTHS + GUARDS];
    int64_t size = tp_dtype_size(d);
    void *x[3];
    const void *in[3];
    for (int k = 0; k < 3; k++)
        in[k] = x[k] = (char *)memory[k] + (k + offset) % 3 * size;
    fill_inputs(d, x, n, round);
    memset(got, 0x5a, sizeof got);
    char *y = (char *)got + offset * size;
    level->map[kernel][d](n, y, in, parameters);
    check_all(kernel, d, n, x, y);
    for (char *g = (char *)got; g < (char *)got + sizeof got; g++)
        if (g < y || g >= y + n * size)
            assert_int_equal(*g, 0x5a);
    in[0] = memcpy(got, x[0], (size_t)(n * size)); /* in place */
    level->map[kernel][d](n, got, in, parameters);
    check_all(kernel, d, n, x, got);
}

static void rows_keep_their_bounds(void **state)
{
    (void)state;
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++)
        for (int d = TP_F32; d <= TP_F64; d++)
            for (int n = 0; n < LENGTHS; n++)
                for (int round = 0; round < 4; round++)
                    check_map(tp_kernels_get(), (tp_map_kernel)k, (tp_dtype)d, n, n % 3, round);
}

/* Inputs swept over every 16411th float, all exponents and both signs; logvar where there is one. */
static void floats_keep_their_bounds(void **state)
{
    (void)state;
    static float x[3][SWEEP], y[SWEEP];
    const void *in[3] = {x[0], x[1], x[2]};
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++) {
        int swept = k == TP_K_gaussian_kl || k == TP_K_reparameterize ? 1 : 0, n = 0;
        for (uint64_t bits = 0; rows[k].ulps[TP_F32] > 0 && bits < UINT64_C(1) << 32;) {
            for (n = 0; n < SWEEP && bits < UINT64_C(1) << 32; n++, bits += 16411) {
                uint32_t low = (uint32_t)bits;
                x[0][n] = n % 2 == 0 ? 0 : (float)uniform(-3, 3);
                x[1][n] = (float)uniform(0, 1);
                x[2][n] = (float)uniform(-4, 4);
                memcpy(&x[swept][n], &low, sizeof low);
            }
            tp_kernels_get()->map[k][TP_F32](n, y, in, parameters);
            for (int i = 0; i < n; i++)
                check_value((tp_map_kernel)k, TP_F32, x[0][i], x[1][i], x[2][i], y[i]);
        }
    }
}

/* As above in f64: exponents and mantissas of all kinds, against the ref level. */
static void doubles_keep_their_bounds(void **state)
{
    (void)state;
    static double x[3][SWEEP], y[SWEEP];
    const void *in[3] = {x[0], x[1], x[2]};
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++) {
        int swept = k == TP_K_gaussian_kl || k == TP_K_reparameterize ? 1 : 0;
        for (int round = 0; rows[k].ulps[TP_F64] > 0 && round < 64; round++) {
            for (int n = 0; n < SWEEP; n++) {
                double top = round % 2 == 0 ? 11 : 1100; /* of the exponent: half near 1 */
                x[0][n] = n % 2 == 0 ? 0 : uniform(-3, 3);
                x[1][n] = uniform(0, 1);
                x[2][n] = uniform(-4, 4);
                x[swept][n] = ldexp(uniform(-1, 1), (int)uniform(-top, top));
            }
            tp_kernels_get()->map[k][TP_F64](SWEEP, y, in, parameters);
            for (int i = 0; i < SWEEP; i++)
                check_value((tp_map_kernel)k, TP_F64, x[0][i], x[1][i], x[2][i], y[i]);
        }
    }
}

/* Beside the zeros of sin and cos, where all of a result is what reducing the argument left over. */
static void multiples_of_pi_keep_their_bounds(void **state)
{
    (void)state;
    for (int k = TP_K_sin; k <= TP_K_cos; k++)
        for (int d = TP_F32; d <= TP_F64; d++)
            for (int64_t n = 1; n < 1 << 20; n += 1 + n / 64) {
                double x = 0, y = 0, v = (double)n * 1.5707963267948966;
                put((tp_dtype)d, &x, 0, n % 2 == 0 ? v : -v);
                tp_kernels_get()->map[k][d](1, &y, (const void *[]){&x, &x, &x}, parameters);
                check_value((tp_map_kernel)k, (tp_dtype)d, get((tp_dtype)d, &x, 0), 0, 0,
                            get((tp_dtype)d, &y, 0));
            }
}

/* An element's value must not depend on where it stands: vector body and remainder agree in every bit. */
static void position_does_not_matter(void **state)
{
    (void)state;
    double memory[3][LENGTHS], y[LENGTHS];
    const void *in[3] = {memory[0], memory[1], memory[2]};
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++)
        for (int d = TP_F32; d <= TP_F64; d++)
            for (int round = 0; round < 20; round++) {
                for (int j = 0; j < 3; j++) {
                    double v = uniform(j == 1 ? 0 : -3, j == 1 ? 1 : 3);
                    for (int i = 0; i < LENGTHS; i++)
                        put((tp_dtype)d, memory[j], i, v);
                }
                tp_kernels_get()->map[k][d](LENGTHS, y, in, parameters);
                int64_t size = tp_dtype_size((tp_dtype)d);
                for (int i = 1; i < LENGTHS; i++)
                    if (memcmp(y, (char *)y + i * size, (size_t)size) != 0)
                        fail_msg("%s %s: element %d differs", tp_isa(), rows[k].name, i);
            }
}

/* Arguments that the library reduces leave those beside them as they are. */
static void a_huge_neighbour_does_not_matter(void **state)
{
    (void)state;
    for (int k = TP_K_sin; k <= TP_K_cos; k++)
        for (int d = TP_F32; d <= TP_F64; d++) {
            double x[LENGTHS], y[LENGTHS], z[LENGTHS];
            size_t size = (size_t)tp_dtype_size((tp_dtype)d);
            for (int i = 0; i < LENGTHS; i++)
                put((tp_dtype)d, x, i, uniform(-1e5, 1e5));
            tp_kernels_get()->map[k][d](LENGTHS, y, (const void *[]){x, x, x}, parameters);
            put((tp_dtype)d, x, LENGTHS / 2, 1e22);
            tp_kernels_get()->map[k][d](LENGTHS, z, (const void *[]){x, x, x}, parameters);
            for (size_t i = 0; i < LENGTHS; i++)
                if (i != LENGTHS / 2)
                    assert_memory_equal((char *)y + i * size, (char *)z + i * size, size);
        }
}

static double value_of(tp_map_kernel k, tp_dtype d, double a, double b, double c)
{
    double x[3] = {0}, y = 0;
    const void *in[3] = {&x[0], &x[1], &x[2]};
    put(d, &x[0], 0, a);
    put(d, &x[1], 0, b);
    put(d, &x[2], 0, c);
    tp_kernels_get()->map[k][d](1, &y, in, parameters);
    return get(d, &y, 0);
}

struct known {
    tp_map_kernel kernel;
    double a, b, c, want;
    bool only_f64; /* the inputs are not floats */
};

static const struct known known_values[] = {
    {TP_K_softplus, 0, 0, 0, 0.693147180559945286, false},
    {TP_K_softplus, -20, 0, 0, 2.06115362031438080e-9, false},
    {TP_K_softplus, -104, 0, 0, 6.81355682154529991e-46, false},
    {TP_K_softplus, 1000, 0, 0, 1000, false},
    {TP_K_softplus, -1000, 0, 0, 0, false},
    {TP_K_sigmoid, 0, 0, 0, 0.5, false},
    {TP_K_sigmoid, 1000, 0, 0, 1, false},
    {TP_K_sigmoid, -1000, 0, 0, 0, false},
    {TP_K_sigmoid, -40, 0, 0, 4.24835425529158898e-18, false},
    {TP_K_sigmoid, -100, 0, 0, 3.72007597602083612e-44, false},
    {TP_K_bce, 0, 1, 0, 0.693147180559945286, false},
    {TP_K_bce, 100, 1, 0, 3.72007597602083612e-44, false},
    {TP_K_bce, -100, 1, 0, 100, false},
    {TP_K_bce, 1000, 0.5, 0, 500, false},
    {TP_K_bce, -1000, 0.5, 0, 500, false},
    {TP_K_bce, 1e30, 0, 0, 1e30, true},
    {TP_K_bce_vjp, 40, 1, 1, -4.24835425529158898e-18, false},
    {TP_K_bce_vjp, 0, 0.25, 2, 0.5, false},
    {TP_K_bce_vjp, -1000, 0, 1, 0, false},
    {TP_K_gaussian_kl, 0, 1, 0, 0.359140914229522601, false},
    {TP_K_gaussian_kl, 0, 1e-8, 0, 2.50000000833333341e-17, true},
    {TP_K_gaussian_kl, 0, -1e-8, 0, 2.49999999166666670e-17, true},
    {TP_K_gaussian_kl, 0, 1e-4, 0, 2.50008333541670835e-9, true},
    {TP_K_gaussian_kl, 3, -2, 0, 5.06766764161830618, false},
    {TP_K_gaussian_kl, 0, -100, 0, 49.5, false},
    {TP_K_gaussian_kl, 0, 20, 0, 2.42582587204895139e8, false},
    {TP_K_gaussian_kl, 0, 89, 0, 2.24480640958717269e38, false},
    {TP_K_gaussian_kl, 0, 0, 0, 0, false},
    {TP_K_gaussian_kl_vjp, -100, 2, 0, -1, false},
    {TP_K_exp, -INFINITY, 0, 0, 0, false},
    {TP_K_exp, INFINITY, 0, 0, INFINITY, false},
    {TP_K_exp, 89, 0, 0, 4.48961281917434525e38, false},
    {TP_K_exp, -103, 0, 0, 1.85211676951797546e-45, false},
    {TP_K_exp, -740, 0, 0, 4.19955798965e-322, true},
    {TP_K_log, 0, 0, 0, -INFINITY, false},
    {TP_K_log, -1, 0, 0, NAN, false},
    {TP_K_log, INFINITY, 0, 0, INFINITY, false},
    {TP_K_log, 4.9406564584124654e-324, 0, 0, -744.440071921381262, true},
    {TP_K_log1p, -1, 0, 0, -INFINITY, false},
    {TP_K_log1p, -2, 0, 0, NAN, false},
    {TP_K_log1p, 0x1p-140, 0, 0, 0x1p-140, false},
    {TP_K_expm1, 0x1p-140, 0, 0, 0x1p-140, false},
    {TP_K_expm1, -INFINITY, 0, 0, -1, false},
    {TP_K_expm1, INFINITY, 0, 0, INFINITY, false},
    {TP_K_tanh, 0x1p-140, 0, 0, 0x1p-140, false},
    {TP_K_tanh, -INFINITY, 0, 0, -1, false},
    {TP_K_sin, 3.141592653589793116, 0, 0, 1.22464679914735318e-16, true},
    {TP_K_sin, 1e22, 0, 0, -0.852200849767188802, true},
    {TP_K_cos, 1e22, 0, 0, 0.523214785395138945, true},
    {TP_K_cos, 0, 0, 0, 1, false},
    {TP_K_sin, INFINITY, 0, 0, NAN, false},
    {TP_K_sin, -INFINITY, 0, 0, NAN, false},
    {TP_K_cos, INFINITY, 0, 0, NAN, false},
    {TP_K_sin, 1e6, 0, 0, -0.349993502171292952, false},
    {TP_K_cos, -1e6, 0, 0, 0.936752127533144787, false},
    {TP_K_sin, 1048576.5, 0, 0, 0.742520864092771864, false}, /* just beyond what is reduced here */
    {TP_K_cos, 1048576.5, 0, 0, 0.669822936593636972, false},
    {TP_K_sin, 1e308, 0, 0, 0.453396490501649117, true},
    {TP_K_erf, 0, 0, 0, 0, false},
    {TP_K_erf, 0.5, 0, 0, 0.520499877813046538, false},
    {TP_K_erf, -1, 0, 0, -0.842700792949714869, false},
    {TP_K_erf, 0x1p-60, 0, 0, 9.78712915481871002e-19, false},
    {TP_K_erf, 1e-310, 0, 0, 1.12837916709550913e-310, true},
    {TP_K_erf, 3, 0, 0, 0.999977909503001415, false},
    {TP_K_erf, 5.5, 0, 0, 0.999999999999992642, false},
    {TP_K_erf, INFINITY, 0, 0, 1, false},
    {TP_K_erf, -INFINITY, 0, 0, -1, false},
    {TP_K_erfc, 0, 0, 0, 1, false},
    {TP_K_erfc, -1e-20, 0, 0, 1, false},
    {TP_K_erfc, 0.5, 0, 0, 0.479500122186953462, false},
    {TP_K_erfc, 1, 0, 0, 0.157299207050285131, false},
    {TP_K_erfc, -3, 0, 0, 1.99997790950300141, false},
    {TP_K_erfc, 5, 0, 0, 1.53745979442803485e-12, false},
    {TP_K_erfc, 10, 0, 0, 2.08848758376254476e-45, false},
    {TP_K_erfc, 26, 0, 0, 5.66319240885614285e-296, false},
    {TP_K_erfc, 27, 0, 0, 5.23704892378925569e-319, false},
    {TP_K_erfc, INFINITY, 0, 0, 0, false},
    {TP_K_erfc, -INFINITY, 0, 0, 2, false},
    {TP_K_pow, 2, 0.5, 0, 1.41421356237309505, false},
    {TP_K_pow, 0.5, 100, 0, 7.88860905221011805e-31, false},
    {TP_K_pow, 1.5, -200, 0, 6.04989989819374873e-36, false},
    {TP_K_pow, 0x1.00001p0, 0x1p23, 0, 2980.9466156183652, false},
    {TP_K_pow, 1e-300, 0.1, 0, 9.99999999999996168e-31, true},
    {TP_K_pow, -2, 3, 0, -8, false},
    {TP_K_pow, -8, 1.0 / 3, 0, NAN, false},
    {TP_K_pow, NAN, 0, 0, 1, false},
    {TP_K_pow, 1, NAN, 0, 1, false},
    {TP_K_pow, 0, 0, 0, 1, false},
    {TP_K_pow, 0, -2, 0, INFINITY, false},
    {TP_K_pow, -0.0, -3, 0, -INFINITY, false},
    {TP_K_pow, INFINITY, -1, 0, 0, false},
    {TP_K_pow, -1, INFINITY, 0, 1, false},
    {TP_K_round, 0.5, 0, 0, 0, false},
    {TP_K_round, 1.5, 0, 0, 2, false},
    {TP_K_round, 2.5, 0, 0, 2, false},
    {TP_K_round, -1.5, 0, 0, -2, false},
    {TP_K_round, 0.49999997, 0, 0, 0, false},
    {TP_K_round, 8388609, 0, 0, 8388609, false}, /* 2^23 + 1: every float from here is whole */
    {TP_K_round, -INFINITY, 0, 0, -INFINITY, false},
};

static void known_values_are_hit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known_values / sizeof *known_values; i++) {
        const struct known *k = &known_values[i];
        assert_close(value_of(k->kernel, TP_F64, k->a, k->b, k->c), k->want, denormal(TP_F64),
                     4 * DBL_EPSILON);
        if (!k->only_f64) /* 2 ulp of the nearest float */
            assert_close(value_of(k->kernel, TP_F32, k->a, k->b, k->c), (float)k->want,
                         2 * denormal(TP_F32), 2 * FLT_EPSILON);
    }
    /* f32, where the input is a rounded number: against f64 of the same input */
    assert_close(value_of(TP_K_bce, TP_F32, 1e30, 0, 0), (float)1e30, 0, 0);
    assert_close(value_of(TP_K_gaussian_kl, TP_F32, 0, 1e-8, 0), 2.5e-17, 0, 2 * FLT_EPSILON);
    assert_close(value_of(TP_K_gaussian_kl, TP_F32, 0, -1e-8, 0), 2.5e-17, 0, 2 * FLT_EPSILON);
    assert_close(value_of(TP_K_gaussian_kl, TP_F32, 0, 1e-4, 0),
                 value_of(TP_K_gaussian_kl, TP_F64, 0, (float)1e-4, 0), 0, 2 * FLT_EPSILON);
    assert_true(isinf(value_of(TP_K_gaussian_kl, TP_F32, 0, 90, 0)));
}

/* NaN in any input that a formula uses comes out; comparisons are false. */
static void nan_propagates(void **state)
{
    (void)state;
    for (int k = 0; k < TP_MAP_KERNEL_COUNT; k++)
        for (int d = TP_F32; d <= TP_F64; d++) {
            bool compares = k == TP_K_gt || k == TP_K_ge || k == TP_K_eq || k == TP_K_inside;
            if (k == TP_K_where || k == TP_K_relu_vjp)
                continue; /* they choose: tested below */
            for (int j = 0; j < rows[k].arity; j++) {
                double v = value_of((tp_map_kernel)k, (tp_dtype)d, j == 0 ? NAN : 0.5,
                                    j == 1 ? NAN : 0.5, j == 2 ? NAN : 0.5);
                if (compares ? v != 0 : !isnan(v))
                    fail_msg("%s %s: NaN in input %d gives %g", tp_isa(), rows[k].name, j, v);
            }
        }
    assert_close(value_of(TP_K_where, TP_F32, 1, 2, NAN), 2, 0, 0);
    assert_close(value_of(TP_K_where, TP_F32, 0, NAN, 2), 2, 0, 0);
    assert_close(value_of(TP_K_where, TP_F32, NAN, 2, 3), 2, 0, 0); /* NaN is not 0 */
    assert_close(value_of(TP_K_relu_vjp, TP_F64, NAN, 0, 0), 0, 0, 0);
}

int main(void)
{
    const char *const levels[] = {"ref", "avx2", "avx512"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_keep_their_bounds),
        cmocka_unit_test(floats_keep_their_bounds),
        cmocka_unit_test(doubles_keep_their_bounds),
        cmocka_unit_test(multiples_of_pi_keep_their_bounds),
        cmocka_unit_test(position_does_not_matter),
        cmocka_unit_test(a_huge_neighbour_does_not_matter),
        cmocka_unit_test(known_values_are_hit),
        cmocka_unit_test(nan_propagates),
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (tp_set_isa(levels[i]) == TP_OK)
            failed += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    return failed != 0;
}
